"""The files that datasets are made of: images and tables of them."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inference import UserError
from inference.images import read_pixels, reason


def write_table(file: Path, rows: Iterable[tuple[str, int]]) -> None:
    """Write the course's csv, `id,filename,label`, of (file name, class)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "filename", "label"))
    writer.writerows((number, name, label) for number, (name, label) in enumerate(rows))
    file.write_text(text.getvalue(), "utf-8")


def decode(path: Path) -> np.ndarray:
    """Read an image, uint8 (H, W, 3).

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_pixels(path)
    except Exception as error:  # a decoder can raise anything on garbage
        raise UserError(f"cannot read {path}: {reason(error)}; fetch the dataset again") from None


def for_each(work: Callable, jobs: Sequence) -> None:
    """Call `work(*job)` in threads, with progress on stderr where that is a terminal.

    The first error ends it, when the calls that were under way have returned.
    """
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        done = pool.map(lambda job: work(*job), jobs)
        for _ in tqdm(done, total=len(jobs), unit="file", leave=False, disable=None):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
