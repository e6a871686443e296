"""A mask over its image: tints and outlines."""

import itertools

import numpy as np
import pytest
from PIL import Image

from inference import UserError
from inference.landcover import NO_CLASS, UNKNOWN, to_colours
from inference.overlay import overlay, write_overlay
from tests.inference.test_landcover import blobs


def outline_by_walking(mask, width=5):
    """Each pixel walks its own region in four directions: at most `width` steps to a stranger."""
    height, length = mask.shape
    outline = np.zeros(mask.shape, dtype=bool)
    for y, x in itertools.product(range(height), range(length)):
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            for step in range(1, width + 1):
                v, u = y + dy * step, x + dx * step
                if not (0 <= v < height and 0 <= u < length):
                    break
                if mask[v, u] != mask[y, x]:
                    outline[y, x] = True
                    break
    return outline


def test_overlay_outlines_a_region_five_wide_on_all_four_edges():
    mask = np.full((60, 70), 3, dtype=np.uint8)
    mask[20:40, 25:50] = 4
    result = overlay(np.full((60, 70, 3), 100, dtype=np.uint8), mask)
    water, forest = np.array([0, 0, 255]), np.array([0, 255, 0])
    assert (result[20:25, 25:50] == water).all()  # upper edge
    assert (result[35:40, 25:50] == water).all()  # lower
    assert (result[20:40, 25:30] == water).all()  # left
    assert (result[20:40, 45:50] == water).all()  # right
    assert (result[25:35, 30:45] == [70, 70, 147]).all()  # .7 * 100 + .3 * (0, 0, 255), 146.5
    assert (result[15:20, 25:50] == forest).all() and (result[40:45, 25:50] == forest).all()
    assert (result[20:40, 20:25] == forest).all() and (result[20:40, 50:55] == forest).all()
    assert (result[:15] == [70, 147, 70]).all()  # the picture's own border is no outline


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (4, 2), (50, 60), (7, 90)])
def test_overlay_equals_a_walk_from_each_pixel(size):
    mask = blobs(*size, seed=3)
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    colours = to_colours(mask)
    expected = np.floor((7 * image.astype(int) + 3 * colours.astype(int)) / 10 + 0.5)
    expected = np.where(outline_by_walking(mask)[..., None], colours, expected)
    expected = np.where((mask == NO_CLASS)[..., None], image, expected)
    before = image.copy()
    result = overlay(image, mask)
    assert result.dtype == np.uint8
    assert np.array_equal(result, expected)
    assert np.array_equal(image, before)


def test_overlay_tints_unknown_black_and_leaves_no_class_alone():
    image = np.full((20, 20, 3), 200, dtype=np.uint8)
    mask = np.full((20, 20), UNKNOWN, dtype=np.uint8)
    mask[:, 10:] = NO_CLASS
    result = overlay(image, mask)
    assert (result[:, :5] == 140).all()
    assert (result[:, 5:10] == 0).all()
    assert (result[:, 10:] == 200).all()


def test_overlay_of_different_sizes_says_both():
    with pytest.raises(UserError, match="30 x 20 pixels but the mask is 20 x 30"):
        overlay(np.zeros((20, 30, 3), np.uint8), np.zeros((30, 20), np.uint8))


def test_write_overlay_names_its_file_after_the_image(tmp_path, monkeypatch, capsys):
    mask = blobs(40, 30)
    Image.new("RGB", (30, 40), (9, 90, 200)).save(tmp_path / "0013_sat.png")
    Image.fromarray(to_colours(mask)).save(tmp_path / "0013_mask.png")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_overlay(tmp_path / "0013_sat.png", tmp_path / "0013_mask.png")
    picture = np.full((40, 30, 3), (9, 90, 200), dtype=np.uint8)
    written = np.asarray(Image.open("0013_sat_overlay.png"))
    assert np.array_equal(written, overlay(picture, mask))
    captured = capsys.readouterr()
    assert captured.out == "" and "0013_sat_overlay.png" in captured.err


def test_write_overlay_that_fails_keeps_the_old_file(tmp_path):
    Image.new("RGB", (30, 40)).save(tmp_path / "image.png")
    Image.new("RGB", (40, 30)).save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    out.write_bytes(b"old")
    with pytest.raises(UserError, match="the mask"):
        write_overlay(tmp_path / "image.png", tmp_path / "mask.png", out)
    with pytest.raises(UserError, match=r"absent\.png"):
        write_overlay(tmp_path / "image.png", tmp_path / "absent.png", out)
    Image.fromarray(np.full((30, 40), 70_000, np.int32)).save(tmp_path / "depth.tif")
    with pytest.raises(UserError, match=r"cannot read .*depth\.tif: .*; give an image") as error:
        write_overlay(tmp_path / "depth.tif", tmp_path / "mask.png", out)
    assert "not an image" not in str(error.value)
    (tmp_path / "depth.tif").unlink()
    assert out.read_bytes() == b"old"
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=r"folder\.png is a folder"):
        write_overlay(tmp_path / "image.png", tmp_path / "image.png", tmp_path / "folder.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "folder.png",
        "image.png",
        "mask.png",
        "out.png",
    ]
