"""Which files of a folder are images, and what is said of the others."""

import os
import subprocess
import sys

import pytest
from PIL import Image

from inference import UserError, images

CPU = ("--device", "cpu", "--precision", "fp32")


def names(paths):
    return [path.name for path in paths]


def readable():
    """The extensions of what this Pillow writes and reads again."""
    Image.init()
    kinds = {kind for kind in Image.OPEN if kind in Image.SAVE} - {"EPS", "BUFR", "GRIB", "HDF5"}
    return sorted(
        {e for e, kind in Image.registered_extensions().items() if kind in kinds - {"WMF"}}
    )


def test_every_extension_that_pillow_reads_is_an_image(tmp_path):
    for extension in readable():
        (tmp_path / f"0{extension.upper()}").write_bytes(b"")
    for extension in (".txt", ".csv", ".mpg", ".h5", ".eps", ".pdf", ".zzz"):
        (tmp_path / f"0{extension}").write_bytes(b"")
    said = []
    found = images.list_images(tmp_path, said.append)
    assert names(found) == sorted(f"0{extension.upper()}" for extension in readable())
    line = f"note: left out of {tmp_path}: 7 files, 0.csv first, no images that can be read here"
    assert said == [line]
    assert {".jpe", ".jfif", ".ppm", ".pgm", ".tif", ".jp2"} <= set(readable())


def test_they_are_labelled(run_here, small_zoo, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.heic").write_bytes(b"")
    for name in ("0.ppm", "1.pgm", "2.jfif", "3.jpe", "4.jp2", "5.tga"):
        Image.new("L" if name == "1.pgm" else "RGB", (8, 8), 99).save(tmp_path / "in" / name)
    status, (line,) = run_here("classify", tmp_path / "in", tmp_path / "out.csv", *CPU)
    assert status == 0 and "1 file, a.heic, no images" in line
    rows = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == sorted(os.listdir(tmp_path / "in"))[:-1]


def test_nothing_is_said_of_what_no_one_misses(tmp_path):
    for name in ("0.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.txt").mkdir()
    said = []
    assert names(images.list_images(tmp_path, said.append)) == ["0.png"] and said == []


@pytest.mark.parametrize(
    "there, left_out",
    [
        ("0_sat.jpg 0_mask.png", None),
        ("0_sat.jpg 1_mask.png 0.jpg x.txt", "2 files, 0.jpg first, no *_sat.* images"),
        ("0.jpg 0.png 1.jpg 1_mask.png", None),  # the 2022 edition with its truth beside
        ("0.jpg x.csv", "1 file, x.csv, no images that can be read here"),
        (
            "0.jpg 0.bmp 1.jpg 1.jpeg",
            "2 files, 0.bmp first, another image has the same mask's name",
        ),
    ],
)
def test_of_tiles_masks_are_not_missed(tmp_path, there, left_out):
    for name in there.split():
        (tmp_path / name).write_bytes(b"")
    said = []
    images.list_tiles(tmp_path, said.append)
    assert said == ([f"note: left out of {tmp_path}: {left_out}"] if left_out else [])


def test_a_folder_of_other_files_names_one(tmp_path):
    (tmp_path / "0.heic").write_bytes(b"")
    with pytest.raises(UserError, match=r"no image in .*, but 1 file, 0\.heic: it should hold"):
        images.list_images(tmp_path)


@pytest.mark.parametrize("command", ["classify", "segment"])
def test_a_link_to_itself_costs_itself_only(run_here, small_zoo, draw, tmp_path, command):
    draw(tmp_path / "in" / "0.png")
    (tmp_path / "in" / "1.png").symlink_to("1.png")
    (tmp_path / "in" / "x.txt").symlink_to("x.txt")
    status, lines = run_here(command, tmp_path / "in", tmp_path / "out", "--fill", *CPU)
    assert status == 0 and len(lines) == 2 and "1 file, x.txt" in lines[0]
    assert "cannot read" in lines[1] and "Too many levels of symbolic links" in lines[1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(run_here, small_zoo, draw, tmp_path):
    draw(tmp_path / "in" / "0.png")
    os.mkfifo(tmp_path / "in" / "1.png")
    assert run_here("classify", tmp_path / "in", tmp_path / "out.csv", *CPU) == (0, [])
    assert (tmp_path / "out.csv").read_text().count("\n") == 2
    (tmp_path / "in.csv").write_text("id,filename\n0,0.png\n1,1.png\n")
    status, (line,) = run_here(
        "classify-csv", tmp_path / "in.csv", tmp_path / "in", tmp_path / "out.csv", *CPU
    )
    assert status == 3 and "1.png: it is not a file, but a pipe or a device" in line


def test_a_name_of_two_lines_is_told_in_one(run_here, small_zoo, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a\nb.png", "c\rd\x1b[2J.txt"):
        (tmp_path / "in" / name).write_bytes(b"none")
    status, lines = run_here("classify", tmp_path / "in", tmp_path / "out.csv", "--fill", *CPU)
    assert status == 0 and len(lines) == 2 and all(line.isprintable() for line in lines)
    assert any("a\\nb.png: not an image" in line for line in lines)
    assert any("1 file, c\\rd\\x1b[2J.txt" in line for line in lines)


def test_what_pillow_logs_of_a_damaged_tiff_is_not_said(tmp_path):
    for name in ("p", "t"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0_mask.png", "TIFF", tiffinfo={277: 3})
        data = (tmp_path / name / "0_mask.png").read_bytes()
        samples = b"\x15\x01\x03\x00\x01\x00\x00\x00\x03"  # tag 277, one short: 3 a pixel
        assert data.count(samples) == 1
        (tmp_path / name / "0_mask.png").write_bytes(data.replace(samples, samples[:-1] + b"\x63"))
    mask = tmp_path / "t" / "0_mask.png"
    root = os.path.dirname(os.path.dirname(images.__file__))
    for command in (
        ["mean_iou_evaluate.py", "-p", tmp_path / "p", "-g", tmp_path / "t"],
        ["inference", "overlay", mask, mask, "-o", tmp_path / "out.png"],
    ):
        command = [sys.executable, os.path.join(root, command[0]), *command[1:]]
        done = subprocess.run(command, capture_output=True, text=True)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2 and "0_mask.png" in line
