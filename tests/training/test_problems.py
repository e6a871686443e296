"""Every problem from its data to its figures, and one that the engine has never heard of."""

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from inference.networks import NETWORKS, load_into
from tests.training.segmentation.conftest import Small
from training import problems
from training.__main__ import main
from training.data.batches import Batches
from training.engine.checkpoint import write_whole
from training.engine.claim import markdown
from training.engine.module import TrainingModule
from training.engine.problem import Evaluation, Files, Problem
from training.engine.recipe import Recipe
from training.engine.run import run
from training.engine.run_folder import Run, find_runs
from training.engine.selection import LastEpoch
from training.engine.values import choice, named
from training.problems import PROBLEMS

ROOT = Path(__file__).parents[2]
ONE_STEP = ["epochs=2", "precision=fp32"]  # of an epoch: the data is as large as the batch
# Problem -> a recipe of it, and what makes it small
SMALL = {
    "p1": ("p1-a", ['arguments={"widths":[4,8],"depths":[1]}', "classes=4", "batch_size=24"]),
    "p2": ("p2-a", ["size=24", "cache=32", "classes=4", "batch_size=24"]),
    "mini": ("p2-supervised", ["size=24", "cache=32", "classes=4", "batch_size=20"]),
    "byol": (
        "p2-byol",
        ["size=16", "cache_size=20", "hidden=8", "projection=4", "batch_size=24", "knn_every=1"],
    ),
    "p3": (
        "p3-b",
        ["pretrained=none", "tilecrop.side=64", "batch_size=5", "layer_decay=1"],
    ),
}


class Killed(BaseException):
    """The end of a process that nothing in it could foresee."""


def stop_at(monkeypatch, module, step):
    """Let a step of a module's training be its last."""
    real, calls = module.loss, []

    def loss(self, *batch):
        calls.append(1)
        if len(calls) == step:
            raise Killed
        return real(self, *batch)

    monkeypatch.setattr(module, "loss", loss)


def measured(folder):
    """Return what a run measured, but for what a clock says."""
    columns = Run.load(folder, PROBLEMS).metrics
    return {key: columns[key] for key in columns if key not in ("seconds", "images_per_second")}


def weights(folder):
    return torch.load(folder / "best.pth", weights_only=True)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def train_kill_and_resume(problem, recipe, data, place, monkeypatch):
    """Train a recipe at one go and in two parts; return the folder of the second run."""
    lines = []
    run(problem, recipe, data, place / "whole", lines.append)
    with monkeypatch.context() as patch:
        stop_at(patch, problem.module, step=2)
        with pytest.raises(Killed):
            run(problem, recipe, data, place / "halves", lines.append)
    half = Run.load(place / "halves", PROBLEMS)
    assert (half.epochs_done, half.finished, half.score) == (1, False, None)
    run(problem, recipe, data, place / "halves", lines.append)
    np.testing.assert_equal(measured(place / "halves"), measured(place / "whole"))
    assert same(weights(place / "halves"), weights(place / "whole"))
    assert lines[-1].startswith(f"{recipe.name}: {problem.metric} ")
    return place / "halves"


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_trains_resumes_is_evaluated_and_drawn(
    name, hw1_data, shallow, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NETWORKS, "deeplabv3_resnet50", Small)
    monkeypatch.setattr("training.plots.style.png", lambda figure: b"a picture")  # seconds
    problem, (of, words) = PROBLEMS[name], SMALL[name]
    recipe = problem.recipes[of].with_changes([*words, *ONE_STEP])
    data = hw1_data / problem.folder
    folder = train_kill_and_resume(problem, recipe, data, tmp_path, monkeypatch)

    found = Run.load(folder, PROBLEMS)
    assert found.recipe == recipe and found.problem is problem and found.finished
    assert found.epochs_done == 2 and 0 <= found.score <= 1
    assert found.find_data(hw1_data) == data
    record = recipe.record()
    load_into(record.network, record.classes, record.arguments, weights(folder))  # strictly
    if problem.evaluate:
        again = problem.evaluate(record, data, found.best, "fp32", "cpu")
        assert again.score == found.score and len(again.names) == found.images
    said = recipe.describe()
    assert {"Network", "Optimiser", "Augmentation", "Epoch chosen"} <= said.keys()
    for value in said.values():
        assert value and all(
            isinstance(line, str) for line in ([value], value)[type(value) is list]
        )
    assert f"| `{of}` |" in markdown(PROBLEMS)
    if problem.figures:
        drawn = problem.figures(found, data, tmp_path / "figures", [])
        assert drawn == json.loads((tmp_path / "figures" / "figures.json").read_text())
        for file in drawn["figures"].values():
            assert (tmp_path / "figures" / file).read_bytes() == b"a picture"


def test_every_problem_is_tested_here():
    assert SMALL.keys() == PROBLEMS.keys()
    assert all(PROBLEMS[name].name == name for name in PROBLEMS)
    for problem in PROBLEMS.values():
        for name, recipe in problem.recipes.items():
            assert (recipe.name, recipe.problem) == (name, problem.name)
        assert problem.claims.keys() <= problem.recipes.keys()


# ---- a problem of nobody's: how bright is an image?


class Mean(nn.Module):
    """A network of two numbers."""

    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(1, classes)

    def forward(self, images):
        """(N, 3, H, W) -> (N, classes)."""
        return self.fc(images.mean((1, 2, 3))[:, None])


@dataclass(frozen=True)
class Square:
    """The squared error."""

    weight: float = 1.0

    def __call__(self, found, wanted):
        """Return the mean loss."""
        return self.weight * (found - wanted).square().mean()

    def describe(self):
        """Return the loss in words."""
        return f"squared error, times {self.weight:g}"


@dataclass(frozen=True)
class ToyRecipe(Recipe):
    """A recipe with a loss of its own."""

    loss: Square = choice(named(Square), Square())

    def _describe_problem(self):
        return {"Loss": self.loss.describe()}


class Toy(TrainingModule):
    """The brightness of noise."""

    metric = "closeness"
    reduced_counters = ("error", "seen")

    def __init__(self, recipe):
        super().__init__(recipe)
        self.error = self.seen = 0

    def loss(self, images, wanted):
        """Return the mean loss."""
        return self.recipe.loss(self.network(self.to_float(images))[:, 0], wanted)

    def measure(self, network, images, wanted):
        """Add up errors."""
        found = network(self.to_float(images))[:, 0]
        self.error += (found - wanted).abs().sum().item()
        self.seen += len(wanted)

    def score(self):
        """Return 1 less the mean error."""
        closeness = 1 - self.error / self.seen
        self.error = self.seen = 0
        return {self.metric: closeness}


def read(data):
    """Return the images and brightnesses that a file holds."""
    images = np.load(data / "images.npy")
    return images, (images.mean((1, 2, 3)) / 255).astype(np.float32)


def toy_batches(recipe, data):
    arrays = read(data)
    training = Batches(arrays, range(24), recipe.batch_size, shuffle=True, seed=recipe.seed)
    return training, Batches(arrays, range(24, 32), 8, shuffle=False)


def toy_evaluate(record, data, weights, precision, device):
    state = torch.load(weights, weights_only=True)
    network = load_into(record.network, record.classes, record.arguments, state).eval()
    images, wanted = read(data)
    with torch.no_grad():
        found = network(torch.from_numpy(images[24:]).permute(0, 3, 1, 2) / 255)[:, 0].numpy()
    score = 1 - float(np.abs(found - wanted[24:]).mean())
    return Evaluation(found, wanted[24:], score, [str(i) for i in range(24, 32)])


def toy_figures(run, data, out, names):
    out.mkdir(parents=True)
    write_whole(out / "curve.txt", str(run.metrics["closeness"]).encode())
    numbers = {"figures": {"curve": "curve.txt"}, "notes": [], "best_epoch": run.best_epoch}
    write_whole(out / "figures.json", json.dumps(numbers).encode())
    return numbers


TOY = Problem(
    name="toy",
    folder="toy_data",
    metric="closeness",
    recipes={
        "toy-a": ToyRecipe(
            name="toy-a",
            problem="toy",
            network="mean",
            classes=1,
            epochs=2,
            batch_size=24,
            ema=0.0,
            select_epoch_by=LastEpoch(),
        )
    },
    module=Toy,
    batches=toy_batches,
    files=lambda recipe, data: [Files([data / "images.npy"])],
    evaluate=toy_evaluate,
    figures=toy_figures,
)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Register the toy problem, and write its data; return the folder of that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NETWORKS, "mean", Mean)
    monkeypatch.setitem(PROBLEMS, "toy", TOY)
    monkeypatch.setitem(problems.RECIPES, "toy-a", TOY.recipes["toy-a"])
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 1, 3), np.uint8)
    data = tmp_path / "hw1_data" / "toy_data"
    data.mkdir(parents=True)
    np.save(data / "images.npy", images.repeat(8, 1).repeat(8, 2))
    return data


def test_a_new_problem_trains_resumes_is_evaluated_and_drawn(toy, tmp_path, monkeypatch, capsys):
    recipe = TOY.recipes["toy-a"]
    runs = tmp_path / "runs"
    folder = train_kill_and_resume(TOY, recipe, toy, runs, monkeypatch)
    listed, damaged = find_runs(runs, PROBLEMS)
    assert [found.name for found in listed] == ["halves", "whole"] and damaged == []
    found = listed[0]
    assert found.score == TOY.evaluate(recipe.record(), toy, found.best, "fp32", "cpu").score
    # The two paths to the score sum up in another order.
    assert found.score == pytest.approx(found.metrics["closeness"][-1], abs=1e-6)
    assert (found.images, found.best_epoch, found.trained_on) == (8, 2, 24)
    assert found.find_data(tmp_path / "hw1_data") == toy
    assert recipe.describe()["Loss"] == "squared error, times 1"
    assert "| `toy-a` | mean | not measured |" in markdown(PROBLEMS)
    assert main(["figures", str(folder)]) == 0
    out = capsys.readouterr().out.split()
    assert out == [str(folder / "figures" / name) for name in ("curve.txt", "figures.json")]


def test_a_new_problem_has_the_command_line_too(toy, tmp_path, capsys):
    words = ["toy-a", "--data", str(toy), "weight=2", "lr=0.05", "optimizer=sgd", "epochs=30"]
    assert main(["fit", *words]) == 0
    found = Run.load(tmp_path / "runs" / "toy-a-s0", PROBLEMS)
    assert found.recipe.loss == Square(2.0) and found.score > 0.9
    capsys.readouterr()
    assert main(["fit", *words, "weight=3"]) == 2
    assert "holds a run with weight=2.0, and weight=3.0 is asked for" in capsys.readouterr().err
    (toy / "images.npy").unlink()
    assert main(["fit", *words]) == 2
    assert capsys.readouterr().err.startswith("error: cannot read ")


def test_a_run_of_a_problem_that_is_not_here_is_one_line(toy, tmp_path, monkeypatch):
    recipe = dataclasses.replace(TOY.recipes["toy-a"], epochs=1)
    run(TOY, recipe, toy, tmp_path / "runs" / "toy", lambda line: None)
    monkeypatch.delitem(PROBLEMS, "toy")
    listed, (line,) = find_runs(tmp_path / "runs", PROBLEMS)
    assert listed == [] and "its problem is 'toy', and there are p1, p2, " in line


def test_what_is_shared_names_no_problem():
    """Nor does it import one: a new problem changes nothing there."""
    names = "|".join([*PROBLEMS, *(p.metric for p in PROBLEMS.values() if p.metric != "accuracy")])
    forbidden = [
        r"\btask ==",
        r"== .p[123].",
        rf"""["']({names})["']""",
        r"training\.(byol|classification|segmentation|publish|report)",
        r"import training\.problems|from training\.problems|from training import .*problems",
    ]
    for folder in ("engine", "data", "plots", "augment"):
        files = sorted((ROOT / "training" / folder).rglob("*.py"))
        assert files
        for file in files:
            for number, line in enumerate(file.read_text().splitlines(), 1):
                for pattern in forbidden:
                    assert not re.search(pattern, line), f"{file}:{number}: {line}"
