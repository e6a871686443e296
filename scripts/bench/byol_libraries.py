"""BYOL as two libraries document it: what scripts/bench/byol.py compares with.

Of images, uint8 (N, S, S, 3), each function makes batches and a step that takes one of them.
`equal`: in our precision and memory format, not in fp32 and contiguous memory.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from inference import device
from scripts.bench.peak import precision


def byol_pytorch(pixels: np.ndarray, equal: bool, batch: int) -> tuple[Iterable, Callable]:
    """Return batches and a step, as in the README of byol-pytorch."""
    from byol_pytorch import BYOL

    where, layout, size = device.choose_device(), _layout(equal), pixels.shape[1]
    learner = BYOL(torchvision.models.resnet50(), size, hidden_layer="avgpool")
    learner.to(where, memory_format=layout)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-4)

    def step(items: list[torch.Tensor]) -> None:
        images = items[0].to(where, memory_format=layout)
        with _autocast(equal):
            loss = learner(images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        learner.update_moving_average()
        loss.item()

    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
    return DataLoader(TensorDataset(images), batch, shuffle=True), step


def lightly(pixels: np.ndarray, equal: bool, batch: int, workers: int) -> tuple[Iterable, Callable]:
    """Return batches and a step, as in lightly's example of BYOL."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
    from lightly.models.utils import update_momentum
    from lightly.transforms.byol_transform import (
        BYOLTransform,
        BYOLView1Transform,
        BYOLView2Transform,
    )

    where, layout, size = device.choose_device(), _layout(equal), pixels.shape[1]
    backbone = nn.Sequential(*list(torchvision.models.resnet50().children())[:-1], nn.Flatten())
    online = nn.Sequential(backbone, BYOLProjectionHead()).to(where, memory_format=layout)
    target = copy.deepcopy(online).requires_grad_(False)
    predictor, criterion = BYOLPredictionHead().to(where), NegativeCosineSimilarity()
    optimizer = torch.optim.SGD([*online.parameters(), *predictor.parameters()], lr=0.06)

    def step(views: list[torch.Tensor]) -> None:
        update_momentum(online, target, m=0.996)
        one, two = (view.to(where, memory_format=layout) for view in views)
        with _autocast(equal):
            predictions = [predictor(online(view)) for view in (one, two)]
            with torch.no_grad():
                targets = [target(view) for view in (two, one)]
            loss = 0.5 * sum(map(criterion, predictions, targets))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    transform = BYOLTransform(BYOLView1Transform(size), BYOLView2Transform(size))
    images = _Pictures([Image.fromarray(image) for image in pixels], transform)
    loader = DataLoader(images, batch, shuffle=True, drop_last=True, num_workers=workers)
    return loader, step


@dataclasses.dataclass
class _Pictures(Dataset):
    images: list[Image.Image]
    transform: Callable

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> list[torch.Tensor]:
        return self.transform(self.images[i])


def _layout(equal: bool) -> torch.memory_format:
    return torch.channels_last if equal else torch.contiguous_format


def _autocast(equal: bool) -> torch.autocast:
    fast = equal and precision() == "bf16"
    return torch.autocast(device.choose_device().type, torch.bfloat16, enabled=fast)
