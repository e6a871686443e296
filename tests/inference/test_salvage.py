"""Damaged files of which every viewer shows a picture: the graded path reads them, training not."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

import mean_iou_evaluate
from inference import UserError, images, salvage
from inference.__main__ import main

CPU = ("--device", "cpu", "--precision", "fp32")
Y, X = np.mgrid[0:64, 0:80]
PICTURE = Image.fromarray(np.dstack([X * 3, Y * 4, (X * Y) % 256]).astype(np.uint8))


def encoded(kind, picture=PICTURE, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


PNG = encoded("PNG")
JPEG, PROGRESSIVE = (encoded("JPEG", quality=90, progressive=on) for on in (False, True))


def chunk(kind, data, crc=None):
    checksum = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def strict(tmp_path, data):
    (tmp_path / "whole").write_bytes(data)
    return images.read_pixels(tmp_path / "whole")


def salvaged(tmp_path, data):
    """The pixels of a file that strict reading refuses."""
    (tmp_path / "damaged").write_bytes(data)
    assert isinstance(images.attempt(images.read_pixels, tmp_path / "damaged"), Exception)
    found = salvage.read(tmp_path / "damaged")
    assert isinstance(found, salvage.Salvaged) and found.fault
    return found.pixels


TEXT = zlib.compress(b" " * 3_000_000, 9)
METADATA = {
    "a wrong checksum": chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1), 1),
    "of text": chunk(b"tEXt", b"Software\0nobody's", 1),
    "much XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + TEXT),
    "much text": chunk(b"zTXt", b"Comment\0\0" + TEXT),
    "a large profile": chunk(b"iCCP", b"ICC Profile\0\0" + TEXT),
    "half a chunk": chunk(b"pHYs", b"x"),
}


@pytest.mark.parametrize("odd", METADATA.values(), ids=METADATA)
def test_a_png_is_read_whatever_its_metadata(tmp_path, odd):
    found = salvaged(tmp_path, PNG[:33] + odd + PNG[33:])
    assert np.array_equal(found, np.asarray(PICTURE))


@pytest.mark.parametrize("place", [29, -13, -1], ids=["header", "pixels", "end"])
def test_a_wrong_checksum_of_a_png_costs_no_pixel(tmp_path, place):
    data = bytearray(PNG)
    data[place] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    found = salvage.read(tmp_path / "a.png")  # Pillow looks at some of them only
    pixels = found.pixels if isinstance(found, salvage.Salvaged) else found
    assert np.array_equal(pixels, np.asarray(PICTURE))


GREY_16 = Image.fromarray(np.random.default_rng(0).integers(0, 2**16, (64, 80), np.uint16))


@pytest.mark.parametrize(
    "picture",
    [PICTURE, PICTURE.convert("L"), PICTURE.convert("LA"), PICTURE.convert("RGBA")]
    + [PICTURE.convert("1"), PICTURE.quantize(50), GREY_16],
    ids=["RGB", "L", "LA", "RGBA", "1", "P", "I;16"],
)
def test_the_rows_before_a_png_breaks_off(tmp_path, picture):
    data = encoded("PNG", picture)
    whole, found = strict(tmp_path, data), salvaged(tmp_path, data[: len(data) * 2 // 3])
    rows = (found == whole).all((1, 2))
    assert found.shape == whole.shape and rows[:20].all()
    assert (found[-1] == found[-1, 0]).all()  # one colour: black, or the palette's first


def interlaced():
    """PICTURE as an interlaced PNG, which Pillow does not write: Adam7's passes, not filtered."""
    pixels, rows = np.asarray(PICTURE), []
    for x, y, right, down in salvage._PASSES:
        rows += [b"\0" + row.tobytes() for row in pixels[y::down, x::right]]
    header = struct.pack(">2I5B", 80, 64, 8, 2, 0, 0, 1)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return PNG[:8] + b"".join(parts) + chunk(b"IEND", b"")


def test_an_interlaced_png(tmp_path):
    data = interlaced()
    assert np.array_equal(strict(tmp_path, data), np.asarray(PICTURE))
    found = salvaged(tmp_path, data[:33] + METADATA["a wrong checksum"] + data[33:])
    assert np.array_equal(found, np.asarray(PICTURE))
    found = salvaged(tmp_path, data[: len(data) * 2 // 3])
    assert np.array_equal(found[::8, ::8], np.asarray(PICTURE)[::8, ::8])  # the first pass


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_jpeg_that_lacks_its_last_bytes(tmp_path, data, missing):
    whole, found = strict(tmp_path, data), salvaged(tmp_path, data[:-missing])
    assert (np.abs(found.astype(int) - whole).max(-1) < 16).mean() > 0.98


def test_half_a_jpeg_is_half_a_picture_and_grey(tmp_path):
    whole, found = strict(tmp_path, JPEG), salvaged(tmp_path, JPEG[: len(JPEG) // 2])
    assert np.array_equal(found[:8], whole[:8])
    assert np.ptp(found[-8:, -8:].astype(int)) < 8


def test_half_a_progressive_jpeg_is_a_whole_picture_less_sharp(tmp_path):
    whole = strict(tmp_path, PROGRESSIVE).astype(int)
    found = salvaged(tmp_path, PROGRESSIVE[: len(PROGRESSIVE) // 2])
    assert np.abs(found - whole).mean() < 16


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "GIF", "TGA", "WEBP"])
def test_other_files_that_break_off(tmp_path, kind):
    data = encoded(kind)
    whole = strict(tmp_path, data).astype(int)
    found = salvaged(tmp_path, data[: len(data) * 3 // 4])
    assert found.shape == whole.shape and 0.4 < (np.abs(found - whole).max(-1) < 24).mean() < 1


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"no picture", PNG[:33], PNG[:45], JPEG[:2], JPEG[:100]),
        JPEG[: JPEG.index(b"\xff\xda") + 14],
        *(encoded("BMP")[:54], encoded("GIF")[:30], encoded("WEBP")[:20]),
    ],
)
def test_what_has_no_pixels_is_unreadable(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    assert isinstance(images.attempt(salvage.read, tmp_path / "a.png"), Exception)


def test_a_header_that_asks_for_all_memory_is_not_salvaged(tmp_path):
    header = struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(9)), 1)
    (tmp_path / "a.png").write_bytes(PNG[:8] + chunk(b"IHDR", header, 1) + pixels)
    with pytest.raises(Exception, match="cannot identify"):
        salvage.read(tmp_path / "a.png")


def test_pillows_switch_is_not_touched_while_others_read(tmp_path):
    (tmp_path / "a.jpg").write_bytes(JPEG[:-2])
    seen = []

    def read():
        for _ in range(20):
            seen.append(type(salvage.read(tmp_path / "a.jpg")))
            seen.append(ImageFile.LOAD_TRUNCATED_IMAGES)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {salvage.Salvaged, False}


def test_a_damaged_image_is_labelled_as_the_whole_one_and_named(
    run_here, small_zoo, draw, tmp_path
):
    whole = draw(tmp_path / "whole" / "0.png").read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(whole[:33] + METADATA["much XMP"] + whole[33:])
    assert run_here("classify", tmp_path / "whole", tmp_path / "a.csv", *CPU) == (0, [])
    status, (line,) = run_here("classify", tmp_path / "in", tmp_path / "b.csv", *CPU)
    assert status == 0 and line.startswith(f"warning: {tmp_path / 'in' / '0.png'} is damaged (")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


@pytest.mark.parametrize("largest", [images.LARGEST, 100], ids=["whole", "in windows"])
def test_a_damaged_tile_is_segmented_and_named(
    run_here, small_zoo, draw, tmp_path, monkeypatch, largest
):
    monkeypatch.setattr("inference.images.LARGEST", largest)
    data = draw(tmp_path / "in" / "0_sat.jpg", (64, 64)).read_bytes()
    assert run_here("segment", tmp_path / "in", tmp_path / "a", *CPU) == (0, [])
    (tmp_path / "in" / "0_sat.jpg").write_bytes(data[:-2])
    status, (line,) = run_here("segment", tmp_path / "in", tmp_path / "b", *CPU)
    assert status == 0 and line.startswith(f"warning: {tmp_path / 'in' / '0_sat.jpg'} is damaged")
    a, b = (np.asarray(Image.open(tmp_path / m / "0_mask.png")) for m in "ab")
    assert (a == b).all(-1).mean() > 0.9


def test_a_damaged_truth_mask_is_an_error(tmp_path, capsys):
    for name in ("gt", "pr"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0_mask.png").write_bytes(PNG)
    (tmp_path / "gt" / "0_mask.png").write_bytes(PNG[:900])
    with pytest.raises(mean_iou_evaluate.MaskError, match=r"cannot read .*gt.*0_mask\.png"):
        mean_iou_evaluate.count_folders(tmp_path / "gt", tmp_path / "pr")
    mask = tmp_path / "gt" / "0_mask.png"
    assert main(["overlay", str(tmp_path / "pr" / "0_mask.png"), str(mask)]) == 2
    assert f"cannot read {mask}" in capsys.readouterr().err


def test_the_model_reads_a_damaged_image_too(small_zoo, draw, tmp_path, capsys):
    import inference

    path = draw(tmp_path / "0.jpg")
    net = inference.load("p1-small", device="cpu")
    whole = net.predict([path])
    path.write_bytes(path.read_bytes()[:-2])
    assert net.predict([path]) == whole and str(path) in capsys.readouterr().err
    path.write_bytes(b"")
    with pytest.raises(UserError, match="not an image"):
        net.predict([path])
