"""What a grader finds wrong: in what a script wrote, and in the script itself.

Every check stops at the first violation and says it in one line.
"""

from __future__ import annotations

import csv
import re
import struct
from pathlib import Path
from typing import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from inference.landcover import NO_CLASS, UNKNOWN, to_colours, to_indices

FORBIDDEN = ("rm", "sudo", "cp", "mv", "mkdir", "cd", "pip", "CUDA_VISIBLE_DEVICES", "wget")


class Violation(Exception):
    """Something that costs points: a verdict for the table and one line that says why."""

    def __init__(self, verdict: str, reason: str):
        super().__init__(reason)
        self.verdict = verdict


def check_script(path: Path, forbidden: Sequence[str] = FORBIDDEN) -> None:
    """Look for commands that graders forbid; comments are not looked at.

    Raises:
        Violation: there is no script (`failed`), or it uses a forbidden word (`format`).
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Violation("failed", f"cannot read {path}: {error.strerror}") from error
    words = re.compile(r"(?<![\w.-])(?:{})(?![\w.-])".format("|".join(forbidden)))
    for number, line in enumerate(text.splitlines(), 1):
        found = words.search(re.sub(r"(?:^|\s)#.*", "", line))
        if found:
            raise Violation(
                "format", f"{path.name} line {number} uses {found[0]}, which is forbidden"
            )


def read_labels(
    path: Path, header: Sequence[str], keys: Sequence[tuple], classes: int, ordered: bool
) -> list[int]:
    """Read a csv of labels as strictly as the contract words it.

    Args:
        header: the columns, of which the last is the label.
        keys: what the other columns must say, a tuple a row.
        ordered: whether the rows must come in the order of `keys`.

    Returns:
        The labels, in the order of `keys`.

    Raises:
        Violation: the first violation (`format`).
    """
    lines = _lines(path)
    _expect_no_more(path.parent, [path.name])
    _expect(lines[0] == ",".join(header), f"line 1 is {lines[0]!r}, not {','.join(header)!r}")
    wanted = set(keys)
    labels: dict[tuple, int] = {}
    for number, line in enumerate(lines[1:], 2):
        where = f"line {number}, {line[:60]!r},"
        values = _values(line)
        _expect(values, f"line {number} is empty")
        _expect(len(values) == len(header), f"{where} has {len(values)} values")
        key, label = tuple(values[:-1]), values[-1]
        _expect(key in wanted, f"{where} has {','.join(header[:-1])} that were not asked for")
        _expect(key not in labels, f"{where} is the second row of this image")
        due = keys[len(labels)]
        _expect(not ordered or key == due, f"{where} is out of order: {','.join(due)} comes here")
        _expect(re.fullmatch("[0-9]{1,9}", label), f"{where} has a label that is no whole number")
        _expect(int(label) < classes, f"{where} has a label outside 0-{classes - 1}")
        labels[key] = int(label)
    missing = [",".join(key) for key in keys if key not in labels]
    if missing:
        raise Violation(
            "format", f"{len(missing)} of {len(keys)} rows are missing, {missing[0]} first"
        )
    return [labels[key] for key in keys]


def _values(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a NUL, a value without end
        return [line]


def _lines(path: Path) -> list[str]:
    """Split a text file into lines, whose ends may be LF or CRLF: csv readers take both."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError:
        raise Violation("format", f"no {path.name} was written") from None
    except UnicodeDecodeError as error:
        raise Violation("format", f"{path.name} is not UTF-8 at byte {error.start}") from None
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if text.endswith("\n") else lines


def check_masks(folder: Path, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Check that a folder holds one right mask an image and nothing else.

    Args:
        sizes: (height, width) in pixels of each mask, by file name.

    Raises:
        Violation: the first violation (`format`).
    """
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    missing = sorted(set(sizes) - set(found))
    if missing:
        raise Violation(
            "format", f"{len(missing)} of {len(sizes)} masks are missing, {missing[0]} first"
        )
    _expect_no_more(folder, sizes)
    for name in found:
        _check_mask(folder / name, sizes[name])


def _check_mask(path: Path, size: tuple[int, int]) -> None:
    try:
        start = path.read_bytes()[:26]
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except Exception:  # a decoder can raise anything on garbage
        raise Violation("format", f"{path.name} cannot be read as an image") from None
    _expect(start[:8] == b"\x89PNG\r\n\x1a\n", f"{path.name} is no PNG file")
    width, height, bits, colour_type = struct.unpack(">2I2B", start[16:])
    _expect((bits, colour_type) == (8, 2), f"{path.name} is not 8-bit RGB")
    _expect(
        (height, width) == size,
        f"{path.name} is {width} x {height} pixels, its image {size[1]} x {size[0]}",
    )
    indices = to_indices(pixels)
    illegal = (indices == NO_CLASS) | (to_colours(indices) != pixels).any(axis=-1)
    if illegal.any():
        y, x = np.argwhere(illegal)[0]
        colour = tuple(pixels[y, x].tolist())
        reason = f"{path.name} has the colour {colour} of no class at x={x}, y={y}"
        if pixels.max() <= UNKNOWN:
            reason += ": it seems to hold class indices in place of colours"
        raise Violation("format", reason)


def _expect_no_more(folder: Path, names: Iterable[str]) -> None:
    extra = sorted({path.name for path in folder.iterdir()}.difference(names))
    if extra:
        raise Violation(
            "format", f"{len(extra)} files too many in the output folder, {extra[0]} first"
        )


def _expect(condition: object, reason: str) -> None:
    if not condition:
        raise Violation("format", reason)
