"""The pictures of a run, in the report's folder: drawn once, until the run's files change."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from inference import UserError
from inference.files import in_words, write_whole
from training.byol import curve
from training.classification import charts, figures
from training.finished import NUMBER, Damaged, read_columns, read_json
from training.report.runs import Entry
from training.segmentation import charts as segmentation_charts
from training.segmentation import figures as segmentation_figures

SUMMARY = "figures.json"
MARK = "drawn-from.txt"  # beside the pictures: the state of the run that they show


class Pictures:
    """What was drawn of a run.

    Attributes:
        numbers: what figures.json holds; empty where only curves could be drawn.
        files: picture by name (`pca`, `confusion`, ...), seen from the page.
        notes: what is missing, and why.
    """

    def __init__(self, entry: Entry, numbers: dict, files: dict[str, str], notes: list[str]):
        self.entry, self.numbers, self.files, self.notes = entry, numbers, files, notes


class Gallery:
    """Draws into a report's folder.

    Args:
        out: the report's folder.
        data: hw1_data, for runs whose own data is no longer where it was.
    """

    def __init__(self, out: Path, data: Path):
        self.out, self.data = out, data
        self.drawn: dict[Path, Pictures] = {}

    def of(self, entry: Entry) -> Pictures:
        """Gives a run's pictures; draws what is missing or of another run, or of another state.

        What cannot be drawn is noted, and stops nothing.
        """
        if entry.folder not in self.drawn:
            self.drawn[entry.folder] = self._draw(entry)
        return self.drawn[entry.folder]

    def _draw(self, entry: Entry) -> Pictures:
        folder = self.out / "figures" / entry.name
        state = _state(entry.folder)
        if not (folder / MARK).is_file() or (folder / MARK).read_bytes() != state.encode():
            shutil.rmtree(folder, ignore_errors=True)
            write_whole(folder / MARK, state.encode())
        if entry.recipe.graded:
            notes = self._graded(entry, folder)
        else:
            notes = []
        numbers = read_json(folder / SUMMARY) if not notes and entry.recipe.graded else {}
        if not numbers:
            notes += _curve(entry, folder)
        named = numbers.get("figures") or {f.stem: f.name for f in sorted(folder.glob("*.png"))}
        files = {name: f"figures/{entry.name}/{file}" for name, file in named.items()}
        return Pictures(entry, numbers, files, notes + numbers.get("notes", []))

    def _graded(self, entry: Entry, folder: Path) -> list[str]:
        """Makes all pictures of a run, or says why that is not possible."""
        if _is_whole(folder):
            return []
        own = entry.folder / "figures"
        weights = (entry.folder / "best.pth").is_file()
        if _is_whole(own, _latest(entry.folder) if weights else 0):
            _copy(own, folder)
            return []
        if not weights:
            return [f"{entry.folder} has no best.pth: put it there, or the figures made beside it"]
        data = entry.data(self.data)
        if data is None and _is_whole(own):
            _copy(own, folder)
            return []
        if data is None:
            there = entry.result.get("data", "unknown")
            return [f"the data of {entry.folder} ({there}) is not here: name it with --data"]
        print(f"drawing the figures of {entry.folder} ...", file=sys.stderr, flush=True)
        draw = segmentation_figures.draw if entry.recipe.task == "p3" else figures.draw
        try:
            draw(entry.folder, data, folder)
        except UserError as error:
            for picture in folder.glob("*.png"):
                picture.unlink()
            return [str(error)]
        return []


def _files(run: Path) -> list[Path]:
    names = ("best.pth", "epoch-*.pth", "metrics.csv", "result.json")
    return sorted(file for name in names for file in run.glob(name))


def _latest(run: Path) -> float:
    """Gives the time at which a run's files last changed."""
    return max((file.stat().st_mtime for file in _files(run)), default=0)


def _state(run: Path) -> str:
    """Names the state of a run: another one in its place may have older files, a copy's."""
    digest = hashlib.sha256(os.fsencode(run.resolve()))
    for file in [*_files(run), *run.glob(f"figures/{SUMMARY}")]:
        status = file.stat()
        digest.update(f"{file.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest() + "\n"


def _is_whole(folder: Path, latest: float = 0) -> bool:
    """Whether a folder has every picture that it names, none older than `latest`."""
    summary = folder / SUMMARY
    if not summary.is_file() or summary.stat().st_mtime < latest:
        return False
    try:
        numbers = read_json(summary)
    except Damaged:
        return False
    return _is_ours(numbers) and all(
        (folder / name).is_file() for name in numbers["figures"].values()
    )


def _is_ours(numbers: dict) -> bool:
    """Whether a figures.json has what the page says of pictures, in the form in which we write."""
    try:
        named, notes = numbers["figures"], numbers.get("notes", [])
        texts = [*named.values(), *notes]
        if "iou" in numbers:
            shares = [share for share in numbers["iou"].values() if share is not None]
        else:
            shares = [e[k] for e in numbers["epochs"] for k in ("epoch", "knn_accuracy")]
            shares = [share for share in shares if share is not None]
            shares += [p[k] for p in numbers["confused"] for k in ("true", "predicted", "share")]
            shares += [*numbers["pca_variance"], numbers["features"], numbers["knn"]["k"]]
    except (KeyError, TypeError, AttributeError):
        return False
    plain = all("/" not in name for name in named.values() if isinstance(name, str))
    is_text = all(isinstance(text, str) for text in texts)
    return plain and is_text and all(isinstance(share, NUMBER) for share in shares)


def _copy(source: Path, folder: Path) -> None:
    """Takes over pictures that were drawn beside the run; their record comes last."""
    for name in [*read_json(source / SUMMARY)["figures"].values(), SUMMARY]:
        write_whole(folder / name, (source / name).read_bytes())


def _curve(entry: Entry, folder: Path) -> list[str]:
    """Draws what metrics.csv alone allows; gives a note where that is nothing."""
    table = entry.folder / "metrics.csv"
    columns = read_columns(table)
    if not columns.get("loss"):
        return [f"{table} has no epoch: no learning curve"]
    lacking = {"p3": {"mIoU"}, "byol": {"spread"}}.get(entry.recipe.task, {"accuracy"})
    if not lacking <= columns.keys():
        return [f"{table} has no {', '.join(lacking)}: no learning curve"]
    target = folder / "learning_curve.png"
    if target.is_file():
        return []
    write_whole(target, figures.png(_curve_of(entry, table, columns)()))
    return []


def _curve_of(entry: Entry, table: Path, columns: dict) -> Callable:
    recipe, name = entry.recipe, f"{in_words(entry.folder.name)}, {entry.recipe.network}"
    epochs = len(columns["loss"])
    told = entry.result.get("scores", {}).get("best_epoch")
    best = min(epochs - 1 if told is None else max(told, 0), epochs - 1) + 1
    split = "held-out" if recipe.holds_out() else "val"
    if recipe.task == "byol":
        return lambda: curve.draw(in_words(entry.folder.name), curve.read(table))
    if recipe.task == "p3":
        return lambda: segmentation_charts.draw_curves(name, columns, best, entry.score, split)
    val = entry.score if recipe.graded else None
    return lambda: charts.draw_learning(name, columns, best, val, split)
