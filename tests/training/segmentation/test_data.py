"""What a segmentation recipe is trained on and measured on."""

import numpy as np
import pytest

from inference import UserError, landcover
from inference.images import list_tiles
from training.segmentation.data import batches, files
from training.segmentation.recipes import RECIPES

SIDE = 64


def write(folder, index, mask):
    picture = landcover.encode_png(landcover.to_colours(mask))
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("sat", "mask"):
        (folder / f"{index:04d}_{kind}.png").write_bytes(picture)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Return three tiles in train and one in validation, black and Unknown, in P3's layout."""
    monkeypatch.chdir(tmp_path)
    for part, count in (("train", 3), ("validation", 1)):
        for i in range(count):
            write(tmp_path / "p3_data" / part, i, np.full((SIDE, SIDE), 6, np.uint8))
    return tmp_path / "p3_data"


def recipe(*changes):
    return RECIPES["p3-lite"].with_changes(["batch_size=1", f"tilecrop.side={SIDE}", *changes])


def test_data_needs_a_mask_for_every_tile(data):
    assert len(list_tiles(data / "train")) == 3
    train, held = batches(recipe(), data)
    assert len(train) == 2 and len(held) == 1
    (data / "train" / "0001_mask.png").unlink()
    with pytest.raises(UserError, match=r"cannot read .*0001_mask\.png"):
        batches(recipe(), data)


def test_choosing_by_val_trains_on_every_tile(data):
    train, measured = batches(recipe("select_epoch_by=BestOnVal()"), data)
    assert len(train) == 3 and len(measured) == 1


@pytest.mark.parametrize("side", [32, 96])
def test_tiles_have_the_size_that_they_have(data, side):
    for file in data.glob("*/*.png"):
        file.unlink()
    for part in ("train", "validation"):
        for i in range(2):
            write(data / part, i, np.full((side, side), 1, np.uint8))
    train, _ = batches(recipe("tilecrop.side=32"), data)
    for images, masks in train:
        assert images.shape == (1, side, side, 3) and masks.shape == (1, side, side)


@pytest.mark.parametrize(
    ("index", "height", "width", "says"),
    [
        (0, SIDE, 32, "0000_sat.png is 32 x 64: tiles to train on are square"),
        (2, SIDE, 32, "0002_sat.png is 32 x 64: tiles to train on are square"),
        (0, 32, 32, r"0000_sat.png is 32 x 32, 0001_sat.png 64 x 64: .* of one size"),
        (2, 96, 96, r"0002_sat.png is 96 x 96, 0000_sat.png 64 x 64: .* of one size"),
    ],
)
def test_the_tile_of_an_odd_size_is_named(data, index, height, width, says):
    write(data / "train", index, np.zeros((height, width), np.uint8))
    with pytest.raises(UserError, match=says):
        batches(recipe("tilecrop.side=32"), data)


def test_a_tile_is_not_squashed_to_the_size_of_its_mask(data):
    mask = (data / "train" / "0002_mask.png").read_bytes()
    write(data / "train", 2, np.zeros((32, 32), np.uint8))
    (data / "train" / "0002_mask.png").write_bytes(mask)  # of the other tiles' size
    with pytest.raises(UserError, match=r"0002_sat.png is 32 x 32, 0000_sat.png 64 x 64"):
        batches(recipe("tilecrop.side=32"), data)


def test_a_mask_of_another_size_than_its_tile_is_named(data):
    tile = (data / "train" / "0001_sat.png").read_bytes()
    write(data / "train", 1, np.zeros((32, 32), np.uint8))
    (data / "train" / "0001_sat.png").write_bytes(tile)
    with pytest.raises(UserError, match=r"0001_mask.png: it is 32 x 32, not 64 x 64"):
        batches(recipe("tilecrop.side=32"), data)


def test_a_broken_tile_is_named(data):
    (data / "train" / "0000_sat.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read .*0000_sat.png: not an image"):
        batches(recipe("tilecrop.side=32"), data)


def test_crops_larger_than_tiles_are_refused(data):
    with pytest.raises(UserError, match=r"crops of 128, tiles of 64 pixels: lower tilecrop\.side="):
        batches(recipe("tilecrop.side=128"), data)


def test_what_reaches_beyond_a_crop_is_refused(data):
    with pytest.raises(UserError, match=r"gaussianblur\.kernel=65: below twice 32"):
        batches(recipe("augment=TileCrop(32),GaussianBlur(65)"), data)
    batches(recipe("augment=GaussianBlur(65)"), data)


def test_classes_that_the_measured_tiles_lack_are_named(data, capsys):
    write(data / "train", 0, np.zeros((SIDE, SIDE), np.uint8))
    batches(recipe("select_epoch_by=BestOnVal()"), data)
    assert "no Barren land in the measured tiles (1 validation):" in capsys.readouterr().err
    write(data / "validation", 0, np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) % 6)
    batches(recipe("select_epoch_by=BestOnVal()"), data)
    assert capsys.readouterr().err == ""


def test_masks_that_teach_nothing_are_said_to(data, capsys):
    batches(recipe(), data)
    assert f"all masks of {data / 'train'} are black, which is Unknown" in capsys.readouterr().err


def test_a_fingerprint_is_of_tiles_and_masks_and_of_val_where_it_chooses(data):
    (train,) = files(recipe(), data)
    assert [path.name for path in train.paths] == [
        f"{i:04d}_{kind}.png" for kind in ("sat", "mask") for i in range(3)
    ]
    assert len(files(recipe("select_epoch_by=BestOnVal()"), data)) == 2


def test_one_tile_cannot_be_trained_and_measured(data):
    for i in (1, 2):
        (data / "train" / f"{i:04d}_sat.png").unlink()
    with pytest.raises(UserError, match=r"only 1 image in .*train: training needs at least two"):
        batches(recipe(), data)
