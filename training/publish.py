"""From a run to a checkpoint that can be deployed, and its record in the zoo.

    python -m training.publish runs/p1-a-s0 --name p1-a [--url gdrive:ID] [--default] [--no-tta]
    python -m training.publish p1-a --data hw1_data/p1_data

The first form keeps convolution and linear weights in fp16 and norm layers in fp32, drops
auxiliary heads, compares the file's predictions with the run's, and writes `weights/NAME.pth` and
the record in `inference/zoo.json`. Both forms predict the validation set in the precisions that
this machine is fast in, and record each one's score and how many of its labels (pixels) equal
fp32's: `--precision auto` goes by that. The second form adds those of another machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import os
import sys
from pathlib import Path

import torch
from torch import nn

from inference import UserError, checkpoint, device, files, urls, zoo
from inference.listing import source
from inference.networks import load_into
from inference.origin import origin_of
from training import names
from training import same as same_run
from training.finished import read_json
from training.recipe import Recipe, recipe_of
from training.report import zoo_page
from training.run import record_of
from training.score import Scored, score

COURSE = {"p1": 50, "p2": 65, "p3": 7}  # classes of the course's data
SAME = 0.998  # share of labels or pixels that rounding the weights to fp16 leaves, but for one


def main() -> int:
    """Publishes; the exit status is 2 for an error that the user can mend."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or the name of a checkpoint")
    parser.add_argument("--name", help="what the zoo calls it (the recipe's name)")
    parser.add_argument("--data", type=Path, help="with a validation set (the run's own data)")
    parser.add_argument(
        "--url",
        action="append",
        default=[],
        help="where it will be hosted: gdrive:ID, https://..., file:..., or a link to such a place",
    )
    parser.add_argument("--default", action="store_true", help="make it its task's default")
    parser.add_argument("--no-tta", action="store_true", help="one view, not the recipe's average")
    options = parser.parse_args()
    try:
        if os.path.exists(Path(options.run) / "result.json"):
            run, data, views = Path(options.run), options.data, not options.no_tta
            publish(run, options.name, data, options.url, options.default, views)
        elif options.run in zoo.records():
            if options.name is not None or options.url or options.default or options.no_tta:
                raise UserError(
                    f"{options.run} is a checkpoint that is scored again: --name, --url, --default "
                    "and --no-tta are for a run's folder"
                )
            rescore(zoo.record(options.run), options.data)
        else:
            raise UserError(
                f"{options.run!r} is neither a finished run nor a checkpoint of the zoo"
            )
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was published", file=sys.stderr)
        return 130


def publish(
    run: Path,
    name: str | None,
    data: Path | None,
    links: list[str],
    default: bool,
    tta: bool = True,
) -> None:
    """Makes `weights/NAME.pth` of a run's `best.pth`, and its record.

    Without `tta` the record answers with one view of an image even where the recipe averages over
    several, and its scores are those of one view: a fraction of the time for some of the accuracy.

    Args:
        links: where the file will be, as a browser or a record calls it.

    Raises:
        UserError: the data is missing; weights are not finite, or rounding to fp16 changed the
            predictions; the name would fail somewhere, or is another's; nothing can be fetched
            from a link; a file cannot be written. Then nothing is published.
    """
    result = _read_result(run)
    recipe = recipe_of(result["recipe"])
    data = data or Path(result["data"])
    name = recipe.name if name is None else name
    record = dataclasses.replace(
        record_of(recipe),
        name=name,
        file=f"{name}.pth",
        folder=zoo.ZOO.parent.parent / "weights",
        tta=recipe.tta and tta,
        urls=_places(links),
    )
    _expect_publishable(record)
    state = _finite(run / "best.pth")
    before = score(record, data, "fp32", "auto", run / "best.pth")
    record, content = _deployable(record, run / "best.pth", state)
    with files.scratch_folder() as scratch:
        file = scratch / record.file
        files.write_whole(file, content)
        after = score(record, data, "fp32", "auto", file)
        same = _expect_same(before, after, run)
        scores = _scores(record, data, after, file)
    if recipe.select == "val":  # the score flatters, and says so
        scores["select"] = "val"
    trained_on = _trained_on(run, recipe, result, data)
    record = dataclasses.replace(record, trained_on=trained_on, scores=scores)
    with files.locked(zoo.ZOO.parent):  # one file and one record, whoever publishes meanwhile
        _expect_publishable(record)
        with files.staged(zoo.path(record), content):
            zoo.add(record, default)
        _print_pages()
    print(f"{zoo.path(record)}: {len(content) / 1e6:.1f} MB, {same:.2%} as the run's predictions")
    _show(record)
    _say_what_follows(record, default)


def _expect_same(before: Scored, after: Scored, run: Path) -> float:
    """Refuses weights that rounding has spoilt; gives the share of predictions that it left.

    One may always change: of few images that is more than a share that says anything.
    """
    same = _agreement(before, after)
    changed = int((before.predictions != after.predictions).sum())
    if changed > 1 and same < SAME:
        raise UserError(f"in fp16 only {same:.2%} of {run}'s predictions stay: not published")
    return same


def _say_what_follows(record: zoo.Record, default: bool) -> None:
    if default:
        print(f"{record.name} is what the scripts answer {record.task} with from now on")
    if source(record) == "no url":
        print(
            f"note: only this machine has {record.file}, since git ignores it and no --url says "
            "where it is; before you hand it in, host it: docs/hosting.md",
            file=sys.stderr,
        )


def _read_result(run: Path) -> dict:
    result = read_json(run / "result.json")
    if not isinstance(result, dict) or not (
        isinstance(result.get("recipe"), dict) and isinstance(result.get("data"), str)
    ):
        raise UserError(f"{run / 'result.json'} is not what a run leaves: train it again")
    return result


def _places(links: list[str]) -> list[str]:
    """Turns links into what can be fetched, and says what became of them."""
    found = []
    for link in links:
        place = urls.direct(link)
        if place != link:
            print(f"note: --url {link} is recorded as {place}", file=sys.stderr)
        found.append(place)
    return list(dict.fromkeys(found))


def _expect_publishable(record: zoo.Record) -> None:
    """Refuses what would spoil the zoo or cannot be written, before anything is."""
    names.expect_usable(record, zoo.records())
    for file in (zoo.path(record), zoo.ZOO):
        files.check_writable(file)


def _finite(weights: Path) -> dict:
    """Reads a run's weights; those of a run that diverged are refused."""
    try:
        with weights.open("rb") as stream:
            state = checkpoint.state_dict(stream, weights)
    except OSError as error:
        raise UserError(f"cannot read {weights}: {error.strerror or error}") from error
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise UserError(
                f"{weights}: {key} has values that are not finite, so training diverged: not "
                "published; train again with a lower lr"
            )
    return state


def rescore(record: zoo.Record, data: Path | None) -> None:
    """Measures a published checkpoint's fast precisions on this machine too.

    Raises:
        UserError: no data given, or the file is not as published.
    """
    if data is None:
        raise UserError("say which validation set to score on: --data hw1_data/p1_data")
    zoo.check(record)
    exact = score(record, data, "fp32", "auto", zoo.path(record))
    scores = _scores(record, data, exact, zoo.path(record))
    with files.locked(zoo.ZOO.parent):
        now = zoo.record(record.name)  # other machines may have added theirs meanwhile
        if now.sha256 != record.sha256:
            raise UserError(f"{record.name} was published anew meanwhile: score it again")
        record = dataclasses.replace(now, scores=_merged(now.scores, scores))
        zoo.add(record)
        _print_pages()
    _show(record)


def _merged(old: dict, new: dict) -> dict:
    """Adds the fast precisions of the same images that other machines measured."""
    there = old.get("fast")
    same = all(old.get(key) == new[key] for key in ("data", "images"))
    fast = {**there, **new["fast"]} if same and isinstance(there, dict) else new["fast"]
    marks = {"select": old["select"]} if "select" in old else {}
    return {**new, "fast": fast, **marks}


def _print_pages() -> None:
    """Prints the zoo's tables anew; what cannot be printed takes nothing from what is published."""
    if not (zoo_page.ROOT / "docs").is_dir():  # a copy of the code alone, and no checkout
        return
    try:
        zoo_page.refresh()
    except UserError as error:
        print(f"note: {error}", file=sys.stderr)


def _show(record: zoo.Record) -> None:
    scores = record.scores
    print(f"{record.name}: {scores['metric']} {scores['fp32']} on {scores['data']} in fp32")
    for precision, fast in scores["fast"].items():
        print(f"    {precision}: {fast['score']}, {fast['agreement']:.3%} as in fp32")


def _deployable(record: zoo.Record, weights: Path, state: dict) -> tuple[zoo.Record, bytes]:
    """Rounds a run's weights; gives the record with the file's size and hash, and the file."""
    network = load_into(record.network, record.classes, record.arguments, state)
    exact = {
        f"{name}.{key}"
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm)
        for key in module.state_dict()
    }
    rounded = {
        key: value.half() if value.is_floating_point() and key not in exact else value
        for key, value in state.items()
        if not key.startswith("aux_classifier.")
    }
    for key, value in rounded.items():
        if not torch.isfinite(value).all():
            raise UserError(f"{weights}: {key} has values that fp16 cannot hold")
    content = io.BytesIO()
    torch.save(rounded, content)
    data = content.getvalue()
    arguments = {key: value for key, value in record.arguments.items() if key != "aux"}
    digest = hashlib.sha256(data).hexdigest()
    return dataclasses.replace(record, arguments=arguments, bytes=len(data), sha256=digest), data


def _scores(record: zoo.Record, data: Path, exact: Scored, weights: Path) -> dict:
    """Scores the precisions that this machine's devices are fast in, against fp32."""
    fast = {}
    for where in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for precision in device.fast_precisions(torch.device(where)):
            found = score(record, data, precision, where, weights)
            fast[f"{where}-{precision}"] = {
                "score": round(found.score, 6),
                "agreement": round(_agreement(exact, found), 6),
            }
    return {
        "data": f"validation set of {_described(data, record)}",
        "images": len(exact.names),
        "metric": "mIoU" if record.task == "p3" else "accuracy",
        "fp32": round(exact.score, 6),
        "fast": fast,
    }


def _agreement(one: Scored, other: Scored) -> float:
    return float((one.predictions == other.predictions).mean())


def _trained_on(run: Path, recipe: Recipe, result: dict, data: Path) -> str:
    """Describes what a run was trained on.

    By what the run noted; else by where its data was, or by `data`, if that is it.
    """
    if result.get("origin"):
        return result["origin"]
    there = Path(result["data"])
    if there.is_dir():
        return _described(there, recipe)
    noted = same_run.read(run).get("key")
    return _described(data, recipe) if noted == same_run.key(recipe, data) else "unknown data"


def _described(data: Path, what: Recipe | zoo.Record) -> str:
    """Says what data is: generated and imported data carry a note, the course's has its classes."""
    origin = origin_of(what.task, data)
    if origin is not None:
        return origin
    if what.classes != COURSE[what.task]:
        return f"own data ({what.classes} classes)"
    return "course data"


if __name__ == "__main__":
    sys.exit(main())
