"""Make one page of what the runs have left: python -m training.report [RUNS] [--out report].

Reads RUNS/*/ (recipe.json, result.json, metrics.csv, the weights for the figures that are not
drawn yet) and inference/zoo.json, and trains nothing. Writes OUT/index.html, which needs no
network, and OUT/figures/; prints the zoo's tables in docs/zoo.md and README.md anew where they are
stale.

NOTES is Markdown with a heading a question (# P1.5 ...): your own words, put in their places.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from inference import UserError
from inference.files import check_folder, in_words, write_whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the page, or checks the printed tables.

    Returns:
        The exit status: 0; 1 when `--check` finds something stale; 2 for an error that the user
        can mend.
    """
    options = _options(arguments)
    try:
        if options.check:
            return _check()
        typed = sys.argv[1:] if arguments is None else arguments
        return _make(options, shlex.join(["python", "-m", "training.report", *typed]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", metavar="RUNS", nargs="?", type=Path, help="the runs (runs)")
    parser.add_argument("--out", type=Path, default=Path("report"), help="(report)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("hw1_data"),
        metavar="DIR",
        help="the data of runs from elsewhere (hw1_data)",
    )
    parser.add_argument("--name", default="", help="the author's, for the cover")
    parser.add_argument("--student", default="", metavar="ID", help="for the cover")
    parser.add_argument("--notes", type=Path, metavar="FILE", help="the author's words, Markdown")
    parser.add_argument(
        "--check",
        action="store_true",
        help="say whether docs/zoo.md and README.md are as zoo.json says",
    )
    return parser.parse_args(arguments)


def _check() -> int:
    from training.publish import zoo_page

    stale = zoo_page.stale()
    for name in stale:
        print(f"stale: {name} is not what inference/zoo.json says", file=sys.stderr)
    if stale:
        print("refresh with: python -m training.report", file=sys.stderr)
    return 1 if stale else 0


def _make(options: argparse.Namespace, command: str) -> int:
    from training.report import notes, page, runs
    from training.report.figures import Gallery
    from training.report.parts import Sources

    root = options.runs or Path("runs")
    if options.runs and not root.is_dir():
        raise UserError(f"no folder {root}: give the folder that holds the runs, like runs")
    words = notes.read(options.notes) if options.notes else {}
    check_folder(options.out)
    found = runs.find(root)
    for problem in found.problems:
        print(f"note: left out {problem}", file=sys.stderr)
    sources = Sources(found, Gallery(options.out, options.data))
    made = page.make(sources, page.Author(options.name, options.student, words), command)
    write_whole(options.out / "index.html", in_words(made).encode())
    print(in_words(options.out / "index.html"))
    _refresh()
    return 0


def _refresh() -> None:
    """Prints the zoo's tables anew; where that cannot be, the page is there all the same."""
    from training.publish import zoo_page

    try:
        for name in zoo_page.refresh():
            print(f"{name} (the zoo's table)")
    except UserError as error:
        print(f"note: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
