"""EfficientNet-Lite (github.com/tensorflow/tpu, models/official/efficientnet/lite).

EfficientNet (arXiv 1905.11946) made for CPUs: ReLU6 in place of swish, no squeeze-and-excitation,
stem and head of one width whatever the scale. Keys, shapes and outputs are those of timm's
`tf_efficientnet_lite0` to `2`, so its published weights load strictly.
"""

from __future__ import annotations

import re
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

# blocks, kernel, stride, factor of expansion, output channels (table 1 of the paper)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # of width and depth: Lite0, Lite1, Lite2
STEM, FEATURES = 32, 1280
EIGHTH = 2  # the stage whose output is at 1/8 of the input's size


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a BN with TensorFlow's constants."""
    return nn.BatchNorm2d(channels, eps=0.001, momentum=0.01)


def pad_same(x: Tensor, kernel: int) -> Tensor:
    """Pad (N, C, H, W) for a stride of 2 as TensorFlow's SAME.

    An odd side is padded alike at both ends. An even side gets one pixel less at its start than at
    its end, which PyTorch's convolutions cannot do.
    """
    columns, rows = same_padding(x, kernel)
    return pad(x, (*columns, *rows))


def same_padding(x: Tensor, kernel: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return by how many pixels `pad_same` pads: left and right, above and below."""
    height, width = x.shape[2:]
    half = kernel // 2
    return (half - 1 + width % 2, half), (half - 1 + height % 2, half)


class SameConv2d(nn.Conv2d):
    """A convolution without bias, of stride 2, with TensorFlow's SAME padding."""

    def __init__(self, channels: int, out: int, kernel: int, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride=2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H/2, W/2), odd sides rounded up."""
        x = pad_same(x, self.kernel_size[0])
        return conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)


def convolution(channels: int, kernel: int, stride: int, dilation: int) -> nn.Conv2d:
    """Return a depthwise convolution: (N, channels, H, W) -> (N, channels, H/stride, W/stride)."""
    if stride == 2:
        return SameConv2d(channels, channels, kernel, groups=channels)
    padding = kernel // 2 * dilation
    return nn.Conv2d(channels, channels, kernel, 1, padding, dilation, channels, bias=False)


class DepthwiseSeparable(nn.Module):
    """Depthwise, then 1x1 to another width: the block of the first stage, which does not expand."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = convolution(channels, kernel, stride=1, dilation=1)
        self.bn1 = norm(channels)
        self.conv_pw = nn.Conv2d(channels, out, 1, bias=False)
        self.bn2 = norm(out)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H, W)."""
        x = self.act(self.bn1(self.conv_dw(x)))
        return self.bn2(self.conv_pw(x))


class InvertedResidual(nn.Module):
    """1x1 up, depthwise, 1x1 down, no activation; added to the input where the shapes agree."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, dilation: int, factor: int
    ) -> None:
        super().__init__()
        self.adds = stride == 1 and channels == out
        width = channels * factor
        self.conv_pw = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv_dw = convolution(width, kernel, stride, dilation)
        self.bn2 = norm(width)
        self.conv_pwl = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = norm(out)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H/stride, W/stride)."""
        shortcut = x
        x = self.act(self.bn1(self.conv_pw(x)))  # (N, factor * channels, H, W)
        x = self.act(self.bn2(self.conv_dw(x)))  # (N, factor * channels, H/stride, W/stride)
        x = self.bn3(self.conv_pwl(x))
        return x + shortcut if self.adds else x


class Trunk(nn.Module):
    """Everything before the pooling.

    Args:
        scale: Index of `SCALES`.
        output_stride: Input size over output size: 32, or 16 for segmentation, where the blocks
            after the last stride keep their resolution and dilate instead.
    """

    def __init__(self, scale: int, output_stride: int = 32) -> None:
        super().__init__()
        width, depth = SCALES[scale]
        self.conv_stem = SameConv2d(3, STEM, 3)
        self.bn1 = norm(STEM)
        self.act = nn.ReLU6(inplace=True)
        stages, channels, reached, dilation = [], STEM, 2, 1
        for index, (blocks, kernel, stride, factor, out) in enumerate(STAGES):
            out = multiple_of_8(out * width)
            if 0 < index < len(STAGES) - 1:
                blocks = -int(-blocks * depth // 1)  # rounded up
            first_dilation = dilation  # the stage's first block keeps the previous stage's dilation
            if reached * stride > output_stride:
                stride, dilation = 1, dilation * 2
            reached *= stride
            stage: list[nn.Module] = []
            for block in range(blocks):
                if factor == 1:
                    stage.append(DepthwiseSeparable(channels, out, kernel))
                elif block == 0:
                    numbers = kernel, stride, first_dilation, factor
                    stage.append(InvertedResidual(channels, out, *numbers))
                else:
                    stage.append(InvertedResidual(out, out, kernel, 1, dilation, factor))
                channels = out
            stages.append(nn.Sequential(*stage))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(channels, FEATURES, 1, bias=False)
        self.bn2 = norm(FEATURES)

    def fine_and_coarse(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run everything.

        Args:
            images: (N, 3, H, W), normalised.

        Returns:
            The third stage's output, (N, 40, H/8, W/8), or 48 channels in Lite2, and the last
            convolution's, (N, 1280, ., .) at the output stride. Odd sides are rounded up.
        """
        x = self.act(self.bn1(self.conv_stem(images)))  # (N, 32, H/2, W/2)
        fine = self.blocks[: EIGHTH + 1](x)
        x = self.blocks[EIGHTH + 1 :](fine)  # (N, 320, ., .), or 352 in Lite2
        return fine, self.act(self.bn2(self.conv_head(x)))


def stage_of(key: str) -> Optional[int]:
    """Return the stage that a key belongs to, from 1, the last convolution's being the last."""
    match = re.match(r"(?:backbone\.)?(?:blocks\.(\d)|(conv_head|bn2))\.", key)
    if not match:
        return None
    return len(STAGES) if match[2] else int(match[1]) + 1


class EfficientNetLite(Trunk):
    """Trunk, global average pooling and a linear classifier.

    Args:
        classes: Number of logits.
        scale: Index of `SCALES`.
        dropout: Probability of dropping a pooled feature in training.
    """

    HEAD = ("classifier.",)
    stage_of = staticmethod(stage_of)

    def __init__(self, classes: int, scale: int, dropout: float) -> None:
        super().__init__(scale)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(FEATURES, classes)

    @property
    def head(self) -> nn.Module:
        """The classifier: what learns when the rest is frozen."""
        return self.classifier

    def features(self, images: Tensor) -> Tensor:
        """Input of the last linear layer: (N, 3, H, W) -> (N, 1280)."""
        _, last = self.fine_and_coarse(images)
        return self.dropout(torch.mean(last, dim=(2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, classes)."""
        return self.classifier(self.features(images))


def multiple_of_8(channels: float) -> int:
    """Round to the nearest multiple of 8, never below 90 % of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def efficientnet_lite0(classes: int, dropout: float = 0.2) -> EfficientNetLite:
    """4.7 M parameters with 1000 classes; 0.8 GFLOP for an image of 224 x 224."""
    return EfficientNetLite(classes, 0, dropout)


def efficientnet_lite1(classes: int, dropout: float = 0.2) -> EfficientNetLite:
    """5.4 M parameters with 1000 classes; 1.2 GFLOP for an image of 240 x 240."""
    return EfficientNetLite(classes, 1, dropout)


def efficientnet_lite2(classes: int, dropout: float = 0.3) -> EfficientNetLite:
    """6.1 M parameters with 1000 classes; 1.7 GFLOP for an image of 260 x 260."""
    return EfficientNetLite(classes, 2, dropout)
