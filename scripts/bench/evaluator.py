"""Time mean_iou_evaluate.py against the course's algorithm, as whole processes in turn.

    python scripts/bench/evaluator.py [--pairs 257] [--rounds 3]

Both score the same generated land-cover masks: 512x512 RGB png of 20-60 smooth regions, and
predictions of them with wrong regions and shifted borders. Prints median [min-max] wall seconds,
CPU seconds and peak memory of each, the ratio of the wall medians, and which share of our time
pure decoding on all cores takes: the floor. Exit 1 when the two printed texts differ in a byte.

Needs numpy, Pillow and imageio. About 15 s a round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "mean_iou_evaluate.py"
COLOURS = np.array(
    [(0, 255, 255), (255, 255, 0), (255, 0, 255), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3],
    np.uint8,
)
SHARES = (0.11, 0.4, 0.1, 0.13, 0.1, 0.14, 0.02)  # of the classes, roughly DeepGlobe's
SYMMETRIES = 8  # each scene is stored in its eight rotations and reflections: drawing it is slow
SIZE = 512


def course_masks(folder: str | Path) -> np.ndarray:
    """Return the masks of a folder as the course's program holds them: float64 (n, 512, 512).

    Red pixels (code 4) stay uninitialised, as there.
    """
    import imageio.v2 as imageio

    files = sorted(name for name in os.listdir(folder) if name.endswith(".png"))
    masks = np.empty((len(files), SIZE, SIZE))
    for i, name in enumerate(files):
        bits = (imageio.imread(os.path.join(folder, name)) >= 128).astype(int)
        code = 4 * bits[:, :, 0] + 2 * bits[:, :, 1] + bits[:, :, 2]
        for index, colour in enumerate((3, 6, 5, 2, 1, 7, 0)):
            masks[i, code == colour] = index
    return masks


def course_score(pred: np.ndarray, labels: np.ndarray) -> float:
    """Print and return what the course's program does, by its order of operations.

    Args:
        pred: class indices (n, h, w); `labels`, the true ones, alike.
    """
    mean_iou = 0
    for i in range(6):
        predicted, true = np.sum(pred == i), np.sum(labels == i)
        both = np.sum((pred == i) * (labels == i))
        iou = both / (predicted + true - both)
        mean_iou += iou / 6
        print("class #%d : %1.5f" % (i, iou))  # noqa: UP031 - the course's format
    print("\nmean_iou: %f\n" % mean_iou)  # noqa: UP031
    return mean_iou


def course(labels: str, pred: str) -> None:
    """Score two folders as the course's program does."""
    true, predicted = course_masks(labels), course_masks(pred)
    course_score(predicted, true)


def decode(labels: str, pred: str) -> None:
    """Decode every mask on all cores and do nothing with them."""
    from PIL import Image

    files = [path for folder in (labels, pred) for path in sorted(Path(folder).iterdir())]
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda path: Image.open(path).load() and None, files):
            pass


def _smooth(random: np.random.Generator, cells: int, amplitude: float) -> np.ndarray:
    """Return a smooth random field, float32 (512, 512), of features some 512 / cells wide."""
    from PIL import Image

    coarse = random.normal(0, amplitude, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.BICUBIC))


def _regions(y: np.ndarray, x: np.ndarray, seeds: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class of the nearest seed at every (warped) coordinate, uint8 (512, 512)."""
    nearest = np.full(y.shape, np.inf, np.float32)
    mask = np.zeros(y.shape, np.uint8)
    for (seed_y, seed_x), index in zip(seeds, classes, strict=True):
        distance = (y - seed_y) ** 2 + (x - seed_x) ** 2
        closer = distance < nearest
        nearest[closer], mask[closer] = distance[closer], index
    return mask


def draw_scene(folder: Path, scene: int, pairs: range) -> None:
    """Write the pairs of one scene as `labels/0000_mask.png` and `pred/0000_mask.png`, ..."""
    from PIL import Image

    random = np.random.default_rng(scene)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    y, x = (axis + _smooth(random, 6, 25) + _smooth(random, 24, 5) for axis in (y, x))
    count = random.integers(20, 61)
    seeds = random.uniform(0, SIZE, (count, 2))
    classes = random.choice(7, count, p=SHARES)
    wrong = np.where(random.random(count) < 0.15, random.integers(0, 7, count), classes)
    masks = {
        "labels": _regions(y, x, seeds, classes),
        "pred": _regions(y + _smooth(random, 24, 3), x, seeds, wrong),
    }
    for turn, number in enumerate(pairs):
        for name, mask in masks.items():
            turned = np.rot90(mask.T if turn >= 4 else mask, turn % 4)
            Image.fromarray(COLOURS[turned]).save(folder / name / f"{number:04d}_mask.png")


def draw_masks(folder: Path, pairs: int) -> None:
    """Write all pairs, in other processes: a child's peak memory is at least its parent's."""
    for name in ("labels", "pred"):
        (folder / name).mkdir()
    with ProcessPoolExecutor() as pool:
        jobs = [
            pool.submit(draw_scene, folder, n, range(first, min(first + SYMMETRIES, pairs)))
            for n, first in enumerate(range(0, pairs, SYMMETRIES))
        ]
        for job in jobs:
            job.result()


def measure(command: list[str]) -> tuple[bytes, float, float, float]:
    """Run a command; return its stdout, wall seconds, CPU seconds and peak memory in MB.

    Raises:
        SystemExit: the command failed.
    """
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"exit {child.returncode} from {' '.join(command)}")
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return output, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def main() -> int:
    """Generate, run the rounds, print the table; return 1 when the texts differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=257, help="pairs of masks (257)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw_masks(Path(folder), options.pairs)
        labels, pred = f"{folder}/labels", f"{folder}/pred"
        call = "import sys, evaluator; getattr(evaluator, sys.argv[1])(*sys.argv[2:])"
        commands = {
            "course": [sys.executable, "-c", call, "course", labels, pred],
            "ours": [sys.executable, str(SCRIPT), "-g", labels, "-p", pred],
            "decode": [sys.executable, "-c", call, "decode", labels, pred],
        }
        runs = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                runs[name].append(measure(command))
    wall = {}
    print(f"{options.pairs} pairs, {options.rounds} rounds   wall s [min-max]    CPU s   peak MB")
    for name, results in runs.items():
        _, walls, cpus, peaks = zip(*results, strict=True)
        wall[name] = statistics.median(walls)
        spread = f"{wall[name]:.3f} [{min(walls):.3f}-{max(walls):.3f}]"
        print(f"{name:24}{spread:>24}{statistics.median(cpus):9.2f}{max(peaks):10.1f}")
    print(f"ours is {wall['course'] / wall['ours']:.2f} times as fast as the course's algorithm")
    print(f"decoding alone on all cores takes {wall['decode'] / wall['ours']:.0%} of our time")
    same = len({run[0] for name in ("course", "ours") for run in runs[name]}) == 1
    print("printed text: " + ("equal to the byte" if same else "DIFFERS"))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
