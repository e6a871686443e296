"""A local autograder: runs the graded scripts on the user's validation sets and scores them.

What would happen on a grader's machine happens here first: `problems` hides the labels,
`run` runs the script, `checks` reads what it wrote, and one table says the rest.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

from inference import UserError
from inference.files import FULL, scratch
from inference.grade.checks import Violation, check_script
from inference.grade.problems import P1, P2, P3, find_problems
from inference.grade.run import Run, make_elsewhere, network_cutter, run_script, snapshot
from inference.zoo.provenance import provenance_of

ROOT = Path(__file__).resolve().parents[2]
STDERR_LINES = 8  # of a script that failed


class Result(NamedTuple):
    """One row of the table, and the lines below it."""

    problem: P1 | P2 | P3
    run: Run | None
    score: float | None
    verdict: str
    notes: list[str]


def grade(data_dir: Path, limit_seconds: float = 600, scripts: Path = ROOT) -> int:
    """Grades every problem of a data folder and prints the table on standard output.

    Args:
        data_dir: `hw1_data/`, or one problem's folder of it.
        limit_seconds: what each script may take.
        scripts: the folder of hw1_1.sh, hw1_2.sh and hw1_3.sh.

    Returns:
        0, or 1 when something would cost points: a script that fails, takes too long, writes
        what the contract does not allow, or scores below the simple baseline.

    Raises:
        UserError: `data_dir` holds no validation set, or one whose truth cannot be read.
    """
    problems = find_problems(data_dir)
    cutter = network_cutter()
    results = []
    for problem in problems:
        print(
            f"{problem.name}: {problem.script} on {len(problem.images)} images ...", file=sys.stderr
        )
        with _working_folder() as place:
            results.append(_grade_one(problem, place, limit_seconds, Path(scripts), cutter))
    print(_table(results, limit_seconds))
    print(*_footer(results, cutter), sep="\n")
    return 0 if all(result.verdict in ("strong", "simple") for result in results) else 1


@contextlib.contextmanager
def _working_folder() -> Iterator[Path]:
    """Make a folder for one problem's test and answers, which is gone afterwards."""
    with scratch() as folder:
        try:
            yield folder
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise UserError(
                f"no room for temporary files: {error.strerror}; set TMPDIR to a folder that has it"
            ) from error


def _grade_one(
    problem: P1 | P2 | P3, folder: Path, limit: float, scripts: Path, cutter: list[str]
) -> Result:
    script = scripts.resolve() / problem.script
    if not script.is_file():
        return Result(problem, None, None, "failed", [f"there is no {script}"])
    arguments = problem.build(folder)
    (folder / "output").mkdir()
    make_elsewhere(folder)
    before = snapshot(script.parent, folder)
    run = run_script(script, arguments, folder, limit, cutter)
    after = snapshot(script.parent, folder)
    score, violations = None, []
    try:
        _check_end(run, limit)
        score = problem.score(folder)
    except Violation as violation:
        violations.append(violation)
    try:
        check_script(script)
    except Violation as violation:
        violations.append(violation)
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if changed:
        reason = f"{changed[0]} changed meanwhile: a script may write to its output only"
        violations.append(Violation("format", reason))
    notes = [str(violation) for violation in violations] + [*problem.remarks] + _remarks(run)
    verdict = violations[0].verdict if violations else _verdict(problem, score)
    return Result(problem, run, score, verdict, notes)


def _check_end(run: Run, limit: float) -> None:
    if run.status is None:
        raise Violation("time", f"stopped after {limit:g} seconds")
    if run.status:
        raise Violation("failed", f"exit status {run.status}")


def _remarks(run: Run) -> list[str]:
    """What costs no points but should be known; the last words of a script that failed."""
    remarks = []
    if run.stdout:
        first = run.stdout.splitlines()[0][:80]
        remarks.append(f"warning: it should print nothing on standard output, not {first!r}")
    # Of a default that is missing: the grader's clone would lack it too
    remarks += [line for line in run.stderr.splitlines() if line.startswith("WARNING: ")]
    if run.status != 0:
        last = run.stderr.rstrip().splitlines()[-STDERR_LINES:]
        remarks += ["its last lines on standard error:", *(f"    {line}" for line in last)]
    return remarks


def _verdict(problem: P1 | P2 | P3, score: float) -> str:
    if score < problem.simple:
        return "below simple"
    return "strong" if score >= problem.strong else "simple"


def _table(results: list[Result], limit: float) -> str:
    rows = [
        (
            *("problem", "images", "format", f"seconds (of {limit:g})", "score"),
            *("simple", "strong", "verdict"),
        )
    ]
    for problem, run, score, verdict, _ in results:
        finished = run is not None and run.status == 0
        rows.append(
            (
                problem.name,
                str(len(problem.images)),
                "-" if not finished else "wrong" if verdict == "format" else "ok",
                "-" if run is None else f"{run.seconds:.1f}",
                "-" if score is None else f"{score:.4f}",
                f"{problem.simple:.2f}",
                f"{problem.strong:.2f}",
                verdict,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _footer(results: list[Result], cutter: list[str]) -> list[str]:
    lines = [f"{result.problem.name}: {note}" for result in results for note in result.notes]
    lines.append(
        f"network: cut while the scripts ran ({' '.join(cutter)})"
        if cutter
        else "network: NOT cut, since this system does not allow it (no unshare)"
    )
    lines.append("baselines: the course's public ones, for the course's own validation sets")
    return lines + _provenance_notes([result.problem for result in results])


def _provenance_notes(problems: list[P1 | P2 | P3]) -> list[str]:
    """Says of which problems the data is known not to be the course's."""
    found = {
        problem.name: provenance_of(problem.name.lower(), problem.root) for problem in problems
    }
    if "sample data" in found.values():
        return ["data: generated samples, not the course's, so the baselines only orient"]
    imported = [f"{name} is {provenance}" for name, provenance in found.items() if provenance]
    if not imported:
        return []
    listed = "; ".join(imported)
    return [f"data: {listed}: not the course's own images, so the baselines only orient"]
