"""What the repository itself promises: its bundled checkpoints, and the floor of Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import zoo
from inference.runner import Runner
from inference.zoo.listing import source

ROOT = Path(__file__).resolve().parent.parent
NAMES = [record.name for record in zoo.records().values() if source(record) == "bundled"]


def test_every_task_has_a_bundled_default():
    defaults = {record.name for records in zoo.defaults().values() for record in records}
    assert defaults.issubset(NAMES)
    assert {zoo.record(name).task for name in defaults} == {"p1", "p2", "p3"}
    for name in NAMES:
        zoo.check(zoo.record(name))
    sizes = [zoo.record(name).bytes for name in NAMES]
    assert max(sizes) < 50e6 and sum(sizes) < 100e6


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_checkpoint_answers(name):
    record = zoo.record(name)
    network = zoo.load(record)
    size = record.size or 96
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    runner = Runner(network, record.mean, record.std, torch.device("cpu"))
    logits = runner.logits(images)
    assert logits.shape[:2] == (2, record.classes) and torch.isfinite(logits).all()
    if record.task != "p3":
        assert network.features(torch.rand(2, 3, size, size)).shape[0] == 2


def test_their_scores_are_those_that_were_promised():
    wanted = {"p1": 0.75, "p2": 0.50, "p3": 0.65}  # of those trained on sample data
    for name in NAMES:
        record = zoo.record(name)
        least = wanted[record.task] if record.trained_on == "sample data" else 0.5
        assert record.scores["fp32"] >= least, name


def test_model_a_is_small():
    network = zoo.load(zoo.record("p1-a"))
    assert sum(parameter.numel() for parameter in network.parameters()) <= 6_500_000


@pytest.mark.parametrize("target", ["inference", "hubconf.py", "mean_iou_evaluate.py"])
def test_what_a_grader_runs_keeps_to_python_3_8(target):
    code = "import sys; from vermin import main; sys.argv[0] = 'vermin'; main()"
    command = [sys.executable, "-c", code, "-t=3.8-", "--violations", "--no-tips"]
    done = subprocess.run([*command, str(ROOT / target)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_inference_imports_nothing_that_a_grader_lacks():
    code = (
        "import sys, inference.predict, inference.grade, inference.zoo.download\n"
        "import inference.zoo.listing, inference.networks, inference.runner, inference.model\n"
        "print({name.split('.')[0] for name in sys.modules} & "
        "{'torchvision', 'training', 'lightning', 'scipy', 'pandas', 'sklearn', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
