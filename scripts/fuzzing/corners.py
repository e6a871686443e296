"""Networks whose answers are known beforehand, and a zoo of them.

A pixel's class is the corner of the RGB cube that is nearest: each channel dark or bright. So what
any picture has to be answered with is known from its colours alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch
from PIL import Image
from torch import nn

from inference import networks, zoo
from inference.landcover import COLOURS, UNKNOWN
from inference.zoo.manifest import Record, to_entry

CLASSES = len(COLOURS)
BLACK, WHITE = UNKNOWN, 5
TASKS = ("p1", "p2", "p3")
SIDE = 16  # pixels that a classifier's images are resized to


class CornerMap(nn.Module):
    """Segmentation by colour: its logits are greatest at the class of the nearest corner."""

    def __init__(self, classes: int, gain: float = 1.0):
        super().__init__()
        self.gain = float(gain)  # as a network should: what is none is refused when it is built
        self.classifier = nn.Conv2d(3, classes, 1)

    def forward(self, images: torch.Tensor) -> dict:
        """(N, 3, H, W) -> {"out": (N, classes, H, W)}."""
        return {"out": self.gain * self.classifier(images)}


class Corners(CornerMap):
    """Classification by the mean colour."""

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, 3), what the logits are made of."""
        return images.mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        return super().forward(images)["out"].mean((2, 3))


def state() -> dict[str, torch.Tensor]:
    """Return the weights, of both networks."""
    corners = torch.from_numpy(COLOURS).float() / 127.5 - 1  # (classes, 3), each -1 or 1
    return {"classifier.weight": corners[:, :, None, None], "classifier.bias": torch.zeros(CLASSES)}


def packed(state_dict: object, **options) -> bytes:
    """Return what torch.save writes."""
    stream = io.BytesIO()
    torch.save(state_dict, stream, **options)
    return stream.getvalue()


def record(task: str, data: bytes, folder: Path) -> Record:
    """Return the record of a task's checkpoint, whose file holds `data`."""
    fast = {"cpu-bf16": {"score": 0.5, "agreement": 1.0}}
    return Record(
        name=f"{task}-corners",
        task=task,
        network="corner_map" if task == "p3" else "corners",
        arguments={"gain": 1.0},
        classes=CLASSES,
        input={"size": None if task == "p3" else SIDE, "mean": [0.5] * 3, "std": [0.5] * 3},
        tta=False,
        file=f"{task}-corners.pth",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        urls=["https://example.org/corners.pth"],
        trained_on="nothing",
        recipe="none",
        scores={"data": "val", "images": 9, "metric": "accuracy", "fp32": 0.5, "fast": fast},
        folder=folder,
    )


def write_zoo(root: Path) -> dict:
    """Write ROOT/weights/*.pth and ROOT/inference/zoo.json; return what the latter holds."""
    data, weights = packed(state()), root / "weights"
    weights.mkdir(parents=True)
    records = [record(task, data, weights) for task in TASKS]
    for one in records:
        (weights / one.file).write_bytes(data)
    written = {
        "defaults": {one.task: [one.name] for one in records},
        "checkpoints": {one.name: to_entry(one) for one in records},
    }
    (root / "inference").mkdir()
    (root / "inference" / "zoo.json").write_text(json.dumps(written))
    return written


@contextlib.contextmanager
def at_work(root: Path) -> Iterator[None]:
    """Let this process's commands answer with the zoo in ROOT.

    Pictures that a damaged header makes gigantic are refused from 8 million pixels, not from a
    thousand million: to segment one may take its time, and is no fault.
    """
    known = {"corners": Corners, "corner_map": CornerMap}
    with (
        mock.patch.dict(networks.NETWORKS, known),
        mock.patch.object(zoo, "ZOO", root / "inference" / "zoo.json"),
        mock.patch.object(Image, "MAX_IMAGE_PIXELS", 2**22),
    ):
        yield
