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
from inference.editions import DEFAULT, EDITIONS
from inference.files import FULL, scratch
from inference.grade.answering import answering, describe, first_defaults
from inference.grade.checks import Violation, check_script
from inference.grade.clone import Clone, uncommitted
from inference.grade.problems import P1, P2, P3, find_problems
from inference.grade.run import Run, make_elsewhere, network_cutter, run_script, snapshot
from inference.zoo.provenance import provenance_of

ROOT = Path(__file__).resolve().parents[2]
STDERR_LINES = 8  # of a script that failed
DOWNLOAD_SECONDS = 3600  # the course names no limit


class Result(NamedTuple):
    """One row of the table, and the lines below it."""

    problem: P1 | P2 | P3
    run: Run | None
    score: float | None
    verdict: str
    notes: list[str]


def grade(
    data_dir: Path,
    limit_seconds: float = 600,
    scripts: Path = ROOT,
    edition: str = DEFAULT,
    clone: bool = False,
) -> int:
    """Grade an edition's problems that a data folder holds and print the table.

    Args:
        data_dir: `hw1_data/`, or one problem's folder of it.
        limit_seconds: what each script may take.
        scripts: the folder of the scripts.
        edition: a key of `EDITIONS`.
        clone: run what is committed, in a fresh clone, after the download script.

    Returns:
        0, or 1 when something would cost points: a script that fails, takes too long, writes
        what the contract does not allow, or scores below the simple baseline; with `clone`, too,
        what is missing from git, cannot be downloaded or breaks a rule for repositories.

    Raises:
        UserError: no validation set in `data_dir`, or no truth of one; nothing to clone.
    """
    rules = EDITIONS[edition]
    problems, cutter = find_problems(data_dir, rules), network_cutter()
    with contextlib.ExitStack() as stack:
        place, fresh, downloaded, findings = Path(scripts).resolve(), None, None, []
        if clone:
            folder = stack.enter_context(_working_folder())
            fresh = Clone(place, folder)
            findings = fresh.find(rules)
            downloaded = _download(fresh, rules.download, folder)
            findings += fresh.find_checkpoints(downloaded.run.stderr if downloaded else "")
            place = fresh.root
        results = [_grade_one(problem, limit_seconds, place, cutter, fresh) for problem in problems]
        print(_table(results, limit_seconds, edition, downloaded))
        labels = {name: _label(script) for name, script in rules.scripts.items()}
        answered = _print_answering(results, labels, place, Path(scripts))
        if fresh:
            findings += fresh.find_other_defaults(labels, answered)
            findings += fresh.find_lost([r.run for r in (downloaded, *results) if r and r.run])
            notes = _download_notes(downloaded, rules.download, findings)
            lines = [fresh.commit, *notes, *findings, *fresh.notes()]
        else:
            lines = _missing(place, rules.download, list(answered.values()))
        lines += _footer(results, cutter)
        print(*(_shown(line, fresh) for line in lines), sep="\n")
    good = all(result.verdict in ("strong", "simple") for result in results) and not findings
    return 0 if good and (downloaded is None or downloaded.verdict == "ok") else 1


def _print_answering(
    results: list[Result], labels: dict[str, str], place: Path, scripts: Path
) -> dict:
    """Say which checkpoints answered; return them by problem."""
    ended = {r.problem.name: r.problem.script for r in results if r.run and r.run.status == 0}
    answered = answering(place, ended)
    wanted = [first_defaults(folder) for folder in dict.fromkeys((place, scripts))]
    print(*(f"{line}\n" for line in describe(labels, answered, *wanted)), sep="", end="")
    return answered


def _missing(place: Path, download: str, answered: list) -> list[str]:
    """Return what a grader, who has what is committed alone, would miss, a line each."""
    there = (place / download).is_file()
    note = [] if there else [f"note: no {download}, which the grader would run first"]
    return note + uncommitted(place, answered)


def _label(script: str) -> str:
    """Return a problem's name in the edition that runs it: its script's number."""
    return f"P{script[len('hw1_')]}"


def _shown(line: str, fresh: Clone | None) -> str:
    """Return a line with the clone's path, which is gone when it is read, replaced by `clone`."""
    return line if fresh is None else line.replace(str(fresh.root), "clone")


class Download(NamedTuple):
    """How the download script ended."""

    run: Run
    verdict: str


def _download(fresh: Clone, script: str, folder: Path) -> Download | None:
    """Run the download script of a clone, with the network; None where there is none."""
    if not (fresh.root / script).is_file():
        return None
    print(f"{script} in a fresh clone ...", file=sys.stderr)
    make_elsewhere(folder)
    run = run_script(fresh.root / script, [], folder, DOWNLOAD_SECONDS, [], fresh.environment)
    return Download(run, "time" if run.status is None else "failed" if run.status else "ok")


def _download_notes(downloaded: Download | None, script: str, findings: list[str]) -> list[str]:
    if downloaded is None:
        return [f"note: no {script} in git, which the grader would run first"]
    if downloaded.run.status is None:
        return [f"{script}: stopped after {DOWNLOAD_SECONDS} seconds"]
    if downloaded.run.status == 0:
        return []
    lines = [f"{script}: exit status {downloaded.run.status}"]
    if not any(line.startswith("checkpoint ") for line in findings):
        lines += [f"{script}: {line}" for line in _last_words(downloaded.run)]
    return lines


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
    problem: P1 | P2 | P3, limit: float, scripts: Path, cutter: list[str], fresh: Clone | None
) -> Result:
    count = f"{len(problem.images)} images"
    print(f"{_label(problem.script)}: {problem.script} on {count} ...", file=sys.stderr)
    with _working_folder() as folder:
        return _result(problem, folder, limit, scripts, cutter, fresh)


def _result(
    problem: P1 | P2 | P3,
    folder: Path,
    limit: float,
    scripts: Path,
    cutter: list[str],
    fresh: Clone | None,
) -> Result:
    script = scripts / problem.script
    if not script.is_file():
        return Result(problem, None, None, "failed", [f"there is no {script}"])
    arguments = problem.build(folder)
    (folder / "output").mkdir()
    make_elsewhere(folder)
    before = snapshot(script.parent, folder)
    environment = fresh.environment if fresh else None
    run = run_script(script, arguments, folder, limit, cutter, environment)
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
    notes = [str(violation) for violation in violations] + [*problem.remarks]
    notes += [line for line in _remarks(run) if not (fresh and fresh.is_told(line))]
    # Without a score there is a violation.
    verdict = violations[0].verdict if score is None or violations else _verdict(problem, score)
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
        remarks += _last_words(run)
    return remarks


def _last_words(run: Run) -> list[str]:
    last = run.stderr.rstrip().splitlines()[-STDERR_LINES:]
    return ["its last lines on standard error:", *(f"    {line}" for line in last)]


def _verdict(problem: P1 | P2 | P3, score: float) -> str:
    if score < problem.simple:
        return "below simple"
    return "strong" if score >= problem.strong else "simple"


def _table(results: list[Result], limit: float, edition: str, downloaded: Download | None) -> str:
    rows = [
        (
            *("edition", "problem", "script", "images", "format", f"seconds (of {limit:g})"),
            *("score", "simple", "strong", "verdict"),
        )
    ]
    if downloaded:
        script, seconds = EDITIONS[edition].download, f"{downloaded.run.seconds:.1f}"
        rows.append((edition, "-", script, "-", "-", seconds, "-", "-", "-", downloaded.verdict))
    for problem, run, score, verdict, _ in results:
        finished = run is not None and run.status == 0
        rows.append(
            (
                edition,
                _label(problem.script),
                problem.script,
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
    lines = [
        f"{_label(result.problem.script)}: {note}" for result in results for note in result.notes
    ]
    lines.append(
        f"network: cut while the scripts ran ({' '.join(cutter)})"
        if cutter
        else "network: NOT cut, since this system does not allow it (no unshare)"
    )
    lines.append("baselines: the course's public ones of 2023, for its own validation sets")
    return lines + _provenance_notes([result.problem for result in results])


def _provenance_notes(problems: list[P1 | P2 | P3]) -> list[str]:
    """Say of which problems the data is known not to be the course's."""
    found = {
        _label(problem.script): provenance_of(problem.name.lower(), problem.root)
        for problem in problems
    }
    if "sample data" in found.values():
        return ["data: generated samples, not the course's, so the baselines only orient"]
    imported = [f"{name} is {provenance}" for name, provenance in found.items() if provenance]
    if not imported:
        return []
    listed = "; ".join(imported)
    return [f"data: {listed}: not the course's own images, so the baselines only orient"]
