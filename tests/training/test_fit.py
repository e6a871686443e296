"""The training loop on a tiny network: what it leaves behind, and how it goes on."""

import csv
import json
import math

import numpy as np
import pytest
import torch

from inference import UserError
from training import memory
from training.classification.recipes import Recipe
from training.classification.task import Classification
from training.fit import fit
from training.task import warm_cosine


def recipe(**changes):
    fields = {
        "name": "tiny",
        "task": "p1",
        "network": "convnet",
        "classes": 2,
        "arguments": {"widths": [4, 8], "depths": [1], "dropout": 0.2},
        "epochs": 3,
        "batch_size": 8,
        "optimizer": "adamw",
        "lr": 0.01,
        "ema": 0.9,
        "size": 16,
        "shift": 2,
        "jitter": 0.2,
        "cutmix": 0.3,
        "precision": "fp32",
    }
    return Recipe(**{**fields, **changes})


def batches(shuffle):
    """Gives 40 noisy images: dark ones of class 0, bright ones of class 1."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = random.integers(0, 100, (40, 16, 16, 3)) + 100 * labels[:, None, None, None]
    return memory.Batches((pixels.astype(np.uint8), labels), range(40), 8, shuffle=shuffle)


def train(out, **changes):
    torch.manual_seed(0)
    chosen = recipe(**changes)
    return fit(Classification(chosen), batches(True), batches(False), out, say=lambda line: None)


def weights(out):
    return torch.load(out / "best.pth", weights_only=True)


def test_a_run_learns_and_leaves_its_files(tmp_path):
    found = train(tmp_path / "run", epochs=8)
    assert found["held_out"] > 0.9
    assert all(
        value.dtype in (torch.float32, torch.int64) for value in weights(tmp_path / "run").values()
    )
    with (tmp_path / "run" / "metrics.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [int(row["epoch"]) for row in rows] == list(range(8))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {"best.pth", "last.ckpt", "metrics.csv"}


def test_a_stopped_run_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    train(tmp_path / "whole")
    real, calls = Classification.loss, []

    def stopping(self, *batch):
        calls.append(1)
        if len(calls) == 8:  # in the middle of the second epoch
            raise KeyError("pulled plug")
        return real(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Classification, "loss", stopping)
        with pytest.raises(KeyError):
            train(tmp_path / "halves")
    train(tmp_path / "halves")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.equal(one[key], other[key]) for key in one)
    texts = [(tmp_path / run / "metrics.csv").read_text() for run in ("whole", "halves")]
    assert texts[0] == texts[1]


def test_two_seeds_differ_and_one_seed_does_not(tmp_path):
    runs = {"a": 0, "b": 0, "c": 1}
    for name, seed in runs.items():
        train(tmp_path / name, epochs=1, seed=seed)
    a, b, c = (weights(tmp_path / name)["fc.weight"] for name in runs)
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_loss_that_is_not_finite_ends_the_run_and_spares_what_was(tmp_path, monkeypatch):
    train(tmp_path / "run", epochs=1)
    before = (tmp_path / "run" / "best.pth").read_bytes()
    monkeypatch.setattr(
        Classification, "loss", lambda self, *batch: self.network.fc.weight.sum() * math.nan
    )
    with pytest.raises(UserError, match=r"the loss is nan at step \d+, rate .*lower lr="):
        train(tmp_path / "run", epochs=2)
    assert (tmp_path / "run" / "best.pth").read_bytes() == before


def test_pretrained_starts_from_a_file_and_says_when_it_cannot(tmp_path):
    train(tmp_path / "first", epochs=1)
    file = tmp_path / "first" / "best.pth"
    task = Classification(recipe(pretrained=str(file)))
    assert torch.equal(task.network.fc.weight, weights(tmp_path / "first")["fc.weight"])
    other = Classification(recipe(pretrained=str(file), classes=5))  # another classifier
    assert other.network.fc.weight.shape == (5, 8)
    with pytest.raises(UserError, match=r"cannot read pretrained=.*nowhere"):
        Classification(recipe(pretrained="nowhere.pth"))
    with pytest.raises(UserError, match="do not fit"):
        Classification(recipe(pretrained=str(file), arguments={"widths": [8, 8], "depths": [1]}))


@pytest.mark.parametrize(
    ("progress", "factor"), [(0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.5), (1, 0), (1.01, 0)]
)
def test_the_rate_rises_and_falls(progress, factor):
    assert warm_cosine(progress, warmup=0.1) == pytest.approx(factor)


def test_without_warmup_the_rate_starts_high():
    assert warm_cosine(0, warmup=0) == 1


def test_hold_out_takes_from_every_class_and_overlaps_nothing():
    from training.classification.data import hold_out

    labels = np.repeat(np.arange(5), 20)
    train_on, held = hold_out(labels, 0.1, seed=0)
    assert sorted([*train_on, *held]) == list(range(100))
    assert np.bincount(labels[held]).tolist() == [2] * 5
    assert not np.array_equal(held, hold_out(labels, 0.1, seed=1)[1])
    assert json.dumps(held.tolist())  # plain integers
