"""What a recipe was measured to reach: its claim, which stands beside it and is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.engine.problem import Problem

HEAD = ("recipe", "what it trains", "score on val", "data", "minutes", "hardware")


@dataclass(frozen=True)
class Claim:
    """Scores of runs of a recipe on one set of data; each is backed by a run's result.json.

    Attributes:
        scores: one a seed, in [0, 1].
        data: what was trained and scored on, in words.
        minutes: of the training of one run, the median.
        hardware: in words.
        changes: what was changed in the recipe, as the command line takes it.
    """

    scores: tuple[float, ...]
    data: str
    minutes: float
    hardware: str
    changes: str = ""

    def score(self) -> str:
        """Return the mean, of several seeds with their standard deviation: `.852 ± .006 (n=3)`."""
        count = len(self.scores)
        mean = sum(self.scores) / count
        if count == 1:
            return f"{_point(mean)} (n=1)"
        sd = (sum((score - mean) ** 2 for score in self.scores) / (count - 1)) ** 0.5
        return f"{_point(mean)} ± {_point(sd)} (n={count})"


def _point(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def markdown(problems: Mapping[str, Problem]) -> str:
    """Return the table of all recipes and their claims, as Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for problem in problems.values():
        for name, recipe in problem.recipes.items():
            claims = problem.claims.get(name, ())
            what = recipe.network
            for claim in claims or (None,):
                lines.append(_row(name, what, problem.metric, claim))
    return "\n".join(lines) + "\n"


def _row(name: str, what: str, metric: str, claim: Claim | None) -> str:
    cells = [f"`{name}`", what]
    if claim is None:
        return f"| {' | '.join([*cells, 'not measured', '–', '–', '–'])} |"
    changes = f", `{claim.changes}`" if claim.changes else ""
    cells += [
        f"{metric} {claim.score()}",
        claim.data + changes,
        f"{claim.minutes:.0f}",
        claim.hardware,
    ]
    return f"| {' | '.join(cells)} |"
