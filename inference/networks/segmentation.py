"""FCN32s on VGG16, DeepLabV3 on ResNet50, LRASPP on MobileNetV3-Large and EfficientNet-Lite0.

Each returns {"out": logits (N, classes, H, W)} at the size of its input, for any H, W >= 32.
DeepLabV3 and LRASPP on MobileNetV3 have torchvision's keys, shapes and outputs, bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from inference.networks import efficientnet_lite, resnet
from inference.networks.mobilenet import EIGHTH, EIGHTH_CHANNELS, LAST, mobilenet_v3_large
from inference.networks.resnet import POOLED, Trunk

POOL = 0
VGG16 = (
    *(64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL),
    *(512, 512, 512, POOL, 512, 512, 512, POOL),
)
TRANSPOSED = (512, 256, 128, 64, 32)  # channels of the original report's decoder


def conv_bn_relu(channels: int, out: int, kernel: int = 1, dilation: int = 1) -> list[nn.Module]:
    """Layers of a convolution that keeps H and W, without bias, then BN and ReLU."""
    padding = kernel // 2 * dilation
    return [
        nn.Conv2d(channels, out, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    ]


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear (N, C, h, w) -> (N, C, H, W), the height and width of `like`."""
    return interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def vgg16_bn() -> nn.Sequential:
    """The convolutions of VGG16 with BN (arXiv 1409.1556): (N, 3, H, W) -> (N, 512, H/32, W/32).

    Keys and outputs are those of `features` of torchvision's `vgg16_bn`.
    """
    layers: list[nn.Module] = []
    channels = 3
    for width in VGG16:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
        else:
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers)


def convolutional_head(channels: int, width: int) -> nn.Sequential:
    """VGG16's fully connected layers as convolutions: (N, channels, h, w) -> (N, width, h, w).

    As in the paper they look at 7x7 and at 1x1 with dropout .5 behind each.
    NOTE: the paper pads the image by 100 pixels and crops; here fc6 pads its input by 3.
    """
    return nn.Sequential(
        nn.Conv2d(channels, width, 7, padding=3),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
    )


def transposed_head(channels: int) -> nn.Sequential:
    """The original report's five learned steps: (N, channels, h, w) -> (N, 32, 32 h, 32 w).

    Transposed convolutions, each with BN and no ReLU behind it.
    """
    layers: list[nn.Module] = []
    for width in TRANSPOSED:
        layers.append(nn.ConvTranspose2d(channels, width, 3, stride=2, padding=1, output_padding=1))
        layers.append(nn.BatchNorm2d(width))
        channels = width
    return nn.Sequential(*layers)


class FCN32(nn.Module):
    """FCN-32s on VGG16 (Fully Convolutional Networks, arXiv 1411.4038): classes at 1/32, enlarged.

    The paper: "Final layer deconvolutional filters are fixed to bilinear interpolation".
    NOTE: the paper's VGG16 has no BN.

    Args:
        classes: Number of logits a pixel.
        width: Channels of fc6 and fc7, 4096 in the paper.
        transposed: Whether to have the original report's decoder in place of the paper's head.
    """

    STRIDE = 32

    HEAD = ("decoder.", "classifier.")

    def __init__(self, classes: int, width: int = 4096, transposed: bool = False) -> None:
        super().__init__()
        self.features = vgg16_bn()
        last = VGG16[-2]
        self.decoder = transposed_head(last) if transposed else convolutional_head(last, width)
        self.classifier = nn.Conv2d(TRANSPOSED[-1] if transposed else width, classes, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> {"out": logits (N, classes, H, W)}.

        Sizes that 32 does not divide are padded with zeros on the right and at the bottom, as
        every convolution pads its input, and the logits cropped: pixels keep their places.
        """
        height, width = images.shape[-2:]
        padded = pad(images, (0, -width % self.STRIDE, 0, -height % self.STRIDE))
        x = self.features(padded)  # (N, 512, H/32, W/32)
        logits = self.classifier(self.decoder(x))  # (N, classes, .), at 1/32 or padded H, padded W
        if logits.shape[-2:] != padded.shape[-2:]:
            logits = resize(logits, like=padded)
        return {"out": logits[..., :height, :width]}


class ASPPPooling(nn.Sequential):
    """The image-level branch: global average, 1x1, BN, ReLU, spread over the whole map."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_bn_relu(channels, out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, out, h, w), the same value everywhere in a map."""
        return resize(super().forward(x), like=x)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: views of five ranges side by side, projected to one."""

    def __init__(self, channels: int, out: int = 256) -> None:
        super().__init__()
        branches = [nn.Sequential(*conv_bn_relu(channels, out))]
        for rate in (12, 24, 36):  # the paper's 6, 12, 18 doubled, for maps at 1/8
            branches.append(nn.Sequential(*conv_bn_relu(channels, out, 3, rate)))
        branches.append(ASPPPooling(channels, out))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*conv_bn_relu(5 * out, out), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, out, h, w)."""
        views = [branch(x) for branch in self.convs]
        return self.project(torch.cat(views, dim=1))  # (N, 5 * out, h, w) before projection


class DeepLabV3(nn.Module):
    """Dilated ResNet50 at 1/8 and ASPP (arXiv 1706.05587).

    Args:
        classes: Number of logits a pixel.
        aux: Whether to add the auxiliary head on the third stage (arXiv 1612.01105), whose
            logits are then always in the result; it serves training alone.
    """

    HEAD = ("classifier.", "aux_classifier.")
    stage_of = staticmethod(resnet.stage_of)

    def __init__(self, classes: int, aux: bool = False) -> None:
        super().__init__()
        self.backbone = Trunk((3, 4, 6, 3), output_stride=8)
        self.classifier = nn.Sequential(
            ASPP(POOLED), *conv_bn_relu(256, 256, 3), nn.Conv2d(256, classes, 1)
        )
        self.aux_classifier = None
        if aux:
            self.aux_classifier = nn.Sequential(
                *conv_bn_relu(1024, 256, 3), nn.Dropout(0.1), nn.Conv2d(256, classes, 1)
            )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> {"out": logits (N, classes, H, W)}, and "aux" if it was built so."""
        third, last = self.backbone.stages(images)  # (N, 1024 and 2048, H/8, W/8)
        logits = {"out": resize(self.classifier(last), like=images)}
        if self.aux_classifier is not None:
            logits["aux"] = resize(self.aux_classifier(third), like=images)
        return logits


class LRASPPHead(nn.Module):
    """Lite reduced ASPP: coarse features gated by their mean, plus fine ones, to the classes."""

    def __init__(self, fine: int, coarse: int, classes: int, width: int = 128) -> None:
        super().__init__()
        self.cbr = nn.Sequential(*conv_bn_relu(coarse, width))
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(coarse, width, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(fine, classes, 1)
        self.high_classifier = nn.Conv2d(width, classes, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(N, fine, H/8, W/8), (N, coarse, H/16, W/16) -> logits (N, classes, H/8, W/8)."""
        gated = self.cbr(coarse) * self.scale(coarse)  # (N, width, H/16, W/16)
        return self.low_classifier(fine) + self.high_classifier(resize(gated, like=fine))


class LRASPP(nn.Module):
    """Dilated MobileNetV3-Large and LRASPP (section 6.4 of arXiv 1905.02244)."""

    HEAD = ("classifier.",)

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = mobilenet_v3_large(dilation=2)
        self.classifier = LRASPPHead(EIGHTH_CHANNELS, LAST, classes)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> {"out": logits (N, classes, H, W)}."""
        fine = self.backbone[: EIGHTH + 1](images)  # (N, 40, H/8, W/8)
        coarse = self.backbone[EIGHTH + 1 :](fine)  # (N, 960, H/16, W/16)
        return {"out": resize(self.classifier(fine, coarse), like=images)}


class LRASPPEfficientNet(nn.Module):
    """EfficientNet-Lite0 at 1/16 and LRASPP (section 6.4 of arXiv 1905.02244)."""

    HEAD = ("classifier.",)
    stage_of = staticmethod(efficientnet_lite.stage_of)

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = efficientnet_lite.Trunk(scale=0, output_stride=16)
        fine = efficientnet_lite.STAGES[efficientnet_lite.EIGHTH][-1]
        self.classifier = LRASPPHead(fine, efficientnet_lite.FEATURES, classes)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> {"out": logits (N, classes, H, W)}."""
        fine, coarse = self.backbone.fine_and_coarse(images)  # (N, 40 and 1280, H/8 and H/16, .)
        return {"out": resize(self.classifier(fine, coarse), like=images)}


def vgg16_fcn32(classes: int, width: int = 4096, transposed: bool = False) -> FCN32:
    """134.3 M parameters, 222 GFLOP for an image of 512 x 512; transposed 18.7 M and 171."""
    return FCN32(classes, width, transposed)


def deeplabv3_resnet50(classes: int, aux: bool = False) -> DeepLabV3:
    """39.6 M parameters; 327 GFLOP for an image of 512 x 512."""
    return DeepLabV3(classes, aux)


def lraspp_mobilenet_v3_large(classes: int) -> LRASPP:
    """3.2 M parameters; 4 GFLOP for an image of 512 x 512."""
    return LRASPP(classes)


def lraspp_efficientnet_lite0(classes: int) -> LRASPPEfficientNet:
    """3.7 M parameters; 8 GFLOP for an image of 512 x 512."""
    return LRASPPEfficientNet(classes)
