"""Pictures in every container and mode that Pillow can write, sound or damaged."""

from __future__ import annotations

import io
import random
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from inference.landcover import COLOURS
from scripts.fuzzing.corners import BLACK, CLASSES, WHITE
from scripts.fuzzing.damage import NUMBERS, damage

# Containers: the format, the modes it is written in here, whether pixels come back exactly.
CONTAINERS = {
    ".png": ("PNG", ("RGB", "RGBA", "P", "L", "LA", "1", "I;16"), True),
    ".jpg": ("JPEG", ("RGB", "L", "CMYK"), False),
    ".jpeg": ("JPEG", ("RGB",), False),
    ".tif": ("TIFF", ("RGB", "RGBA", "P", "L", "LA", "1", "I;16", "I", "F", "CMYK"), True),
    ".tiff": ("TIFF", ("RGB",), True),
    ".webp": ("WEBP", ("RGB", "RGBA"), False),
    ".bmp": ("BMP", ("RGB", "RGBA", "P", "L", "1"), True),
    ".gif": ("GIF", ("P", "L", "1"), True),
    ".ppm": ("PPM", ("RGB", "L", "1", "I;16"), True),
    ".jp2": ("JPEG2000", ("RGB", "L"), True),
}
COMMON = {extension: CONTAINERS[extension] for extension in (".png", ".jpg", ".tif")}
GREY = ("L", "LA", "1", "I;16", "I", "F")
REFUSABLE = ("I", "F")  # 32 bits: of a range that nobody knows
SIDES = (1, 2, 5, 16, 31, 32, 33, 48)  # pixels
STEMS = (
    "a b",
    "ü",
    "x,y",
    "q'q",
    "-f",
    "%d",
    "#1",
    "ÄÖ",
    "日本",
    "a.b",
    "_mask_",
    "caf\udce9",
    "$x",
)


@dataclass
class Picture:
    """A picture's file.

    Attributes:
        classes: (H, W), what every pixel shows; None of a damaged file, which may show anything.
        refusable: whether it may be called unreadable all the same.
        said: in words, what it is.
    """

    extension: str
    data: bytes
    classes: np.ndarray | None
    refusable: bool = False
    said: str = "damaged"


def draw(random: random.Random, extension: str | None = None, blocks: bool = False) -> Picture:
    """Return a sound picture: of one class, or with `blocks` of several where pixels are exact."""
    extension = extension or random.choice([*COMMON, *CONTAINERS])
    kind, modes, exact = CONTAINERS[extension]
    mode = random.choice(modes)
    size = random.choice(SIDES), random.choice(SIDES)
    known = [BLACK, WHITE] if mode in GREY else [*range(CLASSES)]
    classes = np.full(size, random.choice(known), np.uint8)
    if blocks and exact:
        for _ in range(random.randint(0, 4)):
            y, x = random.randrange(size[0]), random.randrange(size[1])
            classes[y : y + 9, x : x + 9] = random.choice(known)
    image = _in_mode(random, classes, mode, noisy=exact)
    stream = io.BytesIO()
    image.save(stream, kind, **_options(random, kind, mode))
    data = stream.getvalue()
    if kind == "TIFF" and mode in ("L", "I;16") and random.random() < 0.2:
        data, classes = _white_is_zero(data), np.where(classes == BLACK, WHITE, BLACK)
        mode += ", white is zero"
    return Picture(extension, data, classes, mode in REFUSABLE, f"a sound {kind}, {mode}")


def _in_mode(random: random.Random, classes: np.ndarray, mode: str, noisy: bool) -> Image.Image:
    values = COLOURS[classes]
    bright = values[..., 0] > 0
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray((bright * 65535).astype(kind))
    if noisy and mode in ("RGB", "RGBA", "L", "LA"):  # each channel stays on its side of the middle
        noise = np.random.default_rng(random.getrandbits(32)).integers(0, 100, values.shape)
        values = np.abs(values - noise).astype(np.uint8)
    if mode in ("L", "LA"):
        values = values[..., 0]
    image = Image.fromarray(values)
    if mode == "P":
        return image.quantize(8, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if mode in ("RGBA", "LA"):
        image.putalpha(random.choice((0, 1, 128, 255)))
        return image
    return image.convert(mode)


def _options(random: random.Random, kind: str, mode: str) -> dict:
    if kind == "TIFF" and mode in ("RGB", "L", "I;16"):
        return {"compression": random.choice((None, "tiff_lzw", "tiff_adobe_deflate", "packbits"))}
    return {
        "PNG": {"dpi": (72, 72)} if random.random() < 0.5 else {},
        "JPEG": {"progressive": random.random() < 0.3, "quality": random.choice((50, 90, 100))},
        "WEBP": {"lossless": random.random() < 0.5, "exact": True},
    }.get(kind, {})


def spoil(random: random.Random, picture: Picture) -> Picture:
    """Return the picture damaged: its bytes, its size or its parts."""
    ways = [damage, damage, _resize, *[_edit_chunks] * 2 * (picture.extension == ".png")]
    return Picture(picture.extension, random.choice(ways)(random, picture.data), None)


def scratch(random: random.Random, picture: Picture) -> Picture:
    """Return the picture with damage to what is no pixel: every viewer shows it."""
    data, kind = picture.data, CONTAINERS[picture.extension][0]
    spaces = zlib.compress(b" " * 3_000_000, 9)
    odd = {
        "pHYs of a wrong CRC": _chunk(b"pHYs", struct.pack(">IIB", 1, 1, 1), 1),
        "tEXt of a wrong CRC": _chunk(b"tEXt", b"Comment\0abc", 2),
        "a gAMA too short": _chunk(b"gAMA", b"\0"),
        "a profile of 3 MB": _chunk(b"iCCP", b"ICC\0\0" + spaces),
        "a text of 3 MB": _chunk(b"zTXt", b"Comment\0\0" + spaces),
        "an eXIf of noise": _chunk(b"eXIf", random.randbytes(30)),
    }
    said = "bytes after its end"
    if kind == "PNG" and random.random() < 0.8:
        said = random.choice([*odd])
        data = data[:33] + odd[said] + data[33:]
    elif kind == "JPEG" and random.random() < 0.5:
        said, data = "no mark of its end", data[:-2]
    else:
        data += random.choice((b"\0", b"\n", random.randbytes(50)))
    base = picture.said if "white is zero" in picture.said else f"a {kind}"
    said = f"{base} with {said}"
    return Picture(picture.extension, data, picture.classes, picture.refusable, said)


def _chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _edit_chunks(random: random.Random, data: bytes) -> bytes:
    """Return a PNG whose chunks are right each, but lost, doubled, swapped or of other contents."""
    chunks = _chunks(data)
    at, way = random.randrange(len(chunks)), random.choice(("lose", "double", "swap", "damage"))
    kind, content = chunks[at]
    if way == "lose":
        del chunks[at]
    elif way == "double":
        chunks.insert(random.randrange(len(chunks)), chunks[at])
    elif way == "swap":
        random.shuffle(chunks)
    elif kind == b"IHDR":  # depth, colour type, ...: not the size, which `_resize` edits
        place = random.randrange(8, 13)
        content = content[:place] + bytes([random.choice((0, 1, 2, 3, 4, 6, 16))]) + content[9:]
        chunks[at] = kind, content[:13]
    else:
        chunks[at] = kind, damage(random, content)
    return data[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def _resize(random: random.Random, data: bytes) -> bytes:
    """Return the file with another width or height in its header; never both, which may be much."""
    number = random.choice((*NUMBERS, 33, 100, 4000))
    if data[:4] == b"\x89PNG":
        at, width, order = random.choice((16, 20)), 4, "big"
    elif data[:2] == b"BM":
        at, width, order = random.choice((18, 22)), 4, "little"
    elif data[:3] == b"GIF":
        at, width, order = random.choice((6, 8)), 2, "little"
    elif data[:2] == b"\xff\xd8":
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        at, width, order = frame + random.choice((5, 7)), 2, "big"
    elif data[:2] == b"II":
        at, width, order = _tag(data, random.choice((256, 257))), 4, "little"
    elif data[:1] == b"P":
        head = data.split(b"\n", 2)
        return b"\n".join([head[0], b"%d 3" % number, *head[2:]])
    else:
        return damage(random, data)
    changed = data[:at] + (number % 256**width).to_bytes(width, order) + data[at + width :]
    if data[:4] == b"\x89PNG":
        changed = changed[:29] + struct.pack(">I", zlib.crc32(changed[12:29])) + changed[33:]
    return changed


def _tag(data: bytes, tag: int) -> int:
    """Return where the value of a little-endian TIFF's tag lies."""
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    entries = range(start + 2, start + 2 + 12 * count, 12)
    return next(e for e in entries if int.from_bytes(data[e : e + 2], "little") == tag) + 8


def _white_is_zero(data: bytes) -> bytes:
    at = _tag(data, 262)
    return data[:at] + b"\0\0" + data[at + 2 :]


def named(random: random.Random, picture: Picture, number: int, ending: str = "") -> str:
    """Return a name for a picture, odd in one case of three, of which no two are equal."""
    odd = random.random() < 0.3
    stem = f"{random.choice(STEMS) if odd else ''}{number:04}{ending}"
    extension = picture.extension.upper() if random.random() < 0.1 else picture.extension
    if random.random() < 0.02:
        stem = "n" * (255 - len((stem + extension).encode("utf-8", "surrogateescape"))) + stem
    return stem + extension
