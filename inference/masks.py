"""Writing masks, behind the network's back."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Sequence

import numpy as np

from inference import UserError, landcover
from inference.files import overwritten, write_whole

MOST = 2**26  # pixels of the masks that wait to be written


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write class indices, uint8 (H, W) in 0-6, as a truecolour PNG, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    write_whole(path, landcover.encode_mask(mask))


@contextmanager
def write_behind() -> Iterator[Callable[[Path, np.ndarray], None]]:
    """Return a `write_mask` that returns at once; leaving the block waits for all of them.

    At most 64 masks wait, and of large ones only so many as make 67 million pixels, or one; so a
    slow disk slows the network down instead of filling memory.

    Raises:
        UserError: one could not be written; it is raised by a later call or on leaving.
    """
    waiting: deque = deque()
    sizes: deque = deque()  # of the masks that wait, in pixels
    with ThreadPoolExecutor(max(1, min(4, (os.cpu_count() or 2) - 1))) as pool:

        def finish_one() -> None:
            sizes.popleft()
            waiting.popleft().result()

        def write(path: Path, mask: np.ndarray) -> None:
            while len(waiting) >= 64 or (waiting and sum(sizes) + mask.size > MOST):
                finish_one()
            sizes.append(mask.size)
            waiting.append(pool.submit(write_mask, path, mask))

        try:
            yield write
            while waiting:
                finish_one()
        finally:
            for future in waiting:  # after a failure: what has not begun need not
                future.cancel()


def protect(paths: Sequence[Path], out: Path) -> None:
    """Refuse to overwrite files of the input folder: truth masks lie beside the images there.

    Raises:
        UserError: `out` is the images' folder and holds a file that a mask would replace, or a
            mask there leads to one of the images.
    """
    if not os.path.exists(out):
        return
    names = [landcover.mask_name(path.name) for path in paths]
    if os.path.samefile(out, paths[0].parent):
        for name in names:
            if os.path.lexists(out / name):
                raise UserError(
                    f"{out / name} is there already, beside its image: choose another folder"
                )
    same = overwritten([out / name for name in names], paths)
    if same:
        raise UserError(
            f"writing {same[0]} would overwrite the input {same[1]}: choose another folder"
        )
