"""Images decoded once, and the batches made of them."""

import os

import numpy as np
import pytest
from PIL import Image

from inference import UserError, landcover
from inference.images import read_pixels
from training import memory


@pytest.fixture
def pictures(tmp_path):
    """Gives six images of different sizes."""
    random = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        Image.fromarray(random.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(path)
    return paths


def test_images_are_what_inference_reads(pictures, tmp_path):
    found = memory.images(pictures, 16, tmp_path / "cache")
    assert (found.shape, found.dtype) == ((6, 16, 16, 3), np.uint8)
    for path, pixels in zip(pictures, found):
        assert np.array_equal(pixels, read_pixels(path, 16))


def test_the_array_is_reused_until_a_file_changes(pictures, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    before = np.array(memory.images(pictures, 16, cache))
    with monkeypatch.context() as patch:
        patch.setattr(memory, "_build", lambda *_: pytest.fail("decoded again"))
        assert np.array_equal(memory.images(pictures, 16, cache), before)
    Image.new("RGB", (30, 20), "red").save(pictures[0])
    os.utime(pictures[0], ns=(1, 1))
    after = memory.images(pictures, 16, cache)
    assert (after[0] == (255, 0, 0)).all() and np.array_equal(after[1:], before[1:])


def test_a_broken_image_is_named_and_leaves_nothing(pictures, tmp_path):
    pictures[3].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read .*3\.png"):
        memory.images(pictures, 16, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_masks_are_indices_and_never_resized(tmp_path):
    mask = np.arange(64, dtype=np.uint8).reshape(8, 8) % 7
    file = tmp_path / "0_mask.png"
    file.write_bytes(landcover.encode_png(landcover.to_colours(mask)))
    assert np.array_equal(memory.masks([file], 8, tmp_path / "cache")[0], mask)
    with pytest.raises(UserError, match="it is 8 x 8, not 16 x 16"):
        memory.masks([file], 16, tmp_path / "cache")


def batches(**options):
    numbers = np.arange(50)
    return memory.Batches((numbers, numbers * 2), range(50), 8, **options)


def test_an_epoch_is_a_permutation_that_depends_on_seed_and_epoch():
    def order(seed, epoch):
        made = batches(shuffle=True, seed=seed)
        made.epoch = epoch
        return [int(i) for numbers, _ in made for i in numbers]

    assert len(set(order(0, 0))) == 48  # the last batch would not be full
    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 1)


def test_items_of_all_arrays_belong_together():
    for numbers, doubles in batches(shuffle=True):
        assert (doubles == 2 * numbers).all()


def test_without_shuffling_everything_comes_in_order():
    made = batches(shuffle=False)
    assert [int(i) for numbers, _ in made for i in numbers] == list(range(50))
    assert len(list(made)) == len(made) == 7


def test_two_processes_share_the_batches_that_one_would_have():
    both = []
    for rank in range(2):
        made = memory.Batches((np.arange(48),), range(48), 8, shuffle=True, rank=rank, world=2)
        both.append([set(numbers.tolist()) for (numbers,) in made])
    one = memory.Batches((np.arange(48),), range(48), 8, shuffle=True)
    assert [a | b for a, b in zip(*both)] == [set(numbers.tolist()) for (numbers,) in one]
    assert all(not a & b for a, b in zip(*both))


def test_leaving_early_stops_the_thread():
    import threading

    before = threading.active_count()
    for _ in batches(shuffle=True):
        break
    assert threading.active_count() <= before
