"""Which pictures a report draws, takes over, keeps, and does without."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from inference import UserError
from tests.training.report.conftest import P1_NUMBERS, scored, write_figures, write_run
from training.engine.run import reserve
from training.engine.run_folder import Run
from training.problems import PROBLEMS
from training.report import figures


@pytest.fixture
def run(tmp_path):
    """Return a run with weights, on data that is there."""
    data = tmp_path / "p1_data"
    (data / "train_50").mkdir(parents=True)
    for label in range(2):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(data / "train_50" / f"{label}_0.png")
    folder = write_run(tmp_path / "runs" / "a", "p1-a", scored(0.5, data=str(data)), classes=2)
    for name in ("best.pth", "last.ckpt"):
        (folder / name).touch()
    recipe = Run.load(folder, PROBLEMS).recipe
    reserve(PROBLEMS["p1"], recipe, data, folder)
    return Run.load(folder, PROBLEMS)


@pytest.fixture
def drawn(monkeypatch):
    """Return the list of runs that were drawn, by a stand-in that leaves two small pictures."""
    names = []

    def draw(run, data, out, shown):
        if data is None:
            return write_figures(out, {}, ("learning_curve",))
        names.append((run.name, data.name))
        return write_figures(out, P1_NUMBERS, ("pca", "tsne"))

    fake = dataclasses.replace(PROBLEMS["p1"], figures=draw)
    monkeypatch.setitem(PROBLEMS, "p1", fake)
    return names


def pictures(tmp_path, run, data="none"):
    run = Run.load(run.folder, PROBLEMS)
    gallery = figures.Gallery(tmp_path / "out", tmp_path / data, lambda run: run.name, print)
    return gallery.of(run)


def test_a_note_names_the_run_and_no_folder_of_a_machine(tmp_path, run, monkeypatch):
    data = tmp_path / "my data" / "p1_data"

    def draw(run, folder, out, shown):
        notes = [f"{run.folder} keeps little", f"no tile in {data}/val", "none in /a/b/c: 0/0"]
        write_figures(out, P1_NUMBERS, ("pca",))
        summary = json.loads((out / "figures.json").read_text()) | {"notes": notes}
        (out / "figures.json").write_text(json.dumps(summary))
        return summary

    fake = dataclasses.replace(PROBLEMS["p1"], figures=draw)
    monkeypatch.setitem(PROBLEMS, "p1", fake)
    shutil.move(tmp_path / "p1_data", tmp_path / "my data" / "p1_data")
    for name in ("result.json", "data.json"):
        file = run.folder / name
        file.write_text(file.read_text().replace(str(tmp_path / "p1_data"), str(data)))
    said = pictures(tmp_path, run).notes
    assert said == ["a keeps little", "no tile in .../p1_data/val", "none in .../c: 0/0"]


def test_a_run_is_drawn_once_until_it_changes(tmp_path, run, drawn):
    for _ in range(2):
        made = pictures(tmp_path, run)
        assert made.files == {name: f"figures/a/{name}.png" for name in ("pca", "tsne")}
        assert made.numbers["features"] == 4 and drawn == [("a", "p1_data")]
    later = (tmp_path / "out/figures/a/figures.json").stat().st_mtime + 5
    os.utime(run.folder / "best.pth", (later, later))
    pictures(tmp_path, run)
    assert len(drawn) == 2


def test_another_run_of_the_name_has_its_own_pictures_though_its_files_are_older(
    tmp_path, run, drawn
):
    pictures(tmp_path, run)
    other = tmp_path / "others" / "a"
    shutil.copytree(run.folder, other)
    for file in other.iterdir():
        os.utime(file, (1, 1))
    pictures(tmp_path, Run.load(other, PROBLEMS))
    assert len(drawn) == 2
    pictures(tmp_path, Run.load(other, PROBLEMS))
    assert len(drawn) == 2


def test_data_that_was_exchanged_is_not_drawn(tmp_path, run, drawn):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "p1_data/train_50/0_1.png")
    assert "is not here: name it with --data" in pictures(tmp_path, run).notes[0]
    assert not drawn


def test_pictures_beside_the_run_are_taken_over(tmp_path, run, drawn):
    write_figures(run.folder / "figures", P1_NUMBERS, ("pca",))
    assert list(pictures(tmp_path, run).files) == ["pca"] and not drawn
    assert (tmp_path / "out/figures/a/pca.png").is_file()


def test_data_that_has_moved_is_found_if_it_is_the_same(tmp_path, run, drawn):
    (tmp_path / "p1_data").rename(tmp_path / "moved")
    (tmp_path / "hw1_data").mkdir()
    assert "is not here: name it with --data" in pictures(tmp_path, run, "hw1_data").notes[0]
    (tmp_path / "moved").rename(tmp_path / "hw1_data" / "p1_data")
    assert pictures(tmp_path, run, "hw1_data").numbers
    assert drawn == [("a", "p1_data")]


def test_without_weights_the_learning_curve_is_left(tmp_path, run, drawn):
    (run.folder / "best.pth").unlink()
    made = pictures(tmp_path, run)
    assert list(made.files) == ["learning_curve"] and "no best.pth" in made.notes[0]
    assert (tmp_path / "out" / made.files["learning_curve"]).is_file() and not drawn
    (run.folder / "best.pth").touch()  # and now the rest
    assert list(pictures(tmp_path, run).files) == ["pca", "tsne"]


def test_what_cannot_be_drawn_is_noted(tmp_path, run, monkeypatch):
    def draw(run, data, out, shown):
        if data is None:
            return write_figures(out, {}, ("learning_curve",))
        write_figures(out, P1_NUMBERS, ("pca",))
        raise UserError("no val_50")

    fails = dataclasses.replace(PROBLEMS["p1"], figures=draw)
    monkeypatch.setitem(PROBLEMS, "p1", fails)
    made = pictures(tmp_path, run)
    assert made.notes == ["no val_50"] and not made.numbers
    assert list(made.files) == ["learning_curve"]


def test_figures_that_are_damaged_are_drawn_anew(tmp_path, run, drawn):
    for content in ("", "[]", '{"figures": ["pca"]}', '{"figures": {"pca": 1}}', "\0"):
        write_figures(run.folder / "figures", P1_NUMBERS, ("pca",))
        (run.folder / "figures" / "figures.json").write_text(content)
        assert list(pictures(tmp_path, run).files) == ["pca", "tsne"]
    assert len(drawn) == 5
