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
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from inference import UserError, device, files, zoo
from inference.networks import load_into
from inference.zoo.listing import source
from inference.zoo.provenance import provenance_of
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
    parser.add_argument("--url", action="append", default=[], help="where it will be hosted")
    parser.add_argument("--default", action="store_true", help="make it its task's default")
    parser.add_argument("--no-tta", action="store_true", help="one view, not the recipe's average")
    options = parser.parse_args()
    try:
        if (Path(options.run) / "result.json").exists():
            run, data, views = Path(options.run), options.data, not options.no_tta
            publish(run, options.name, data, options.url, options.default, views)
        elif options.run in zoo.records():
            rescore(zoo.record(options.run), options.data)
        else:
            raise UserError(f"{options.run} is neither a finished run nor a checkpoint of the zoo")
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def publish(
    run: Path, name: str | None, data: Path | None, urls: list[str], default: bool, tta: bool = True
) -> None:
    """Makes `weights/NAME.pth` of a run's `best.pth`, and its record.

    Without `tta` the record answers with one view of an image even where the recipe averages over
    several, and its scores are those of one view: a fraction of the time for some of the accuracy.

    Raises:
        UserError: the data is missing; rounding to fp16 changed the predictions; the name cannot
            be a file's, or is that of another task's checkpoint.
    """
    result = read_json(run / "result.json")
    recipe = recipe_of(result["recipe"])
    data = data or Path(result["data"])
    record = record_of(recipe, name or recipe.name)
    record = dataclasses.replace(record, tta=recipe.tta and tta)
    _expect_free(record)
    before = score(record, data, "fp32", "auto", run / "best.pth")
    record, content = _deployable(record, run / "best.pth")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / record.file
        file.write_bytes(content)
        after = score(record, data, "fp32", "auto", file)
        same = _expect_same(before, after, run)
        scores = _scores(record, data, after, file)
    if recipe.select == "val":  # the score flatters, and says so
        scores["select"] = "val"
    record = dataclasses.replace(
        record, urls=urls, trained_on=_trained_on(run, recipe, result, data), scores=scores
    )
    files.write_whole(zoo.path(record), content)
    _enter(record, default)
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


def _expect_free(record: zoo.Record) -> None:
    """Refuses what would spoil the zoo, before anything is written."""
    if Path(record.file).name != record.file:
        raise UserError(f"--name {record.name}: a name without / is needed")
    there = zoo.records().get(record.name)
    if there and there.task != record.task:  # it may be that task's default
        raise UserError(f"{record.name} is a checkpoint of {there.task}: choose another --name")


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
    if (record.scores["data"], record.scores["images"]) == (scores["data"], scores["images"]):
        scores["fast"] = {**record.scores["fast"], **scores["fast"]}
    marks = {key: record.scores[key] for key in ("select",) if key in record.scores}
    record = dataclasses.replace(record, scores={**scores, **marks})
    _enter(record)
    _show(record)


def _enter(record: zoo.Record, default: bool = False) -> None:
    """Adds a record to the zoo, and to the tables that are printed from it."""
    zoo.add(record, default)
    if (zoo_page.ROOT / "docs").is_dir():  # a checkout, and not a copy of the code alone
        zoo_page.refresh()


def _show(record: zoo.Record) -> None:
    scores = record.scores
    print(f"{record.name}: {scores['metric']} {scores['fp32']} on {scores['data']} in fp32")
    for precision, fast in scores["fast"].items():
        print(f"    {precision}: {fast['score']}, {fast['agreement']:.3%} as in fp32")


def _deployable(record: zoo.Record, weights: Path) -> tuple[zoo.Record, bytes]:
    """Rounds a run's weights; gives the record with the file's size and hash, and the file."""
    state = torch.load(weights, map_location="cpu", weights_only=True)
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
    origin = provenance_of(what.task, data)
    if origin is not None:
        return origin
    if what.classes != COURSE[what.task]:
        return f"own data ({what.classes} classes)"
    return "course data"


if __name__ == "__main__":
    sys.exit(main())
