"""Pre-training from end to end on a tiny network."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inference import UserError
from tests.training.byol.tiny import FIELDS, train
from tests.training.engine.started import run, start, wait_until
from training.byol import data
from training.byol.module import Byol
from training.engine.optimizers import SGD

COMMAND = ("training", "fit", "p2-byol", "--data", "p2_data")
CHANGED = ("network", "classes", "hidden", "projection", "batch_size", "size", "precision")
WORDS = [f"{key}={FIELDS[key]}" for key in CHANGED] + [
    'arguments={"widths": [4, 8], "depths": [0]}',
    "lr=0.05",
]


def rows(out):
    """Return the rows of metrics.csv but for what a clock says."""
    with (out / "metrics.csv").open() as text:
        found = list(csv.DictReader(text))
    clock = ("seconds", "images_per_second")
    return [{key: row[key] for key in row if key not in clock} for row in found]


def same(one, other, name="best.pth"):
    first, second = (torch.load(out / name, weights_only=True) for out in (one, other))
    return all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with P2 data: 24 images of two classes, and two whose class is unknown."""
    root = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)
    (root / "p2_data" / "mini" / "train").mkdir(parents=True)
    lines = ["id,filename,label"]
    for i in range(26):
        pixels = random.integers(0, 120, (20, 30, 3), dtype=np.uint8)
        pixels[..., i % 2] += 100
        Image.fromarray(pixels).save(root / "p2_data" / "mini" / "train" / f"{i}.jpg")
        lines.append(f"{i},{i}.jpg,{i % 2 if i < 24 else 'None'}")
    (root / "p2_data" / "mini" / "train.csv").write_text("\n".join(lines) + "\n")
    return root


def test_a_run_learns_watches_itself_and_leaves_its_files(tmp_path):
    module, found = train(tmp_path, epochs=4, knn_every=3, keep_epochs=(2,))
    table = rows(tmp_path)
    assert float(table[-1]["loss"]) < float(table[0]["loss"])
    assert [bool(row["knn"]) for row in table] == [True, False, True, True]
    assert all(0.1 < float(row["spread"]) < 1.1 for row in table)
    assert found.score == float(table[-1]["knn"]) > 0.9
    state = torch.load(tmp_path / "best.pth", weights_only=True)
    assert all(torch.equal(state[k], v) for k, v in module.network.backbone.state_dict().items())
    kept = torch.load(tmp_path / "epoch-0002.pth", weights_only=True)
    torch.manual_seed(0)  # as `train` does
    start = Byol(module.recipe).network.backbone.state_dict()
    assert kept.keys() == state.keys() == start.keys()
    stayed = {key for key in start if torch.equal(start[key], state[key])}
    assert stayed == {"fc.weight", "fc.bias"} and start["fc.weight"].any()


def test_a_stopped_run_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    train(tmp_path / "whole", epochs=3, knn_every=2)
    real, calls = Byol.loss, []

    def stopping(self, *batch):
        calls.append(1)
        if len(calls) == 8:  # in the middle of the second epoch
            raise KeyError("pulled plug")
        return real(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Byol, "loss", stopping)
        with pytest.raises(KeyError):
            train(tmp_path / "halves", epochs=3, knn_every=2)
    train(tmp_path / "halves", epochs=3, knn_every=2)
    assert rows(tmp_path / "whole") == rows(tmp_path / "halves")
    assert same(tmp_path / "whole", tmp_path / "halves")


@pytest.mark.parametrize("optimizer", ["LARS", "AdamW"])
def test_killed_the_command_goes_on_to_the_same_end(place, optimizer):
    words = [*WORDS, f"optimizer={optimizer}", "epochs=6", "knn_every=2"]
    outs = [place / f"{optimizer}-{name}" for name in ("whole", "killed")]
    status, log = run(*COMMAND, *words, "--out", outs[0], cwd=place)
    assert status == 0, log
    process = start(*COMMAND, *words, "--out", outs[1], cwd=place)
    wait_until(lambda: (outs[1] / "metrics.csv").exists() and len(rows(outs[1])) >= 2, process)
    process.kill()
    process.join()
    status, log = run(*COMMAND, *words, "--out", outs[1], cwd=place)
    assert status == 0, log
    assert rows(outs[0]) == rows(outs[1]) and same(*outs)
    result = json.loads((outs[1] / "result.json").read_text())
    assert result["scores"]["val"] == float(rows(outs[1])[-1]["knn"])
    assert (result["trained_on"], result["epochs"]) == (26, 6)
    assert "k-NN accuracy" in log and log.splitlines()[-1].startswith("p2-byol: k-NN accuracy ")


def test_any_folder_of_images_will_do_and_is_not_watched_without_labels(place):
    folder = place / "p2_data" / "mini" / "train"
    command = ("training", "fit", "p2-byol-report", "--data", folder, "--out", "plain")
    status, log = run(*command, *WORDS, "epochs=1", cwd=place)
    assert status == 0, log
    assert "knn" not in rows(place / "plain")[0] and "k-NN" not in log
    assert log.splitlines()[-1] == "p2-byol-report: not measured; plain"


def test_labels_in_another_encoding_are_not_known_and_half_a_csv_is_an_error(place, tmp_path):
    shutil.copytree(place / "p2_data", tmp_path / "p2_data")
    table = tmp_path / "p2_data" / "mini" / "train.csv"
    table.write_bytes(b"filename,label\n0.jpg,caf\xe9\n1.jpg, 3\n")
    assert set(data.read(tmp_path / "p2_data").labels.tolist()) == {-1, 3}
    table.write_bytes(b'filename,label\n0.jpg,"4\n1.jpg,3\n')
    with pytest.raises(UserError, match=r"line 2 of .*train.csv opens a quote"):
        data.read(tmp_path / "p2_data")


def test_labels_that_are_none_are_not_known(place):
    paths, labels = data.read(place / "p2_data")
    assert [path.name for path, label in zip(paths, labels) if label < 0] == ["24.jpg", "25.jpg"]


def test_a_collapse_ends_the_run_in_one_line(tmp_path, monkeypatch):
    real = Byol.__init__

    def collapsed(self, recipe):
        real(self, recipe)
        nn.init.zeros_(self.network.projector[-1].weight)

    monkeypatch.setattr(Byol, "__init__", collapsed)
    with pytest.raises(UserError, match=r"collapsed: in epoch 1 .*\(spread 0\.0\d+.*lower lr="):
        train(tmp_path, optimizer=SGD(1e-9))


def test_both_networks_are_compiled(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda call, **_: compiled.append(call) or call)
    train(tmp_path / "plain", epochs=1)
    assert not compiled
    train(tmp_path / "compiled", epochs=1, compile=True)
    assert len(compiled) == 2 and same(tmp_path / "plain", tmp_path / "compiled")
