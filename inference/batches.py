"""The forward pass over a stream of images: in batches, and those too large for that in windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple, Sequence

import numpy as np

from inference import images, zoo

if TYPE_CHECKING:
    from inference.runner import Runner

MIN_SIDE = 32  # what five halvings leave a pixel of; smaller images are padded


class Measured(NamedTuple):
    """An answer, and how sure the network is of it.

    answer: a class, or a mask, uint8 (H, W).
    probabilities: of a class fp32 (classes,); of a mask one number, the mean over its pixels of
        their class's probability.
    """

    answer: int | np.ndarray
    probabilities: np.ndarray | float


def forward(
    items: Iterable[tuple], runner: Runner, record: zoo.Record, measure: bool = False
) -> Iterator[tuple]:
    """Run a network over (key, pixels) in batches; an exception among the pixels passes through.

    Args:
        items: keys, with uint8 (H, W, 3), or an exception, or what `images.read_or_defer` gives of
            a large image.
        measure: whether to yield `Measured` in place of the bare answers.

    Yields:
        (key, class) or, of a segmentation network, (key, uint8 (H, W)), in the order of items.
    """
    for batch in _batches(items, runner.batch_size):
        keys, pixels = zip(*batch)
        if callable(pixels[0]):
            yield keys[0], _read_and_answer(pixels[0], runner, record.task, measure)
        elif isinstance(pixels[0], Exception):
            yield keys[0], pixels[0]
        else:
            yield from zip(keys, _answers(pixels, runner, record.task, measure))


def _answers(
    pixels: Sequence[np.ndarray], runner: Runner, task: str, measure: bool
) -> Sequence | np.ndarray:
    """Return the classes or the masks of images of one shape, on the CPU if need be and allowed."""
    from inference.runner import OutOfMemory

    while True:
        try:
            if task == "p3":
                return _masks(pixels, runner, measure)
            if not measure:
                return runner(np.stack(pixels)).cpu().numpy()
            classes, shares = runner.with_probabilities(np.stack(pixels))
            return list(map(Measured, classes.tolist(), shares.cpu().numpy()))
        except OutOfMemory:
            if not runner.spare_cpu:
                raise
        runner.use_cpu()


def _masks(pixels: Sequence[np.ndarray], runner: Runner, measure: bool) -> Sequence | np.ndarray:
    """Segment images of one shape whole, or in windows where they are too large for that."""
    from inference import windows
    from inference.runner import OutOfMemory

    height, width, _ = pixels[0].shape
    if height * width <= runner.largest:
        try:
            batch = _padded(np.stack(pixels))
            if not measure:
                return runner(batch).cpu().numpy()[:, :height, :width]
            masks, shares = (
                found[:, :height, :width] for found in runner.with_probabilities(batch)
            )
            return list(map(Measured, masks.cpu().numpy(), shares.mean((1, 2)).tolist()))
        except OutOfMemory:
            runner.largest = height * width - 1
        runner.free(f"windows of {runner.window} x {runner.window}")
    padded = (_padded(image[None])[0] for image in pixels)
    if not measure:
        return [windows.segment(image, runner)[:height, :width] for image in padded]
    found = (windows.with_confidence(image, runner) for image in padded)
    return [Measured(mask[:height, :width], sure) for mask, sure in found]


def _read_and_answer(read, runner: Runner, task: str, measure: bool):
    pixels = images.attempt(read)
    if isinstance(pixels, Exception):
        return pixels
    return _answers([pixels], runner, task, measure)[0]


def _padded(batch: np.ndarray) -> np.ndarray:
    """Repeat the borders of uint8 (N, H, W, 3) until H and W are at least `MIN_SIDE`."""
    _, height, width, _ = batch.shape
    below, right = max(0, MIN_SIDE - height), max(0, MIN_SIDE - width)
    if not below and not right:
        return batch
    return np.pad(batch, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")


def _batches(items: Iterable[tuple], size: int) -> Iterator[list[tuple]]:
    """Group (key, pixels) of equal shape that follow each other; what is no array stands alone."""
    batch: list[tuple] = []
    for key, pixels in items:
        alone = not isinstance(pixels, np.ndarray)
        if batch and (alone or len(batch) == size or pixels.shape != batch[0][1].shape):
            yield batch
            batch = []
        if alone:
            yield [(key, pixels)]
        else:
            batch.append((key, pixels))
    if batch:
        yield batch
