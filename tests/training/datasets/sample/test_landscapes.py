"""The generated landscapes: repeatable, with all classes, and not solved by colour alone."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets.sample.landscapes import landscape

UNKNOWN = 6


@pytest.fixture(scope="module")
def tiles():
    """Per split: images (n, 512, 512, 3) and masks (n, 512, 512)."""

    def generate(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        images, masks = zip(*(landscape(7, index, split) for index in range(count)), strict=True)
        return np.stack(images), np.stack(masks)

    return {"train": generate("train", 24), "validation": generate("validation", 12)}


def test_tile_is_an_rgb_image_with_a_mask_of_classes(tiles):
    images, masks = tiles["train"]
    assert images.shape == (24, 512, 512, 3) and images.dtype == np.uint8
    assert masks.shape == (24, 512, 512) and masks.dtype == np.uint8
    assert masks.max() <= UNKNOWN


def test_same_arguments_give_the_same_tile_whatever_was_drawn_before(tiles):
    np.random.seed(3)
    image, mask = landscape(7, 5, "train")
    np.testing.assert_array_equal(image, tiles["train"][0][5])
    np.testing.assert_array_equal(mask, tiles["train"][1][5])


@pytest.mark.parametrize("other", [(8, 5, "train"), (7, 6, "train"), (7, 5, "validation")])
def test_seed_index_and_split_each_change_the_tile(tiles, other):
    image, mask = landscape(*other)
    assert (image != tiles["train"][0][5]).mean() > 0.5
    assert (mask != tiles["train"][1][5]).any()


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="no split 'test'; there are: train, validation"):
        landscape(0, 0, "test")


def test_every_class_is_common_and_agriculture_leads(tiles):
    masks = tiles["train"][1]
    share = np.bincount(masks.ravel(), minlength=7) / masks.size
    assert share[:6].min() > 0.03
    assert share.argmax() == 1
    assert 0 < share[UNKNOWN] < 0.1
    for index in range(6):
        assert np.mean([(mask == index).any() for mask in masks]) > 0.2


def test_tiles_hold_few_large_regions(tiles):
    masks = tiles["train"][1]
    assert all(len(np.unique(mask)) >= 2 for mask in masks)
    # A boundary pixel differs from its right neighbour; fractal masks would have many.
    assert np.mean(masks[:, :, 1:] != masks[:, :, :-1]) < 0.02


def test_picture_shows_the_mask(tiles):
    """Water is smooth and woods are rough, tile by tile, whatever the colours."""
    images, masks = (np.concatenate(pair) for pair in zip(*tiles.values(), strict=True))
    edges = np.abs(np.diff(images.mean(axis=3), axis=2))
    rough = {
        index: np.array(
            [
                image_edges[mask == index].mean()
                for image_edges, mask in zip(edges, masks[:, :, 1:], strict=True)
                if (mask == index).sum() > 2000
            ]
        )
        for index in (3, 4)
    }
    assert np.median(rough[3]) > 1.4 * np.median(rough[4])


def test_colour_alone_does_not_tell_the_class(tiles):
    """Nearest class-mean colour, fitted on train, stays under .45 mIoU on validation."""
    images, masks = (pixels[:, ::4, ::4] for pixels in tiles["train"])
    means = np.stack([images[masks == index].mean(axis=0) for index in range(7)])
    images, masks = (pixels[:, ::4, ::4] for pixels in tiles["validation"])
    predicted = np.argmin([((images - mean) ** 2).sum(axis=3) for mean in means], axis=0)
    confusion = np.bincount((masks * 7 + predicted).ravel(), minlength=49).reshape(7, 7)
    hits = np.diag(confusion)
    iou = hits / (confusion.sum(axis=0) + confusion.sum(axis=1) - hits)
    assert iou[:6].mean() < 0.45
