"""The runs that a folder holds, and those of one recipe together."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference import UserError, tables
from inference.origin import is_sample_data
from training import same
from training.finished import Damaged, read_columns, read_json, read_result
from training.recipe import Recipe, recipe_of

# What changes no result: runs that differ in these alone are of one kind.
FREE = ("seed", "every", "keep", "compile")
NO_BREAK = "\N{NO-BREAK SPACE}"
FOLDERS = {"p1": "p1_data", "p2": "p2_data", "mini": "p2_data", "byol": "p2_data", "p3": "p3_data"}


@dataclass(frozen=True)
class Entry:
    """A run; `result` is what result.json holds, empty while it has not ended.

    Attributes:
        name: its folder, seen from that of all runs: `p1-a-s0`, `p2-table/p2-c-s0`.
    """

    name: str
    folder: Path
    recipe: Recipe
    result: dict

    @property
    def score(self) -> float | None:
        """The graded score on val, or the task's own where no script can answer; None without."""
        scores = self.result.get("scores", {})
        keys = ("val",) if self.recipe.graded else ("accuracy", "knn")
        found = next((scores[key] for key in keys if scores.get(key) is not None), None)
        return None if found is None or math.isnan(found) else found

    @property
    def hardware(self) -> str:
        """What it ran on: `2 × NVIDIA A100`, or a CPU with its cores."""
        device, processes = self.result.get("device", "unknown"), self.result.get("processes", 1)
        if " " not in device:  # platform.machine()
            return f"CPU, {device}, {self.result.get('cores', '?')} cores"
        return f"{processes} × {device}" if processes > 1 else device

    @property
    def epochs_done(self) -> int:
        return len(read_columns(self.folder / "metrics.csv").get("epoch", ()))

    @property
    def key(self) -> str | None:
        """The digest of the data that it trained on; None of a run from before there was one."""
        return same.read(self.folder).get("key")

    def data(self, others: Path) -> Path | None:
        """Finds the run's data: where it was, or in `others` (hw1_data), if it is still the same.

        Returns:
            None where it is nowhere.
        """
        noted = self.result.get("data") or same.read(self.folder).get("folder")
        if noted and Path(noted).is_dir() and self._is_on(Path(noted), unknown=True):
            return Path(noted)
        candidate = others / FOLDERS[self.recipe.task]
        return candidate if self._is_on(candidate, unknown=False) else None

    def _is_on(self, data: Path, unknown: bool) -> bool:
        try:
            return unknown if self.key is None else self.key == same.key(self.recipe, data)
        except UserError:  # it is no such folder
            return False


@dataclass(frozen=True)
class Group:
    """Finished runs of one recipe on one set of images, which differ in their seeds.

    Attributes:
        entries: one of each seed.
        copies: further runs of these seeds, which a mean must not count.
    """

    entries: list[Entry]
    copies: list[Entry]

    @property
    def recipe(self) -> Recipe:
        return self.entries[0].recipe

    @property
    def scores(self) -> list[float]:
        return [entry.score for entry in self.entries if entry.score is not None]

    @property
    def shown(self) -> Entry:
        """The run that figures are of: that of the lowest seed whose weights are there."""
        return next((e for e in self.entries if has_pictures(e.folder)), self.entries[0])

    def same(self, key: str) -> object:
        """Gives what every run's result.json says under `key`, or None where they differ."""
        values = {str(entry.result.get(key)): entry.result.get(key) for entry in self.entries}
        return next(iter(values.values())) if len(values) == 1 else None


@dataclass(frozen=True)
class Table:
    """A table of P2's settings.

    Attributes:
        name: its folder's.
        rows, differences: those of table.csv and differences.csv, as they stand there.
        words: what stands below the table in table.md.
    """

    name: str
    rows: list[dict[str, str]]
    differences: list[dict[str, str]]
    words: str


ROW = ("setting", "recipe", "pre-training", "fine-tuning", "accuracy", "sd", "seeds", "low", "high")
DIFFERENCE = ("better", "than", "by", "low", "high", "clear")
NUMBERS = ("accuracy", "low", "high", "by")


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        groups: by recipe; the first is the one that is meant where one is asked for.
        unfinished: runs without result.json, by recipe.
        tables: of P2's settings, as `p2-table` has written them.
        problems: what could not be read, a line each.
    """

    groups: dict[str, list[Group]]
    unfinished: dict[str, list[Entry]]
    tables: list[Table]
    problems: list[str]

    def first(self, *recipes: str) -> Group | None:
        """Gives the group of the first of these recipes that has one."""
        return next((self.groups[name][0] for name in recipes if name in self.groups), None)

    def finished(self) -> list[Entry]:
        """Gives every finished run, recipe by recipe."""
        groups = [group for several in self.groups.values() for group in several]
        return [entry for group in groups for entry in [*group.entries, *group.copies]]


def find(root: Path) -> Found:
    """Reads the runs in a folder, and those in its subfolders, as P2's table leaves them."""
    finished: dict[tuple, list[Entry]] = {}
    unfinished: dict[str, list[Entry]] = {}
    problems = []
    folders = {file.parent for deep in ("*", "*/*") for file in root.glob(f"{deep}/recipe.json")}
    folders |= {file.parent for deep in ("*", "*/*") for file in root.glob(f"{deep}/result.json")}
    for folder in sorted(folders):
        try:
            entry = read(folder, folder.relative_to(root).as_posix())
            kind, done = _kind(entry), entry.epochs_done
        except UserError as error:
            problems.append(f"{folder}: {error}")
            continue
        if entry.result:
            finished.setdefault(kind, []).append(entry)
        elif done:
            unfinished.setdefault(entry.recipe.name, []).append(entry)
    groups: dict[str, list[Group]] = {}
    for entries in finished.values():
        groups.setdefault(entries[0].recipe.name, []).append(_group(entries))
    for several in groups.values():
        several.sort(key=lambda group: (-len(group.entries), _age(group)))
    several = []
    for file in sorted(root.glob("*/table.csv")):
        try:
            several.append(read_table(file.parent))
        except UserError as error:
            problems.append(f"{file.parent}: {error}")
    return Found(groups, unfinished, several, problems)


def _group(entries: list[Entry]) -> Group:
    entries = sorted(entries, key=lambda entry: (entry.recipe.seed, str(entry.folder)))
    of_seed = {entry.recipe.seed: entry for entry in reversed(entries)}
    firsts = [entry for entry in entries if of_seed[entry.recipe.seed] is entry]
    return Group(firsts, [entry for entry in entries if entry not in firsts])


def read(folder: Path, name: str) -> Entry:
    """Reads a run's folder.

    Args:
        name: the run's.

    Raises:
        UserError: its files cannot be read, or are of another version of this program.
    """
    result = read_result(folder)
    there = (folder / "result.json").is_file()
    fields = result.get("recipe") if there else read_json(folder / "recipe.json")
    if not isinstance(fields, dict):
        raise UserError("it names no recipe")
    return Entry(name, folder, recipe_of(fields), result)


def read_table(folder: Path) -> Table:
    """Read a table that `p2-table` has written.

    Raises:
        Damaged: a file of it cannot be read, or is another table.
    """
    rows = _rows(folder / "table.csv", ROW)
    file = folder / "differences.csv"
    differences = _rows(file, DIFFERENCE) if file.is_file() else []
    file = folder / "table.md"
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    except (OSError, ValueError) as error:
        raise Damaged(f"cannot read {file}: {error}") from error
    words = " ".join(line for line in lines if line and not line.startswith("|"))
    return Table(folder.name, rows, differences, words)


def _rows(file: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    rows = []
    for number, values in tables.read_columns(file, columns):
        row = dict(zip(columns, values, strict=True))
        try:
            numbers = [float(row[name]) for name in NUMBERS if name in row]
            is_right = None not in values and all(map(math.isfinite, numbers))
            float(row.get("sd") or 0)
        except (ValueError, TypeError):
            is_right = False
        if not is_right:
            raise Damaged(f"line {number} of {file} is none of p2-table's: make the table anew")
        rows.append(row)
    return rows


def has_pictures(folder: Path) -> bool:
    """Whether figures of a run are there, or can be drawn."""
    return any((folder / name).is_file() for name in ("best.pth", "figures/figures.json"))


def spread(values: Sequence[float], percent: bool = False) -> str:
    """Writes a mean and, of several values, their standard deviation: `.852 ± .006 (n = 2)`."""
    mean = point(statistics.fmean(values), percent)
    if len(values) == 1:
        return f"{mean} (one run)".replace(" ", NO_BREAK)
    said = f"{mean} ± {point(statistics.stdev(values), percent)} (n = {len(values)})"
    return said.replace(" ", NO_BREAK)


def point(share: float, percent: bool = False) -> str:
    """Writes a share: `.852`, or in per cent."""
    return f"{share:.1%}" if percent else f"{share:.4f}".removeprefix("0")


def data_in_words(entry: Entry) -> str:
    """Says what a run learnt from: how many images, and whether they were generated."""
    count = entry.result.get("trained_on")
    classes = f", {entry.recipe.classes} classes" if entry.recipe.task in ("p1", "p2") else ""
    folder = entry.result.get("data")
    origin = entry.result.get("origin")
    if origin == "sample data" or (
        "origin" not in entry.result and folder and is_sample_data(Path(folder))
    ):
        origin = "generated sample data"
    origin = f", {origin}" if origin else ""
    return f"{count:,} images{classes}{origin}" if count else f"unknown{classes}{origin}"


def _kind(entry: Entry) -> tuple:
    fields = dataclasses.asdict(entry.recipe)
    kept = tuple((key, str(value)) for key, value in sorted(fields.items()) if key not in FREE)
    scores = entry.result.get("scores", {})
    of = (entry.result.get(name) for name in ("trained_on", "origin"))
    return (*kept, *of, scores.get("images"), entry.key)


def _age(group: Group) -> tuple:
    """Sorts the newest first."""
    latest = max(str(entry.result.get("finished", "")) for entry in group.entries)
    return tuple(-ord(letter) for letter in latest)
