"""Images too large to be seen at once: overlapping windows, whose seams are blended.

A window's logits are weighed by how far inside it a pixel lies, and the weights of all windows
add up to 1 at every pixel. If every window with a weight above 0 at a pixel covers the pixel's
receptive field, the mask is the same as that of the whole image.

NOTE: Networks with a global pooling (DeepLabV3's image-level branch, LRASPP's gate) average over
what they see, here over a window. Their masks differ a little from the whole image's; that is one
reason why what fits is segmented whole.

Finished rows become classes as soon as no later window reaches them, so that only the logits of
one row of windows are held: for 7 classes and an image 10,000 pixels wide 290 MB, not 2.8 GB.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple

import numpy as np
import torch

from inference.runner import Runner, is_out_of_memory

# Pixels. Windows begin at multiples of 32, the coarsest stride of our networks, so that what a
# network computes at 1/32 lies on the grid that it has in the whole image.
GRID = 32
SMALLEST = 256  # side of a window; what is tried last when memory is too small


class Span(NamedTuple):
    """A window along one axis: from `start` to `stop`, with a weight for each pixel."""

    start: int
    stop: int
    weights: np.ndarray


def segment(image: np.ndarray, runner: Runner) -> np.ndarray:
    """Segment one image in windows; when memory is too small for one, in windows of half the side.

    Args:
        image: uint8 (H, W, 3), RGB, H and W at least 32.
        runner: of a segmentation network. It is given one window at a time, the size of four
            tiles; the window's side that memory proves large enough for is kept in it.


    Returns:
        uint8 (H, W), class indices.

    Raises:
        OutOfMemory: there is not memory enough for the smallest window.
    """
    return _segment(image, runner, measure=False)[0]


def with_confidence(image: np.ndarray, runner: Runner) -> tuple[np.ndarray, float]:
    """Return what `segment` does, and the mean over all pixels of their class's probability."""
    return _segment(image, runner, measure=True)


def _segment(image: np.ndarray, runner: Runner, measure: bool) -> tuple[np.ndarray, float]:
    mask = np.empty(image.shape[:2], np.uint8)
    while True:
        done, total = 0, 0.0
        try:
            for rows, sure in bands(image, runner, measure):
                mask[done : done + len(rows)] = rows
                done, total = done + len(rows), total + sure
            return mask, total / mask.size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if runner.window == SMALLEST:  # here the error, and what its frames hold, is gone
            raise runner.too_small(f"a window of {SMALLEST} x {SMALLEST} pixels")
        runner.window //= 2
        runner.free(f"windows of {runner.window} x {runner.window}")


def bands(
    image: np.ndarray, runner: Runner, measure: bool = False
) -> Iterator[tuple[np.ndarray, float]]:
    """Segment an image from the top down.

    Args:
        image: as of `segment`.
        measure: whether to add up probabilities; if not, the second value yielded is 0.
        runner: with the windows' side in `window`, a multiple of 128.

    Yields:
        Finished rows, uint8 (rows, W), and the sum over their pixels of their class's probability.
    """
    height, width = image.shape[:2]
    across, down = spans(width, runner.window), spans(height, runner.window)
    sums: torch.Tensor | None = (
        None  # (classes, h, W): weighed logits; row 0 is the image's row `span.start`
    )
    for span, following in zip(down, [*down[1:], None]):
        for left in across:
            pixels = np.stack([image[span.start : span.stop, left.start : left.stop]])
            logits = runner.finite_logits(pixels)[0]  # (classes, h, w)
            if sums is None:
                sums = logits.new_zeros((len(logits), span.stop, width), dtype=torch.float32)
            weights = torch.from_numpy(np.outer(span.weights, left.weights)).to(logits.device)
            sums[:, : len(weights), left.start : left.stop] += logits * weights
        assert sums is not None
        done = (following.start if following else height) - span.start
        sure = 0.0
        if measure:
            shares = runner.probabilities(sums[None, :, :done])
            # Rows first: on Apple's GPUs there are no doubles.
            sure = shares.amax(1).sum(-1).cpu().sum(dtype=torch.float64).item()
        yield sums[:, :done].argmax(0).to(torch.uint8).cpu().numpy(), sure
        if following:
            _move_up(sums, done)


def _move_up(sums: torch.Tensor, rows: int) -> None:
    """Drop the first rows, move the others into their place and zero what becomes free."""
    kept = sums.shape[1] - rows
    for start in range(0, kept, rows):  # in pieces that do not overlap with where they go
        piece = sums[:, start + rows : start + 2 * rows]
        sums[:, start : start + piece.shape[1]] = piece
    sums[:, kept:] = 0


def spans(length: int, window: int) -> list[Span]:
    """Spread windows evenly over an axis, with at least a quarter of a window shared by two.

    Where two meet, the outer quarter of the overlap has no say on either side, since there a
    window lacks the context that its neighbour has; over the middle half the weight goes from one
    to the other in a straight line. At the image's own borders the weight is 1.

    Args:
        length: of the axis, in pixels.
        window: its side, in pixels; the last one may be up to 31 shorter.
    """
    overlap = window // 4
    last = max(0, -(-(length - window) // GRID))  # in steps of the grid, as what follows
    count = -(-last // ((window - overlap) // GRID)) + 1
    starts = [GRID * (i * last // max(1, count - 1)) for i in range(count)]
    found, total = [], np.zeros(length, np.float32)
    for start in starts:
        stop = min(start + window, length)
        centres = np.arange(start, stop) + 0.5
        inside = np.full(stop - start, np.inf)  # pixels from the window's nearer inner border
        if start > 0:
            inside = np.minimum(inside, centres - start)
        if stop < length:
            inside = np.minimum(inside, stop - centres)
        weights = np.clip((inside - overlap / 4) / (overlap / 2), 0, 1).astype(np.float32)
        total[start:stop] += weights
        found.append(Span(start, stop, weights))
    for start, stop, weights in found:
        weights /= total[start:stop]
    return found
