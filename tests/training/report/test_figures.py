"""Which pictures a report draws, takes over, keeps, and does without."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.training.report.conftest import P1_NUMBERS, scored, write_figures, write_run
from training.engine import fingerprint as same
from training.report import figures, runs


@pytest.fixture
def entry(tmp_path):
    """Gives a run with weights, on data that is there."""
    data = tmp_path / "p1_data"
    (data / "train_50").mkdir(parents=True)
    for label in range(2):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(data / "train_50" / f"{label}_0.png")
    folder = write_run(tmp_path / "runs" / "a", "p1-a", scored(0.5, data=str(data)), classes=2)
    (folder / "best.pth").touch()
    same.check(runs.read(folder, "a").recipe, data, folder)
    return runs.read(folder, "a")


@pytest.fixture
def drawn(monkeypatch):
    """Gives the list of runs that were drawn, by a stand-in that leaves two small pictures."""
    names = []

    def draw(run, data, out):
        names.append((run.name, data.name))
        write_figures(out, P1_NUMBERS, ("pca", "tsne"))

    monkeypatch.setattr(figures.figures, "draw", draw)
    return names


def pictures(tmp_path, entry, data="none"):
    return figures.Gallery(tmp_path / "out", tmp_path / data).of(entry)


def test_a_run_is_drawn_once_until_it_changes(tmp_path, entry, drawn):
    for _ in range(2):
        made = pictures(tmp_path, entry)
        assert made.files == {name: f"figures/a/{name}.png" for name in ("pca", "tsne")}
        assert made.numbers["features"] == 4 and drawn == [("a", "p1_data")]
    later = (tmp_path / "out/figures/a/figures.json").stat().st_mtime + 5
    os.utime(entry.folder / "best.pth", (later, later))
    pictures(tmp_path, entry)
    assert len(drawn) == 2


def test_another_run_of_the_name_has_its_own_pictures_though_its_files_are_older(
    tmp_path, entry, drawn
):
    pictures(tmp_path, entry)
    other = tmp_path / "others" / "a"
    shutil.copytree(entry.folder, other)
    for file in other.iterdir():
        os.utime(file, (1, 1))
    pictures(tmp_path, runs.read(other, "a"))
    assert len(drawn) == 2
    pictures(tmp_path, runs.read(other, "a"))
    assert len(drawn) == 2


def test_data_that_was_exchanged_is_not_drawn(tmp_path, entry, drawn):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "p1_data/train_50/0_1.png")
    assert "is not here: name it with --data" in pictures(tmp_path, entry).notes[0]
    assert not drawn


def test_pictures_beside_the_run_are_taken_over(tmp_path, entry, drawn):
    write_figures(entry.folder / "figures", P1_NUMBERS, ("pca",))
    assert list(pictures(tmp_path, entry).files) == ["pca"] and not drawn
    assert (tmp_path / "out/figures/a/pca.png").is_file()


def test_data_that_has_moved_is_found_if_it_is_the_same(tmp_path, entry, drawn):
    (tmp_path / "p1_data").rename(tmp_path / "moved")
    (tmp_path / "hw1_data").mkdir()
    assert "is not here: name it with --data" in pictures(tmp_path, entry, "hw1_data").notes[0]
    (tmp_path / "moved").rename(tmp_path / "hw1_data" / "p1_data")
    assert pictures(tmp_path, entry, "hw1_data").numbers
    assert drawn == [("a", "p1_data")]


def test_without_weights_the_learning_curve_is_left(tmp_path, entry, drawn):
    (entry.folder / "best.pth").unlink()
    made = pictures(tmp_path, entry)
    assert list(made.files) == ["learning_curve"] and "no best.pth" in made.notes[0]
    with Image.open(tmp_path / "out" / made.files["learning_curve"]) as curve:
        assert curve.width > 500
    assert not drawn


def test_what_cannot_be_drawn_is_noted(tmp_path, entry):
    made = pictures(tmp_path, entry)  # best.pth is empty, and there is no val_50
    assert made.notes and not made.numbers and list(made.files) == ["learning_curve"]
