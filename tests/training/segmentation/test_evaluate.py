"""A run's score on a validation set that is not as it should be."""

import shutil

import numpy as np
import pytest

from inference import UserError, landcover, zoo
from training.segmentation.data import evaluate


@pytest.fixture
def data(tiles, tmp_path):
    """P3 data with a tile of another size than the others, whose mask has not that size yet."""
    shutil.copytree(tiles, tmp_path / "validation")
    return tmp_path


@pytest.fixture
def scored(small_zoo):
    record = small_zoo["p3"]
    return lambda data: evaluate(record, data, zoo.path(record), "fp32", "cpu")


def write_mask(file, height, width):
    mask = (np.arange(height * width).reshape(height, width) % 6).astype(np.uint8)
    file.write_bytes(landcover.encode_mask(mask))


def test_tiles_of_several_sizes_are_scored_together(data, scored):
    with pytest.raises(UserError, match=r"0004_mask.png is .*, its tile is not: mend or remove"):
        scored(data)
    write_mask(data / "validation" / "0004_mask.png", 70, 50)
    found = scored(data)
    assert len(found.names) == 5 and len(found.predictions) == 4 * 64 * 64 + 70 * 50


def test_tiles_and_masks_that_cannot_be_read_are_named(data, scored, capsys):
    write_mask(data / "validation" / "0004_mask.png", 70, 50)
    (data / "validation" / "0001_mask.png").write_text("no mask")
    with pytest.raises(UserError, match=r"cannot read .*0001_mask.png: not an image; mend"):
        scored(data)
    (data / "validation" / "0000_sat.jpg").write_text("no tile")
    with pytest.raises(UserError, match=r"not every tile in .*validation can be read .above"):
        scored(data)
    assert "0000_sat.jpg: not an image" in capsys.readouterr().err
