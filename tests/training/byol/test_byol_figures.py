"""Figures of a pre-training, from what its folder says."""

import json

import pytest
from PIL import Image

from training.__main__ import main
from training.byol.recipes import RECIPES
from training.engine.run_folder import Run
from training.problems import PROBLEMS

ROWS = ["epoch,loss,knn,spread,best_epoch", "0,6.0,0.25,0.9,0", "1,4.0,,0.8,0", "2,3.0,0.5,0.7,2"]


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a pre-training that is going on, after three epochs."""
    folder = tmp_path / "p2-byol-s0"
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(RECIPES["p2-byol"].to_plain()))
    (folder / "metrics.csv").write_text("\n".join([*ROWS, ""]))
    return folder


def test_the_curves_are_drawn_with_their_last_values(folder, tmp_path, capsys):
    assert main(["figures", str(folder), "--data", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    files = [folder / "figures" / name for name in ("learning_curve.png", "figures.json")]
    assert out.split() == list(map(str, files)) and err == ""
    with Image.open(files[0]) as picture:
        assert picture.width > picture.height > 400
    said = json.loads(files[1].read_text())
    assert (said["run"], said["recipe"], said["best_epoch"]) == ("p2-byol-s0", "p2-byol", 3)
    assert said["epochs"] == 3 and said["last"] == {"loss": 3.0, "spread": 0.7, "knn": 0.5}
    assert said["knn"] == {"k": 20, "protocol": "leave one out", "split": "train"}


def test_images_cannot_be_chosen(folder, tmp_path, capsys):
    assert main(["figures", str(folder), "--data", str(tmp_path), "--images", "0013"]) == 2
    said = "error: --images: figures of p2-byol show no chosen image; leave it out\n"
    assert capsys.readouterr().err == said and not (folder / "figures").exists()


def test_images_without_labels_have_no_knn_accuracy(folder):
    (folder / "metrics.csv").write_text("epoch,loss,spread,best_epoch\n0,6.0,0.9,0\n")
    said = PROBLEMS["byol"].figures(Run.load(folder, PROBLEMS), None, folder / "figures")
    assert said["last"] == {"loss": 6.0, "spread": 0.9}
    assert len(said["notes"]) == 1 and "without labels of two classes" in said["notes"][0]
    assert "knn" not in said


@pytest.mark.parametrize("table", [None, "epoch,loss,spread,best_epoch\n"])
def test_before_the_first_epoch_there_is_nothing_to_draw(folder, tmp_path, capsys, table):
    (folder / "metrics.csv").unlink()
    if table:
        (folder / "metrics.csv").write_text(table)
    assert main(["figures", str(folder), "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.endswith("metrics.csv has no epoch yet: wait for the first one\n")
    assert not (folder / "figures").exists()
