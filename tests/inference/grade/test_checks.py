"""Every way in which an answer or a script can be wrong, by hand-made examples."""

import numpy as np
import pytest
from PIL import Image

from inference import landcover
from inference.grade.checks import Violation, check_masks, check_script, read_labels

P1 = ("filename", "label"), [("0000.png",), ("0001.png",), ("0002.png",)], 50, False
P2 = ("id", "filename", "label"), [("7", "b.jpg"), ("3", "a.jpg"), ("5", "a,b.jpg")], 65, True
INDICES = (np.arange(14 * 20).reshape(14, 20) // 9 % 7).astype(np.uint8)
MASK = landcover.to_colours(INDICES)


@pytest.mark.parametrize(
    ("text", "task", "labels"),
    [
        ("filename,label\n0000.png,3\n0001.png,0\n0002.png,49\n", P1, [3, 0, 49]),
        ("filename,label\n0002.png,49\n0000.png,3\n0001.png,0", P1, [3, 0, 49]),
        ("filename,label\r\n0000.png,3\r\n0001.png,0\r\n0002.png,49\r\n", P1, [3, 0, 49]),
        ('id,filename,label\n7,b.jpg,64\n3,a.jpg,0\n5,"a,b.jpg",1\n', P2, [64, 0, 1]),
    ],
)
def test_right_csv(tmp_path, text, task, labels):
    (tmp_path / "out.csv").write_bytes(text.encode())
    assert read_labels(tmp_path / "out.csv", *task) == labels


@pytest.mark.parametrize(
    ("text", "task", "reason"),
    [
        ("", P1, "line 1 is '', not 'filename,label'"),
        ("0000.png,1\n", P1, "line 1 is '0000.png,1'"),
        ("filename, label\n", P1, "line 1 is 'filename, label'"),
        ("\ufefffilename,label\n", P1, "line 1 is "),
        (",filename,label\n0,0000.png,1\n", P1, "line 1 is ',filename,label'"),
        ("filename,label\n0,0000.png,1\n", P1, "line 2, '0,0000.png,1', has 3 values"),
        ("filename,label\n0000.png\n", P1, "line 2, '0000.png', has 1 values"),
        ("filename,label\n0000.png,1\n\n0001.png,1\n", P1, "line 3 is empty"),
        ("filename,label\n0000.png,1\n0000.png,1\n", P1, "line 3, '0000.png,1', is the second"),
        ("filename,label\n0003.png,1\n", P1, "line 2, '0003.png,1', has filename that were not"),
        ("filename,label\n 0000.png,1\n", P1, "has filename that were not"),
        ("filename,label\n0000.png, 1\n", P1, "line 2, '0000.png, 1', has a label that is no"),
        ("filename,label\n0000.png,1.0\n", P1, "no whole number"),
        ("filename,label\n0000.png,-1\n", P1, "no whole number"),
        ("filename,label\n0000.png,\n", P1, "no whole number"),
        ("filename,label\n0000.png," + "9" * 5000, P1, "no whole number"),
        ("filename,label\n0000.png,50\n", P1, "has a label outside 0-49"),
        ("filename,label\n0000.png,1\n0002.png,1\n", P1, "1 of 3 rows are missing, 0001.png first"),
        ("filename,label\n0000.png\0,1\n", P1, "line 2"),
        ("filename,label\n\r\n", P1, "line 2 is empty"),
        ("id,filename,label\n3,a.jpg,1\n", P2, "is out of order: 7,b.jpg comes here"),
        ("id,filename,label\n7,a.jpg,1\n", P2, "has id,filename that were not asked for"),
        ("id,filename,label\n7,b.jpg,65\n", P2, "has a label outside 0-64"),
        ("id,filename,label\n7,b.jpg,None\n", P2, "no whole number"),
        ("id,filename,label\n7,b.jpg,1\n", P2, "2 of 3 rows are missing, 3,a.jpg first"),
    ],
)
def test_wrong_csv(tmp_path, text, task, reason):
    (tmp_path / "out.csv").write_bytes(text.encode())
    with pytest.raises(Violation) as caught:
        read_labels(tmp_path / "out.csv", *task)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.verdict == "format"


def test_csv_that_is_not_there_not_text_or_not_alone(tmp_path):
    path = tmp_path / "out.csv"
    with pytest.raises(Violation, match=r"no out\.csv was written"):
        read_labels(path, *P1)
    path.write_bytes(b"\xff\xfef\0")
    with pytest.raises(Violation, match="not UTF-8 at byte 0"):
        read_labels(path, *P1)
    path.write_text("filename,label\n")
    (tmp_path / "out.csv.tmp").touch()
    with pytest.raises(Violation, match=r"1 files too many in the output folder, out\.csv\.tmp"):
        read_labels(path, *P1)


def coloured(value):
    pixels = MASK.copy()
    pixels[5, 3] = value
    return Image.fromarray(pixels)


def write_masks(folder):
    for name in ("0_mask.png", "1_mask.png"):
        (folder / name).write_bytes(landcover.encode_png(MASK))
    return {"0_mask.png": (14, 20), "1_mask.png": (14, 20)}


def test_right_masks(tmp_path):
    sizes = write_masks(tmp_path)
    Image.fromarray(MASK).save(tmp_path / "0_mask.png", optimize=True)
    check_masks(tmp_path, sizes)


@pytest.mark.parametrize(
    ("image", "options", "reason"),
    [
        (coloured((255, 0, 0)), {}, "has the colour (255, 0, 0) of no class at x=3, y=5"),
        (coloured((0, 254, 255)), {}, "has the colour (0, 254, 255) of no class at x=3, y=5"),
        (Image.fromarray(MASK).convert("L"), {}, "is not 8-bit RGB"),
        (Image.fromarray(MASK).convert("P"), {}, "is not 8-bit RGB"),
        (Image.fromarray(MASK).convert("RGBA"), {}, "is not 8-bit RGB"),
        (Image.fromarray(INDICES), {}, "is not 8-bit RGB"),
        (Image.fromarray(MASK), {"format": "BMP"}, "is no PNG file"),
        (Image.fromarray(MASK[1:]), {}, "is 20 x 13 pixels, its image 20 x 14"),
        (Image.fromarray(MASK[:, :1]), {}, "is 1 x 14 pixels, its image 20 x 14"),
    ],
)
def test_wrong_mask(tmp_path, image, options, reason):
    sizes = write_masks(tmp_path)
    image.save(tmp_path / "1_mask.png", **options)
    with pytest.raises(Violation) as caught:
        check_masks(tmp_path, sizes)
    assert str(caught.value).startswith("1_mask.png " + reason)


def test_masks_that_are_broken_missing_or_too_many(tmp_path):
    sizes = write_masks(tmp_path)
    whole = (tmp_path / "0_mask.png").read_bytes()
    (tmp_path / "0_mask.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Violation, match=r"0_mask\.png cannot be read as an image"):
        check_masks(tmp_path, sizes)
    (tmp_path / "sub").mkdir()
    with pytest.raises(Violation, match="1 files too many in the output folder, sub first"):
        check_masks(tmp_path, sizes)
    (tmp_path / "0_mask.png").unlink()
    with pytest.raises(Violation, match=r"1 of 2 masks are missing, 0_mask\.png first"):
        check_masks(tmp_path, sizes)
    with pytest.raises(Violation, match="2 of 2 masks are missing"):
        check_masks(tmp_path / "nowhere", sizes)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("mkdir -p /tmp", "mkdir"),
        ("true && cd /", "cd"),
        ("CUDA_VISIBLE_DEVICES=0 python3 x.py", "CUDA_VISIBLE_DEVICES"),
        ("x=$(/bin/rm --version)", "rm"),
        ("python3 -m pip install x", "pip"),
        ("[ $# -eq 2 ] && wget http://localhost", "wget"),
    ],
)
def test_forbidden_words(tmp_path, line, word):
    script = tmp_path / "hw1_1.sh"
    script.write_text(f"#!/usr/bin/env bash\n# rm sudo\ntrue # cp\n{line}\n")
    with pytest.raises(Violation, match=rf"hw1_1\.sh line 4 uses {word}, which is forbidden"):
        check_script(script)


def test_words_that_only_contain_forbidden_ones(tmp_path):
    script = tmp_path / "hw1_1.sh"
    script.write_text("# cd and rm\npython3 x.py --rm-first arm form.cp pipe cd.txt $# # mv\n")
    check_script(script)
