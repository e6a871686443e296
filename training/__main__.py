"""Train, compare, look, publish: python -m training COMMAND (COMMAND --help says more).

The only command line of `training/`, and the only place that turns an error which the user can mend
into a line and exit status 2.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from inference import UserError, process

# What a command imports is imported when it runs: torch, matplotlib and the like take seconds.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 2 for an error that the user can mend, 130 after Ctrl-C.
    """
    parser, commands = _parser()
    options = parser.parse_intermixed_args(arguments) if False else _parse(parser, arguments)
    run: Callable[[argparse.Namespace], int | None] = commands[options.command]
    try:
        return run(options) or 0
    except UserError as error:
        process.say_error(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        log("interrupted: the same command goes on from where it was")
        return 130


def log(line: str) -> None:
    """Print a line on stderr."""
    print(line, file=sys.stderr, flush=True)


def fit(options: argparse.Namespace) -> None:
    """Train a recipe, whatever its problem, or go on with its run."""
    from inference.device import tune_allocator

    tune_allocator()
    from training.engine.run import run
    from training.problems import PROBLEMS, recipe_named

    recipe = recipe_named(options.recipe).with_changes(options.changes)
    out = options.out or Path(f"runs/{recipe.name}-s{recipe.seed}")
    run(PROBLEMS[recipe.problem], recipe, options.data, out, log)


def compare(options: argparse.Namespace) -> None:
    """Train what is missing of P2's settings A to E, and compare them."""
    from training.classification.compare import compare as run
    from training.problems import PROBLEMS

    # argparse lets --seeds have every word that comes after it.
    seeds = [int(word) for word in options.seeds if word.isdecimal()]
    words = options.words + [word for word in options.seeds if not word.isdecimal()]
    backbones = {"self-supervised": options.backbone_ssl, "supervised": options.backbone_sl}
    print(run(PROBLEMS["p2"], words, seeds, backbones, options.data, options.out, log))


def figures(options: argparse.Namespace) -> None:
    """Draw the figures of a run."""
    from training.engine.fingerprint import fingerprint
    from training.engine.run_folder import Run
    from training.problems import PROBLEMS

    run = Run.load(options.run, PROBLEMS)
    if run.problem.figures is None:
        raise UserError(f"{run.folder} holds a run of {run.recipe.name}, of which nothing is drawn")
    data = options.data or run.find_data(Path("hw1_data"), fingerprint)
    if data is None or not data.is_dir():
        raise UserError(f"no data of {run.folder} here: say where it is with --data DIR")
    out = options.out or run.folder / "figures"
    found = run.problem.figures(run, data, out)
    for note in found["notes"]:
        log(f"note: {note}")
    for name in [*found["figures"].values(), "figures.json"]:
        print(out / name)


def probe(options: argparse.Namespace) -> None:
    """Print what frozen backbones know."""
    from training.classification.probe import probe as run

    print(run(options.files, options.data, options.size))


def publish(options: argparse.Namespace) -> None:
    """Publish a run, or score a checkpoint of the zoo on this machine."""
    from training.problems import PROBLEMS
    from training.publish.publish import publish as run

    tta = not options.no_tta
    run(
        options.run, options.name, options.data, options.url, options.default, tta, PROBLEMS
    )


def export(options: argparse.Namespace) -> None:
    """Write a checkpoint of the zoo as an ONNX file."""
    from training.publish.onnx import export as run

    run(options.name, options.file, options.images)


def report(options: argparse.Namespace) -> int:
    """Make the page of all runs, or check the printed tables."""
    if options.check:
        from training.publish.zoo_page import check

        return check(log)
    from training.report.page import make_report

    command = shlex.join(["python", "-m", "training", *sys.argv[1:]])
    make_report(options, command, log)
    return 0


def import_data(options: argparse.Namespace) -> None:
    """Turn a public dataset into the course's layout."""
    from training.datasets.public import import_data as run

    run(options)


def sample_data(options: argparse.Namespace) -> None:
    """Generate data in the course's layout."""
    from training.datasets.sample import write

    write.write(options.folder, options.scale)


def recipes(options: argparse.Namespace) -> None:
    """Print the recipes and what each has been measured to reach."""
    from training.claims import table

    print(table(), end="")


if __name__ == "__main__":
    sys.exit(main())
