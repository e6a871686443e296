"""The prediction loops: read ahead -> forward -> write behind.

Under torchrun each process takes every WORLD_SIZE-th image; for classification rank 0 collects
the labels and writes the csv, masks are written by whoever made them.
"""

from __future__ import annotations

import dataclasses
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


class Extras(NamedTuple):
    """What is written beside the answers, none of which it changes.

    html: a page of the images and their answers, the least confident first; see page.py.
    html_limit: how many images it shows.
    probabilities: of a classifier a csv with a column a class.
    """

    html: Path | None = None
    html_limit: int = 500
    probabilities: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are asked for."""
        return [path for path in (self.probabilities, self.html) if path is not None]


NO_EXTRAS = Extras()


class Settings(NamedTuple):
    """The options that every prediction has; see `python3 -m inference classify --help`."""

    model: str | None = None
    weights: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    tta: bool = False
    fill: bool = False


def classify(folder: Path, out: Path, settings: Settings, extras: Extras = NO_EXTRAS) -> int:
    """Label every image of a folder: `filename,label`, sorted by name.

    Returns:
        How many images could not be read and were not filled in.

    Raises:
        UserError: no image, no checkpoint, an output that cannot be written.
    """
    record = choose("p1", settings)
    paths = images.list_images(folder, _say)
    inputs = [*paths, settings.weights or zoo.path(record)]
    files.check_outputs([out, *extras.files], inputs)
    rows = [(path.name,) for path in paths]
    return _classify(paths, out, ("filename",), rows, record, settings, extras)


def classify_csv(
    table: Path, folder: Path, out: Path, settings: Settings, extras: Extras = NO_EXTRAS
) -> int:
    """Label the images that a csv lists: `id,filename,label`, in the csv's order.

    Returns:
        How many rows have an image that could not be read and was not filled in.

    Raises:
        UserError: as `classify`; an unusable csv; none of its images in the folder.
    """
    record = choose("p2", settings)
    listed = tables.read_rows(table, folder)
    paths = [tables.locate(folder, row.filename) for row in listed]
    if not any(map(os.path.exists, paths)):
        raise UserError(
            f"none of the {len(paths)} images of {table} is in {folder} (the first is "
            f"{listed[0].filename!r}): wrong folder?"
        )
    inputs = [table, *paths, settings.weights or zoo.path(record)]
    files.check_outputs([out, *extras.files], inputs)
    return _classify(paths, out, ("id", "filename"), listed, record, settings, extras)


def _classify(
    paths: Sequence[Path],
    out: Path,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    record: zoo.Record,
    settings: Settings,
    extras: Extras,
) -> int:
    """Label images and write all that is asked for; return how many have no label.

    Args:
        head: of the csv, before the label.
        rows: an image each, as the head says.
    """
    found, probabilities = _answers(paths, record, settings, measure=bool(extras.files))
    if sharding.rank_and_world()[0] == 0:
        answers = ((*row, label) for row, label in zip(rows, found))
        tables.write_table(out, (*head, "label"), answers)
        if extras.probabilities is not None:
            columns = class_names(record, settings) or range(record.classes)
            cells = ((*row, *_cells(shares)) for row, shares in zip(rows, probabilities))
            tables.write_table(extras.probabilities, (*head, *columns), cells)
        if extras.html is not None:
            from inference import page

            of = _subject(record, settings)
            page.write_classes(extras.html, of, paths, found, probabilities, extras.html_limit)
    return sum(label == UNREADABLE for label in found)


def _cells(probabilities: np.ndarray) -> list[str]:
    """Return a csv's cells, with six digits; empty ones of an image that could not be read."""
    return ["" if np.isnan(share) else f"{share:.6g}" for share in probabilities]


def segment(folder: Path, out: Path, settings: Settings, extras: Extras = NO_EXTRAS) -> int:
    """Write a mask for every satellite image of a folder: RGB PNG of the image's size.

    Returns:
        How many images could not be read and have no mask.

    Raises:
        UserError: as `classify`; masks that would overwrite files of the input folder.
    """
    record = choose("p3", settings)
    paths = images.list_tiles(folder, _say)
    masks.protect(paths, out)
    if extras.html is None:
        files.check_folder(out)
        return write_masks(paths, out, record, settings)
    _expect_no_mask(extras.html, out, paths)
    inputs = [*paths, settings.weights or zoo.path(record)]
    files.check_outputs([extras.html], inputs, folders=[out])
    missing, named, measures = _segmented(paths, out, record, settings, measure=True)
    if sharding.rank_and_world()[0] == 0:
        from inference import page

        of = _subject(record, settings)
        page.write_masks(extras.html, of, named, out, measures, extras.html_limit)
    return missing


def _subject(record: zoo.Record, settings: Settings):
    from inference import page

    tta, names = record.tta or settings.tta, class_names(record, settings)
    return page.Subject(record, settings.weights, tta, names, settings.fill)


def _expect_no_mask(html: Path, out: Path, paths: Sequence[Path]) -> None:
    folder, name = os.path.split(os.path.realpath(html))
    if folder == os.path.realpath(out):
        for path in paths:
            if landcover.mask_name(path.name) == name:
                raise UserError(f"{html} is where the mask of {path} goes: choose another place")


def class_names(record: zoo.Record, settings: Settings) -> list[str]:
    """Return the names of the classes that are predicted; none where nobody knows them.

    A user's own weights may have learnt other classes than the record's, so their names are not
    known; of land cover they are, since each class is a colour.
    """
    if settings.weights is not None:
        record = dataclasses.replace(record, names=[])
    return record.class_names


def choose(task: str, settings: Settings) -> zoo.Record:
    """Find the record to predict with: the named one, or the task's default.

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
    """Return each image's class; of an unreadable one -1, or 0 when filling in."""
    return _answers(paths, record, settings, measure=False)[0]


def _answers(
    paths: Sequence[Path], record: zoo.Record, settings: Settings, measure: bool
) -> tuple[list[int], np.ndarray]:
    """Return each image's class, as `labels` does, and the probabilities of all, fp32 (N, classes).

    Of an unreadable image they are nan; where `measure` does not ask for them there are none.
    """
    mine, pixels, runner = _begin(paths, record, settings)
    found = np.full(len(mine), 0 if settings.fill else UNREADABLE)
    shares = np.full((len(mine), record.classes if measure else 0), np.nan, np.float32)
    for index, label in forward(enumerate(pixels), runner, record, measure):
        if isinstance(label, Exception):
            _warn(mine[index], label, "class 0" if settings.fill else "label -1")
        elif measure:
            found[index], shares[index] = label
        else:
            found[index] = label
    if not measure:
        return sharding.gather(found, len(paths)).tolist(), shares
    both = sharding.gather(np.column_stack([found, shares]), len(paths))  # processes meet but once
    return both[:, 0].astype(int).tolist(), both[:, 1:]


def write_masks(paths: Sequence[Path], out: Path, record: zoo.Record, settings: Settings) -> int:
    """Segment images and write their masks; return how many have none and were not filled in."""
    return _segmented(paths, out, record, settings, measure=False)[0]


def _segmented(
    paths: Sequence[Path], out: Path, record: zoo.Record, settings: Settings, measure: bool
) -> tuple[int, Sequence[Path], np.ndarray]:
    """Return how many images have no mask, those whose mask can be named, and their measures.

    Measures are a row of numbers an image: the mean probability of its pixels' classes, and each
    class's share of them; nan of an unreadable image; none where `measure` does not ask for them.
    """
    named = [path for path in paths if files.fits(out / landcover.mask_name(path.name))]
    for path in sorted(set(paths).difference(named)):
        _say(f"warning: the mask of {path} would have too long a name: it gets none")
    missing = len(paths) - len(named) if not settings.fill else 0
    if not named:
        raise UserError(f"no mask of {paths[0].parent} can be written: all names are too long")
    mine, pixels, runner = _begin(named, record, settings)
    measures = np.full((len(mine), 1 + record.classes if measure else 0), np.nan)
    with masks.write_behind() as write:
        for index, mask in forward(enumerate(pixels), runner, record, measure):
            path = mine[index]
            if isinstance(mask, Exception):
                _warn(path, mask, "a mask all Unknown" if settings.fill else "no mask")
                if not settings.fill:
                    missing += 1
                    continue
                mask = np.full(images.size_of(path) or (512, 512), landcover.UNKNOWN, np.uint8)
            elif measure:
                mask, measures[index, 0] = mask
                counts = np.bincount(mask.ravel(), minlength=record.classes)
                measures[index, 1:] = counts / mask.size
            write(out / landcover.mask_name(path.name), mask)
    if measure:  # all processes have written their masks when they have met
        measures = sharding.gather(measures, len(named))
    return missing, named, measures


def _begin(
    paths: Sequence[Path], record: zoo.Record, settings: Settings
) -> tuple[Sequence[Path], Iterable, Runner]:
    """Begin to read this process's share of the images, and load the network meanwhile."""
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
    """Load a record's network and put it where and how it will run.

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
    """Print on stderr that a better default is missing, or else that this one is of sample data.

    A missing default is the louder WARNING, since a command fetches it.
    """
    sample = record.trained_on == "sample data"
    better = zoo.passed_over(record)
    if better:
        wanted = better[0]
        mend = f"bash hw1_download.sh {wanted.name}  (from {', '.join(wanted.urls)})"
        if not wanted.urls:
            mend = "zoo.json has no url for it: copy it there, or publish it with --url"
        _say(
            f"WARNING: {zoo.path(wanted)} is missing, so {record.name} answers in its place"
            f"{', which was trained on generated sample data alone' if sample else ''}; {mend}"
        )
    elif sample:
        _say(
            f"note: {record.name} was trained on this repository's generated sample data, not on "
            "the course's; see README.md for how to train and publish your own"
        )


def _say(line: str) -> None:
    if sharding.rank_and_world()[0] == 0:  # once, however many processes there are
        print(line, file=sys.stderr)


def _warn(path: Path, error: Exception, answer: str) -> None:
    line = f"warning: cannot read {path}: {images.reason(error)}; it gets {answer}"
    print(files.in_one_line(line), file=sys.stderr)


def _progress(items: Iterable, total: int) -> Iterable:
    if not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:  # a grader's machine may lack it
        return items
    return tqdm(items, total=total, unit="image", leave=False)
