"""What a damaged image file still holds: the pixels that every viewer shows.

Metadata is left out, damaged or not, for nothing of it is used; of pixels that break off, those
before the break are kept. A file is put right as bytes and then decoded as any other: Pillow's own
switch for that, `ImageFile.LOAD_TRUNCATED_IMAGES`, would be turned for every thread of the process.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Iterator, NamedTuple

import numpy as np
from PIL import Image

from inference.colours import to_rgb
from inference.files import in_one_line
from inference.images import attempt, read_pixels, reason, resized

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# Of Adam7's seven passes: the first column and row, and the steps to the next ones.
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_PASSES += [(0, 1, 1, 2)]

_JPEG = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_SCAN = 0xDA
# APP1 to APP15 and comments; without APP14, Adobe's, which says what the colours mean.
_JPEG_METADATA = {*range(0xE1, 0xF0), 0xFE} - {0xEE}
_JPEG_SHORTEST = {0xE0: 18, 0xEE: 16}  # bytes of JFIF's segment and Adobe's, marker included
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xdf\xe0-\xef\xfe]")


class Salvaged(NamedTuple):
    """What a damaged file still held, uint8 (H, W, 3), and in a few words what is wrong with it."""

    pixels: np.ndarray
    fault: str


def read(path: Path | str, size: int | None = None) -> np.ndarray | Salvaged:
    """Return what `images.read_pixels` does, or of a damaged file the pixels that it still holds.

    Raises:
        Exception: it holds no pixels, it is none that we read, or it cannot be opened at all.
    """
    try:
        return read_pixels(path, size)
    except (Image.DecompressionBombError, MemoryError):
        raise
    except Exception as error:
        if getattr(error, "errno", None):  # the system's word on it: no such file, no permission
            raise
        image = attempt(decode, path)
        if isinstance(image, Exception):
            raise
        return Salvaged(resized(image, size), reason(error))


def announced(path: Path | str, found):
    """Return the pixels of what `read` gave, after a warning on stderr where they were salvaged."""
    if not isinstance(found, Salvaged):
        return found
    line = f"warning: {path} is damaged ({found.fault}): what can be read of it is used"
    print(in_one_line(line), file=sys.stderr)
    return found.pixels


def decode(path: Path | str) -> Image.Image:
    """Return what can be decoded of a damaged image, as 8-bit RGB; the rest is black or grey.

    Raises:
        Exception: it holds no pixels.
    """
    data = Path(path).read_bytes()
    if data.startswith(_PNG):
        data = _mended_png(data)
    elif data.startswith(_JPEG):
        data = _mended_jpeg(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        data = _mended_webp(data)
    with Image.open(io.BytesIO(data)) as image:
        try:
            image.load()
        except Exception:
            image.tile = []  # what is decoded stays as it is
            image.load()
            if image.getbbox() is None:
                raise
        return to_rgb(image)


def _mended_png(data: bytes) -> bytes:
    """Return a PNG of the chunks that pixels need, the last rows black where they are missing.

    Format: https://www.w3.org/TR/png-3/.
    """
    header = b""
    palette: list[tuple[bytes, bytes]] = []
    pieces: list[bytes] = []
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            header = body
        elif kind == b"PLTE":
            palette = [(kind, body)]
        elif kind == b"IDAT":
            pieces.append(body)
    length = _png_length(header)
    rows = _unpacked(b"".join(pieces), length)
    if len(rows) < 2:  # the first byte says how a row is filtered
        raise ValueError("no pixels")
    packed = zlib.compress(rows.ljust(length, b"\0"), 1)
    chunks = [(b"IHDR", header), *palette, (b"IDAT", packed), (b"IEND", b"")]
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = len(_PNG)
    while start + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        kind = data[start + 4 : start + 8]
        if kind == b"IEND":
            return
        yield kind, data[start + 8 : start + 8 + length]
        start += 12 + length  # with the checksum, whatever it says


def _png_length(header: bytes) -> int:
    """Return how many bytes a PNG's rows are before they are packed."""
    width, height, bits, colours, _, _, interlaced = struct.unpack(">2I5B", header)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > 2 * limit:
        raise Image.DecompressionBombError(f"{width} x {height} pixels")
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES]
    bits *= _PNG_CHANNELS[colours]
    return sum(h * (1 + (w * bits + 7) // 8) for w, h in sizes if w > 0 and h > 0)


def _unpacked(packed: bytes, length: int) -> bytes:
    """Return up to `length` bytes, as many as can be unpacked before the data break off."""
    unpacker, rows, there = zlib.decompressobj(), [], 0
    try:
        for start in range(0, len(packed), 256):
            rows.append(unpacker.decompress(packed[start : start + 256], length - there))
            there += len(rows[-1])
            if there == length:
                break
    except zlib.error:
        pass  # what was unpacked before is right
    return b"".join(rows)


def _mended_jpeg(data: bytes) -> bytes:
    """Return a JPEG without metadata that ends after the last whole segment, or in a scan.

    The decoder makes what a scan lacks grey; of a progressive file all is there, less sharp.
    Format: ITU-T T.81, annex B.
    """
    kept, start, pixels = [_JPEG[:2]], 2, 0
    while True:
        marker = _MARKER.search(data, start)
        if marker is None or marker[0] == _END or marker.end() + 2 > len(data):
            break
        start, kind = marker.start(), marker[0][1]
        end = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        if end > len(data):
            break
        if kind == _SCAN:
            following = _MARKER.search(data, end)
            scan_end = following.start() if following else len(data)
            pixels += scan_end - end
            end = scan_end
        if kind not in _JPEG_METADATA and end - start >= _JPEG_SHORTEST.get(kind, 0):
            kept.append(data[start:end])
        start = end
    if not pixels:
        raise ValueError("no pixels")
    return b"".join([*kept, _END])


def _mended_webp(data: bytes) -> bytes:
    """Return a still WebP of its colours alone, with zeros for the bytes that are missing.

    Format: RFC 9649.
    """
    start = 12
    while start + 8 < len(data):
        kind = data[start : start + 4]
        (length,) = struct.unpack_from("<I", data, start + 4)
        body = data[start + 8 : start + 8 + length]
        if kind in (b"VP8 ", b"VP8L"):
            body += bytes(len(body) % 2 + 65536)  # enough to decode a scene of one colour from
            parts = b"WEBP", kind, struct.pack("<I", len(body)), body
            return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"".join(parts)
        start += 8 + length + length % 2
    raise ValueError("no pixels")
