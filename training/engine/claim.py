"""What a recipe was measured to reach: its claim, which stands beside it and is printed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEAD = ("recipe", "network", "score on val", "data", "minutes", "hardware")


@dataclass(frozen=True)
class Claim:
    """What runs of a recipe reached on one set of data, in seeds that differ in nothing else."""

    score: float  # on the validation set, in [0, 1]; the mean over the seeds
    data: str  # what was trained and scored on, in words
    hardware: str  # in words
    minutes: float | None = None  # of one run's training; None where it was not noted
    sd: float | None = None  # the standard deviation over the seeds; None of one run
    n: int = 1  # the number of runs
    changes: str = ""  # what was changed in the recipe: words of the command line, not yet quoted

    def describe(self) -> str:
        """Return the score with its spread: `.852 ± .006 (n=3)`."""
        spread = "" if self.sd is None else f" ± {point(self.sd)}"
        return f"{point(self.score)}{spread} (n={self.n})"


def point(value: float) -> str:
    """Return a share as `.852`."""
    return f"{value:.3f}".removeprefix("0")


def markdown(problems: Mapping[str, Any]) -> str:
    """Return the table of all recipes of PROBLEMS and their claims, as Markdown."""
    rows = [HEAD]
    for problem in problems.values():
        for name, recipe in problem.recipes.items():
            called = f"`{name}`", recipe.network
            for claim in problem.claims.get(name, ()):
                changes = f" (`{shlex.join(claim.changes.split())}`)" if claim.changes else ""
                minutes = "" if claim.minutes is None else f"{claim.minutes:.1f}"
                score = f"{problem.metric} {claim.describe()}"
                rows.append((*called, score, claim.data + changes, minutes, claim.hardware))
            if not problem.claims.get(name):
                rows.append((*called, "not measured", "", "", ""))
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown; its first row is the head."""
    head, *lines = [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join([head, "|---" * len(rows[0]) + "|\n", *lines])
