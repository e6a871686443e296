"""The three problems as a grader has them: a hidden test, a script to run on it, and the truth.

A hidden test is made of the user's own validation set. Images get new names in a shuffled order
wherever the old ones could give the labels away.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Sequence

from inference import UserError
from inference.editions import DEFAULT, EDITIONS, Edition
from inference.files import FULL
from inference.grade.checks import Violation, check_masks, read_labels
from inference.images import list_images, list_tiles, size_of
from inference.landcover import mask_name
from inference.tables import locate, read_columns, write_table

EVALUATOR = Path(__file__).resolve().parents[2] / "mean_iou_evaluate.py"


class P1:
    """Classification: a folder of images in, `filename,label` out."""

    place = "p1_data/val_50"
    name, classes = "P1", 50
    remarks: Sequence[str] = ()
    simple, strong = 0.75, 0.86  # the course's public baselines, accuracy

    @staticmethod
    def is_in(root: Path) -> bool:
        return os.path.isdir(root / "val_50")

    def __init__(self, root: Path, edition: Edition):
        self.root, self.script = root, edition.scripts[self.name]
        images = _shuffled(list_images(root / "val_50"))
        self.truth = [_label(path.name.split("_")[0], self.classes, path) for path in images]
        self.images = {f"{i:04d}{path.suffix.lower()}": path for i, path in enumerate(images)}

    def build(self, folder: Path) -> list[Path]:
        """Write the test into `folder` and return the script's arguments."""
        _copy(self.images, folder / "test")
        return [folder / "test", folder / "output" / "pred.csv"]

    def score(self, folder: Path) -> float:
        """Return the accuracy of what the script wrote; raise `Violation`."""
        keys = [(name,) for name in self.images]
        output = folder / "output" / "pred.csv"
        labels = read_labels(output, ("filename", "label"), keys, self.classes, ordered=False)
        return _accuracy(labels, self.truth)


class P2:
    """Office-Home: a csv and a folder of images in, `id,filename,label` out."""

    place = "p2_data/office/val with val.csv"
    name, classes = "P2", 65
    remarks: Sequence[str] = ()
    simple, strong = 0.36, 0.40  # setting C, accuracy
    header = ("id", "filename", "label")

    @staticmethod
    def is_in(root: Path) -> bool:
        office = root / "office"
        return os.path.isdir(office / "val") or os.path.isfile(office / "val.csv")

    def __init__(self, root: Path, edition: Edition):
        self.root, self.script = root, edition.scripts[self.name]
        table = root / "office" / "val.csv"
        rows = _shuffled(_rows(table, self.header))
        self.truth = [_label(label, self.classes, table) for _, _, label in rows]
        images = [locate(root / "office" / "val", name) for _, name, _ in rows]
        for image in images:
            if not image.is_file():
                raise UserError(f"no image {image}, which {table} names: complete the folder")
        names = [f"{i:04d}{path.suffix.lower()}" for i, path in enumerate(images)]
        self.images = dict(zip(names, images))
        self.keys = [(row[0], name) for row, name in zip(rows, names)]

    def build(self, folder: Path) -> list[Path]:
        """Write the test into `folder` and return the script's arguments."""
        _copy(self.images, folder / "test")
        write_table(folder / "test.csv", self.header, [(*key, "None") for key in self.keys])
        return [folder / "test.csv", folder / "test", folder / "output" / "output.csv"]

    def score(self, folder: Path) -> float:
        """Return the accuracy of what the script wrote; raise `Violation`."""
        output = folder / "output" / "output.csv"
        labels = read_labels(output, self.header, self.keys, self.classes, ordered=True)
        return _accuracy(labels, self.truth)


class P3:
    """Segmentation: a folder of satellite images in, a folder of masks out."""

    place = "p3_data/validation"
    name = "P3"
    simple, strong = 0.69, 0.73  # mIoU

    @staticmethod
    def is_in(root: Path) -> bool:
        return os.path.isdir(root / "validation")

    def __init__(self, root: Path, edition: Edition):
        self.root, self.script = root, edition.scripts[self.name]
        self.remarks: list[str] = []  # what the evaluator has warned of
        images = list_tiles(root / "validation")
        if not any(mask_name(path.name).endswith("_mask.png") for path in images):
            images = [path for path in images if path.with_name(mask_name(path.name)) != path]
        if not images:
            raise UserError(
                f"no xxxx_sat.jpg or xxxx.jpg in {root / 'validation'}: put the images there"
            )
        self.images, self.masks = {}, {}
        for path in images:
            stem = re.sub("_sat$", "", path.stem, flags=re.IGNORECASE)
            name = f"{stem}{edition.image}{path.suffix}"
            self.images[name] = path
            self.masks[mask_name(name)] = path.with_name(mask_name(path.name))
        self.sizes = {}
        for name, path in self.masks.items():
            size = size_of(path)
            if size is None:
                raise UserError(f"cannot read {path}: every image needs its mask")
            self.sizes[name] = size

    def build(self, folder: Path) -> list[Path]:
        """Write the test into `folder` and return the script's arguments."""
        _copy(self.images, folder / "test")
        return [folder / "test", folder / "output"]

    def score(self, folder: Path) -> float:
        """Return the mIoU of what the script wrote; raise `Violation`."""
        check_masks(folder / "output", self.sizes)
        _copy(self.masks, folder / "truth")  # only now: the script had no truth to look at
        places = ["-g", str(folder / "truth"), "-p", str(folder / "output")]
        done = subprocess.run(
            [sys.executable, str(EVALUATOR), *places],
            capture_output=True,
            text=True,
        )
        self.remarks = [ln for ln in done.stderr.splitlines() if ln.startswith("warning: ")]
        found = re.search(r"^mean_iou: ([0-9.]+)$", done.stdout, re.MULTILINE)
        if done.returncode or not found:  # nan too: a class that is nowhere has no IoU
            last = (done.stderr.strip().splitlines() or ["mean_iou is no number"])[-1]
            raise Violation("no score", f"{EVALUATOR.name}: {last}")
        return float(found[1])


def find_problems(data_dir: Path, edition: Edition = EDITIONS[DEFAULT]) -> list[P1 | P2 | P3]:
    """Return an edition's problems in a data folder, which may be one problem's folder itself.

    Raises:
        UserError: there is none, or the truth of one cannot be read.
    """
    data_dir = Path(data_dir).resolve()
    if not os.path.isdir(data_dir):  # Path's raises where it may not look
        raise UserError(f"no folder {data_dir}: give hw1_data/ or one problem's folder of it")
    # the course's own names first, should a copy lie beside them
    try:
        names = sorted(os.listdir(data_dir), key=lambda name: (not name.endswith("_data"), name))
    except OSError as error:
        raise UserError(f"cannot read the folder {data_dir}: {error.strerror}") from error
    roots = [data_dir, *(data_dir / name for name in names if os.path.isdir(data_dir / name))]
    found = []
    problems = [problem for problem in (P1, P2, P3) if problem.name in edition.scripts]
    for problem in problems:
        root = next(filter(problem.is_in, roots), None)
        if root is not None:
            found.append(problem(root, edition))
    if not found:
        others = [problem for problem in (P1, P2, P3) if problem not in problems]
        for other in others:
            if any(map(other.is_in, roots)):
                raise UserError(_not_of_the_edition(data_dir, other, problems, edition))
        wanted = " or ".join(problem.place for problem in problems)
        raise UserError(f"no validation set in {data_dir}: it should hold {wanted}")
    return found


def _not_of_the_edition(
    data_dir: Path,
    there: type[P1 | P2 | P3],
    problems: Sequence[type[P1 | P2 | P3]],
    edition: Edition,
) -> str:
    years = [year for year, other in EDITIONS.items() if other == edition]
    others = [year for year, other in EDITIONS.items() if there.name in other.scripts]
    listed = " and ".join(f"{edition.scripts[p.name]} on {p.place}" for p in problems)
    return (
        f"{data_dir} holds {there.place}, and {' and '.join(years)} had no such problem, but "
        f"{listed}: give hw1_data/ or one of those folders, or --edition {' or '.join(others)}"
    )


def _shuffled(items: list) -> list:
    return random.Random(0).sample(items, len(items))


def _copy(files: dict[str, Path], folder: Path) -> None:
    folder.mkdir()
    for name, path in files.items():
        try:
            shutil.copyfile(str(path), str(folder / name))
        except OSError as error:
            if error.errno in FULL:  # no fault of this file's
                raise
            raise UserError(f"cannot copy {path}: {error.strerror}; mend or remove it") from error


def _label(text: str, classes: int, where: Path) -> int:
    if not re.fullmatch("[0-9]+", text) or int(text) >= classes:
        raise UserError(f"{where}: the class {text!r} is no number from 0 to {classes - 1}")
    return int(text)


def _accuracy(labels: list[int], truth: list[int]) -> float:
    return sum(label == true for label, true in zip(labels, truth)) / len(truth)


def _rows(table: Path, header: tuple) -> list[tuple]:
    """Read the columns of `header` from a csv with labels."""
    rows = read_columns(table, header)
    for number, values in rows:
        if not all(values):
            raise UserError(f"line {number} of {table} is incomplete: mend it")
    if not rows:
        raise UserError(f"no row in {table}: it should list id,filename,label, one image a line")
    return [values for _, values in rows]
