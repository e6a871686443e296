"""The convolutional part of MobileNetV3-Large (arXiv 1905.02244).

Keys, shapes and outputs are those of `features` of torchvision's network, bit for bit.
"""

from __future__ import annotations

from torch import Tensor, nn

# kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride
# (table 1 of the paper, without its first and last rows)
BLOCKS = (
    (3, 16, 16, False, nn.ReLU, 1),
    (3, 64, 24, False, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 1),
    (5, 72, 40, True, nn.ReLU, 2),
    (5, 120, 40, True, nn.ReLU, 1),
    (5, 120, 40, True, nn.ReLU, 1),
    (3, 240, 80, False, nn.Hardswish, 2),
    (3, 200, 80, False, nn.Hardswish, 1),
    (3, 184, 80, False, nn.Hardswish, 1),
    (3, 184, 80, False, nn.Hardswish, 1),
    (3, 480, 112, True, nn.Hardswish, 1),
    (3, 672, 112, True, nn.Hardswish, 1),
    (5, 672, 160, True, nn.Hardswish, 2),
    (5, 960, 160, True, nn.Hardswish, 1),
    (5, 960, 160, True, nn.Hardswish, 1),
)
STEM = 16
LAST = 960  # channels of the last convolution, 6 * 160
EIGHTH, EIGHTH_CHANNELS = 4, 40  # features[4] is the first at 1/8 of the input's size
DILATED_FROM = 12  # of BLOCKS: the last three, which work at 1/32 unless dilated


def conv_bn(
    channels: int,
    out: int,
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution without bias, BN with the paper's constants, activation if there is one."""
    padding = (kernel - 1) // 2 * dilation
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out, eps=0.001, momentum=0.01),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate in 0..1 computed from all channels' means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = multiple_of_8(channels // 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        gate = self.activation(self.fc1(self.avgpool(x)))  # (N, squeezed, 1, 1)
        return self.scale_activation(self.fc2(gate)) * x


class InvertedResidual(nn.Module):
    """1x1 up, depthwise, squeeze-and-excitation, 1x1 down; added to the input where shapes agree.

    A dilated block has no stride. The first block does not expand, so it has no 1x1 up.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        expanded: int,
        out: int,
        excite: bool,
        activation: type[nn.Module],
        stride: int,
        dilation: int,
    ) -> None:
        super().__init__()
        self.adds = stride == 1 and channels == out
        layers: list[nn.Module] = []
        if expanded != channels:
            layers.append(conv_bn(channels, expanded, activation=activation))
        stride = stride if dilation == 1 else 1
        layers.append(conv_bn(expanded, expanded, kernel, stride, dilation, expanded, activation))
        if excite:
            layers.append(SqueezeExcitation(expanded))
        layers.append(conv_bn(expanded, out))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H/stride, W/stride)."""
        result = self.block(x)
        if self.adds:
            result += x
        return result


def mobilenet_v3_large(dilation: int = 1) -> nn.Sequential:
    """Build the convolutional part: (N, 3, H, W) -> (N, 960, H/32, W/32).

    Args:
        dilation: 2 dilates the last three blocks in place of their stride, so that the output
            is (N, 960, H/16, W/16); 1 is the classifier's.
    """
    layers: list[nn.Module] = [conv_bn(3, STEM, 3, stride=2, activation=nn.Hardswish)]
    channels = STEM
    for index, block in enumerate(BLOCKS):
        dilated = dilation if index >= DILATED_FROM else 1
        layers.append(InvertedResidual(channels, *block, dilated))
        channels = block[2]
    layers.append(conv_bn(channels, LAST, activation=nn.Hardswish))
    return nn.Sequential(*layers)


def multiple_of_8(channels: int) -> int:
    """Round to the nearest multiple of 8, at least 8, never below 90 % of `channels`."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
