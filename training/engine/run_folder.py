"""What a run has left in its folder, and whether its data is the same: the only reader of it.

recipe.json   the recipe
data.json     the data's folder when the run last went on, and a digest of what it trains on
result.json   all that is known of a run that has come to its end
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference import UserError
from training.engine.checkpoint import from_one
from training.engine.problem import Problem
from training.engine.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """A run; epochs are numbered from 1, as in its files.

    Attributes:
        result: what result.json holds; empty while the run has not ended.
        metrics: the columns of metrics.csv, a value an epoch, nan where one was not measured; none
            where no epoch has ended.
        checkpoints: weights of single epochs by their number.
        best_epoch: the epoch of best.pth; None where none is done.
    """

    folder: Path
    recipe: Recipe
    problem: Problem
    result: dict[str, Any]
    metrics: dict[str, list[float]]
    checkpoints: dict[int, Path]
    best_epoch: int | None

    @classmethod
    def load(cls, folder: Path, problems: Mapping[str, Problem]) -> Run:
        """Read a run's folder.

        Raises:
            UserError: there is no run, a file of it is damaged, or it is of another version of
                this program.
        """
        if (folder / "result.json").is_file():
            result = read_json(folder / "result.json")
            fields = result.get("recipe")
        elif (folder / "recipe.json").is_file():
            result, fields = {}, read_json(folder / "recipe.json")
        else:
            raise UserError(f"no recipe.json in {folder}: give a run's folder, like runs/p1-a-s0")
        if not isinstance(fields, dict):
            raise UserError(f"{folder} names no recipe")
        name = fields.get("problem")
        if not isinstance(name, str) or name not in problems:
            raise UserError(
                f"{folder} holds no run of this version of the program: its problem is {name!r}, "
                f"and there are {', '.join(problems)}"
            )
        try:
            recipe = problems[name].recipe_type.from_plain(fields)
        except UserError as error:
            raise UserError(f"the recipe in {folder} cannot be read: {error}") from error
        _check_result(result, folder)
        data_note(folder)
        metrics = read_metrics(folder / "metrics.csv")
        kept = {
            int(match[1]): file
            for file in sorted(folder.glob("epoch-*.pth"))
            if (match := re.fullmatch(r"epoch-(\d{1,9})", file.stem))
        }
        best_epoch = int(metrics.get("best_epoch", [0])[-1]) or None
        return cls(folder, recipe, problems[name], result, metrics, kept, best_epoch)

    @property
    def name(self) -> str:
        """The folder's name, `p1-a-s0`."""
        return self.folder.name

    @property
    def best(self) -> Path:
        """The weights that the run leaves behind: best.pth."""
        return self.folder / "best.pth"

    @property
    def finished(self) -> bool:
        """Whether it came to its end, and was scored."""
        return bool(self.result)

    @property
    def scores(self) -> dict[str, Any]:
        """What result.json says of its scores."""
        return self.result.get("scores", {})

    @property
    def score(self) -> float | None:
        """The graded score on val, or the problem's own where no script answers; None without."""
        found = self.scores.get("val")
        return None if found is None or math.isnan(found) else found

    @property
    def images(self) -> int | None:
        """The number of validation images that the score is of."""
        return self.scores.get("images")

    @property
    def minutes(self) -> float | None:
        """What its training took."""
        return self.result.get("minutes")

    @property
    def trained_on(self) -> int | None:
        """The number of images that it learnt from."""
        return self.result.get("trained_on")

    @property
    def provenance(self) -> str | None:
        """Where its data came from: "sample data", an imported dataset; None of the course's."""
        return self.result.get("provenance")

    @property
    def epochs_done(self) -> int:
        """The number of whole epochs."""
        return len(self.metrics.get("epoch", ()))

    @property
    def ended(self) -> str:
        """When it ended, ISO 8601; "" of a run that does not say."""
        return self.result.get("finished", "")

    @property
    def hardware(self) -> str:
        """What it ran on: `2 × NVIDIA A100`, or a CPU with its cores."""
        device, processes = self.result.get("device", "unknown"), self.result.get("processes", 1)
        if " " not in device:  # platform.machine()
            return f"CPU, {device}, {self.result.get('cores', '?')} cores"
        return f"{processes} × {device}" if processes > 1 else device

    @property
    def fingerprint(self) -> str | None:
        """The digest of the data that it trained on; None of a run that noted none."""
        return data_note(self.folder).get("key")

    @property
    def data(self) -> Path | None:
        """The folder of its data when it last went on; None of a run that noted none."""
        noted = self.result.get("data") or data_note(self.folder).get("folder")
        return Path(noted) if noted else None

    def find_data(self, others: Path) -> Path | None:
        """Return the run's data if it is still the same: where it was, or in `others`, hw1_data."""
        for folder, unknown in ((self.data, True), (others / self.problem.folder, False)):
            # os.path: pathlib raises of a folder that may not be entered, and of a long name.
            if folder is None or not os.path.isdir(folder):
                continue
            with contextlib.suppress(UserError):  # it is no such folder
                same = unknown if self.fingerprint is None else self.is_on(folder)
                if same:
                    return folder
        return None

    def is_on(self, data: Path) -> bool:
        """Return whether data is what the run trained on; False of a run that noted none."""
        return self.fingerprint == fingerprint(self.problem, self.recipe, data)

    def expect_weights(self) -> Path:
        """Return best.pth; raise UserError if it is missing."""
        if not self.best.is_file():
            raise UserError(f"no best.pth in {self.folder}: it has the weights that are asked for")
        return self.best


def find_runs(root: Path, problems: Mapping[str, Problem]) -> tuple[list[Run], list[str]]:
    """Return the runs in a folder and in its subfolders, and a line for each that is damaged."""
    names = ("recipe.json", "result.json")
    folders = {f.parent for deep in ("*", "*/*") for n in names for f in root.glob(f"{deep}/{n}")}
    runs, damaged = [], []
    for folder in sorted(folders):
        try:
            runs.append(Run.load(folder, problems))
        except UserError as error:
            damaged.append(f"{folder}: {error}")
    return runs, damaged


def read_json(file: Path) -> dict[str, Any]:
    """Return one of a run's records; raise UserError unless it is a JSON object."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"cannot read {file}: {reason}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} is none of ours: it holds no record, but {json.dumps(found)[:40]}")
    return found


def data_note(folder: Path) -> dict[str, str]:
    """Return what data.json holds, nothing without it; raise UserError if it is damaged."""
    file = folder / "data.json"
    found = read_json(file) if file.exists() else {}
    if not all(isinstance(value, str) for value in found.values()):
        raise UserError(f"cannot read {file}: a folder and a key are words")
    return found


def expect_data(folder: Path, digest: str) -> None:
    """Raise UserError unless the run in a folder is on the data of a fingerprint."""
    noted = data_note(folder)
    if noted.get("key", digest) != digest:
        raise UserError(
            f"{folder} holds a run on other data ({noted.get('folder')}): choose another --out"
        )


def fingerprint(problem: Problem, recipe: Recipe, data: Path) -> str:
    """Return a digest of what a run trains on: names, sizes and labels, wherever they lie.

    Raises:
        UserError: the layout is not the problem's, or a file is missing.
    """
    digest = hashlib.sha256()
    if not data.is_dir():
        raise UserError(
            f"no folder {data}: give the course's {problem.folder} with --data, or make some: "
            "python -m training sample-data hw1_data"
        )
    try:
        files = problem.files(recipe, data)
    except UserError as error:
        near = (place / problem.folder for place in (data, data.parent, data.parent.parent))
        meant = next((place for place in near if place.is_dir() and place != data), None)
        if meant is None:
            raise
        raise UserError(f"{error}; did you mean --data {meant}?") from error
    for paths, labels in files:
        if labels is not None:
            digest.update(labels.tobytes())
        for path in paths:
            try:
                digest.update(os.fsencode(path.name) + f"\0{path.stat().st_size}\n".encode())
            except OSError as error:
                raise UserError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()[:16]


def read_metrics(table: Path) -> dict[str, list[float]]:
    """Return the columns of metrics.csv: a value an epoch, nan where one has none; {} without it.

    Epochs count from 1, also where the file is an older version's.

    Raises:
        UserError: it cannot be read, or holds something else than numbers.
    """
    if not table.is_file():
        return {}
    try:
        text = table.read_text(encoding="utf-8-sig")
        names, *rows = [row for row in csv.reader(text.splitlines(), strict=True) if row] or [[]]
        if any(len(row) != len(names) for row in rows) or len(set(names)) < len(names):
            raise ValueError("a row has another number of values than columns have names")
        named = from_one([dict(zip(names, row, strict=True)) for row in rows])
        columns = {name: [float(row[name] or math.nan) for row in named] for name in names}
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {table}: {reason}; mend or remove it") from error
    if rows and columns.get("epoch") != list(range(1, len(rows) + 1)):
        raise UserError(f"{table} is damaged: its epochs are not 1, 2, 3, ...; mend or remove it")
    if not set(columns.get("best_epoch", ())) <= set(range(len(rows) + 1)):
        raise UserError(f"{table} is damaged: a best_epoch is no epoch of it; mend or remove it")
    return columns if rows else {}


# What is read of result.json, and of its scores, where it is there
_TYPES: dict[tuple[type, ...], tuple[str, ...]] = {
    (str,): ("data", "finished", "device", "precision", "command", "revision"),
    (str, type(None)): ("provenance",),
    (int,): ("trained_on", "epochs", "processes"),
    (int, type(None)): ("cores",),
    (int, float): ("minutes",),
    (dict,): ("scores",),
    (list,): ("kept",),
}
_SCORES: dict[tuple[type, ...], tuple[str, ...]] = {
    (str,): ("metric", "select"),
    (int,): ("images", "best_epoch"),
    (int, float, type(None)): ("val", "held_out"),
}
_LARGEST = {"val": 1, "held_out": 1, "minutes": 1e9}


def _check_result(result: dict[str, Any], folder: Path) -> None:
    scores = result.get("scores")
    for holder, types in ((result, _TYPES), (scores if isinstance(scores, dict) else {}, _SCORES)):
        for kinds, names in types.items():
            for name in names:
                value = holder.get(name)
                right = isinstance(value, kinds) and not isinstance(value, bool)
                if right and name in _LARGEST and value is not None:
                    # A score is nan where the data lacks a class.
                    right = value != value or 0 <= value <= _LARGEST[name]
                if name in holder and not right:
                    said = json.dumps(value)[:40]
                    raise UserError(f"{folder / 'result.json'} is none of ours: {name} is {said}")
