"""Input that is missing or broken, as the command line tells it."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from inference import landcover
from inference.__main__ import main

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


def labels(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["filename"]: int(row["label"]) for row in csv.DictReader(file)}


def contents(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# Nothing to read


def test_folders_without_images(refused, tmp_path, small_images):
    (tmp_path / "empty").mkdir()
    a_file = small_images / "0000.png"
    for command, out in [("classify", "out.csv"), ("segment", "out")]:
        for folder, said in [
            (tmp_path / "empty", "no image in"),
            (tmp_path / "absent", "No such file or directory"),
            (a_file, "Not a directory"),
        ]:
            line = refused(command, folder, tmp_path / out, *CPU)
            assert said in line and str(folder) in line
    assert contents(tmp_path) == []


def test_an_unusable_csv(refused, tmp_path, photos):
    for text, said in [
        ("", "no column 'id'"),
        ("id,filename,label\n", "no row in"),
        ("id,label\n1,2\n", "no column 'filename'"),
        ("\x00\x01\x02", "no column 'id'"),
    ]:
        (tmp_path / "in.csv").write_text(text)
        line = refused("classify-csv", tmp_path / "in.csv", photos[0], tmp_path / "out.csv", *CPU)
        assert said in line or "is no csv" in line
    assert "cannot read the csv" in refused("classify-csv", "absent.csv", photos[0], "o.csv", *CPU)
    assert contents(tmp_path) == ["in.csv"]


def test_a_csv_whose_images_are_all_missing(refused, tmp_path, photos):
    (tmp_path / "in.csv").write_text(f"id,filename,label\n1,a.jpg,\n2,{'x' * 300}.jpg,\n3,a\tb,\n")
    for folder in (photos[0], tmp_path / "absent"):
        line = refused(
            "classify-csv", tmp_path / "in.csv", folder, tmp_path / "out.csv", "--fill", *CPU
        )
        assert f"none of the 3 images of {tmp_path / 'in.csv'} is in {folder}" in line
    assert contents(tmp_path) == ["in.csv"]


# Some images cannot be read


@pytest.fixture
def damaged(draw, tmp_path):
    """Four good images and three that cannot be read."""
    folder = tmp_path / "in"
    for name in ("0.png", "2.png", "4.png", "6.png"):
        draw(folder / name)
    noise = Image.effect_noise((70, 50), 90).convert("RGB")
    noise.save(folder / "1.png")
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:43])  # no pixel yet
    (folder / "3.png").write_bytes(b"")
    (folder / "5.png").write_text("no picture")
    return folder


@pytest.mark.parametrize("fill, status, label", [(["--fill"], 0, 0), ([], 3, -1)])
def test_classifying_around_broken_images(run_here, damaged, tmp_path, fill, status, label):
    found, lines = run_here("classify", damaged, tmp_path / "out.csv", *fill, *CPU)
    assert found == status and len(lines) == 3
    for name, line in zip(("1.png", "3.png", "5.png"), lines):
        assert line.startswith(f"warning: cannot read {damaged / name}: ")
    answers = labels(tmp_path / "out.csv")
    assert sorted(answers) == contents(damaged)
    assert [answers[f"{n}.png"] for n in (1, 3, 5)] == [label] * 3
    for n in (1, 3, 5):
        (damaged / f"{n}.png").unlink()
    run_here("classify", damaged, tmp_path / "good.csv", *CPU)
    good = labels(tmp_path / "good.csv")
    assert {name: answers[name] for name in good} == good


@pytest.mark.parametrize("fill, status, label", [(["--fill"], 0, 0), ([], 3, -1)])
def test_a_csv_that_names_missing_images(run_here, photos, tmp_path, fill, status, label):
    folder, table = photos
    gone = ["gone.jpg", "x" * 300 + ".jpg", "../img", "a\\b.jpg"]
    more = "".join(f"{200 + i},{name},None\n" for i, name in enumerate(gone))
    (tmp_path / "in.csv").write_text(table.read_text("utf-8") + more, "utf-8")
    arguments = ("classify-csv", tmp_path / "in.csv", folder, tmp_path / "out.csv", *CPU)
    found, lines = run_here(*arguments, *fill)
    assert found == status and len(lines) == 4
    assert "gone.jpg: No such file or directory; it gets" in lines[0]
    run_here("classify-csv", table, folder, tmp_path / "good.csv", *CPU)
    good = labels(tmp_path / "good.csv")
    assert labels(tmp_path / "out.csv") == {**good, **dict.fromkeys(gone, label)}


def test_names_that_are_not_utf_8(run_here, small_images, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        (folder / os.fsdecode(b"\xff\xfe.png")).write_bytes(
            (small_images / "0000.png").read_bytes()
        )
    except OSError:
        pytest.skip("the file system wants UTF-8")
    (tmp_path / "in.csv").write_bytes(b"id,filename\n5,\xff\xfe.png\n")
    arguments = ("classify-csv", tmp_path / "in.csv", folder, tmp_path / "o.csv")
    assert run_here(*arguments, *CPU) == (0, [])
    assert (tmp_path / "o.csv").read_bytes().startswith(b"id,filename,label\n5,\xff\xfe.png,")
    assert run_here("classify", folder, tmp_path / "o.csv", *CPU) == (0, [])
    assert (tmp_path / "o.csv").read_bytes().startswith(b"filename,label\n\xff\xfe.png,")


def test_segmenting_around_broken_images(run_here, damaged, tmp_path):
    status, lines = run_here("segment", damaged, tmp_path / "out", *CPU)
    assert status == 3 and len(lines) == 3 and all("no mask" in line for line in lines)
    assert contents(tmp_path / "out") == ["0.png", "2.png", "4.png", "6.png"]


def test_filling_in_masks(run_here, damaged, tmp_path):
    status, lines = run_here("segment", damaged, tmp_path / "out", "--fill", *CPU)
    assert status == 0 and len(lines) == 3
    for name, size in [("1.png", (70, 50)), ("3.png", (512, 512)), ("5.png", (512, 512))]:
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == size  # the header's, else the course's
            assert (landcover.to_indices(np.asarray(image)) == landcover.UNKNOWN).all()
    assert contents(tmp_path / "out") == contents(damaged)


def test_a_missing_package_is_one_line(monkeypatch, tmp_path, capsys):
    def lacking(*_):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("inference.__main__._predict", lacking)
    assert main(["classify", str(tmp_path), str(tmp_path / "out.csv")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no torch here") and "requirements.txt" in error
    assert error.count("\n") == 1
