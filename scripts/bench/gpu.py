"""What one GPU reaches: the graded path in fp16 and bf16, training steps, and its own peak.

    python scripts/bench/gpu.py OUT [--dry] [--seconds 480] [--tests OUT/tests.xml]

Prediction: whole processes on 5,000 / 800 / 313 images in each precision; start-up is what the same
command takes for a single image, and is split out. Training: images per second of the second epoch
of p1-a, p2-byol and p3-b on random bytes, the recipes as they are, and the share of the card's own
bf16 peak (a product of two 8192 x 8192 matrices, median). What no time is left for is named.

Leaves OUT/gpu.json and OUT/gpu.md, anew after each part. --dry does all with the least there is, on
a CPU if need be: its numbers mean nothing. `bash scripts/gpu.sh OUT` runs the tests before.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # before this folder, where `inference` would be another file

from inference import device  # noqa: E402
from inference.networks import build  # noqa: E402
from scripts.bench.inference_cases import draw, repository  # noqa: E402
from training.byol.module import Byol  # noqa: E402
from training.data.batches import Batches  # noqa: E402
from training.engine.loop import train  # noqa: E402
from training.engine.selection import LastEpoch  # noqa: E402
from training.problems import PROBLEMS, RECIPES  # noqa: E402

COUNTS = {"p1": 5000, "p2": 800, "p3": 313}
DRAWN = {"p1": 500, "p2": 100, "p3": 40}  # different ones; the rest are copies
NETWORKS = {
    "p1-a": "p1",
    "p1-b": "p1",
    "p2-c": "p2",
    "p3-lite": "p3",
    "p3-b": "p3",
}
STEPS = {"p1-a": 160, "p2-byol": 16, "p3-b": 16}  # of an epoch
SMALLEST = {
    "p1-a": ["batch_size=8", "small_until=0"],
    "p2-byol": ["batch_size=4", "size=32", "cache_size=32"],
    "p3-b": ["batch_size=2", "tilecrop.side=64"],
}


def main() -> None:
    """Measure everything, or one training in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for gpu.json and gpu.md")
    parser.add_argument(
        "--dry", action="store_true", help="the smallest sizes, on a CPU if need be"
    )
    parser.add_argument("--seconds", type=float, default=480, help="for all of it (480)")
    parser.add_argument("--tests", type=Path, help="pytest's --junitxml of the tests before")
    parser.add_argument("--train", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(_train(options.train, options.dry)))
        return
    if not torch.cuda.is_available() and not options.dry:
        sys.exit("error: no GPU here: try --dry, or a machine that has one")
    options.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + options.seconds
    found = {"machine": _machine(), "dry": options.dry, "tests": _tests(options.tests)}
    found["peak"] = _peak(options.dry)
    # The trainings first: they are three, and few of the predictions' rows matter as much.
    for key, rows in (("training", _trainings), ("inference", _inference)):
        found[key] = []
        for row in rows(found["peak"], options, until):
            found[key].append(row)
            _write(found, options.out)  # nothing of it is lost, whatever comes
    print(_page(found))


def _write(found: dict, out: Path) -> None:
    (out / "gpu.json").write_text(json.dumps(found, indent=2) + "\n")
    (out / "gpu.md").write_text(_page(found))


def _machine() -> dict:
    found = {"python": platform.python_version(), "torch": torch.__version__, "gpu": None}
    found["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found["gpu"] = properties.name
        found["memory_gib"] = round(properties.total_memory / 2**30, 1)
        found["cuda"], found["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
    return found


def _tests(file: Path | None) -> dict | None:
    """Return how many tests passed, and the names of those that did not.

    Of tests that were stopped pytest leaves no file, or half of one: "ended" is False then. None
    where nobody asked for tests.
    """
    if file is None:
        return None
    try:
        cases = list(ElementTree.parse(file).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return {"ended": False}
    failed = [
        case.get("name")
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failed) - skipped
    return {"ended": True, "passed": passed, "skipped": skipped, "failed": failed}


def _peak(dry: bool) -> dict[str, float]:
    """Return FLOP/s of a bf16 and an fp16 matrix product: median of 20."""
    where = device.choose_device()
    side = 256 if dry else 8192
    found = {}
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if where.type == "cpu" and name == "fp16":
            continue
        a, b = (torch.randn(side, side, device=where, dtype=dtype) for _ in range(2))
        seconds = []
        for _ in range(25):
            start = time.perf_counter()
            (a @ b)[0, 0].item()  # waits for it
            seconds.append(time.perf_counter() - start)
        found[name] = 2 * side**3 / statistics.median(seconds[5:])
    return found


# ---- Training


def _trainings(peak: dict[str, float], options, until: float) -> Iterator[dict]:
    for name in STEPS:
        command = [sys.executable, __file__, str(options.out), "--train", name]
        try:
            said = _run(command + ["--dry"] * options.dry, options, until)
        except subprocess.SubprocessError as error:
            yield {"recipe": name, "error": str(error)}
            continue
        row = {"recipe": name, **json.loads(said.splitlines()[-1])}
        row["share"] = row["images_per_second"] * row["gflop_an_image"] * 1e9 / peak["bf16"]
        yield row


def _run(command: list[str], options, until: float) -> str:
    """Run a command while there is time; return its standard output.

    Raises:
        SubprocessError: there is none left; it failed, or did otherwise than was asked.
    """
    left = 600 if options.dry else until - time.monotonic()
    try:
        if left < 5:
            raise subprocess.TimeoutExpired(command, left)
        done = subprocess.run(command, capture_output=True, text=True, timeout=left)
    except subprocess.TimeoutExpired as error:
        raise subprocess.SubprocessError("no time left") from error
    if done.returncode or "out of memory" in done.stderr:
        said = done.stderr.strip().splitlines() or ["it failed"]
        raise subprocess.SubprocessError(said[-1].replace("|", " "))
    return done.stdout


def _train(name: str, dry: bool) -> dict:
    """Train two epochs on random bytes; return what the second reached."""
    device.tune_allocator()
    recipe = RECIPES[name]
    whole = {"epochs": 2, "pretrained": "none", "select_epoch_by": LastEpoch()}
    if name == "p1-a":
        whole["small_until"] = 0.0  # the speed that is asked for is at the whole size
    if name == "p2-byol":
        whole["collapse"] = 0.0  # noise has no structure to learn
    recipe = dataclasses.replace(recipe, **whole)
    if dry:
        recipe = recipe.with_changes(SMALLEST[name])
    count = recipe.batch_size * (2 if dry else STEPS[name])
    batches = Batches(_arrays(recipe, count), range(count), recipe.batch_size, shuffle=True)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        outcome = train(PROBLEMS[recipe.problem].module(recipe), batches, None, out, lambda _: None)
        with (out / "metrics.csv").open() as text:
            speed = float(list(csv.DictReader(text))[1]["images_per_second"])
    memory = torch.cuda.max_memory_reserved() / 2**30 if torch.cuda.is_available() else None
    return {
        "batch_size": recipe.batch_size,
        "precision": outcome.progress.precision,
        "images_per_second": speed,
        "gflop_an_image": _flops(recipe) / 1e9,
        "memory_gib": memory and round(memory, 1),
    }


def _arrays(recipe, count: int) -> tuple[np.ndarray, ...]:
    """Return random images, and what goes with them, of a recipe's problem."""
    draw = np.random.default_rng(0)
    side = 512 if recipe.problem == "p3" else recipe.cache_size
    pixels = draw.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    if recipe.problem == "p3":
        return pixels, draw.integers(0, 7, (count, side, side), dtype=np.uint8)
    if recipe.problem == "byol":
        return (pixels,)
    return pixels, draw.integers(0, recipe.classes, count)


def _flops(recipe) -> float:
    """Return a step's work for an image; backward is twice forward."""
    with FlopCounterMode(display=False) as counter:
        if recipe.problem == "byol":
            views = torch.zeros(2, 3, recipe.size, recipe.size)
            Byol(recipe).compare(views, views).backward()
            return counter.get_total_flops() / 2
        side = recipe.crop_side if recipe.problem == "p3" else recipe.size
        network = build(recipe.network, recipe.classes, **recipe.arguments)
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, side, side))
    return 3 * counter.get_total_flops()


# ---- Prediction


def _inference(peak: dict[str, float], options, until: float) -> Iterator[dict]:
    precisions = ["fp32", "fp16", "bf16"] if torch.cuda.is_available() else ["bf16"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy = repository(folder / "repository", ["p1-b", "p3"])
        for task in COUNTS:
            _images(task, folder, options.dry)
        for name, task in NETWORKS.items():
            expected = None
            for precision in precisions:
                row = {"checkpoint": name, "precision": precision}
                words = (copy / "inference", name, task, precision, options, until)
                try:
                    one, _ = _predict(*words, folder / f"{task}-one")
                    whole, answers = _predict(*words, folder / task)
                except subprocess.SubprocessError as error:
                    yield {**row, "error": str(error)}
                    continue
                count = len(answers)
                row.update(images=count, seconds=round(whole, 2), startup=round(one, 2))
                row["images_per_second"] = round((count - 1) / max(whole - one, 1e-3), 1)
                if expected is not None:
                    row["agreement"] = round(_agreement(expected, answers), 5)
                if precision == "fp32":
                    expected = answers
                yield row


def _images(task: str, folder: Path, dry: bool) -> None:
    """Generate images, and a folder with one of them; with a csv beside them for P2."""
    count, drawn = (4, 2) if dry else (COUNTS[task], DRAWN[task])
    source = draw(task, folder / task, drawn)
    made = sorted(source.iterdir())
    suffix = "_sat.jpg" if task == "p3" else made[0].suffix
    for i in range(drawn, count):
        shutil.copy(made[i % drawn], source / f"{i:04d}{suffix}")
    alone = folder / f"{task}-one" / "images"
    alone.mkdir(parents=True)
    shutil.copy(made[0], alone)
    for place in (source, alone):
        names = sorted(path.name for path in place.iterdir())
        rows = [f"{i},{name},None" for i, name in enumerate(names)]
        (place.parent / "images.csv").write_text("\n".join(["id,filename,label", *rows, ""]))


def _predict(
    inference: Path, name: str, task: str, precision: str, options, until: float, source: Path
) -> tuple[float, dict[str, object]]:
    """Run the command; return its seconds and its answers by name: labels, or files of masks."""
    command = {"p1": "classify", "p2": "classify-csv", "p3": "segment"}[task]
    out = Path(tempfile.mkdtemp(dir=source)) / ("masks" if task == "p3" else "out.csv")
    table = [str(source / "images.csv")] if task == "p2" else []
    places = [*table, str(source / "images"), str(out)]
    words = [command, *places, "--model", name, "--precision", precision]
    start = time.perf_counter()
    _run([sys.executable, str(inference), *words], options, until)
    seconds = time.perf_counter() - start
    if task == "p3":
        return seconds, {path.name: path for path in out.iterdir()}
    with out.open() as text:
        return seconds, {row["filename"]: row["label"] for row in csv.DictReader(text)}


def _agreement(one: dict, other: dict) -> float:
    """Return the share of equal labels, or of equal pixels of the first tiles."""
    if not isinstance(next(iter(one.values())), Path):
        return sum(one[name] == other[name] for name in one) / len(one)
    names = sorted(one)[: DRAWN["p3"]]
    pairs = [[np.asarray(Image.open(side[name])) for side in (one, other)] for name in names]
    return statistics.mean(float((a == b).all(-1).mean()) for a, b in pairs)


# ---- The page


def _page(found: dict) -> str:
    machine, peak = found["machine"], found.get("peak", {})
    name = machine["gpu"] or "CPU (a trial: these numbers mean nothing)"
    reached = ", ".join(f"{most / 1e12:.3g} TFLOP/s {key}" for key, most in peak.items())
    lines = [f"{name}, torch {machine['torch']}; matrix product: {reached}", ""]
    tests = found["tests"]
    if tests and not tests["ended"]:
        lines += ["Tests: did not end", ""]
    elif tests:
        failed = f"; FAILED: {', '.join(tests['failed'])}" if tests["failed"] else ""
        lines += [f"Tests: {tests['passed']} passed, {tests['skipped']} skipped{failed}", ""]
    lines += [
        "| training | batch | precision | images/s | of the peak | memory |",
        "|" + "---|" * 6,
    ]
    for row in found.get("training", ()):
        if "error" in row:
            lines.append(f"| {row['recipe']} | {row['error']} | | | | |")
            continue
        memory = f"{row['memory_gib']} GiB" if row["memory_gib"] else ""
        lines.append(
            f"| {row['recipe']} | {row['batch_size']} | {row['precision']} | "
            f"{row['images_per_second']:.0f} | {100 * row['share']:.1f} % | {memory} |"
        )
    head = "| prediction | precision | images | whole, s | start-up, s | images/s after | as fp32 |"
    lines += ["", head, "|" + "---|" * 7]
    for row in found.get("inference", ()):
        start = f"| {row['checkpoint']} | {row['precision']} | "
        if "error" in row:
            lines.append(f"{start}{row['error']} | | | | |")
            continue
        same = f"{100 * row['agreement']:.2f} %" if "agreement" in row else ""
        lines.append(
            f"{start}{row['images']} | {row['seconds']:.2f} | {row['startup']:.2f} | "
            f"{row['images_per_second']:.0f} | {same} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
