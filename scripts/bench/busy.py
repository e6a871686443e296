"""What other work on the machine costs: the graded scripts and a training, idle and not.

    python scripts/bench/busy.py [--rounds 3] [--only hw1_1.sh hw1_2.sh hw1_3.sh p1-a]
                                 [--data HW1_DATA] [--small] [--limit 600]

Conditions: idle; beside one and two processes that compute; beside a second copy of itself. Ways:
`now`, as the commands are; `before`, with threads that spin (OMP_WAIT_POLICY=ACTIVE), one for each
core; `one`, with one thread. Whole processes, in turn, round by round. Printed: seconds of the
scripts, images per second of the second epoch of p1-a at full size; medians and ranges, and how
many times as long as `now` takes on the idle machine.

Without --data images are generated: 2,500 for P1, 400 for P2, 31 tiles for P3, 3,375 to train on.
The machine has to be idle otherwise: where it is not, a line says so.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # before this folder, where `inference` would be another file

from inference import threads  # noqa: E402

CORES = str(len(threads.cores()))
WAYS = {
    "now": {},
    "before": {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": CORES},
    "one": {"OMP_NUM_THREADS": "1"},
}
CONDITIONS = {
    "idle": (0, 0),
    "one busy process": (1, 0),
    "two busy processes": (2, 0),
    "a second copy": (0, 1),
}
COUNTS = {"hw1_1.sh": 2500, "hw1_2.sh": 400, "hw1_3.sh": 31, "p1-a": 3375}
TRAINED = "p1-a"


@dataclass
class Case:
    """What is run.

    Attributes:
        command: without its output, which comes last.
        unit: of what is measured.
    """

    name: str
    command: list[str]
    unit: str = "s"

    def start(self, out: Path, way: str) -> subprocess.Popen:
        """Start it once, with its output in `out`."""
        out.mkdir()
        place = {TRAINED: out / "run", "hw1_3.sh": out}.get(self.name, out / "out.csv")
        said = (out / "said.txt").open("w")
        return subprocess.Popen(
            [*self.command, str(place)], cwd=ROOT, env=_environment(way), stdout=said, stderr=said
        )

    def figure(self, out: Path, seconds: float) -> float:
        """Return what it took: seconds, or of a training images per second."""
        if self.unit == "s":
            return seconds
        with (out / "run" / "metrics.csv").open() as text:
            return float(list(csv.DictReader(text))[1]["images_per_second"])


def main() -> None:
    """Run the chosen cases under every condition and print a table for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--data", type=Path, help="in the course's layout (generated images)")
    parser.add_argument("--small", action="store_true", help="a tenth of the images: a trial")
    parser.add_argument("--limit", type=float, default=600, help="seconds for one process (600)")
    options = parser.parse_args()
    options.ways = [way for way in WAYS if way in options.ways]
    with tempfile.TemporaryDirectory() as scratch:
        cases = [_case(name, Path(scratch), options) for name in options.only]
        busy = threads.others(threads.usage(), _later(1.0))
        print(f"{CORES} cores, of which others use {busy:.2f} now")
        if busy > 0.1:
            print("NOTE: this machine is not idle: these numbers are not for the record")
        for case in cases:
            _bench(case, Path(scratch), options)


def _later(seconds: float) -> threads.Usage | None:
    time.sleep(seconds)
    return threads.usage()


def _bench(case: Case, scratch: Path, options) -> None:
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for condition, (busy, copies) in CONDITIONS.items():
            for way in options.ways:
                with _busy(busy):
                    value = _measure(case, 1 + copies, way, scratch, options.limit)
                found.setdefault((condition, way), []).append(value)
    print(f"\n{case.name}, {options.rounds} rounds: {case.unit}, median (range), times idle")
    print("| |" + "".join(f" {way} |" for way in options.ways))
    print("|---|" + "---|" * len(options.ways))
    base = statistics.median(found["idle", options.ways[0]])
    for condition in CONDITIONS:
        cells = [_cell(case, found[condition, way], base) for way in options.ways]
        print(f"| {condition} | {' | '.join(cells)} |", flush=True)


def _cell(case: Case, values: list[float], base: float) -> str:
    median, digits = statistics.median(values), 2 if case.unit == "s" else 1
    text = f"{median:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
    longer = median / base if case.unit == "s" else base / median if median else float("inf")
    return f"{text}, {longer:.2f}"


def _measure(case: Case, copies: int, way: str, scratch: Path, limit: float) -> float:
    """Return the mean of what all copies took; of one that exceeds the limit, the limit or 0."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    start = time.perf_counter()
    running = {folder / str(i): case.start(folder / str(i), way) for i in range(copies)}
    figures = []
    try:
        ended: dict[Path, float] = {}
        while len(ended) < copies and time.perf_counter() - start < limit:
            for out, process in running.items():
                if out not in ended and process.poll() is not None:
                    ended[out] = time.perf_counter() - start
            time.sleep(0.005)
        for out, process in running.items():
            if out not in ended:
                figures.append(limit if case.unit == "s" else 0.0)
                continue
            if process.returncode:
                sys.exit(f"{' '.join(case.command)}\n{(out / 'said.txt').read_text()}")
            figures.append(case.figure(out, ended[out]))
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)
    return statistics.mean(figures)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Let processes compute meanwhile, on whatever cores they get."""
    # They end with this script, however it ends
    command = [sys.executable, "-c", "import os\np = os.getppid()\nwhile os.getppid() == p: pass"]
    running = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _environment(way: str) -> dict[str, str]:
    chosen = {*threads.WAITING, *threads.NUMBERS}
    kept = {name: value for name, value in os.environ.items() if name not in chosen}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), **WAYS[way]}


def _case(name: str, scratch: Path, options) -> Case:
    count = max(2, COUNTS[name] // (10 if options.small else 1))
    if name == TRAINED:
        data = options.data / "p1_data" if options.data else _to_train(scratch / name, count)
        command = [sys.executable, "-m", "training", "fit", TRAINED, "epochs=2", "small_until=0"]
        return Case(name, [*command, "--data", str(data.resolve()), "--out"], "images/s")
    if options.data is None:
        from scripts.bench.inference_cases import draw  # generating needs torch

        task = {"hw1_1.sh": "p1", "hw1_2.sh": "p2", "hw1_3.sh": "p3"}[name]
        places = [draw(task, scratch / name, count)]
        if task == "p2":
            places.insert(0, scratch / name / "images.csv")
    else:
        places = {
            "hw1_1.sh": [options.data / "p1_data" / "val_50"],
            "hw1_2.sh": [options.data / "p2_data" / "office" / x for x in ("val.csv", "val")],
            "hw1_3.sh": [options.data / "p3_data" / "validation"],
        }[name]
    return Case(name, ["bash", str(ROOT / name), *(str(place.resolve()) for place in places)])


def _to_train(folder: Path, count: int) -> Path:
    """Generate P1's images to train on, and a few to end with."""
    from training.datasets.sample.problems import p1_image

    for part, number in (("train_50", max(count, 256)), ("val_50", 50)):
        (folder / part).mkdir(parents=True)
        for i in range(number):
            split = part.split("_")[0]
            image = Image.fromarray(p1_image(0, split, i % 50, i))
            image.save(folder / part / f"{i % 50}_{i}.png")
    return folder


if __name__ == "__main__":
    main()
