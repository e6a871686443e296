"""Outputs that cannot be written, as the command line tells it."""

import os
import threading

import numpy as np
import pytest

from inference import files, masks, predict, zoo
from inference.__main__ import main

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


def contents(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_outputs_of_the_wrong_kind(refused, small_images, tiles, tmp_path):
    (tmp_path / "file").write_text("old")
    line = refused("classify", small_images, tmp_path, *CPU)
    assert f"{tmp_path} is a folder: give the name of the file to write" in line
    line = refused("segment", tiles, tmp_path / "file", *CPU)
    assert f"{tmp_path / 'file'} is a file: give the name of a folder" in line
    line = refused("classify", small_images, tmp_path / "file" / "out.csv", *CPU)
    assert "file is a file" in line
    assert contents(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_device(refused, small_images):
    line = refused("classify", small_images, "/dev/full", *CPU)
    assert line.startswith("error: cannot write /dev/full: No space left on device")


def test_a_disk_that_becomes_full(refused, monkeypatch, small_images, tiles, tmp_path):
    (tmp_path / "out.csv").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    line = refused("classify", small_images, tmp_path / "out.csv", *CPU)
    assert f"cannot write {tmp_path / 'out.csv'}: No space left on device" in line
    line = refused("segment", tiles, tmp_path / "masks", *CPU)
    assert "_mask.png: No space left on device" in line
    assert contents(tmp_path) == ["out.csv"] and (tmp_path / "out.csv").read_text() == "old"


def test_truth_masks_are_not_overwritten(refused, run_here, tiles, draw, tmp_path):
    before = {path.name: path.read_bytes() for path in tiles.iterdir()}
    assert "is there already, beside its image" in refused("segment", tiles, tiles, *CPU)
    assert {path.name: path.read_bytes() for path in tiles.iterdir()} == before
    draw(tmp_path / "0_sat.jpg", (40, 40))
    assert run_here("segment", tmp_path, tmp_path, *CPU) == (0, [])  # nothing there to lose
    assert contents(tmp_path) == ["0_mask.png", "0_sat.jpg"]


def test_interrupted_in_the_middle_of_classifying(monkeypatch, small_images, tmp_path):
    (tmp_path / "out.csv").write_text("old")
    forward = predict.forward

    def interrupted(*arguments):
        for i, found in enumerate(forward(*arguments)):
            if i == 10:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(predict, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(["classify", str(small_images), str(tmp_path / "out.csv"), *CPU])
    assert contents(tmp_path) == ["out.csv"] and (tmp_path / "out.csv").read_text() == "old"


def test_a_slow_disk_slows_the_network_down(monkeypatch, tmp_path):
    go, waiting = threading.Event(), []
    monkeypatch.setattr(masks, "write_mask", lambda *_: go.wait(10))

    def fill():
        with masks.write_behind() as write:
            for n in range(500):
                write(tmp_path / f"{n}.png", np.zeros((1, 1), np.uint8))
                waiting.append(n)

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(0.3)
    held = len(waiting)
    go.set()
    thread.join()
    assert held <= 64 and len(waiting) == 500


# An output among the inputs


@pytest.fixture
def pictures(draw, tmp_path, monkeypatch):
    """A folder `in` of two images and a csv that lists them; the working folder is around it."""
    for n in range(2):
        draw(tmp_path / "in" / f"{n}.png", (40, 40))
    (tmp_path / "in.csv").write_text("id,filename\n0,0.png\n1,1.png\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def linked(folder, how, to):
    if how in ("relative", "absolute"):
        return to if how == "relative" else folder / to
    (folder / "link").hardlink_to(folder / to) if how == "hard" else (folder / "link").symlink_to(
        to
    )
    return "link"


@pytest.mark.parametrize("how", ["relative", "absolute", "hard", "symbolic"])
@pytest.mark.parametrize(
    "command, victim",
    [
        (("classify", "in"), "in/1.png"),
        (("classify-csv", "in.csv", "in"), "in/1.png"),
        (("classify-csv", "in.csv", "in"), "in.csv"),
    ],
)
def test_a_csv_that_would_overwrite_an_input_is_refused(refused, pictures, how, command, victim):
    before = (pictures / victim).read_bytes()
    line = refused(*command, linked(pictures, how, victim), *CPU)
    assert "would overwrite the input" in line and victim in line
    assert (pictures / victim).read_bytes() == before


def test_an_old_csv_is_replaced(run_here, pictures):
    (pictures / "in" / "out.csv").write_text("old")
    status, _ = run_here("classify", "in", "in/out.csv", *CPU)
    assert status == 0 and (pictures / "in" / "out.csv").read_text().startswith("filename,label")


def test_a_csv_in_the_place_of_the_weights_is_refused(refused, pictures, small_zoo):
    own = zoo.path(small_zoo["p1"])
    before = own.read_bytes()
    assert "would overwrite the input" in refused("classify", "in", own, *CPU)
    assert "would overwrite the input" in refused("classify", "in", own, "--weights", own, *CPU)
    assert own.read_bytes() == before


@pytest.mark.parametrize("how", ["hard", "symbolic"])
def test_a_mask_that_leads_to_an_image_is_refused(refused, pictures, how):
    linked(pictures, how, "in/1.png")
    (pictures / "out").mkdir()
    (pictures / "link").rename(pictures / "out" / "0.png")
    if how == "symbolic":
        (pictures / "out" / "0.png").unlink()
        (pictures / "out" / "0.png").symlink_to("../in/1.png")
    assert "would overwrite the input in/1.png" in refused("segment", "in", "out", *CPU)


def test_an_overlay_over_its_image_is_refused(refused, pictures):
    before = (pictures / "in" / "0.png").read_bytes()
    line = refused("overlay", "in/1.png", "in/0.png", "-o", "in/0.png")
    assert "would overwrite the input in/0.png" in line
    assert (pictures / "in" / "0.png").read_bytes() == before


# Names too long


@pytest.mark.parametrize("fill, status", [((), 3), (("--fill",), 0)])
def test_a_mask_whose_name_is_too_long_costs_itself_only(run_here, draw, tmp_path, fill, status):
    long = "x" * (255 - len("_sat.jpg")) + "_sat.jpg"  # and _mask is a letter longer
    for name in ("0_sat.jpg", long, "z_sat.jpg"):
        draw(tmp_path / "in" / name, (40, 40))
    found, lines = run_here("segment", tmp_path / "in", tmp_path / "out", *fill, *CPU)
    assert found == status and len(lines) == 1
    assert lines[0].startswith("warning: the mask of ") and long in lines[0]
    assert contents(tmp_path / "out") == ["0_mask.png", "z_mask.png"]


def test_a_csv_whose_name_is_too_long_is_refused_at_once(refused, small_images, tmp_path):
    line = refused("classify", small_images, tmp_path / ("x" * 252 + ".csv"), *CPU)
    assert "File name too long" in line and contents(tmp_path) == []
