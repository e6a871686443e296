"""ResNet50 and ResNeXt101_64x4d.

Keys, shapes and outputs are torchvision's, bit for bit, so its published weights load strictly.

Sources: Deep Residual Learning (arXiv 1512.03385), Aggregated Residual Transformations
(arXiv 1611.05431), dilation in place of stride (arXiv 1606.00915).
"""

from __future__ import annotations

import re
from typing import Optional, Sequence

import torch
from torch import Tensor, nn

PLANES = (64, 128, 256, 512)  # of the four stages; a block's output is four times as wide
EXPANSION = 4
POOLED = PLANES[-1] * EXPANSION  # 2048 channels after the last stage


def stage_of(key: str) -> Optional[int]:
    """Return the stage that a key belongs to, 1 to 4; None before them and in the head."""
    match = re.search(r"\blayer(\d)\.", key)
    return int(match[1]) if match else None


class Bottleneck(nn.Module):
    """1x1 down, 3x3 (grouped in ResNeXt), 1x1 up, added to the input: ReLU(x + f(x)).

    NOTE: the stride sits in the 3x3, where the paper has it in the first 1x1 ("ResNet v1.5").
    """

    def __init__(
        self, channels: int, planes: int, stride: int, dilation: int, groups: int, group_width: int
    ) -> None:
        super().__init__()
        width = planes * group_width // 64 * groups
        out = planes * EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(
            width, width, 3, stride, dilation, dilation=dilation, groups=groups, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, 4 * planes, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x += shortcut
        return self.relu(x)


class Trunk(nn.Module):
    """Everything before the pooling.

    Args:
        depths: Blocks in each of the four stages.
        groups: Groups of the 3x3 convolutions, 1 in ResNet.
        group_width: Channels of one group in the first stage, 64 in ResNet.
        output_stride: Input size over output size: 32, or 16 or 8 for segmentation, where the
            last one or two stages keep their resolution and dilate instead.
    """

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        depths: Sequence[int],
        groups: int = 1,
        group_width: int = 64,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels, reached, dilation = 64, 4, 1
        for index, (planes, depth) in enumerate(zip(PLANES, depths)):
            stride = 1 if index == 0 else 2
            first_dilation = dilation  # the stage's first block keeps the previous stage's dilation
            if reached * stride > output_stride:
                stride, dilation = 1, dilation * 2
            reached *= stride
            blocks = [Bottleneck(channels, planes, stride, first_dilation, groups, group_width)]
            channels = planes * EXPANSION
            for _ in range(depth - 1):
                blocks.append(Bottleneck(channels, planes, 1, dilation, groups, group_width))
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run all four stages.

        Args:
            images: (N, 3, H, W), normalised.

        Returns:
            Outputs of the third (N, 1024, ., .) and the fourth stage (N, 2048, ., .).
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (N, 64, H/4, W/4)
        x = self.layer2(self.layer1(x))  # (N, 512, H/8, W/8)
        third = self.layer3(x)  # (N, 1024, H/16, W/16), or H/8 at output_stride 8
        return third, self.layer4(third)


class ResNet(Trunk):
    """Trunk, global average pooling and a classifier `fc`.

    Args:
        classes: Number of logits.
        depths: Blocks in each of the four stages.
        groups: Groups of the 3x3 convolutions.
        group_width: Channels of one group in the first stage.
        head: None for torchvision's one linear layer, else the hidden widths of `mlp`.
        logits: Outputs of a linear layer `fc` before the classifier, 1000 in the original report;
            the classifier is then called `classifier`. 0: no such layer.
    """

    HEAD = ("fc.", "classifier.")
    stage_of = staticmethod(stage_of)

    def __init__(
        self,
        classes: int,
        depths: Sequence[int],
        groups: int = 1,
        group_width: int = 64,
        head: Sequence[int] | None = None,
        logits: int = 0,
    ) -> None:
        super().__init__(depths, groups, group_width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = None
        self.fc: nn.Linear | nn.Sequential
        if logits:
            self.fc = nn.Linear(POOLED, logits)
            self.classifier = mlp(logits, head or (), classes)
        else:
            self.fc = nn.Linear(POOLED, classes) if head is None else mlp(POOLED, head, classes)

    @property
    def head(self) -> nn.Module:
        """The classifier: what learns when the rest is frozen."""
        return self.fc if self.classifier is None else self.classifier

    def pooled(self, images: Tensor) -> Tensor:
        """Global average of the last stage: (N, 3, H, W) -> (N, 2048)."""
        _, last = self.stages(images)
        return torch.flatten(self.avgpool(last), 1)

    def features(self, images: Tensor) -> Tensor:
        """Input of the last linear layer: (N, 3, H, W) -> (N, 2048), or the head's last width."""
        pooled = self.pooled(images)
        if self.classifier is not None:
            return self.classifier[:-1](self.fc(pooled))
        return pooled if isinstance(self.fc, nn.Linear) else self.fc[:-1](pooled)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, classes)."""
        first = self.fc(self.pooled(images))
        return first if self.classifier is None else self.classifier(first)


def mlp(channels: int, widths: Sequence[int], classes: int) -> nn.Sequential:
    """Linear, BN, ReLU, dropout .5 for each hidden width, then the last linear layer."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(channels, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        layers += [nn.Dropout(0.5)]
        channels = width
    return nn.Sequential(*layers, nn.Linear(channels, classes))


def resnet50(classes: int, head: Sequence[int] | None = None, logits: int = 0) -> ResNet:
    """25.6 M parameters with 1000 classes; `head=(h1, h2)` makes a 3-layer classifier."""
    return ResNet(classes, (3, 4, 6, 3), head=head, logits=logits)


def resnext101_64x4d(classes: int, head: Sequence[int] | None = None) -> ResNet:
    """83.5 M parameters with 1000 classes; 64 groups of 4 channels in the first stage."""
    return ResNet(classes, (3, 4, 23, 3), groups=64, group_width=4, head=head)
