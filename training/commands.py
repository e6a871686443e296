"""What each command of `python -m training` does: a function of its options, as the user has them.

The first line of a function's docstring is what `--help` lists, all of it what `COMMAND --help`
says. What a command needs is imported when it runs: torch, matplotlib and the like take seconds.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from inference import UserError
from inference.files import check_outputs, in_one_line, in_words, remove_empty
from inference.spelling import did_you_mean

Options = argparse.Namespace
Command = Callable[[Options], "int | None"]
DATA = Path("hw1_data")


def log(line: str) -> None:
    """Print a line on stderr."""
    print(in_words(in_one_line(line)), file=sys.stderr, flush=True)


def fit(options: Options) -> None:
    """Train a recipe, or go on with its run where it was stopped.

    RECIPE is one of `python -m training recipes`. The run's folder explains itself: result.json,
    metrics.csv, tensorboard/, best.pth. `torchrun --nproc-per-node=4 -m training fit ...` divides
    every batch among devices or hosts, which share the run's folder.
    """
    from training.engine.run import run
    from training.problems import PROBLEMS, recipe_named

    recipe = recipe_named(options.recipe).with_changes(options.changes)
    out = options.out or Path(f"runs/{recipe.name}-s{recipe.seed}")
    run(PROBLEMS[recipe.problem], recipe, options.data, out, log)


def compare(options: Options) -> None:
    """Compare P2's settings A to E on val: trains what is missing.

    Names of recipes choose the settings (all five), key=value changes every recipe. The run of a
    recipe and a seed is in OUT/RECIPE-sSEED: one that is finished is not done again, one that was
    stopped goes on, and runs that were made elsewhere need only lie there. Give each set of changes
    an --out of its own: fraction=0.1 repeat=5 --out runs/p2-tenth. Leaves table.md, table.csv and
    differences.csv in OUT, which say which differences are more than other images would explain.
    """
    from training.classification.compare import compare as run
    from training.problems import PROBLEMS

    # argparse lets --seeds have every word that comes after it.
    after = options.seeds or []
    seeds = [int(word) for word in after if word.isdecimal()] if after else None
    words = options.words + [word for word in after if not word.isdecimal()]
    backbones = {"self-supervised": options.backbone_ssl, "supervised": options.backbone_sl}
    print(run(PROBLEMS["p2"], words, seeds, backbones, options.data, options.out, log))


def figures(options: Options) -> None:
    """Draw the figures of a run, and figures.json with the numbers in them."""
    from training.engine.run_folder import Run
    from training.problems import PROBLEMS

    run = Run.load(options.folder, PROBLEMS)
    if run.problem.figures is None:
        raise UserError(f"{run.folder} holds a run of {run.recipe.name}, of which nothing is drawn")
    data = options.data or run.find_data(DATA)
    if options.data and not options.data.is_dir():
        raise UserError(f"no folder {options.data}: say where the run's data is with --data DIR")
    if data is None and run.problem.evaluate is not None:
        raise UserError(f"the data of {run.folder} is not where it was: say where with --data DIR")
    out = options.out or run.folder / "figures"
    if options.images and not run.problem.shows_chosen:
        raise UserError(
            f"--images: figures of {run.recipe.name} show no chosen image; leave it out"
        )
    there = out.exists()
    check_outputs([out / "figures.json"], folders=[out])  # now: to predict takes minutes
    if not there:  # the check made it; nothing is left where nothing is drawn
        remove_empty(out)
    found = run.problem.figures(run, data, out, options.images)
    for note in found["notes"]:
        log(f"note: {note}")
    for name in [*found["figures"].values(), "figures.json"]:
        print(in_words(out / name))


def probe(options: Options) -> None:
    """Print what frozen backbones know: k-NN and linear probes on P2's office images."""
    from training.classification.probe import probe as run

    print(run(options.files, options.data, options.size))


def publish(options: Options) -> None:
    """Publish a run's weights: a file in weights/ and its record in the zoo.

    With --host it uploads that file, fetches it back as a grader would, and records the url. Given
    a checkpoint's name, --host uploads its file, --names names its classes, and --data (or none of
    the three) adds the scores of this machine's fast precisions. A run's classes are named by
    --names, else by what its data says: DATA.json, or the words that its files begin with.
    """
    from inference import zoo
    from training.engine.run_folder import Run
    from training.problems import PROBLEMS
    from training.publish import publish as publishing

    # os.path: pathlib raises where a name is too long. A folder that happens to be called as a
    # checkpoint is, and holds no run, hides none.
    holds_run = any(
        os.path.isfile(os.path.join(options.what, name)) for name in ("recipe.json", "result.json")
    )
    if holds_run or (os.path.isdir(options.what) and options.what not in zoo.records()):
        run = Run.load(Path(options.what), PROBLEMS)
        given = options.name, options.data, options.url, options.default
        chosen = {"tta": not options.no_tta, "classes": options.names, "hosts": options.host}
        publishing.publish(run, *given, **chosen)
        return
    if options.name is not None or options.url or options.default or options.no_tta:
        raise UserError(
            f"{options.what!r} is no run's folder; of a checkpoint, which is published already, "
            "--name, --url, --default and --no-tta make no sense"
        )
    if options.what not in zoo.records():
        meant = did_you_mean(options.what, zoo.records())
        raise UserError(
            f"{options.what} is neither a run's folder nor a checkpoint of the zoo{meant}"
        )
    if options.host:
        publishing.host_again(options.what, options.host)
    if options.names is not None:
        publishing.name_classes(options.what, options.names)
    if options.host or options.names is not None:
        options.interrupted = "what is said above was written, and nothing else"
    if options.data is not None or not (options.host or options.names):
        publishing.rescore(options.what, options.data, PROBLEMS)


def export(options: Options) -> None:
    """Write a checkpoint of the zoo as an ONNX file, once its answers are PyTorch's."""
    from training.publish.onnx import export as run

    run(options.name, options.file, options.images)


def report(options: Options) -> int:
    """Make one page of what the runs have left, in the order of the original report.

    It trains nothing. Writes OUT/index.html, which needs no network, and OUT/figures/, and with
    --pdf FILE the page as a PDF, printed by Chromium, Chrome or Edge; prints the zoo's tables in
    docs/zoo.md and README.md anew where they are stale. --notes-template FILE writes notes to fill
    in, and no report.
    """
    from training.publish import zoo_page

    if options.check:
        stale = zoo_page.stale()
        for name in stale:
            log(f"stale: {name} is not what inference/zoo.json says")
        if stale:
            log("refresh with: python -m training report")
        else:
            print("docs/zoo.md and README.md say what inference/zoo.json says")
        return 1 if stale else 0
    from training.report import notes, pdf
    from training.report.page import make_report

    if options.notes_template:
        if options.runs or options.notes or options.pdf:
            raise UserError(
                "--notes-template makes no report: give it without RUNS, --notes, --pdf"
            )
        notes.write_template(options.notes_template)
        print(in_words(options.notes_template))
        return 0
    command = shlex.join(["python", "-m", "training", *sys.argv[1:]])
    author = options.author, options.student, options.notes
    files = [options.pdf] if options.pdf else []
    page = make_report(options.runs, options.out, options.data, *author, command, log, files)
    print(in_words(page))
    try:
        for name in zoo_page.refresh():
            print(f"{name} (the zoo's table)")
    except UserError as error:
        log(f"note: {error}")
    if options.pdf:
        if lacking := pdf.missing_font(page):
            log(f"note: {lacking}")
        pdf.print_page(page, options.pdf)
        print(in_words(options.pdf))
    return 0


def import_data(options: Options) -> None:
    """Turn a public dataset, as it is downloaded, into its part of the course's layout."""
    from training.datasets.public.importers import import_data as run

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no partial folder stays
    given = {key: getattr(options, key) for key in ("all", "half", "domain")}
    chosen = {key: value for key, value in given.items() if value}
    print(run(options.dataset, options.source, options.folder, options.seed, chosen))


def sample_data(options: Options) -> None:
    """Generate data in the course's layout: same seed, same data."""
    from training.datasets.sample.write import generate

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no partial folder stays
    print(generate(options.folder, options.scale, options.seed))


def recipes(options: Options) -> None:
    """Print the recipes, and what each was measured to reach: on what, in how many minutes."""
    from training.engine.claim import markdown
    from training.problems import PROBLEMS

    print(markdown(PROBLEMS), end="")


# What is said after Ctrl-C, where more is left than nothing
INTERRUPTED: dict[Command, str] = {
    fit: "the same command goes on from the last saved epoch",
    compare: "the same command goes on",
    figures: "the same command draws them all again",
    report: "the same command goes on",
}
