"""A small copy of the repository, with networks that answer at once, and images to give it."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# Equal to the bit is promised for CPUs alone, and two gloo processes would want two GPUs. Before
# torch is imported; for the processes that tests start, too.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import pytest
import torch
from PIL import Image

from inference import zoo
from inference.__main__ import main
from inference.networks import build
from inference.zoo.manifest import Record, to_entry
from tests.masks import folders  # noqa: F401 - a fixture for all

# A shell's background job starts with Ctrl-C ignored, and so would what it starts: what tests
# interrupt would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Networks this small gain nothing from a second thread, and wait for it on a busy machine.
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"p1": 32, "p2": 48, "p3": None}
CLASSES = {"p1": 50, "p2": 65, "p3": 7}
SMALL = {"widths": [8, 8, 16, 24], "depths": [1, 0, 0], "scale": 1.0}


def small_network(task):
    """Random weights, the same each time, of which images get many different classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if task != "p3":
            network = build("convnet", CLASSES[task], **SMALL).eval()
            last, where = network.fc, (0,)
        else:
            network = build("lraspp_mobilenet_v3_large", 7).eval()
            last, where = network.classifier.high_classifier, (0, 2, 3)
        images = torch.rand(8, 3, 1, 1) + torch.rand(8, 3, 64, 64) / 2 - 0.75
        with torch.no_grad():
            logits = network(images)
            logits = logits["out"] if task == "p3" else logits
            last.bias -= logits.mean(where)
            for parameter in (last.weight, last.bias):
                parameter *= 10 / logits.std()
            if task == "p3":
                for parameter in network.classifier.low_classifier.parameters():
                    parameter *= 10 / logits.std()
    return network


class Repository:
    """A clone somewhere, whose scripts are run as a grader runs them."""

    def __init__(self, root: Path):
        self.root, self.zoo = root, root / "inference" / "zoo.json"
        ignore = shutil.ignore_patterns("__pycache__", "zoo.json")
        shutil.copytree(ROOT / "inference", root / "inference", ignore=ignore)
        for file in [*ROOT.glob("hw1_*.sh"), ROOT / "mean_iou_evaluate.py"]:
            shutil.copy(file, root)
        (root / "weights").mkdir()
        self.records = {task: self._record(task) for task in SIZES}
        self.write_zoo(self.records.values())

    def _record(self, task):
        file = self.root / "weights" / f"{task}-small.pth"
        torch.save(small_network(task).state_dict(), file)
        return Record(
            name=file.stem,
            task=task,
            network="lraspp_mobilenet_v3_large" if task == "p3" else "convnet",
            arguments={} if task == "p3" else SMALL,
            classes=CLASSES[task],
            input={"size": SIZES[task], "mean": [0.48, 0.45, 0.41], "std": [0.23, 0.22, 0.25]},
            tta=False,
            file=file.name,
            bytes=file.stat().st_size,
            sha256=zoo.sha256(file),
            urls=[],
            trained_on="nothing",
            recipe="none",
            scores={},
            folder=file.parent,
        )

    def write_zoo(self, records):
        records = list(records)
        defaults = {record.task: [record.name] for record in records}
        entries = {record.name: to_entry(record) for record in records}
        self.zoo.write_text(json.dumps({"defaults": defaults, "checkpoints": entries}))

    def run(self, script, *arguments, cwd=None, env=None, **options):
        """Run `bash SCRIPT ARGUMENTS...` with its streams caught as text."""
        command = ["bash", self.root / script, *arguments]
        return run(command, cwd or self.root.parent, env, **options)

    def shell(self, line, *arguments, cwd=None, **options):
        """Run a line of bash; its $1, $2, ... are the arguments."""
        return run(["bash", "-c", line, "-", *arguments], cwd or self.root.parent, **options)

    def python(self, *arguments, cwd=None, env=None, **options):
        """Run `python3 -m inference ARGUMENTS...`."""
        command = [sys.executable, "-m", "inference", *arguments]
        return run(command, cwd or self.root, env, **options)


def run(command, cwd, env=None, **options):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **(env or {})}
    options = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run([str(part) for part in command], cwd=cwd, env=environment, **options)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    """The copy that all tests of a session share; they leave it as it is."""
    return Repository(tmp_path_factory.mktemp("a clone") / "hw1")


@pytest.fixture
def repository(pristine, tmp_path):
    """A copy of a test's own, to spoil."""
    mine = Repository.__new__(Repository)
    mine.root = tmp_path / "clone"
    mine.zoo = mine.root / "inference" / "zoo.json"
    shutil.copytree(pristine.root, mine.root)
    weights = mine.root / "weights"
    mine.records = {
        task: dataclasses.replace(record, folder=weights)
        for task, record in pristine.records.items()
    }
    return mine


@pytest.fixture
def small_zoo(pristine, monkeypatch):
    """Make this process use the shared copy's zoo; return its records by task."""
    monkeypatch.setattr(zoo, "ZOO", pristine.zoo)
    return pristine.records


@pytest.fixture(scope="session")
def draw():
    """Return a function that writes an image: blobs of random colours, the same for each name."""

    def draw(path, size=(32, 32), mode="RGB", **options):
        random = np.random.default_rng(list(Path(path).name.encode()))
        base = random.integers(0, 256, 3)
        noise = random.integers(-60, 60, (4, 4, 3))
        values = np.clip(base + noise, 0, 255).astype(np.uint8)
        image = Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        image.convert(mode).save(path, **options)
        return Path(path)

    return draw


@pytest.fixture(scope="session")
def small_images(tmp_path_factory, draw):
    """A folder of 37 PNG images, 32x32, like those of P1; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(37):
        draw(folder / f"{i:04}.png")
    return folder


@pytest.fixture(scope="session")
def tiles(tmp_path_factory, draw):
    """A folder of five satellite images, four of one size, and a truth mask of each."""
    folder = tmp_path_factory.mktemp("tiles")
    for i in range(5):
        draw(folder / f"{i:04}_sat.jpg", (64, 64) if i < 4 else (50, 70))
        draw(folder / f"{i:04}_mask.png", (64, 64))
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory, draw):
    """A folder of JPEGs of several sizes and the csv that lists them: (folder, csv)."""
    folder = tmp_path_factory.mktemp("photos")
    names = ["0000.jpg", "13_15.jpg", "7.jpg", "a b.jpg", 'ü, "x".jpg', "z.JPEG"]
    for i, name in enumerate(names):
        draw(folder / "img" / name, (60 + 10 * i, 90 - 5 * i))
    quoted = [f'"{n.replace(chr(34), 2 * chr(34))}"' if "," in n else n for n in names]
    lines = [f"{100 - 7 * i},{name},None" for i, name in enumerate(quoted)]
    (folder / "test.csv").write_text("\n".join(["id,filename,label", *lines]) + "\n", "utf-8")
    return folder / "img", folder / "test.csv"


@pytest.fixture
def run_here(capsys):
    """Return a function that runs a command in this process: exit status and lines on stderr."""

    def run_here(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            status = error.code
        out, err = capsys.readouterr()
        assert out == ""
        return status, err.splitlines()

    return run_here


@pytest.fixture
def refused(run_here):
    """Return a function that runs a command which must fail with one line, that it returns."""

    def refused(*arguments):
        status, lines = run_here(*arguments)
        assert status == 2 and len(lines) == 1 and lines[0].startswith("error: "), lines
        return lines[0]

    return refused
