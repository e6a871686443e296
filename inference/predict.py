"""The prediction loops: read ahead -> forward -> write behind.

Under torchrun each process takes every WORLD_SIZE-th image; for classification rank 0 collects
the labels and writes the csv, masks are written by whoever made them.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple, Sequence

import numpy as np

from inference import (
    UserError,
    device,
    fast_import,
    files,
    images,
    landcover,
    masks,
    salvage,
    sharding,
    tables,
    threads,
    zoo,
)
from inference.batches import forward

if TYPE_CHECKING:
    from inference.runner import Runner

UNREADABLE = -1


class Settings(NamedTuple):
    """The options that every prediction has; see `python3 -m inference classify --help`."""

    model: str | None = None
    weights: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    tta: bool = False
    fill: bool = False


def classify(folder: Path, out: Path, settings: Settings) -> int:
    """Labels every image of a folder: `filename,label`, sorted by name.

    Returns:
        How many images could not be read and were not filled in.

    Raises:
        UserError: no image, no checkpoint, an output that cannot be written.
    """
    record = choose("p1", settings)
    paths = images.list_images(folder, _say)
    files.check_writable(out, [*paths, settings.weights or zoo.path(record)])
    found = labels(paths, record, settings)
    rows = ((path.name, label) for path, label in zip(paths, found))
    return _finish(out, ("filename", "label"), rows, found)


def classify_csv(table: Path, folder: Path, out: Path, settings: Settings) -> int:
    """Labels the images that a csv lists: `id,filename,label`, in the csv's order.

    Returns:
        How many rows have an image that could not be read and was not filled in.

    Raises:
        UserError: as `classify`; an unusable csv; none of its images in the folder.
    """
    record = choose("p2", settings)
    listed = tables.read_rows(table)
    paths = [tables.locate(folder, row.filename) for row in listed]
    if not any(map(os.path.exists, paths)):
        raise UserError(
            f"none of the {len(paths)} images of {table} is in {folder} (the first is "
            f"{listed[0].filename!r}): wrong folder?"
        )
    files.check_writable(out, [table, *paths, settings.weights or zoo.path(record)])
    found = labels(paths, record, settings)
    rows = ((*row, label) for row, label in zip(listed, found))
    return _finish(out, ("id", "filename", "label"), rows, found)


def segment(folder: Path, out: Path, settings: Settings) -> int:
    """Writes a mask for every satellite image of a folder: RGB PNG of the image's size.

    Returns:
        How many images could not be read and have no mask.

    Raises:
        UserError: as `classify`; masks that would overwrite files of the input folder.
    """
    record = choose("p3", settings)
    paths = images.list_tiles(folder, _say)
    masks.protect(paths, out)
    files.check_folder(out)
    return write_masks(paths, out, record, settings)


def choose(task: str, settings: Settings) -> zoo.Record:
    """Finds the record to predict with: the named one, or the task's default.

    Raises:
        UserError: no such name, one of the other kind, or no default's file is present.
    """
    if settings.model is None:
        return zoo.default(task, present=settings.weights is None)
    record = zoo.record(settings.model)
    if (record.task == "p3") != (task == "p3"):
        does = "segments" if record.task == "p3" else "classifies"
        raise UserError(f"{record.name} {does} images: choose another --model, see `list`")
    return record


def labels(paths: Sequence[Path], record: zoo.Record, settings: Settings) -> list[int]:
    """Gives each image's class; of an unreadable one -1, or 0 when filling in."""
    mine, pixels, runner = _begin(paths, record, settings)
    found = np.full(len(mine), 0 if settings.fill else UNREADABLE)
    for index, label in forward(enumerate(pixels), runner, record):
        if isinstance(label, Exception):
            _warn(mine[index], label, "class 0" if settings.fill else "label -1")
        else:
            found[index] = label
    return sharding.gather(found, len(paths)).tolist()


def write_masks(paths: Sequence[Path], out: Path, record: zoo.Record, settings: Settings) -> int:
    """Segment images and write their masks; return how many have none and were not filled in."""
    named = [path for path in paths if files.fits(out / landcover.mask_name(path.name))]
    for path in sorted(set(paths).difference(named)):
        _say(f"warning: the mask of {path} would have too long a name: it gets none")
    missing = len(paths) - len(named) if not settings.fill else 0
    if not named:
        raise UserError(f"no mask of {paths[0].parent} can be written: all names are too long")
    mine, pixels, runner = _begin(named, record, settings)
    with masks.write_behind() as write:
        for path, mask in forward(zip(mine, pixels), runner, record):
            if isinstance(mask, Exception):
                _warn(path, mask, "a mask all Unknown" if settings.fill else "no mask")
                if not settings.fill:
                    missing += 1
                    continue
                mask = np.full(images.size_of(path) or (512, 512), landcover.UNKNOWN, np.uint8)
            write(out / landcover.mask_name(path.name), mask)
    return missing


def _begin(
    paths: Sequence[Path], record: zoo.Record, settings: Settings
) -> tuple[Sequence[Path], Iterable, Runner]:
    """Begins to read this process's share of the images, and loads the network meanwhile."""
    own = "torch" not in sys.modules  # this is a command, whose process is its own
    rank, world = sharding.rank_and_world()
    mine = paths[rank::world]
    pixels = _progress(read(mine, record, damaged=True), len(mine))
    fast_import.import_torch(freeze=True)
    if own:
        threads.limit()
    return mine, pixels, load_runner(record, settings)


def read(paths: Sequence[Path], record: zoo.Record, damaged: bool = False) -> Iterator:
    """Begin to read images as a record's network takes them: uint8 (H, W, 3) each, in order.

    An exception takes the place of what cannot be read. Those that are segmented in windows are
    read by `forward`, when their turn comes.

    Args:
        damaged: take what a damaged file still holds, with a warning on stderr.
    """
    how = salvage.read if damaged else images.read_pixels
    if record.size is None:
        found = images.read_ahead(paths, partial(images.read_or_defer, read=how), ahead=16)
    else:
        # Some 50 MB at most; reading them all takes about as long as importing torch, meanwhile.
        ahead = 50_000_000 // (3 * record.size**2)
        found = images.read_ahead(paths, partial(how, size=record.size), ahead, chunk=16)
    return map(_announced, paths, found)


def _announced(path: Path, found):
    if callable(found):
        return lambda: salvage.announced(path, found())
    return salvage.announced(path, found)


def load_runner(record: zoo.Record, settings: Settings) -> Runner:
    """Loads a record's network and puts it where and how it will run.

    Raises:
        UserError: the checkpoint, the device or the precision will not do.
    """
    fast_import.import_torch()
    from inference.runner import Runner

    network = zoo.load(record, settings.weights)
    where = device.choose_device(settings.device)
    scores = None if settings.weights else record.scores
    precision = device.choose_precision(settings.precision, where, scores)
    batch_size = settings.batch_size
    if batch_size is None:
        batch_size = device.batch_size(where, record.task)
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}: it is a whole number from 1 up")
    if settings.model is None and settings.weights is None:
        _note_provenance(record)
    tta = record.tta or settings.tta
    spare = settings.device == "auto" and where.type != "cpu"
    return Runner(network, record.mean, record.std, where, precision, batch_size, tta, spare)


def _note_provenance(record: zoo.Record) -> None:
    if record.trained_on == "sample data":
        _say(
            f"note: {record.name} was trained on this repository's generated sample data, not on "
            "the course's; see README.md for how to train and publish your own"
        )


def _say(line: str) -> None:
    if sharding.rank_and_world()[0] == 0:  # once, however many processes there are
        print(line, file=sys.stderr)


def _warn(path: Path, error: Exception, answer: str) -> None:
    print(f"warning: cannot read {path}: {images.reason(error)}; it gets {answer}", file=sys.stderr)


def _progress(items: Iterable, total: int) -> Iterable:
    if not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:  # a grader's machine may lack it
        return items
    return tqdm(items, total=total, unit="image", leave=False)


def _finish(out: Path, header: Sequence[str], rows: Iterable, labels: Sequence[int]) -> int:
    if sharding.rank_and_world()[0] == 0:
        tables.write_table(out, header, rows)
    return sum(label == UNREADABLE for label in labels)
