"""The land-cover colours and the mask writer."""

import io
import itertools

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image

from inference import landcover
from inference.landcover import COLOURS, NO_CLASS, UNKNOWN


def blobs(height, width, seed=0):
    """A mask of all codes in blocks of a few pixels: regions thinner and wider than 10."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 1, 2, 3, 4, 5, 6, NO_CLASS], (height // 9 + 1, width // 13 + 1))
    return np.kron(coarse, np.ones((9, 13)))[:height, :width].astype(np.uint8)


def test_colours_are_those_of_the_course():
    assert dict(zip(landcover.CLASSES, map(tuple, COLOURS.tolist()), strict=True)) == {
        "Urban land": (0, 255, 255),
        "Agriculture land": (255, 255, 0),
        "Rangeland": (255, 0, 255),
        "Forest land": (0, 255, 0),
        "Water": (0, 0, 255),
        "Barren land": (255, 255, 255),
        "Unknown": (0, 0, 0),
    }
    assert landcover.CLASSES[UNKNOWN] == "Unknown"


def test_to_colours_shows_each_class_and_no_class_as_red():
    shown = landcover.to_colours(np.array([[0, 1, 2, 3], [4, 5, 6, NO_CLASS]], dtype=np.uint8))
    assert shown.dtype == np.uint8
    assert np.array_equal(shown.reshape(8, 3), [*COLOURS.tolist(), [255, 0, 0]])


def test_to_indices_reads_each_channel_as_a_bit():
    values = np.array([0, 1, 127, 128, 200, 255], dtype=np.uint8)
    rgb = np.array(list(itertools.product(values, repeat=3)), dtype=np.uint8).reshape(12, 18, 3)
    meaning = {0: 6, 1: 4, 2: 3, 3: 0, 4: NO_CLASS, 5: 2, 6: 1, 7: 5}
    expected = [
        meaning[4 * (r > 127) + 2 * (g > 127) + (b > 127)] for r, g, b in rgb.reshape(-1, 3)
    ]
    indices = landcover.to_indices(rgb)
    assert indices.dtype == np.uint8
    assert np.array_equal(indices.ravel(), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 1), (64, 51)])
def test_indices_survive_the_way_to_a_png_file_and_back(size, tmp_path):
    mask = blobs(*size)
    path = tmp_path / "0000_mask.png"
    path.write_bytes(landcover.encode_png(landcover.to_colours(mask)))
    with Image.open(path) as image:
        assert (image.mode, image.format, image.size) == ("RGB", "PNG", size[::-1])
        image.load()
        assert np.array_equal(landcover.to_indices(np.asarray(image)), mask)
    assert np.array_equal(imageio.imread(path), landcover.to_colours(mask))


def test_png_holds_any_picture_and_any_memory_layout():
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for rgb in (picture, picture[::-1, ::2], picture.transpose(1, 0, 2)):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(landcover.encode_png(rgb)))), rgb)


def test_a_large_mask_is_encoded_piece_by_piece():
    mask = blobs(5, 2**20)  # four rows are a piece
    data = landcover.encode_mask(mask)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(landcover.to_indices(np.asarray(image)), mask)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("0013_sat.jpg", "0013_mask.png"),
        ("0000.jpg", "0000.png"),
        ("a_sat_b.JPEG", "a_sat_b.png"),
        ("v1.2_sat.png", "v1.2_mask.png"),
        ("0013_SAT.JPG", "0013_mask.png"),
    ],
)
def test_mask_names(image, mask):
    assert landcover.mask_name(image) == mask
