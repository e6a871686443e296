"""DeepGlobe's scenes, cut into the course's tiles."""

import numpy as np
import pytest
from PIL import Image

from inference.landcover import COLOURS, to_colours, to_indices
from training.__main__ import main
from training.datasets.public import deepglobe

TILE = 32


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(deepglobe, "TILE", TILE)


def scene(folder, number, height=70, width=100):
    """Write a scene whose every 5x5 block says where it is, and whose red is its number."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([np.full_like(rows, 20 * number), rows * 2, columns * 2], -1)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}_sat.jpg", quality=100)
    classes = ((rows // 5 + columns // 5 + number) % 7).astype(np.uint8)
    colours = to_colours(classes).astype(int)
    noisy = np.where(colours > 128, colours - 40, colours + 40)  # the published masks are not pure
    Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{number}_mask.png")
    return classes


@pytest.fixture
def source(tmp_path):
    return tmp_path / "deepglobe", [scene(tmp_path / "deepglobe/train", i) for i in range(10)]


def tiles(out, part):
    """Return (scene, top, left, mask) of every tile, as its own pixels tell."""
    found = []
    for file in sorted((out / "p3_data" / part).glob("*_sat.jpg")):
        with Image.open(file) as image, Image.open(str(file)[:-7] + "mask.png") as mask:
            assert image.size == mask.size == (TILE, TILE) and mask.mode == "RGB"
            pixels, colours = np.asarray(image).astype(float), np.asarray(mask)
        assert {tuple(colour) for colour in colours.reshape(-1, 3).tolist()} <= {
            tuple(colour) for colour in COLOURS.tolist()
        }
        half = (TILE - 1) / 2
        number = round(pixels[..., 0].mean() / 20)
        top, left = (round(pixels[..., i].mean() / 2 - half) for i in (1, 2))
        found.append((number, top, left, to_indices(colours)))
    return found


def test_every_tile_with_its_own_mask_and_no_scene_in_both(source, tmp_path, capsys):
    root, masks = source
    assert main(["import-data", "deepglobe", str(root), str(tmp_path / "out"), "--all"]) == 0
    assert "images: train 54, validation 6" in capsys.readouterr().out
    train, val = tiles(tmp_path / "out", "train"), tiles(tmp_path / "out", "validation")
    assert not {one[0] for one in train} & {one[0] for one in val}
    for number, top, left, mask in [*train, *val]:
        assert np.array_equal(mask, masks[number][top : top + TILE, left : left + TILE])
    corners = {(top, left) for top in (0, 38) for left in (0, 34, 68)}
    for number in range(10):
        assert {one[1:3] for one in [*train, *val] if one[0] == number} == corners


def test_the_courses_number_of_tiles_from_as_many_scenes_as_can_be(source, tmp_path, monkeypatch):
    monkeypatch.setattr(deepglobe, "COUNTS", {"train": 12, "validation": 2})
    root, _ = source
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        source_folder = str(root / "train")
        assert (
            main(["import-data", "deepglobe", source_folder, str(tmp_path / out), "--seed", seed])
            == 0
        )
    a, b, c = ([one[:3] for one in tiles(tmp_path / out, "train")] for out in "abc")
    assert len(a) == len(set(a)) == 12 and len({number for number, *_ in a}) == 9
    assert a == b != c
    names = {path.name for path in (tmp_path / "a/p3_data/validation").iterdir()}
    assert names == {f"000{i}_{kind}" for i in (0, 1) for kind in ("sat.jpg", "mask.png")}


def test_wrong_and_damaged_sources(source, tmp_path, refusal):
    (root, _), out = source, tmp_path / "out"
    assert "no DeepGlobe land cover in" in refusal("deepglobe", tmp_path, out)
    whole = (root / "train/3_sat.jpg").read_bytes()
    (root / "train/3_sat.jpg").write_bytes(whole[: len(whole) // 2])
    assert "cannot read" in refusal("deepglobe", root, out)
    (root / "train/3_sat.jpg").write_bytes(b"")
    assert "3_sat.jpg: not an image" in refusal("deepglobe", root, out)
    scene(root / "train", 3, height=20)
    assert "100 x 20 pixels, less than a tile of 32" in refusal("deepglobe", root, out)
    scene(root / "train", 3, width=64)
    scene(tmp_path / "other", 3)
    (tmp_path / "other/3_mask.png").replace(root / "train/3_mask.png")
    assert "3_mask.png differ in size" in refusal("deepglobe", root, out, "--all")
    (root / "train/3_mask.png").unlink()
    assert "no 3_mask.png beside" in refusal("deepglobe", root, out)
    assert not out.exists()
