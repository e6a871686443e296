"""Our own networks for 32x32 images, trained from scratch: `ConvNet`, and the report's."""

from __future__ import annotations

from typing import Optional, Sequence

import torch
from torch import Tensor, nn


def conv_bn_relu(channels: int, out: int, pool: bool = False) -> list[nn.Module]:
    """Layers of a 3x3 convolution that keeps H and W, 2x2 max pooling if asked, BN and ReLU.

    Pooling comes straight after the convolution: BN and ReLU then touch a quarter of the values.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, out, 3, padding=1, bias=False)]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return [*layers, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """x + f(x), where f is `depth` times 3x3 convolution, BN and ReLU."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        blocks = [nn.Sequential(*conv_bn_relu(channels, channels)) for _ in range(depth)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        return x + self.blocks(x)


class ConvNet(nn.Module):
    """3x3 convolutions, BN, ReLU and max pooling in three stages, a linear classifier.

    In each stage a convolution widens and pools its input, and residual blocks follow at the lower
    resolution, where convolutions are cheap. The last pooling is a global maximum, so any
    input of at least 8x8 will do; the defaults were chosen for 32x32.

    Args:
        classes: Number of logits.
        widths: Channels of the stem and of each stage.
        depths: Convolutions in each residual block of each stage, 0 for no block.
        blocks: Residual blocks of each stage; one in each by default.
        dropout: Probability of dropping a pooled feature in training.
        scale: Factor on the logits. Maxima of BN's outputs are large and never negative, so that
            each step moves the logits far: at 1 the first hundreds of steps diverge.
    """

    HEAD = ("fc.",)

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (32, 64, 192, 384),
        depths: Sequence[int] = (2, 2, 2),
        blocks: Optional[Sequence[int]] = None,
        dropout: float = 0.0,
        scale: float = 0.125,
    ) -> None:
        super().__init__()
        self.scale = scale
        blocks = [1] * len(depths) if blocks is None else blocks
        if not len(widths) - 1 == len(depths) == len(blocks):
            raise ValueError("widths are those of the stem and each stage, depths, blocks of each")
        if min(widths) < 1:
            raise ValueError("widths start at 1")
        layers = conv_bn_relu(3, widths[0])
        for channels, width, depth, count in zip(widths, widths[1:], depths, blocks):
            layers += conv_bn_relu(channels, width, pool=True)
            layers += [Residual(width, depth) for _ in range(count if depth else 0)]
        self.trunk = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> Tensor:
        """Input of the last linear layer: (N, 3, H, W) -> (N, widths[-1])."""
        x = self.trunk(images)  # (N, widths[-1], H/8, W/8)
        return self.dropout(torch.amax(x, dim=(2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, classes)."""
        return self.scale * self.fc(self.features(images))


class ReportNet(nn.Module):
    """The original report's model A, for 64x64 images: five pooled blocks and two linear layers.

    Args:
        classes: Number of logits.
        divide: Divides the convolutions' widths, 1..128: 12.4 GFLOP an image at 1.
    """

    HEAD = ("fc.",)
    WIDTHS = (512, 1024, 512, 256, 128)
    HIDDEN = 128

    def __init__(self, classes: int, divide: int = 1) -> None:
        super().__init__()
        if not 1 <= divide <= min(self.WIDTHS):
            raise ValueError(f"divide is 1..{min(self.WIDTHS)}")
        layers: list[nn.Module] = []
        channels = 3
        for width in self.WIDTHS:
            layers += [*conv_bn_relu(channels, width // divide), nn.MaxPool2d(2)]
            channels = width // divide
        self.trunk = nn.Sequential(*layers)
        self.hidden = nn.Linear(channels * 2 * 2, self.HIDDEN)
        self.fc = nn.Linear(self.HIDDEN, classes)

    def features(self, images: Tensor) -> Tensor:
        """Input of the last linear layer: (N, 3, 64, 64) -> (N, 128)."""
        x = self.trunk(images)  # (N, 128 / divide, 2, 2)
        return torch.relu(self.hidden(torch.flatten(x, 1)))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 64, 64) -> logits (N, classes)."""
        return self.fc(self.features(images))
