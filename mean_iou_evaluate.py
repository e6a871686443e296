"""Score land-cover masks: the IoU of each class over a whole folder, and their mean.

    python3 mean_iou_evaluate.py -g TRUTH_FOLDER -p PREDICTION_FOLDER

prints to the character what the course's program of this name prints. A class's IoU is TP / (TP +
FP + FN) over the whole set of pixels; Unknown is not averaged, but a wrong Unknown is a miss. Of a
colour, each channel is a bit, set from 128 up: code = 4R + 2G + B. Code 4, red, has no class: it
matches nothing. Masks pair by name, 0013.png and 0013_mask.png being one; where a folder holds any
png, other images in it are passed over. Wrong input: one line on stderr, exit 2, no score.

This file stands alone: Python 3.8, numpy 1.23, Pillow 9.2, or newer. Its memory does not grow with
the number of masks. Threads are as fast here as processes: decoding is outside Python's lock.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import re
import sys
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import numpy as np
from PIL import Image

CLASSES = ("urban", "agriculture", "rangeland", "forest", "water", "barren", "unknown")
CODES = (3, 6, 5, 2, 1, 7, 0)  # 4R + 2G + B of each class
RED, NO_CLASS = 4, 255  # the code that is no class's, and its index
AVERAGED = 6  # classes in the mean: all but unknown
INDICES = "class indices in place of colours"
GREYS = "grey levels in place of colours"
PAINT = (
    "paint urban (0, 255, 255), agriculture (255, 255, 0), rangeland (255, 0, 255), forest "
    "(0, 255, 0), water (0, 0, 255), barren (255, 255, 255), unknown (0, 0, 0)"
)
JPEGS = (".jpg", ".jpeg")
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
Image.MAX_IMAGE_PIXELS = 2**29  # or Pillow would take the mask of a large scene for an attack
MOST_THREADS = 4  # more would wait for the interpreter's lock, each with some MB of its own


class MaskError(ValueError):
    """Something the user can mend, in one line: what, where, what to do.

    Every function here that reads raises it: on a missing or empty folder, two files of one name,
    a mask without a partner, an unreadable file, sizes that differ.
    """


def find_masks(folder: Path) -> dict[str, str]:
    """Return the masks of a folder by name without suffix, as {"0013": "0013_mask.png"}.

    Hidden files, folders and other files are passed over; so are the satellite images
    (`0013_sat.jpg`) that the course keeps beside masks. A link to nowhere is an unreadable mask.
    """
    try:
        with os.scandir(folder) as entries:
            files = [e for e in entries if e.is_symlink() or e.is_file()]
            names = sorted(e.name for e in files if e.name[0] != "." and not os.path.isdir(e.path))
    except OSError as error:
        reason = error.strerror or error
        raise MaskError(f"cannot list {folder}: {reason}; give a folder of masks") from error
    names = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    names = [name for name in names if name.lower().endswith(".png")] or names
    names = [name for name in names if not Path(name).stem.endswith("_sat")] or names
    if not names:
        raise MaskError(f"no mask in {folder}; give the folder of the xxxx_mask.png files")
    masks: dict[str, str] = {}
    for name in names:
        key = re.sub("(_sat|_mask)+$", "", Path(name).stem)
        if key in masks:
            raise MaskError(f"{masks[key]} and {name} in {folder} are one name; keep one of them")
        masks[key] = name
    return masks


def pair_masks(labels: Path, pred: Path) -> list[tuple[Path, Path]]:
    """Return (truth, prediction) paths by the truth's file name."""
    truth, predicted = find_masks(labels), find_masks(pred)
    missing = [name for key, name in truth.items() if key not in predicted]
    extra = [name for key, name in predicted.items() if key not in truth]
    if missing or extra:
        only = f"{_count(missing)} only in {labels}, {_count(extra)} only in {pred}"
        raise MaskError(f"masks without a partner: {only}; give both folders the same names")
    return [(labels / name, pred / predicted[key]) for key, name in truth.items()]


def _count(names: list[str]) -> str:
    """Return how many there are, and the first few."""
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} ({listed})" if names else "none"


def read_codes(path: Path) -> np.ndarray:
    """Return the colour codes 4R + 2G + B of a mask, uint8 (height, width), values 0-7.

    Grey, palette, 1-bit, 16-bit and transparent pictures count as the colours they show, opaque.
    """
    try:
        with Image.open(path) as image:
            rgb = _to_rgb(image)
            # Plane by plane takes half the time of slicing an interleaved array.
            red, green, blue = (np.frombuffer(rgb.tobytes("raw", c), np.uint8) for c in "RGB")
    except Exception as error:  # Pillow's decoders raise many types on broken files
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise MaskError(f"cannot read {path}: {reason}; write it again") from error
    return ((red & 128) >> 5 | (green & 128) >> 6 | blue >> 7).reshape(rgb.height, rgb.width)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture (of many frames, the first) with 8-bit planes R, G and B.

    Raises:
        ValueError: its values (floats, signed or 32-bit) have no known range, so no known black.
    """
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    wide = image.mode == "I" and image.format not in ("PNG", "PPM")  # 32 bits, or with a sign
    if wide or image.mode[0] == "F" or 2 in np.atleast_1d(tags.get(339, 1)):
        raise ValueError("its pixels are numbers of a range that nobody knows")
    if image.mode[0] == "I":  # 16-bit grey, or 12: convert() would clip where it has to scale
        bits = 12 if 12 in np.atleast_1d(tags.get(258, 16)) else 16
        grey = np.clip(np.asarray(image) >> (bits - 8), 0, 255).astype(np.uint8)
        white_is_zero = tags.get(262) == 0  # which Pillow turns round up to 8 bits only
        image = Image.fromarray(255 - grey if white_is_zero else grey)
    image.info.pop("transparency", None)  # or convert() would warn
    image.load()
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def count_pair(pair: tuple[Path, Path]) -> np.ndarray:
    """Return a pair's confusion matrix: pixels by [true code, predicted code], int64 (8, 8)."""
    truth, pred = map(read_codes, pair)
    if truth.shape != pred.shape:
        sizes = (f"{path} is {a.shape[1]}x{a.shape[0]}" for path, a in zip(pair, (truth, pred)))
        raise MaskError(f"{', '.join(sizes)}; predict at the image's own size")
    # A bincount of bytes by Pillow: 0.6 of np.bincount's time, which makes int64 of them first.
    histogram = Image.fromarray(truth << 3 | pred).histogram()
    return np.array(histogram[:64], np.int64).reshape(8, 8)


def doubt(path: Path) -> str | None:
    """Return what a mask probably holds in place of the seven colours, in words; else None.

    Class indices are dark greys or a palette of other colours, and all become Unknown or a wrong
    class; indices that were stretched to be seen are greys.
    """
    try:
        with Image.open(path) as image:
            kind = image.format
            if image.mode == "P":
                return _doubt_palette(image)
            values = np.asarray(image if image.mode != "1" else image.convert("L"))
    except Exception:  # unreadable: said where it is read
        return None
    if values.ndim == 3:
        values = values[..., : 1 if image.mode == "LA" else 3]
        if (values != values[..., :1]).any():  # not grey, but perhaps (index, 0, 0)
            is_dark = values.max() < len(CODES) and kind != "JPEG"
            return INDICES if is_dark else None
        values = values[..., 0]
    grey = np.unique(values)
    rest = grey[grey != grey.dtype.type(NO_CLASS)]  # 255 often stands for no class
    if kind != "JPEG" and rest.size and rest.max() < len(CODES) and (rest > 0).any():
        return INDICES
    white = 255 if values.dtype.itemsize == 1 else 65535
    return GREYS if ((grey > white // 16) & (grey < white - white // 16)).any() else None


def _doubt_palette(image: Image.Image) -> str | None:
    used = np.unique(np.asarray(image))
    palette = np.array(image.getpalette()).reshape(-1, 3)
    colours = palette[used[used < len(palette)]]
    several = len(colours) > 1
    is_one_class = len(np.unique(colours > 127, axis=0)) == 1  # as in a palette of greys
    is_class = ((colours < 64) | (colours > 191)).all() and not (several and is_one_class)
    few = used[used != NO_CLASS]
    return INDICES if not is_class and few.size and few.max() < len(CODES) else None


def say_doubts(paths: Iterable[Path], what: str) -> bool:
    """Warn of masks that hold no colours of classes, a line a kind, and return whether any does."""
    found: dict[str, list[str]] = {}
    paths = list(paths)
    for path, kind in zip(paths, in_threads(doubt, paths)):
        if kind:
            found.setdefault(kind, []).append(str(path))
    for kind, names in found.items():
        _say(f"warning: {what} seem to hold {kind}: {_count(names)}; {PAINT}")
    return bool(found)


def in_threads(function: Callable, items: Iterable) -> Iterator[Any]:
    """Yield function(item) of each item in turn, a few computed ahead."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    pending: deque = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def count_folders(labels: Path, pred: Path) -> list[tuple[int, int, int]]:
    """Return what `report` takes of two folders of masks, and warn of red pixels."""
    pairs = pair_masks(labels, pred)
    confusion = np.zeros((8, 8), np.int64)
    red: list[str] = []
    odd: tuple[list[Path], list[Path]] = [], []  # true and predicted ones that are worth a look
    for pair, counted in zip(pairs, in_threads(count_pair, pairs)):
        confusion += counted
        for path, codes, paths in zip(pair, (counted.sum(1), counted.sum(0)), odd):
            if codes[RED] or not codes[1:7].any():  # red, or nothing but black and white
                paths.append(path)
        reds = zip(pair, (counted[RED], counted[:, RED]))
        red += [str(path) for path, pixels in reds if pixels.any()]
    doubted = [
        say_doubts(paths, what) for paths, what in zip(odd, ("true masks", "predicted masks"))
    ]
    if not any(doubted):
        _say_what_is_odd(confusion, pairs)
    if red:
        _say(f"warning: red pixels have no class and match nothing; masks with any: {_count(red)}")
    both, predicted, true = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    return [(int(both[c]), int(predicted[c]), int(true[c])) for c in CODES[:AVERAGED]]


def _say_what_is_odd(confusion: np.ndarray, pairs: list[tuple[Path, Path]]) -> None:
    """Warn of what costs a whole score: one class alone, red and blue exchanged, JPEG masks."""
    for what, codes, other in (
        ("true", confusion.sum(1), confusion.sum(0)),
        ("predicted", confusion.sum(0), confusion.sum(1)),
    ):
        if codes[0] == codes.sum() > 0 and other[1:].any():
            _say(f"warning: the {what} masks are black all over, which is Unknown; {PAINT}")
        elif codes[0] and codes[7] and not codes[1:7].any() and other[1:7].any():
            _say(f"warning: the {what} masks are black and white alone; {PAINT}")
    exchanged = confusion[:, [4 * (c & 1) | c & 2 | c >> 2 for c in range(8)]]
    if exchanged.trace() - confusion.trace() > confusion.sum() / 5:
        _say(
            "warning: red and blue seem to be exchanged on one side (OpenCV writes BGR), since "
            "many more pixels would be right the other way round"
        )
    jpegs = [str(path) for pair in pairs for path in pair if path.suffix.lower() in JPEGS]
    if jpegs:
        _say(f"warning: JPEG moves colours at edges; write PNG in place of: {_count(jpegs)}")


def report(counts: list[tuple[int, int, int]]) -> float:
    """Print the scores and return the mean IoU.

    Args:
        counts: (pixels in both, pixels predicted, pixels true) of the classes 0-5.
    """
    text, mean, absent = "", 0.0, []
    for i, (both, predicted, true) in enumerate(counts):
        union = predicted + true - both
        iou = both / union if union else float("nan")
        mean += iou / AVERAGED  # the course's order of operations: it decides the last digit
        text += f"class #{i} : {iou:1.5f}\n"
        absent += [] if union else [f"class {i} ({CLASSES[i]})"]
    print(f"{text}\nmean_iou: {mean:f}\n", flush=True)
    if absent:
        _say(f"warning: absent from both sides: {', '.join(absent)}; 0/0 makes the mean nan")
    return mean


def read_masks(folder: str | os.PathLike) -> np.ndarray:
    """Return a folder's masks by file name, uint8 (n, height, width): classes 0-6, red 255."""
    paths = [Path(folder, name) for name in find_masks(Path(folder)).values()]
    class_of_code = np.full(8, NO_CLASS, np.uint8)
    class_of_code[list(CODES)] = range(len(CODES))
    masks = np.empty(0, np.uint8)
    for i, codes in enumerate(in_threads(read_codes, paths)):
        if i == 0:
            masks = np.empty((len(paths), *codes.shape), np.uint8)
        elif codes.shape != masks.shape[1:]:
            raise MaskError(f"{paths[i]} differs in size from {paths[0].name}; make them equal")
        masks[i] = class_of_code[codes]
    odd = ((mask == NO_CLASS).any() or (mask >= CLASSES.index("barren")).all() for mask in masks)
    say_doubts([path for path, is_odd in zip(paths, odd) if is_odd], "masks")
    return masks


def mean_iou_score(pred: np.ndarray, labels: np.ndarray) -> float:
    """Print the IoU of classes 0-5 and their mean, and return the mean.

    Args:
        pred: class indices, any shape; what is no class (255) matches nothing.
        labels: the true class indices, of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    pred, labels = np.asarray(pred), np.asarray(labels)
    if pred.shape != labels.shape:
        raise ValueError(f"pred has shape {pred.shape}, labels {labels.shape}; they must be equal")
    counts = []
    for i in range(AVERAGED):
        predicted, true = pred == i, labels == i
        counts.append((int((predicted & true).sum()), int(predicted.sum()), int(true.sum())))
    return report(counts)


def _say(line: str) -> None:
    if sys.stderr is not None:  # None where the caller closed it, and print would turn to stdout
        try:
            print(line, file=sys.stderr, flush=True)
        except OSError:  # a full disk, a reader that is gone: no reason to keep the scores back
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # as of stdout below


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed buffers: handing them back costs a tenth of the time."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: 0)
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, bytes: larger ones still go back at once
        mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(description="Score land-cover masks by IoU, over a folder.")
    parser.add_argument("-g", "--labels", type=Path, required=True, help="folder of true masks")
    parser.add_argument("-p", "--pred", type=Path, required=True, help="folder of predicted masks")
    options = parser.parse_args(arguments)
    try:
        if sys.stdout is None:  # print would write nowhere, and all would seem well
            raise MaskError("standard output is closed, where the scores go; send it elsewhere")
        report(count_folders(options.labels, options.pred))
    except MaskError as error:
        _say(f"error: {error}")
        return 2
    except OSError as error:
        # Lead stdout away, or the interpreter complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 141  # what a shell says of a program ended by SIGPIPE
        _say(f"error: cannot write the scores to stdout: {error.strerror}; send it elsewhere")
        return 2
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Pillow's remarks on odd files: our one line says more
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # and what it logs of a damaged TIFF
    keep_freed_memory()
    sys.exit(main())
