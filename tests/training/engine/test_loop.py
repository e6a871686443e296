"""The training loop on a tiny network: what it leaves behind, and how it goes on."""

import csv
import io
import json
import math
import sys

import numpy as np
import pytest
import torch

from inference import UserError
from inference.networks import build
from training.augment.augmentations import (
    ColorJitter,
    CutMix,
    Flip,
    GaussianBlur,
    RandomResizedCrop,
    Shift,
)
from training.classification.module import Classification
from training.classification.recipe import ClassificationRecipe
from training.data.batches import Batches
from training.data.splits import hold_out
from training.engine import devices, loop
from training.engine.checkpoint import Curves, write_whole
from training.engine.optimizers import SGD, AdamW
from training.engine.schedules import Constant
from training.engine.selection import HeldOut, LastEpoch


def recipe(**changes):
    fields = {
        "name": "tiny",
        "problem": "p1",
        "network": "convnet",
        "classes": 2,
        "arguments": {"widths": [4, 8], "depths": [1], "dropout": 0.2},
        "epochs": 3,
        "batch_size": 8,
        "optimizer": AdamW(0.01, 5e-4),
        "ema": 0.9,
        "size": 16,
        "augment": (Shift(2), Flip(), ColorJitter(0.2), CutMix(0.3)),
        "precision": "fp32",
    }
    return ClassificationRecipe(**{**fields, **changes})


def batches(shuffle):
    """Return 40 noisy images: dark ones of class 0, bright ones of class 1."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    pixels = random.integers(0, 100, (40, 16, 16, 3)) + 100 * labels[:, None, None, None]
    return Batches((pixels.astype(np.uint8), labels), range(40), 8, shuffle=shuffle)


def train(out, held_out=True, **changes):
    torch.manual_seed(0)
    module = Classification(recipe(**changes))
    held_out = batches(False) if held_out else None
    return loop.train(module, batches(True), held_out, out, log=lambda line: None)


def weights(out, name="best.pth"):
    return torch.load(out / name, weights_only=True)


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


def measured(out):
    """Return the rows of metrics.csv but for what a clock says."""
    with (out / "metrics.csv").open() as text:
        rows = list(csv.DictReader(text))
    clock = ("seconds", "images_per_second")
    return [{key: row[key] for key in row if key not in clock} for row in rows]


def test_a_run_learns_and_leaves_its_files(tmp_path):
    found = train(tmp_path / "run", epochs=8)
    assert found.score > 0.9
    assert all(
        value.dtype in (torch.float32, torch.int64) for value in weights(tmp_path / "run").values()
    )
    with (tmp_path / "run" / "metrics.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {
        "best.pth",
        "epoch-0001.pth",
        "epoch-0004.pth",
        "last.ckpt",
        "metrics.csv",
        "tensorboard",
    }


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, 8),
        ({"save_every": 2, "select_epoch_by": LastEpoch(), "epochs": 5}, 18),
    ],  # in the middle of an epoch
    ids=["each epoch saved", "every second one"],
)
def test_a_stopped_run_ends_as_an_uninterrupted_one(tmp_path, monkeypatch, changes, step):
    train(tmp_path / "whole", **changes)
    real, calls = Classification.loss, []

    def stopping(self, *batch):
        calls.append(1)
        if len(calls) == step:
            raise KeyError("pulled plug")
        return real(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Classification, "loss", stopping)
        with pytest.raises(KeyError):
            train(tmp_path / "halves", **changes)
    train(tmp_path / "halves", **changes)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "halves"))
    assert measured(tmp_path / "whole") == measured(tmp_path / "halves")


def test_a_run_that_goes_on_in_another_precision_says_so(tmp_path, monkeypatch):
    """Moved to a processor that is fast in another one, say, with precision=auto."""
    lines = []

    def part(fast, **changes):
        monkeypatch.setattr(devices, "fast_precisions", lambda device: fast)
        module = Classification(recipe(precision="auto", **changes))
        loop.train(module, batches(True), None, tmp_path, log=lines.append)
        notes = [line for line in lines if line.startswith("note: this run was computed")]
        lines.clear()
        return notes

    last = {"select_epoch_by": LastEpoch()}
    assert part(["bf16"], epochs=1, **last) == []
    (note,) = part([], epochs=2, **last)
    assert "in bf16-mixed up to now and goes on in 32-true, which is faster here" in note
    assert part([], epochs=3, **last) == []


def test_a_run_of_an_older_version_whose_table_counts_from_0_goes_on_counting_from_1(tmp_path):
    train(tmp_path / "whole", schedule=Constant(), epochs=3)
    train(tmp_path / "run", schedule=Constant(), epochs=2)
    rows = measured(tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, **{k: int(row[k]) - 1 for k in ("epoch", "best_epoch")}})
    train(tmp_path / "run", schedule=Constant(), epochs=3)
    assert [row["epoch"] for row in measured(tmp_path / "run")] == ["1", "2", "3"]
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")


def test_save_every_says_which_epochs_are_measured_and_the_last_always_is(tmp_path):
    train(tmp_path, save_every=2)
    assert [bool(row["accuracy"]) for row in measured(tmp_path)] == [False, True, True]


def test_two_seeds_differ_and_one_seed_does_not(tmp_path):
    runs = {"a": 0, "b": 0, "c": 1}
    for name, seed in runs.items():
        train(tmp_path / name, epochs=1, seed=seed)
    a, b, c = (weights(tmp_path / name)["fc.weight"] for name in runs)
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_without_held_out_images_the_last_epoch_is_exported(tmp_path):
    found = train(
        tmp_path, held_out=False, select_epoch_by=LastEpoch(), ema=0.0, keep_epochs=(2, 3)
    )
    assert (found.score, found.progress.best_epoch, found.trained_on) == (None, 2, 40)
    assert "accuracy" not in measured(tmp_path)[0]
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)["module"]
    network = {key.removeprefix("network."): last[key] for key in last if "network." in key}
    assert same(weights(tmp_path), network)  # ema=0: the network itself
    assert same(weights(tmp_path), weights(tmp_path, "epoch-0003.pth"))
    assert not same(weights(tmp_path), weights(tmp_path, "epoch-0002.pth"))


def test_patience_ends_a_run_that_stays_ended(tmp_path, monkeypatch):
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.1, 0.9])
    monkeypatch.setattr(Classification, "score", lambda self: {"accuracy": next(scores)})
    found = train(tmp_path, epochs=9, select_epoch_by=HeldOut(patience=2))
    progress = found.progress
    assert (progress.best_epoch, progress.epochs, found.score) == (1, 4, 0.7)
    again = train(tmp_path, epochs=9, select_epoch_by=HeldOut(patience=2))  # the same command
    assert again == found and len(measured(tmp_path)) == 4


def test_patience_waits_for_the_next_measurement(tmp_path, monkeypatch):
    scores = iter([0.5, 0.7, 0.6, 0.9])
    monkeypatch.setattr(Classification, "score", lambda self: {"accuracy": next(scores)})
    changes = {"epochs": 20, "save_every": 4, "select_epoch_by": HeldOut(patience=2)}
    found = train(tmp_path, **changes)
    progress = found.progress
    assert (progress.best_epoch, progress.epochs, found.score) == (7, 12, 0.7)
    assert train(tmp_path, **changes) == found and len(measured(tmp_path)) == 12


def test_a_loss_that_is_not_finite_ends_the_run_and_spares_what_was(tmp_path, monkeypatch):
    train(tmp_path / "run", epochs=1)
    before = (tmp_path / "run" / "best.pth").read_bytes()
    monkeypatch.setattr(
        Classification, "loss", lambda self, *batch: self.network.fc.weight.sum() * math.nan
    )
    with pytest.raises(UserError, match=r"the loss is nan at step \d+, rate .*lower lr="):
        train(tmp_path / "run", epochs=2)
    assert (tmp_path / "run" / "best.pth").read_bytes() == before


def test_ctrl_c_while_a_file_is_written_leaves_none_beside_it(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.engine.checkpoint.os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "last.ckpt", b"state")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_does_not_wait_for_tensorboard(tmp_path, monkeypatch):
    curves = Curves(tmp_path)
    curves.add({"epoch": 0, "loss": 1.0})
    close = curves.writer.close
    monkeypatch.setattr(curves.writer, "close", lambda: pytest.fail("its thread may wait as well"))
    with pytest.raises(KeyboardInterrupt), curves:
        raise KeyboardInterrupt
    close()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(tmp_path, monkeypatch, terminal):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stream)
    train(tmp_path, epochs=2)
    assert ("epoch 2/2:" in stream.getvalue()) == terminal


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    train(tmp_path, epochs=1)
    (tmp_path / "last.ckpt").write_bytes(b"PK half of it")
    with pytest.raises(
        UserError, match=r"cannot go on from .*last\.ckpt: .*; remove it to begin anew"
    ):
        train(tmp_path, epochs=2)


def test_under_bf16_pixels_and_scores_are_fp32(tmp_path, monkeypatch):
    real, kinds = Classification.normalise, set()

    def noting(self, images):
        tf32 = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        kinds.add((images.dtype, torch.is_autocast_enabled("cpu"), *tf32))
        return real(self, images)

    monkeypatch.setattr(Classification, "normalise", noting)
    varied = RandomResizedCrop(0.5, cache=16, degrees=5.0), GaussianBlur(3)
    found = train(tmp_path, epochs=1, augment=varied, precision="bf16")
    assert found.progress.precision == "bf16-mixed"
    assert kinds == {(torch.float32, False, False, "highest")}


def test_the_rate_that_is_logged_is_the_highest(tmp_path):
    train(tmp_path, epochs=1, optimizer=SGD(0.01, head_lr=10.0), schedule=Constant())
    assert float(measured(tmp_path)[0]["lr"]) == 0.1


def test_without_he_the_network_starts_as_torch_builds_it():
    torch.manual_seed(0)
    built = build("convnet", 2, **recipe().arguments).state_dict()
    for start, plain in (("torch", True), ("he", False)):
        torch.manual_seed(0)
        network = Classification(recipe(init=start)).network
        assert same(built, network.state_dict()) == plain


def test_checkpoints_hold_no_objects_and_weights_no_prefix(tmp_path):
    train(tmp_path, epochs=1)
    torch.load(tmp_path / "last.ckpt", weights_only=True)  # refuses anything but plain values
    fresh = Classification(recipe()).network.state_dict()
    assert {k: v.shape for k, v in weights(tmp_path).items()} == {
        key: value.shape for key, value in fresh.items()
    }


def test_a_compiled_network_is_the_same_to_whoever_loads_it(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda call, **_: compiled.append(call) or call)
    train(tmp_path / "plain", epochs=1)
    assert not compiled
    train(tmp_path / "compiled", epochs=1, compile=True)
    assert len(compiled) == 1
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "compiled"))


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


def test_hold_out_takes_from_every_class_and_overlaps_nothing():
    labels = np.repeat(np.arange(5), 20)
    train_on, held = hold_out(labels, 0.1, seed=0)
    assert sorted([*train_on, *held]) == list(range(100))
    assert np.bincount(labels[held]).tolist() == [2] * 5
    assert not np.array_equal(held, hold_out(labels, 0.1, seed=1)[1])
    assert json.dumps(held.tolist())  # plain integers
