"""The command that writes a generated `hw1_data/`."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import UserError
from training.__main__ import main
from training.datasets.sample import write

TINY = write.Scale(2, 1, 70, 70, 66, 2, 3)
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(write.SCALES, "small", TINY)


@pytest.fixture
def quick(monkeypatch):
    """Grey pictures, for tests of the files alone."""
    grey = lambda *_: np.full((8, 8, 3), 128, dtype=np.uint8)  # noqa: E731
    for name in ("p1_image", "mini_image", "office_image"):
        monkeypatch.setattr(write, name, grey)

    def tile(path, *_):
        for name in (path.name, path.name.replace("_sat.jpg", "_mask.png")):
            path.with_name(name).write_bytes(b"tile")

    monkeypatch.setattr(write, "_write_tile", tile)


def _names(folder):
    return {path.name for path in folder.iterdir()}


def test_layout_and_tables(tmp_path, quick):
    out = tmp_path / "hw1_data"
    write.generate(out, workers=1)
    assert _names(out) == {"p1_data", "p2_data", "p3_data", write.RECORD}
    assert len(_names(out / "p1_data/train_50")) == 100
    assert {"0_450.png", "49_450.png"} <= _names(out / "p1_data/val_50")
    assert _names(out / "p2_data/mini/train") == {f"{i}.jpg" for i in range(70)}
    for split, count in (("train", 70), ("val", 66)):
        with open(out / f"p2_data/office/{split}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["id", "filename", "label"]
        assert {row["filename"] for row in rows} == _names(out / "p2_data/office" / split)
        assert len(rows) == count and {int(row["label"]) for row in rows} == set(range(65))
    assert json.loads((out / write.RECORD).read_text())["generated"] is True
    assert _names(tmp_path) == {"hw1_data"}


def test_real_pictures_over_several_processes(tmp_path, monkeypatch):
    monkeypatch.setitem(write.SCALES, "small", write.Scale(1, 1, 2, 2, 2, 1, 3))
    out = tmp_path / "hw1_data"
    write.generate(out, workers=2)
    with Image.open(out / "p1_data/train_50/3_0.png") as picture:
        from training.datasets.sample.problems import p1_image

        assert np.array_equal(np.asarray(picture), p1_image(0, "train", 3, 0))
    with Image.open(out / "p3_data/train/0000_mask.png") as mask:
        assert mask.size == (512, 512) and mask.mode == "RGB"
    tiles = _names(out / "p3_data/validation")
    assert tiles == {
        f"{i}_{kind}" for i in ("0013", "0062", "0104") for kind in ("sat.jpg", "mask.png")
    }


def test_counts_are_the_courses_at_full_scale():
    counts = write._record("full", 0)["pictures"]
    assert list(counts.values()) == [22500, 2500, 38400, 3951, 406, 2000, 257]
    tiles = [path for *_, path in write.plan("full") if "validation" in path]
    assert tiles[0].endswith("0000_sat.jpg") and tiles[-1].endswith("0256_sat.jpg")


def test_the_help_says_which_scales_there_are_and_which_is_the_default(monkeypatch, capsys):
    monkeypatch.undo()
    small, full = (f"{len(list(write.plan(scale))):,}" for scale in ("small", "full"))
    with pytest.raises(SystemExit):
        main(["sample-data", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"small: {small} pictures, the default; full: the course's counts, {full}" in said


def test_a_bar_on_a_terminal_alone_says_how_far_it_is(tmp_path, quick, monkeypatch, capsys):
    write.generate(tmp_path / "silent", workers=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    write.generate(tmp_path / "shown", workers=1)
    err = capsys.readouterr().err
    assert "sample data:   0%" in err and "/361 [" in err


def test_half_of_the_bar_is_half_of_every_problem(monkeypatch):
    monkeypatch.undo()
    every = list(write.plan("small"))
    order = write._spread(every)
    assert sorted(order, key=str) == sorted(every, key=str)
    for problem in ("p1", "mini", "office", "p3"):
        half, whole = (sum(p[0] == problem for p in o) for o in (order[: len(order) // 2], order))
        assert half == pytest.approx(whole / 2, abs=1)


def test_small_is_a_strict_subset_of_full(monkeypatch):
    monkeypatch.undo()
    small, full = set(write.plan("small")), set(write.plan("full"))
    assert small < full
    names = {Path(path).name for *_, path in small if "validation" in path}
    assert {"0013_sat.jpg", "0062_sat.jpg", "0104_sat.jpg"} <= names and len(names) == 40


def test_same_data_is_left_alone(tmp_path, quick, capsys):
    out = tmp_path / "hw1_data"
    write.generate(out, workers=1)
    before = (out / write.RECORD).stat().st_mtime_ns
    assert main(["sample-data", str(out)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (out / write.RECORD).stat().st_mtime_ns == before


def test_other_folders_are_never_overwritten(tmp_path, quick, capsys):
    out = tmp_path / "hw1_data"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert main(["sample-data", str(out)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert _names(out) == {"mine.txt"}
    (out / write.RECORD).write_text("[]")
    assert main(["sample-data", str(out)]) == 2
    assert "exists and is no sample data" in capsys.readouterr().err

    other = tmp_path / "other"
    write.generate(other, seed=1, workers=1)
    with pytest.raises(UserError, match="seed 1"):
        write.generate(other, seed=2, workers=1)


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path, monkeypatch, capsys):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert main(["sample-data", str(tmp_path)]) == 2
    why = os.strerror(errno.EACCES)
    assert (
        capsys.readouterr().err == f"error: cannot read {tmp_path} ({why}): choose another folder\n"
    )


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("p2_data/mini/train/5.jpg", "mini/train lacks 1 pictures"),
        ("p3_data/train/0001_mask.png", "p3_data/train lacks 1 masks"),
        ("p2_data/office/val.csv", "lacks p2_data/office/val.csv"),
    ],
)
def test_missing_files_are_noticed(tmp_path, quick, name, lacks):
    out = tmp_path / "hw1_data"
    write.generate(out, workers=1)
    (out / name).unlink()
    with pytest.raises(UserError, match=lacks):
        write.generate(out, workers=1)


def test_failure_leaves_nothing_behind(tmp_path, quick, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "office_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write.generate(tmp_path / "new" / "hw1_data", workers=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_nothing_behind(tmp_path, number):
    command = [sys.executable, "-m", "training", "sample-data", str(tmp_path / "hw1_data")]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    while process.poll() is None and not any(tmp_path.iterdir()):
        pass
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert not any(tmp_path.iterdir())


def test_wrong_seed_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(["sample-data", str(tmp_path / "hw1_data"), "--seed", "-1"])
    assert error.value.code == 2
    assert "argument --seed: '-1' is no whole number from 0 up" in capsys.readouterr().err
