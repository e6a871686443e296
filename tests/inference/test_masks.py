import numpy as np
import pytest
from PIL import Image

from inference import UserError, landcover, masks

MASK = np.arange(7, dtype=np.uint8).reshape(1, 7)


def test_a_mask_file_is_truecolour(tmp_path):
    masks.write_mask(tmp_path / "m.png", MASK)
    with Image.open(tmp_path / "m.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (7, 1))
        assert np.array_equal(np.asarray(image)[0], landcover.COLOURS)


def test_all_are_written_when_the_block_is_left(tmp_path):
    with masks.write_behind() as write:
        for n in range(150):  # more than may wait
            write(tmp_path / f"{n}.png", np.full((3, 5), n % 7, np.uint8))
    assert len(list(tmp_path.iterdir())) == 150
    for n in (0, 77, 149):
        with Image.open(tmp_path / f"{n}.png") as image:
            assert (landcover.to_indices(np.asarray(image)) == n % 7).all()


def test_a_mask_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "0.png").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*0.png"), masks.write_behind() as write:
        write(tmp_path / "0.png", MASK)
    assert list(tmp_path.iterdir()) == [tmp_path / "0.png"]


def test_an_error_comes_before_all_the_work_is_done(tmp_path):
    (tmp_path / "0.png").mkdir()
    done = 0
    with pytest.raises(UserError), masks.write_behind() as write:
        for _ in range(1000):
            write(tmp_path / "0.png", MASK)
            done += 1
    assert done < 100


def test_few_large_masks_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "MOST", MASK.size)
    with masks.write_behind() as write:
        for n in range(9):
            write(tmp_path / f"{n}.png", MASK)
            assert n == 0 or (tmp_path / f"{n - 1}.png").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted_nothing_is_half_written(tmp_path, error):
    with pytest.raises(error), masks.write_behind() as write:
        for n in range(60):
            write(tmp_path / f"{n}.png", np.zeros((300, 300), np.uint8))
        raise error
    for path in tmp_path.iterdir():
        with Image.open(path) as image:  # whole, and no temporary file
            assert image.size == (300, 300)


def test_files_of_the_input_are_protected(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("0_sat.jpg", "1_sat.jpg", "1_mask.png"):
        (tmp_path / name).write_bytes(b"")
    paths = [tmp_path / "0_sat.jpg", tmp_path / "1_sat.jpg"]
    (tmp_path / "link").symlink_to(tmp_path)
    for out in (tmp_path, tmp_path / "out" / "..", tmp_path / "link"):
        with pytest.raises(UserError, match=r"1_mask.png is there already.*another folder"):
            masks.protect(paths, out)
    masks.protect(paths, tmp_path / "out")
    masks.protect(paths, tmp_path / "absent")
    masks.protect(paths[:1], tmp_path)  # beside the images, where no mask is yet
