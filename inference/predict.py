"""The prediction loops: read ahead -> forward -> write behind.

Under torchrun each process takes every WORLD_SIZE-th image; for classification rank 0 collects
the labels and writes the csv, masks are written by whoever made them.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple, Sequence

import numpy as np

from inference import UserError, device, files, images, landcover, masks, tables, zoo

UNREADABLE = -1
MIN_SIDE = 32  # what five halvings leave a pixel of; smaller images are padded


class Settings(NamedTuple):
    """The options that every prediction has; see `python3 -m inference classify --help`."""

    model: str | None = None
    weights: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    fill: bool = False


def classify(folder: Path, out: Path, settings: Settings) -> int:
    """Labels every image of a folder: `filename,label`, sorted by name.

    Returns:
        How many images could not be read and were not filled in.

    Raises:
        UserError: no image, no checkpoint, an output that cannot be written.
    """
    record = choose("p1", settings)
    paths = images.list_images(folder)
    files.check_writable(out)
    found = labels(paths, record, settings)
    rows = ((path.name, label) for path, label in zip(paths, found))
    return _finish(out, ("filename", "label"), rows, found)


def classify_csv(table: Path, folder: Path, out: Path, settings: Settings) -> int:
    """Labels the images that a csv lists: `id,filename,label`, in the csv's order.

    Returns:
        How many images could not be read and were not filled in.

    Raises:
        UserError: as `classify`; an unusable csv; none of its images in the folder.
    """
    record = choose("p2", settings)
    listed = tables.read_rows(table)
    paths = [Path(folder) / row.filename for row in listed]
    if not any(path.exists() for path in paths):
        raise UserError(f"none of the {len(paths)} images of {table} is in {folder}: wrong folder?")
    files.check_writable(out)
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
    paths = images.list_tiles(folder)
    masks.protect(paths, out)
    files.check_folder(out)
    return write_masks(paths, out, record, settings)


def choose(task: str, settings: Settings) -> zoo.Record:
    """Finds the record to predict with: the named one, or the task's default.

    Raises:
        UserError: no such name, one of the other kind, or no default's file is present.
    """
    if settings.model is None:
        record = zoo.default(task, present=settings.weights is None)
        if record.trained_on == "sample data" and settings.weights is None:
            print(
                f"note: {record.name} was trained on this repository's generated sample data, not "
                "on the course's; see README.md for how to train and publish your own",
                file=sys.stderr,
            )
        return record
    record = zoo.record(settings.model)
    if (record.task == "p3") != (task == "p3"):
        does = "segments" if record.task == "p3" else "classifies"
        raise UserError(f"{record.name} {does} images: choose another --model, see `list`")
    return record


def labels(paths: Sequence[Path], record: zoo.Record, settings: Settings) -> list[int]:
    """Gives each image's class; of an unreadable one -1, or 0 when filling in."""
    rank, world = device.rank_and_world()
    mine = paths[rank::world]
    size = record.size
    # Some 50 MB at most; reading them all takes about as long as importing torch, meanwhile.
    ahead = max(256, 50_000_000 // (3 * size**2))
    read = images.read_ahead(mine, partial(images.read_pixels, size=size), ahead, chunk=16)
    runner = _runner(record, settings)
    found = np.full(len(mine), 0 if settings.fill else UNREADABLE)
    for batch in _batches(enumerate(_progress(read, len(mine))), runner.batch_size):
        if isinstance(batch[0][1], Exception):
            _warn(mine[batch[0][0]], batch[0][1], "class 0" if settings.fill else "label -1")
            continue
        indices, pixels = zip(*batch)
        found[list(indices)] = runner(np.stack(pixels)).cpu().numpy()
    return _gather(found, len(paths), rank, world).tolist()


def write_masks(paths: Sequence[Path], out: Path, record: zoo.Record, settings: Settings) -> int:
    """Segments images and writes their masks; gives how many could not be read and have none."""
    rank, world = device.rank_and_world()
    paths = paths[rank::world]
    read = images.read_ahead(paths, images.read_pixels, ahead=16)
    runner = _runner(record, settings)
    missing = 0
    with masks.write_behind() as write:
        for batch in _batches(zip(paths, _progress(read, len(paths))), runner.batch_size):
            if isinstance(batch[0][1], Exception):
                missing += _without_mask(*batch[0], out, settings.fill)
                continue
            classes = _segmented(runner, np.stack([pixels for _, pixels in batch]))
            for (path, _), mask in zip(batch, classes):
                write(out / landcover.mask_name(path.name), mask)
    return missing


def _runner(record: zoo.Record, settings: Settings) -> device.Runner:
    network = zoo.load(record, settings.weights)
    where = device.choose_device(settings.device)
    scores = None if settings.weights else record.scores
    precision = device.choose_precision(settings.precision, where, scores)
    sizes = device.BATCH_SIZES["cuda" if where.type == "cuda" else "cpu"]
    batch_size = settings.batch_size or sizes[record.task]
    return device.Runner(
        network, record.mean, record.std, where, precision, batch_size, flip=record.tta
    )


def _batches(items: Iterable[tuple], size: int) -> Iterator[list[tuple]]:
    """Groups (key, pixels) of equal shape that follow each other; an exception stands alone."""
    batch: list[tuple] = []
    for key, pixels in items:
        broken = isinstance(pixels, Exception)
        if batch and (broken or len(batch) == size or pixels.shape != batch[0][1].shape):
            yield batch
            batch = []
        if broken:
            yield [(key, pixels)]
        else:
            batch.append((key, pixels))
    if batch:
        yield batch


def _segmented(runner: device.Runner, pixels: np.ndarray) -> np.ndarray:
    """Segments (N, H, W, 3) into (N, H, W); what is too small for the network is padded."""
    height, width = pixels.shape[1:3]
    below, right = max(0, MIN_SIDE - height), max(0, MIN_SIDE - width)
    if below or right:
        pixels = np.pad(pixels, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
    return runner(pixels)[:, :height, :width].cpu().numpy()


def _without_mask(path: Path, error: Exception, out: Path, fill: bool) -> int:
    """Answers for an unreadable image: all Unknown when filling in, else nothing (1 missing)."""
    _warn(path, error, "a mask all Unknown" if fill else "no mask")
    if fill:
        mask = np.full(images.size_of(path) or (512, 512), landcover.UNKNOWN, np.uint8)
        masks.write_mask(out / landcover.mask_name(path.name), mask)
    return 0 if fill else 1


def _warn(path: Path, error: Exception, answer: str) -> None:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    reason = " ".join(reason.split()) or type(error).__name__
    print(f"warning: cannot read {path}: {reason}; it gets {answer}", file=sys.stderr)


def _progress(items: Iterable, total: int) -> Iterable:
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, total=total, unit="image", leave=False)


def _gather(labels: np.ndarray, total: int, rank: int, world: int) -> np.ndarray:
    """Brings the processes' labels together, (total,) on every one of them."""
    if world == 1:
        return labels
    import torch.distributed as dist

    dist.init_process_group("gloo")
    parts: list = [None] * world
    dist.all_gather_object(parts, labels)
    dist.destroy_process_group()
    whole = np.empty(total, labels.dtype)
    for part in range(world):
        whole[part::world] = parts[part]
    return whole


def _finish(out: Path, header: Sequence[str], rows: Iterable, labels: Sequence[int]) -> int:
    if device.rank_and_world()[0] == 0:
        tables.write_table(out, header, rows)
    return sum(label == UNREADABLE for label in labels)
