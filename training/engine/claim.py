"""What a recipe was measured to reach: its claim, which stands beside it and is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEAD = ("recipe", "network", "score on val", "data", "minutes", "hardware")


@dataclass(frozen=True)
class Claim:
    """What runs of a recipe reached on one set of data, in seeds that differ in nothing else.

    Attributes:
        score: on the validation set, in [0, 1]; the mean over the seeds.
        data: what was trained and scored on, in words.
        hardware: in words.
        minutes: of one run's training; None where it was not noted.
        sd: the standard deviation over the seeds; None of one run.
        n: the number of runs.
        changes: what was changed in the recipe, as the command line takes it.
    """

    score: float
    data: str
    hardware: str
    minutes: float | None = None
    sd: float | None = None
    n: int = 1
    changes: str = ""

    def describe(self) -> str:
        """Return the score with its spread: `.852 ± .006 (n=3)`."""
        spread = "" if self.sd is None else f" ± {_point(self.sd)}"
        return f"{_point(self.score)}{spread} (n={self.n})"


def _point(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def markdown(problems: Mapping[str, Any]) -> str:
    """Return the table of all recipes and their claims, as Markdown.

    Args:
        problems: `training.problems.PROBLEMS`.
    """
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for problem in problems.values():
        for name, recipe in problem.recipes.items():
            for claim in problem.claims.get(name, ()) or (None,):
                lines.append(_row(name, recipe.network, problem.metric, claim))
    return "\n".join(lines) + "\n"


def _row(name: str, network: str, metric: str, claim: Claim | None) -> str:
    cells = [f"`{name}`", network]
    if claim is None:
        cells += ["not measured", "", "", ""]
    else:
        changes = f" (`{claim.changes}`)" if claim.changes else ""
        minutes = "" if claim.minutes is None else f"{claim.minutes:.1f}"
        cells += [f"{metric} {claim.describe()}", claim.data + changes, minutes, claim.hardware]
    return f"| {' | '.join(cells)} |"
