import zlib

import numpy as np
import pytest
from PIL import Image

from inference import UserError, images, salvage

VALUES = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def saved(path, image, **options):
    image.save(path, **options)
    return path


def rgb(path):
    image = images.read_rgb(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def grey(values):
    return np.repeat(values[..., None], 3, axis=2)


# What images may be like


def test_greyscale_is_repeated(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(VALUES))
    assert np.array_equal(rgb(path), grey(VALUES))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_channel_is_dropped(tmp_path, mode):
    image = Image.fromarray(VALUES).convert(mode)
    image.putalpha(Image.fromarray(255 - VALUES))
    assert np.array_equal(rgb(saved(tmp_path / "a.png", image)), grey(VALUES))


@pytest.mark.parametrize("transparency", [None, 1, bytes([255, 0, 128])])
def test_a_palette_is_looked_up_whatever_is_transparent(tmp_path, transparency):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    options = {} if transparency is None else {"transparency": transparency}
    path = saved(tmp_path / "a.png", image, **options)
    assert rgb(path).tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]


@pytest.mark.parametrize("mode, transparent", [("L", 20), ("RGB", (20, 20, 20))])
def test_a_transparent_colour_is_that_colour(tmp_path, mode, transparent):
    image = Image.fromarray(VALUES).convert(mode)
    path = saved(tmp_path / "a.png", image, transparency=transparent)
    assert np.array_equal(rgb(path), grey(VALUES))


def test_cmyk_is_converted(tmp_path):
    image = Image.new("RGB", (16, 16), (200, 30, 40)).convert("CMYK")
    path = saved(tmp_path / "a.jpg", image, quality=95)
    assert np.abs(rgb(path).astype(int) - (200, 30, 40)).max() < 5


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_of_16_bits_the_upper_eight_are_kept(tmp_path, suffix):
    values = VALUES.astype(np.uint16) * 256 + 255
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(values))
    assert np.array_equal(rgb(path), grey(VALUES))


@pytest.mark.parametrize(
    "dtype, what",
    [
        (np.float32, "floating-point numbers"),
        (np.int32, "whole numbers"),  # a viewer's guess at their range would be black or white
    ],
)
def test_pixels_of_an_unknown_range_are_refused_and_not_taken_for_black(tmp_path, dtype, what):
    path = saved(tmp_path / "a.tif", Image.fromarray(VALUES.astype(dtype)))
    for read in (images.read_pixels, salvage.read):
        with pytest.raises(ValueError, match=what):
            read(path)


def test_one_bit_is_black_and_white(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(VALUES > 100))
    assert np.array_equal(rgb(path), grey(np.where(VALUES > 100, 255, 0)))


def test_a_single_pixel_fills_any_size(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("RGB", (1, 1), (1, 2, 3)))
    assert images.read_pixels(path).tolist() == [[[1, 2, 3]]]
    assert (images.read_pixels(path, 32) == (1, 2, 3)).all()


@pytest.mark.parametrize("size", [(32, 32), (500, 333), (7, 90), (128, 300), (128, 128)])
@pytest.mark.parametrize("target", [32, 128])
def test_resizing_is_torchvisions_bit_for_bit(tmp_path, draw, size, target):
    resize = pytest.importorskip("torchvision.transforms").Resize((target, target))
    path = draw(tmp_path / f"{size}.png", size)
    with Image.open(path) as image:
        expected = np.asarray(resize(image.convert("RGB")))
    assert np.array_equal(images.read_pixels(path, target), expected)


# What cannot be read


def broken_files(folder):
    Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "whole.png")
    Image.effect_noise((64, 64), 90).convert("RGB").save(folder / "whole.jpg")
    for whole in ("whole.png", "whole.jpg"):
        data = (folder / whole).read_bytes()
        (folder / f"truncated-{whole}").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    names = ["truncated-whole.png", "truncated-whole.jpg", "empty.png", "text.png"]
    return [folder / name for name in [*names, "loop.png", "folder.png", "absent.png", "a\0b.png"]]


def test_a_broken_file_takes_its_place_among_the_others(tmp_path):
    broken = broken_files(tmp_path)
    paths = [path for each in broken for path in (tmp_path / "whole.png", each)]
    found = list(images.read_ahead(paths, images.read_pixels, ahead=4))
    assert [isinstance(result, Exception) for result in found] == [False, True] * len(broken)


def test_the_header_of_a_truncated_image_still_gives_its_size(tmp_path):
    truncated, *_, text, _, _, _, _ = broken_files(tmp_path)
    assert images.size_of(truncated) == (64, 64)
    assert images.size_of(text) is None


def test_a_header_that_asks_for_all_memory_is_broken(tmp_path):
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + (100).to_bytes(4, "big") + b"IDAT")
    with pytest.raises(Image.DecompressionBombError):
        images.read_pixels(path)
    assert images.size_of(path) is None


# Which files are images


def names(paths):
    return [path.name for path in paths]


def test_images_are_listed_by_name_and_nothing_else(tmp_path):
    for name in ["b.PNG", "a.jpeg", "c.JpG", "10.png", "9.png", ".hidden.png", "x.txt", "png"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub.png").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found = images.list_images(tmp_path)
    assert names(found) == ["10.png", "9.png", "a.jpeg", "b.PNG", "c.JpG", "gone.png"]


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "x.txt").write_text("")
    for folder, message in [
        (tmp_path, "no image in"),
        (tmp_path / "absent", "No such file"),
        (tmp_path / "x.txt", "Not a directory"),
    ]:
        with pytest.raises(UserError, match=message) as caught:
            images.list_images(folder)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "there, tiles",
    [
        ("0_sat.jpg 0_mask.png 1_sat.jpg other.png", "0_sat.jpg 1_sat.jpg"),
        ("0_SAT.JPG 0_mask.png readme.png", "0_SAT.JPG"),
        ("0000.jpg 0001.jpg", "0000.jpg 0001.jpg"),  # the 2022 edition
        ("0000.jpg 0000.png 0001.jpg 0001.png", "0000.jpg 0001.jpg"),  # with its truth beside
        ("0000.jpg 0000_mask.png", "0000.jpg"),
        ("0000.png 0001.png", "0000.png 0001.png"),
        ("0_sat.png 0_sat.jpg", "0_sat.jpg"),
    ],
)
def test_tiles_are_told_from_masks(tmp_path, there, tiles):
    for name in there.split():
        (tmp_path / name).write_bytes(b"")
    assert names(images.list_tiles(tmp_path)) == tiles.split()


def test_a_folder_of_masks_alone_is_an_error(tmp_path):
    (tmp_path / "0_mask.png").write_bytes(b"")
    with pytest.raises(UserError, match="only masks in"):
        images.list_tiles(tmp_path)
