"""A checkpoint of the zoo as an ONNX file, checked against PyTorch.

    python -m training export p1-a p1-a.onnx
    python -m training export p3-lite p3-lite.onnx --images hw1_data/p3_data/validation

The file takes `images`, float32 (N, 3, H, W), RGB in [0, 1] less the mean and divided by the
standard deviation, and gives `logits`: (N, classes), or (N, classes, H, W) of P3. N is free, and so
are H and W of P3, from 32 up. Its metadata say what it was made of and how to feed it: name, task,
network, classes, size ("any" for P3), mean, std, trained_on, the checkpoint's sha256, and tta:
whether the scripts add the logits of the mirror image; and the classes' names where they are known.

Needs the `onnx` extra: pip install -e ".[onnx]".
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from inference import UserError, files, images, predict, zoo
from training.datasets.sample.landscapes import landscape
from training.datasets.sample.problems import office_image, p1_image

PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # of the onnx extra
OPSET = 18
# Largest difference of a logit, relative to the largest logit: fp32's rounding, summed in another
# order, stays a hundred times below it; a layer that means something else does not.
TOLERANCE = 1e-3
REAL = 4  # pictures to compare on


class Logits(nn.Module):
    """A network that returns its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) -> (N, classes) or (N, classes, H, W)."""
        output = self.network(images)
        return output["out"] if isinstance(output, dict) else output


def export(name: str, file: Path, folder: Path | None = None) -> None:
    """Write a checkpoint as ONNX, if onnxruntime returns what PyTorch does.

    Args:
        folder: images to compare on, beside noise; None takes generated ones.

    Raises:
        UserError: no such checkpoint, onnx is not installed, the file cannot be written, no
            images, or the two differ; the file is as it was before.
    """
    _expect_installed()
    record = zoo.record(name)
    _expect_free(file)
    if folder is not None:  # before minutes are spent
        (images.list_tiles if record.task == "p3" else images.list_images)(folder)
    network = Logits(zoo.load(record)).eval()
    content = _convert(record, network)
    for what, batches in (("noise", _noise(record)), ("pictures", _pictures(record, folder))):
        difference, equal = _compare(network, content, batches)
        print(f"{what}: {difference:.1e} of the largest logit apart, {equal:.3%} of classes equal")
        if not difference <= TOLERANCE:
            raise UserError(
                f"onnxruntime's logits for {name} differ from PyTorch's by {difference:.1e} on "
                f"{what}, more than {TOLERANCE}: not written; try other versions of onnxruntime"
            )
    files.write_whole(file, content)
    print(f"{file}: {len(content) / 1e6:.1f} MB, opset {OPSET}")


def _expect_installed() -> None:
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise UserError(f'no {package} here: pip install -e ".[onnx]"')


def _expect_free(file: Path) -> None:
    """Refuse to write where nothing can be, or over a checkpoint."""
    files.check_writable(file)
    for other in zoo.records().values():
        there = zoo.path(other)
        if there.exists() and file.exists() and file.samefile(there):
            raise UserError(f"{file} is the checkpoint of {other.name}: choose another file")


def _convert(record: zoo.Record, network: nn.Module) -> bytes:
    """Make the ONNX file's bytes."""
    import onnx

    free = {0: torch.export.Dim("N")}
    if record.size is None:
        free.update({2: torch.export.Dim("H", min=32), 3: torch.export.Dim("W", min=32)})
    side = record.size or 96
    # Not 1, which would be taken for a constant; nor equal sides, which would be taken for one.
    example = torch.zeros(2, 3, side, side if record.size else side + 32)
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["images"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamic_shapes=(free,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # as with dynamo=True
    model = program.model_proto
    onnx.helper.set_model_props(model, _metadata(record))
    return model.SerializeToString()


def _metadata(record: zoo.Record) -> dict[str, str]:
    values = {key: getattr(record, key) for key in ("name", "task", "network", "classes")}
    values.update(size=record.size or "any", mean=record.mean, std=record.std, tta=record.tta)
    values.update(trained_on=record.trained_on, sha256=record.sha256)
    if record.class_names:
        values["names"] = record.class_names
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks on its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _noise(record: zoo.Record) -> Iterator[torch.Tensor]:
    """Yield batches of several sizes, all within what the file should take."""
    random = torch.Generator().manual_seed(0)
    sizes = [(record.size, record.size)] if record.size else [(64, 64), (97, 130)]
    for height, width in sizes:
        for count in (1, 3):
            yield torch.randn(count, 3, height, width, generator=random)


def _pictures(record: zoo.Record, folder: Path | None) -> Iterator[torch.Tensor]:
    """Yield pictures one by one, normalised as the graded path does.

    Of one that is too large to be seen whole, it is the upper left corner.
    """
    pixels: Iterator  # of arrays, of exceptions, of functions that read
    if folder is None:
        pixels = _generated(record)
    else:
        paths = (images.list_tiles if record.task == "p3" else images.list_images)(folder)[:REAL]
        pixels = predict.read(paths, record)
    mean, std = torch.tensor(record.mean), torch.tensor(record.std)
    for one in islice(pixels, REAL):
        if callable(one):  # a large scene, which is read when its turn comes
            one = images.attempt(_corner, one)
        if isinstance(one, Exception):
            raise UserError(f"cannot read an image of {folder}: {images.reason(one)}")
        yield ((torch.tensor(one) / 255 - mean) / std).permute(2, 0, 1)[None]


def _corner(read: Callable[[], np.ndarray]) -> np.ndarray:
    """Read a large scene; return what of it a network sees at once."""
    side = math.isqrt(images.LARGEST)
    return read()[:side, :side]


def _generated(record: zoo.Record) -> Iterator[np.ndarray]:
    for i in range(REAL):
        if record.task == "p3":
            yield landscape(0, i, "validation")[0]
            continue
        draw = p1_image if record.task == "p1" else office_image
        picture = Image.fromarray(draw(0, "val", i, 0))
        side = record.size or picture.width
        yield np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def _compare(
    network: nn.Module, content: bytes, batches: Iterable[torch.Tensor]
) -> tuple[float, float]:
    """Return the largest difference, relative to a batch's largest logit, and how much is equal.

    Returns:
        The difference, and the share of images, or pixels, that get the same class.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    difference, equal = 0.0, []
    for batch in batches:
        with torch.no_grad():
            wanted = network(batch).numpy()
        found = session.run(["logits"], {"images": np.ascontiguousarray(batch.numpy())})[0]
        gap = np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-6)
        difference = max(difference, float(gap) if np.isfinite(gap) else np.inf)
        equal.append((found.argmax(1) == wanted.argmax(1)).mean())
    return difference, float(np.mean(equal))
