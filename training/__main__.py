"""Train, compare, look and publish: python -m training COMMAND (COMMAND --help says more).

The only command line of `training/`, and the only place that turns an error which the user can mend
into a line and exit status 2.
"""

from __future__ import annotations

import argparse
import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from inference import UserError, process, threads
from inference.device import tune_allocator
from inference.spelling import did_you_mean, listed
from training import commands
from training.commands import Command, Options, log


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 2 for an error that the user can mend, 130 after Ctrl-C.
    """
    options = _parse(sys.argv[1:] if arguments is None else list(arguments))
    try:
        _expect_reachable(options)
        tune_allocator()  # before torch is imported
        return options.run(options) or 0
    except UserError as error:
        process.say_error(f"error: {process.line_of(error)}")
        return 2
    except KeyboardInterrupt as stop:
        log(f"interrupted: {str(stop) or options.interrupted}")
        return 130


def _expect_reachable(options: Options) -> None:
    """Raise a UserError where a path that was given cannot even be looked at.

    Paths that do not exist are left to the commands; of the others here pathlib's is_dir() raises.
    """
    for path in vars(options).values():
        if not isinstance(path, Path):
            continue
        try:
            if stat.S_ISDIR(os.stat(path).st_mode) and not os.access(path, os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.ENAMETOOLONG):
                raise UserError(f"cannot open {path}: {error.strerror}; give another") from error


def _parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m training", description=(__doc__ or "").split("\n")[0] or None
    )
    parsers = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for run, arguments_of in COMMANDS.items():
        words = (run.__doc__ or "").strip()
        command = parsers.add_parser(
            run.__name__.replace("_", "-"),
            help=words.split("\n")[0],
            description=words.replace("\n    ", "\n"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(
            run=run, interrupted=commands.INTERRUPTED.get(run, "nothing was written")
        )
        for flags, settings in arguments_of:
            command.add_argument(*flags, **settings)
    # Words after an option's are words all the same: `fit p1-a --data DIR epochs=1`.
    if arguments and arguments[0] in parsers.choices:
        command = parsers.choices[arguments[0]]
        if command.get_default("run") is commands.import_data:
            command.epilog = _datasets()
        _expect_options(command, arguments[1:])
        return command.parse_intermixed_args(arguments[1:])
    if arguments and not arguments[0].startswith("-"):
        there = listed(arguments[0], parsers.choices)
        parser.error(f"no command '{arguments[0]}'; there are: {there}")
    return parser.parse_args(arguments)


def _datasets() -> str:
    from training.datasets.public.importers import described

    return described()


def _expect_options(command: argparse.ArgumentParser, words: list[str]) -> None:
    """End with a line that lists a command's options where a word is like one and is none."""
    arguments_of = COMMANDS[command.get_default("run")]
    flags = [flag for flags, _ in arguments_of for flag in flags if flag.startswith("--")]
    for word in words[: words.index("--")] if "--" in words else words:
        name = word.partition("=")[0]
        # argparse takes the beginning of an option for it
        if not name.startswith("--") or any(flag.startswith(name) for flag in [*flags, "--help"]):
            continue
        hint = did_you_mean(name, flags)
        if not hint and any("key=value" in more.get("metavar", "") for _, more in arguments_of):
            hint = "; fields of a recipe have no dashes: epochs=3"
        command.error(f"no option '{name}'; there are: {', '.join(flags) or 'none'}{hint}")


def _from(least: int) -> Callable[[str], int]:
    """Return what parses a whole number from `least` up."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
        return int(text)

    return parse


def _argument(*flags: str, **settings) -> tuple[tuple[str, ...], dict]:
    return flags, settings


COMMANDS: dict[Command, tuple] = {
    commands.fit: (
        _argument("recipe", metavar="RECIPE", help="python -m training recipes lists them"),
        _argument("--data", type=Path, required=True, help="the problem's folder of hw1_data"),
        _argument("--out", type=Path, help="the run's folder (runs/RECIPE-sSEED)"),
        _argument("changes", nargs="*", metavar="key=value", help="recipe fields to change"),
    ),
    commands.compare: (
        _argument("words", nargs="*", metavar="RECIPE|key=value", help="p2-a ... p2-e"),
        _argument("--data", type=Path, required=True, help="hw1_data/p2_data"),
        _argument("--backbone-ssl", metavar="FILE", help="self-supervised, for C and E"),
        _argument("--backbone-sl", metavar="FILE", help="supervised, for B and D"),
        _argument("--seeds", nargs="+", help="(of each setting those that are finished, else 0)"),
        _argument("--out", type=Path, default=Path("runs/p2-compare"), help="(runs/p2-compare)"),
    ),
    commands.figures: (
        _argument("folder", metavar="RUN", type=Path, help="a run's folder"),
        _argument("--data", type=Path, help="with a validation set (the run's own data)"),
        _argument("--out", type=Path, help="folder for the figures (RUN/figures)"),
        _argument(
            "--images", nargs="+", default=[], metavar="NAME", help="P3: tiles to show (0013 ...)"
        ),
    ),
    commands.probe: (
        _argument("files", nargs="+", metavar="FILE", help="as pretrained= takes it; or none"),
        _argument("--data", type=Path, required=True, help="hw1_data/p2_data"),
        _argument("--size", type=_from(1), default=128, help="side of the images, pixels (128)"),
    ),
    commands.publish: (
        _argument("what", metavar="RUN|NAME", help="a run's folder, or a checkpoint's name"),
        _argument("--name", help="what the zoo calls it (the recipe's name)"),
        _argument("--data", type=Path, help="with a validation set (the run's own data)"),
        _argument(
            "--url",
            action="append",
            default=[],
            help="where it will be hosted: gdrive:ID, https://..., file:..., or a link to it",
        ),
        _argument(
            "--host",
            action="append",
            default=[],
            metavar="PLACE",
            help="upload it to hf:USER/REPO, gh:OWNER/REPO@TAG or file:FOLDER",
        ),
        _argument("--default", action="store_true", help="make it its problem's default"),
        _argument("--no-tta", action="store_true", help="one view, not the recipe's average"),
        _argument("--names", type=Path, metavar="FILE", help="the classes' names, one a line"),
    ),
    commands.export: (
        _argument("name", metavar="NAME", help="checkpoint of the zoo"),
        _argument("file", metavar="FILE.onnx", type=Path, help="file to write"),
        _argument("--images", type=Path, metavar="DIR", help="to compare on (generated pictures)"),
    ),
    commands.report: (
        _argument("runs", metavar="RUNS", nargs="?", type=Path, help="the runs (runs)"),
        _argument("--out", type=Path, default=Path("report"), help="(report)"),
        _argument(
            "--data", type=Path, default=commands.DATA, help="of runs whose data moved (hw1_data)"
        ),
        _argument("--name", dest="author", default="", help="the author's, for the cover"),
        _argument("--student", default="", metavar="ID", help="for the cover"),
        _argument("--notes", type=Path, metavar="FILE", help="the author's words, Markdown"),
        _argument("--notes-template", type=Path, metavar="FILE", help="write notes to fill in"),
        _argument("--pdf", type=Path, metavar="FILE", help="print the page into it too"),
        _argument("--check", action="store_true", help="whether the printed tables are stale"),
    ),
    commands.import_data: (
        _argument(
            "dataset",
            metavar="DATASET",
            help="cifar10, cifar100, mini-imagenet, office-home or deepglobe",
        ),
        _argument("source", type=Path, metavar="SOURCE", help="as it was downloaded"),
        _argument("folder", type=Path, metavar="OUT", help="hw1_data folder; a part is made"),
        _argument("--seed", type=_from(0), default=0, help="same seed, same data (0)"),
        _argument("--all", action="store_true", help="cifar, deepglobe: every image"),
        _argument("--half", type=int, choices=(1, 2), help="cifar100: which 50 classes (1)"),
        _argument("--domain", help="office-home: Art, Clipart, Product (Real World)"),
    ),
    commands.sample_data: (
        _argument("folder", metavar="OUT", type=Path, help="folder to make, e.g. hw1_data"),
        _argument(
            "--scale",
            choices=("small", "full"),
            default="small",
            help="small: 5,315 pictures, the default; full: the course's counts, 70,014",
        ),
        _argument("--seed", type=_from(0), default=0, help="same seed, same data (0)"),
    ),
    commands.recipes: (),
}


if __name__ == "__main__":
    threads.wait_passively()
    sys.exit(main())
