"""The course's editions: which script answers which problem, and how a call says what it wants.

The same scripts serve every edition's grader, told apart by the number of paths they are given.
"""

from __future__ import annotations

import argparse
from typing import Callable, Mapping, NamedTuple, Sequence

from inference import UserError


class Edition(NamedTuple):
    """What one edition's grader runs.

    Attributes:
        download: the script that it runs first, where there is one.
        scripts: the script of each problem, in the edition's order; the problems go by their
            numbers of 2023, whatever the edition's own.
        image: what the name of a satellite image ends in, before the suffix.
    """

    download: str
    scripts: Mapping[str, str]
    image: str = "_sat"


_LATEST = Edition("hw1_download_ckpt.sh", {"P2": "hw1_1.sh", "P3": "hw1_2.sh"})
EDITIONS = {
    "2022": Edition("hw1_download.sh", {"P1": "hw1_1.sh", "P3": "hw1_2.sh"}, image=""),
    "2023": Edition("hw1_download_ckpt.sh", {"P1": "hw1_1.sh", "P2": "hw1_2.sh", "P3": "hw1_3.sh"}),
    "2024": _LATEST,
    "2025": _LATEST,
}
DEFAULT = "2023"


class Form(NamedTuple):
    """One way to call a script: the command that answers, its paths, and who calls it so."""

    command: str
    paths: Sequence[str]
    editions: str


_TABLE = ("TABLE.csv", "IMG_DIR", "OUT.csv")
FORMS = {
    "hw1_1.sh": (
        Form("classify", ("IMG_DIR", "OUT.csv"), "classification, 2022 and 2023"),
        Form("classify-csv", _TABLE, "the images of a table, 2024 and 2025"),
    ),
    "hw1_2.sh": (
        Form("classify-csv", _TABLE, "the images of a table, 2023"),
        Form("segment", ("IMG_DIR", "OUT_DIR"), "segmentation, 2022, 2024 and 2025"),
    ),
    "hw1_3.sh": (Form("segment", ("IMG_DIR", "OUT_DIR"), "segmentation, 2023"),),
}


def command_of(
    script: str, arguments: Sequence[str], add_options: Callable[[argparse.ArgumentParser], None]
) -> str:
    """Return the command that a script's arguments mean: by the number of paths among them.

    `--help` and an option that there is not end the process, as argparse does.

    Args:
        script: a key of `FORMS`.
        arguments: paths and options, in any order.
        add_options: adds the options that every command has.

    Raises:
        UserError: no form of the script has that many paths; it says all that there are.
    """
    forms = FORMS[script]
    calls = [f"bash {script} {' '.join(form.paths)} [options]" for form in forms]
    width = max(map(len, calls))
    parser = argparse.ArgumentParser(
        prog=script,
        usage="\n       ".join(f"{c:{width}}  # {f.editions}" for c, f in zip(calls, forms)),
    )
    add_options(parser)
    parser.add_argument("paths", nargs="*", help=argparse.SUPPRESS)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    count = len(parser.parse_intermixed_args(arguments[:end]).paths) + len(arguments[end + 1 :])
    for form in forms:
        if len(form.paths) == count:
            return form.command
    ways = " or ".join(f"bash {script} {' '.join(form.paths)} ({form.editions})" for form in forms)
    raise UserError(f"{script} was given {count} path{'s' * (count != 1)}; call {ways}")
