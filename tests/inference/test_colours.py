"""Grey that is white at zero, samples of 12 and of 32 bits, inks: what TIFF files may hold."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from inference import images

VALUES = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
SIGNED = 2  # TIFF's SampleFormat
LITTLE, BIG = "<>"


def tiff(path, samples, bits, photometric, order=LITTLE, packed=False, kind=1):
    """Write samples (3, 4, n), in the file's byte order already, as one strip."""
    count = samples.shape[2] if samples.ndim == 3 else 1
    data = zlib.compress(samples.tobytes()) if packed else samples.tobytes()
    several = struct.pack(f"{order}{count}H", *[bits] * count)
    formats = struct.pack(f"{order}{count}H", *[kind] * count)
    entries = {
        **{256: (3, 4), 257: (3, 3), 258: (3, several), 259: (3, 8 if packed else 1)},
        **{262: (3, photometric), 273: (4, None), 277: (3, count), 278: (3, 3)},
        **{279: (4, len(data)), 339: (3, formats)},
    }
    place = 8 + 2 + 12 * len(entries) + 4
    table, tail = b"", b""
    for tag, (type_, value) in entries.items():
        numbers = 1
        if isinstance(value, bytes):
            numbers = len(value) // 2
            if len(value) > 4:
                offset = place + len(tail)
                tail, value = tail + value, struct.pack(f"{order}I", offset)
        else:
            value = place + 8 * count if value is None else value  # the pixels come last
            value = struct.pack(order + ("H" if type_ == 3 else "I"), value)
        table += struct.pack(f"{order}HHI", tag, type_, numbers) + value.ljust(4, b"\0")
    head = (b"II" if order == LITTLE else b"MM") + struct.pack(f"{order}HI", 42, 8)
    table = struct.pack(f"{order}H", len(entries)) + table + bytes(4)
    path.write_bytes(head + table + tail.ljust(8 * count, b"\0") + data)
    return path


def grey(values):
    return np.repeat(values[..., None], 3, axis=2)


def read_or_refuse(path):
    """The pixels, or None where Pillow does not know such files, older ones less than newer."""
    try:
        return images.read_pixels(path)
    except Image.UnidentifiedImageError:
        return None


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", [LITTLE, BIG])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_sixteen_bits(tmp_path, order, packed, white_is_zero):
    values = VALUES.astype(np.uint16) * 257
    values = 65535 - values if white_is_zero else values
    path = tmp_path / "a.tif"
    tiff(path, values.astype(f"{order}u2"), 16, 0 if white_is_zero else 1, order, packed)
    found = read_or_refuse(path)
    if found is None:
        assert white_is_zero
    else:
        assert np.array_equal(found, grey(VALUES))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_eight_bits_and_one(tmp_path, packed, white_is_zero):
    values = 255 - VALUES if white_is_zero else VALUES
    path = tiff(tmp_path / "a.tif", values, 8, 1 - white_is_zero, packed=packed)
    assert np.array_equal(images.read_pixels(path), grey(VALUES))
    bits = np.packbits((VALUES > 100) ^ white_is_zero, axis=1)
    path = tiff(tmp_path / "b.tif", bits, 1, 1 - white_is_zero, packed=packed)
    assert np.array_equal(images.read_pixels(path), grey(np.where(VALUES > 100, 255, 0)))


def test_of_twelve_bits_the_upper_eight_are_kept(tmp_path):
    row = np.frombuffer(bytes.fromhex("00f12f23f34f"), np.uint8)  # 00f 12f 23f 34f
    path = tiff(tmp_path / "a.tif", np.stack([row] * 3), 12, 1)
    assert images.read_pixels(path)[..., 0].tolist() == [[0x00, 0x12, 0x23, 0x34]] * 3


@pytest.mark.parametrize("order", [LITTLE, BIG])
@pytest.mark.parametrize(
    "kind, bits, photometric",
    [(SIGNED, 16, 1), (1, 32, 1), (SIGNED, 32, 1), (1, 32, 0), (SIGNED, 8, 1)],
)
@pytest.mark.parametrize("packed", [False, True])
def test_numbers_of_an_unknown_range_are_refused(tmp_path, order, kind, bits, photometric, packed):
    values = VALUES.astype(f"{order}{'i' if kind == SIGNED else 'u'}{bits // 8}")
    path = tiff(tmp_path / "a.tif", values, bits, photometric, order, packed, kind)
    with pytest.raises(Exception, match=r"whole numbers|cannot identify"):
        images.read_pixels(path)


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_sixteen_bits_of_colour(tmp_path, order):
    colours = np.stack([VALUES, VALUES // 2, VALUES // 4], -1)
    values = (colours.astype(np.uint16) * 257).astype(f"{order}u2")
    path = tiff(tmp_path / "a.tif", values, 16, 2, order)
    assert np.array_equal(images.read_pixels(path), colours)


def test_inks(tmp_path):
    inks = np.stack([VALUES, VALUES // 2, VALUES // 4, 0 * VALUES], -1)
    path = tiff(tmp_path / "a.tif", inks, 8, 5)
    assert np.array_equal(images.read_pixels(path), 255 - inks[..., :3])


def test_of_many_pages_the_first(tmp_path):
    pages = [Image.new("RGB", (4, 3), (n, 2, 3)) for n in (1, 9)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert (images.read_pixels(tmp_path / "a.tif") == (1, 2, 3)).all()
