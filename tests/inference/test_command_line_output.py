"""Outputs that cannot be written, as the command line tells it."""

import os
import threading

import numpy as np
import pytest

from inference import files, masks, predict
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
