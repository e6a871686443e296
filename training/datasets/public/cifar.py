"""CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html) -> p1_data."""

import lzma
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from inference import UserError
from training.datasets.public import pickles
from training.datasets.public.files import for_each

TRAIN, VAL = 450, 50  # images a class, as in the course
HALF = 50  # classes


@dataclass(frozen=True)
class Form:
    """What one of the two looks like in the "python version", as torchvision fetches it too."""

    title: str
    archive: str
    folder: str
    batches: tuple[str, ...]
    labels: bytes
    meta: str
    names: bytes


CIFAR10 = Form(
    title="CIFAR-10",
    archive="cifar-10-python.tar.gz",
    folder="cifar-10-batches-py",
    batches=tuple(f"data_batch_{i}" for i in range(1, 6)),
    labels=b"labels",
    meta="batches.meta",
    names=b"label_names",
)
CIFAR100 = Form(
    title="CIFAR-100",
    archive="cifar-100-python.tar.gz",
    folder="cifar-100-python",
    batches=("train",),
    labels=b"fine_labels",
    meta="meta",
    names=b"fine_label_names",
)


def fill(folder: Path, form: Form, source: Path, seed: int, half: int | None, whole: bool) -> dict:
    """Write `train_50` and `val_50` of CIFAR's training images; its test images stay untouched.

    Args:
        folder: empty.
        source: the archive, its unpacked folder, or the folder that holds one of them.
        half: 1 or 2: the first or the second 50 classes, numbered from 0; None takes all.
        whole: take every image, a tenth of each class for validation, in place of 450 and 50.

    Returns:
        What DATA.json says.

    Raises:
        UserError: `source` is not the dataset, or damaged.
    """
    pixels, labels, names = _read(form, source)
    if half:
        first = (half - 1) * HALF
        kept = (labels >= first) & (labels < first + HALF)
        pixels, labels, names = pixels[kept], labels[kept] - first, names[first : first + HALF]
    train, val = TRAIN, VAL
    if whole:
        each = int(np.bincount(labels).min())
        train, val = each - each // 10, each // 10
    sets = _draw(labels, train, val, seed)
    jobs = []
    for part, first, chosen in zip(("train_50", "val_50"), (0, train), sets, strict=True):
        (folder / part).mkdir()
        counts = dict.fromkeys(range(len(names)), first)
        for label, index in chosen:
            jobs.append((folder / part / f"{label}_{counts[label]}.png", pixels[index]))
            counts[label] += 1
    for_each(_write, jobs)
    which = {None: "", 1: ", classes 0-49", 2: ", classes 50-99"}[half]
    return {"source": form.title + which, "seed": seed, "classes": names}


def _draw(labels: np.ndarray, train: int, val: int, seed: int) -> tuple[list, list]:
    """Draw two disjoint sets of images of each class, at random.

    Args:
        labels: (N,) classes from 0.
        train, val: how many of a class each set gets.

    Returns:
        For each set [(class, index among N), ...], class by class.

    Raises:
        UserError: a class has too few.
    """
    sets: tuple[list, list] = [], []
    for label in np.unique(labels).tolist():
        of_class = np.flatnonzero(labels == label)
        if len(of_class) < train + val:
            raise UserError(
                f"class {label} has {len(of_class)} images and {train + val} are wanted: is the "
                "dataset complete?"
            )
        order = np.random.default_rng([seed, label]).permutation(of_class).tolist()
        sets[0].extend((label, index) for index in order[:train])
        sets[1].extend((label, index) for index in order[train : train + val])
    return sets


def _write(file: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(file)


def _read(form: Form, source: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return pixels, uint8 (N, 32, 32, 3), labels, int64 (N,), and the classes' names."""
    files = _files(form, source)
    meta = pickles.read(files[form.meta], f"{form.meta} in {source}")
    try:
        names = [name.decode() for name in meta[form.names]]
        batches = [pickles.read(files[name], f"{name} in {source}") for name in form.batches]
        flat = np.concatenate([batch[b"data"] for batch in batches])
        labels = np.concatenate([np.asarray(batch[form.labels], np.int64) for batch in batches])
        # A row holds the red plane, the green one and the blue one.
        pixels = flat.reshape(len(labels), 3, 32, 32).transpose(0, 2, 3, 1)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{source} does not hold {form.title} as it should: {error!r}") from None
    known = len(labels) and labels.min() >= 0 and labels.max() < len(names)
    if pixels.dtype != np.uint8 or not known:
        raise UserError(f"{source} does not hold {form.title}: pixels or classes out of range")
    return pixels, labels, names


def _files(form: Form, source: Path) -> dict[str, bytes]:
    """Read the needed files from wherever under `source` they are."""
    wanted = (*form.batches, form.meta)
    for folder in (source, source / form.folder):
        if (folder / wanted[0]).is_file():
            return {name: _bytes(folder / name) for name in wanted}
    archive = source if source.is_file() else source / form.archive
    if not archive.is_file():
        raise UserError(
            f"no {form.title} in {source}: give {form.archive} or its folder {form.folder}"
        )
    found = {}
    try:
        with tarfile.open(archive) as members:  # read from, never unpacked
            for member in members:
                inside, _, name = member.name.rpartition("/")
                if inside.endswith(form.folder) and name in wanted and member.isfile():
                    stream = members.extractfile(member)
                    assert stream is not None  # None of what is no file
                    found[name] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        why = str(error).split("\n")[0].rstrip(":")
        raise UserError(f"cannot read {archive}: {why}; fetch the dataset again") from None
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(f"{archive} is not {form.title}: it has no {form.folder}/{missing[0]}")
    return found


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}; fetch the dataset again") from None
