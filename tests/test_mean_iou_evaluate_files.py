"""The evaluator's files: how masks pair, what decodes as what, one clear line on bad input."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

import mean_iou_evaluate as evaluator
from scripts.bench.evaluator import COLOURS
from tests.masks import ALL_CLASSES, PERFECT, empty, run, save

ERRORS = {
    "missing": (lambda gt, pred: (pred / "0001_mask.png").unlink(), ["0001_mask.png", "{gt}"]),
    "extra": (lambda gt, pred: save(pred / "0009.png", ALL_CLASSES), ["0009.png", "{pred}"]),
    "twice": (
        lambda gt, pred: save(pred / "0001.png", ALL_CLASSES),
        ["0001.png", "0001_mask.png", "{pred}", "keep one"],
    ),
    "size": (
        lambda gt, pred: save(pred / "0001_mask.png", ALL_CLASSES[:, :5]),
        ["{gt}/0001_mask.png is 7x1", "{pred}/0001_mask.png is 5x1"],
    ),
    "text": (
        lambda gt, pred: (pred / "0001_mask.png").write_text("no image"),
        ["cannot read", "{pred}/0001_mask.png"],
    ),
    "truncated": (
        lambda gt, pred: os.truncate(gt / "0002_mask.png", 50),
        ["cannot read", "{gt}/0002_mask.png"],
    ),
    "no bytes": (
        lambda gt, pred: os.truncate(gt / "0002_mask.png", 0),
        ["cannot read", "{gt}/0002_mask.png"],
    ),
    "no folder": (lambda gt, pred: shutil.rmtree(pred), ["{pred}", "No such file"]),
    "empty": (lambda gt, pred: empty(gt), ["no mask in {gt}"]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_one_line_on_stderr_and_exit_2(folders, capsys, case):
    damage, words = ERRORS[case]
    damage(*folders)
    assert run(folders) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    for word in words:
        assert word.format(gt=folders[0], pred=folders[1]) in err


def test_many_missing_files_are_counted_and_the_first_named(folders, capsys):
    for i in range(10, 30):
        save(folders[0] / f"{i:04d}_mask.png", ALL_CLASSES)
    assert run(folders) == 2
    err = capsys.readouterr().err
    assert "20 (0010_mask.png, 0011_mask.png, 0012_mask.png, ...) only in" in err


@pytest.mark.parametrize(
    "name", ["{}.png", "{}_mask.png", "{}_sat.png", "{}_sat_mask.PNG", "{}.bmp", "{}_mask.tiff"]
)
def test_masks_pair_by_name(folders, capsys, name):
    for path in list(folders[1].iterdir()):
        path.unlink()
        save(folders[1] / name.format(path.name[:4]), ALL_CLASSES)
    assert run(folders) == 0
    assert capsys.readouterr() == (PERFECT, "")


def test_what_is_no_mask_is_passed_over(folders, capsys):
    for folder in folders:
        save(folder / "0000_sat.jpg", np.zeros((9, 9, 3)))
        save(folder / "0000.jpg", np.zeros((9, 9, 3)))
        save(folder / "0001_sat.png", np.zeros((9, 9, 3)))
        (folder / "._0000_mask.png").write_bytes(b"macOS")
        (folder / "notes.txt").write_text("fine")
        (folder / "old.png").mkdir()
    assert run(folders) == 0
    assert capsys.readouterr() == (PERFECT, "")


def test_masks_in_no_png_beside_satellite_images(folders, capsys):
    for path in list(folders[0].iterdir()):
        path.rename(path.with_suffix(".bmp"))  # still a png inside: the content decides
        save(folders[0] / path.name.replace("_mask.png", "_sat.jpg"), np.zeros((9, 9, 3)))
    assert run(folders) == 0
    assert capsys.readouterr() == (PERFECT, "")


def palette(rgb):
    return Image.fromarray(rgb).quantize(7), {"transparency": bytes([0, 128])}


def sixteen_bits(rgb):
    # Pillow writes 16-bit grey only; 200 is dark there, where 8-bit greys would be bright
    return Image.fromarray(np.where(rgb[..., 0] > 127, 40000, 200).astype(np.uint16)), {}


BLACK_AND_WHITE = {
    "L": lambda rgb: (Image.fromarray(rgb).convert("L"), {}),
    "LA": lambda rgb: (Image.fromarray(rgb).convert("LA"), {}),
    "1": lambda rgb: (Image.fromarray(rgb).convert("1"), {}),
    "I;16": sixteen_bits,
}
COLOURED = {
    "RGBA": lambda rgb: (Image.fromarray(np.dstack([rgb, rgb[..., 0]])), {}),
    "P": palette,
    "RGB, one colour transparent": lambda rgb: (Image.fromarray(rgb), {"transparency": (0, 0, 0)}),
}


@pytest.mark.parametrize("mode", [*BLACK_AND_WHITE, *COLOURED])
def test_odd_modes_count_as_the_colours_they_show(tmp_path, mode):
    classes = np.array([[0, 1, 2, 3, 4, 5, 6]] * 3)
    if mode in BLACK_AND_WHITE:
        classes = np.where(classes % 2, 5, 6)
    image, options = {**BLACK_AND_WHITE, **COLOURED}[mode](COLOURS[classes])
    image.save(tmp_path / "0000.png", **options)
    assert np.array_equal(evaluator.read_masks(tmp_path), classes[None])


INDICES = np.array([[0, 1, 2, 3, 4, 5, 6]], np.uint8)
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128, 0, 128, 128]


def with_palette(colours):
    image = Image.fromarray(INDICES, "L")
    image.putpalette(colours)  # makes it a palette's
    return image


NO_COLOURS = {
    "grey": Image.fromarray(INDICES),
    "RGB": Image.fromarray(np.dstack([INDICES] * 3)),
    "one channel": Image.fromarray(np.dstack([INDICES, 0 * INDICES, 0 * INDICES])),
    "RGBA": Image.fromarray(np.dstack([INDICES] * 3 + [np.full_like(INDICES, 255)])),
    "grey and alpha": Image.fromarray(np.dstack([INDICES, np.full_like(INDICES, 255)])),
    "16 bits": Image.fromarray(INDICES.astype(np.uint16)),
    "255 for unknown": Image.fromarray(np.where(INDICES == 6, 255, INDICES).astype(np.uint8)),
    "another palette": with_palette(VOC),
    "a grey palette": with_palette([i for i in range(7) for _ in "RGB"]),
}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("kind", NO_COLOURS)
def test_class_indices_in_place_of_colours_are_said_to_be_some(folders, capsys, kind, side):
    for path in folders[side].iterdir():
        NO_COLOURS[kind].save(path)
    assert run(folders) == 0
    out, err = capsys.readouterr()
    what = ("true", "predicted")[side]
    first = err.splitlines()[0]
    assert first.startswith(f"warning: {what} masks seem to hold class indices in place of colours")
    assert "3 (" in first and f"{folders[side]}/0000_mask.png" in first
    assert "urban (0, 255, 255)" in first
    assert out.startswith("class #0 : ") and out.count("\n") == 9  # to the character as ever
    evaluator.read_masks(folders[side])
    assert "class indices" in capsys.readouterr().err


def colours(change):
    return lambda mask: change(COLOURS[mask])


ODD = {
    "grey levels": (lambda mask: np.dstack([40 * mask] * 3), "grey levels in place of colours"),
    "black": (lambda mask: np.zeros((*mask.shape, 3)), "predicted masks are black all over"),
    "black and white": (lambda mask: COLOURS[5 + mask % 2], "are black and white alone"),
    "BGR": (colours(lambda rgb: rgb[..., ::-1]), "red and blue seem to be exchanged"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_costs_a_whole_score_is_said(folders, capsys, case):
    change, said = ODD[case]
    for path in folders[1].iterdir():
        save(path, change(ALL_CLASSES))
    assert run(folders) == 0
    assert capsys.readouterr().err.count(said) == 1


def test_jpeg_masks_are_said_to_be_some(folders, capsys):
    for path in list(folders[1].iterdir()):
        path.unlink()
        save(path.with_suffix(".jpg"), ALL_CLASSES.repeat(16, 0).repeat(16, 1))
        save(folders[0] / path.name, ALL_CLASSES.repeat(16, 0).repeat(16, 1))
    assert run(folders) == 0
    out, err = capsys.readouterr()
    assert "mean_iou: 0.9" in out or "mean_iou: 1.0" in out
    assert err.startswith("warning: JPEG moves colours at edges") and "3 (" in err


def test_masks_that_are_rightly_dark_or_bright_are_passed_over(folders, capsys):
    for folder in folders:
        save(folder / "0001_mask.png", [[6, 6, 6]])
        save(folder / "0002_mask.png", [[5, 5, 6]])
    assert run(folders) == 0
    assert capsys.readouterr() == (PERFECT, "")


def test_the_mask_of_a_large_scene_is_no_attack(tmp_path):
    (tmp_path / "scene.ppm").write_bytes(b"P6 20000 20000 255\n")  # Pillow itself refuses half
    with Image.open(tmp_path / "scene.ppm") as image:
        assert image.size == (20_000, 20_000)
    with pytest.raises(evaluator.MaskError, match="truncated"):
        evaluator.read_codes(tmp_path / "scene.ppm")


@pytest.mark.parametrize("white", [0, 1])
def test_sixteen_bits_whose_white_is_zero_count_as_what_they_show(tmp_path, white):
    """A TIFF of one row, black and white; tag 262 says which of them is 0."""
    picture = np.array([[0, 65535]], np.uint16)
    Image.fromarray(picture).save(tmp_path / "a.tif", tiffinfo={262: white})
    assert evaluator.read_codes(tmp_path / "a.tif").tolist() == [[0, 7] if white else [7, 0]]


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_masks_of_numbers_without_a_known_range_are_refused(tmp_path, kind):
    Image.fromarray(np.zeros((2, 2), kind)).save(tmp_path / "a.tif")
    with pytest.raises(evaluator.MaskError, match="a range that nobody knows"):
        evaluator.read_codes(tmp_path / "a.tif")


def test_read_masks_sorts_by_file_name_and_wants_one_size(tmp_path):
    for i in (3, 0, 2, 1):
        save(tmp_path / f"{i}_mask.png", [[i, i]])
    masks = evaluator.read_masks(str(tmp_path))
    assert masks.dtype == np.uint8 and masks.tolist() == [[[i, i]] for i in range(4)]
    save(tmp_path / "2_mask.png", [[2, 2, 2]])
    with pytest.raises(evaluator.MaskError, match=r"2_mask\.png differs in size from 0_mask\.png"):
        evaluator.read_masks(tmp_path)
