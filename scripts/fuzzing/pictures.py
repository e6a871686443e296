"""Trials of what reads pictures: classify, segment, overlay, the evaluator."""

from __future__ import annotations

import csv
import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

import mean_iou_evaluate
from inference.__main__ import main
from inference.landcover import COLOURS, UNKNOWN, mask_name
from scripts.fuzzing.containers import CONTAINERS, Picture, draw, named, scratch, spoil
from scripts.fuzzing.corners import CLASSES
from scripts.fuzzing.trial import Answer, Trial, expect

PROGRAM = "python3 -m inference"
OLD = b"what was there before\n"


def classify(trial: Trial) -> None:
    """Sound and damaged pictures in a folder: a row for each, sorted, the sound ones right."""
    folder, out = trial.folder / "in", trial.folder / "out" / "pred.csv"
    pictures = _fill(trial, folder)
    if trial.chance(0.3):
        trial.write(out, OLD)
    fill = trial.chance(0.6)
    options = ["--fill"] * fill + ["--tta"] * trial.chance(0.1)
    answer = trial.run(
        PROGRAM, main, "classify", folder, out, *options, "--device", "cpu", allowed=(0, 3)
    )
    rows = read_csv(out)
    expect(rows[0] == ["filename", "label"], f"the csv has another header: {rows[0]}")
    found = {name: label for name, label in rows[1:]}
    expect_rows([row[0] for row in rows[1:]], sorted(pictures))
    for name, picture in pictures.items():
        _expect_label(name, picture, found[name], fill, answer)
    unread = "-1" in found.values()
    expect(answer.status == (3 if unread else 0), f"status {answer.status}, -1 there: {unread}")


def segment(trial: Trial) -> None:
    """The same of masks: one for each picture, of its size, whatever else is broken."""
    folder, out = trial.folder / "in", trial.folder / "out"
    pictures = _fill(trial, folder, "_sat" if trial.chance(0.7) else "", blocks=True)
    fill = trial.chance(0.6)
    options = ["--fill"] * fill + ["--tta"] * trial.chance(0.1)
    names = {mask_name(name): name for name in pictures}
    none = all(len(os.fsencode(mask)) > 255 for mask in names)  # can be written: an error
    answer = trial.run(
        PROGRAM,
        main,
        *("segment", folder, out, *options, "--device", "cpu"),
        allowed=(2,) if none else (0, 3),
    )
    if none:
        return
    there = set(os.listdir(out))
    expect(there <= set(names), "writes a mask of no picture")
    for mask, name in names.items():
        picture, why = pictures[name], _why(name, answer)
        too_long = len(os.fsencode(mask)) > 255
        if mask not in there:
            expect(too_long or not fill, f"no mask of a picture in {_kind(name)}, with --fill")
            _expect_named(name, answer)
            sound = picture.classes is not None and not picture.refusable
            expect(too_long or not sound, f"no mask of {picture.said}: {why}")
            continue
        sound = picture.classes is not None and not picture.refusable
        expect(not (sound and why), f"cannot read {picture.said}: {why}")
        _expect_mask(out / mask, folder / name, picture)


def overlay(trial: Trial) -> None:
    """A picture and a mask, one or both damaged: an overlay of their size, or one line."""
    image, mask, out = (trial.folder / name for name in ("image", "mask", "out.png"))
    given = draw(trial.random), draw(trial.random, trial.random.choice((".png", ".bmp")), True)
    chosen = [p if trial.chance(0.5) else spoil(trial.random, p) for p in given]
    for path, picture in zip((image, mask), chosen, strict=True):
        trial.write(path, picture.data)
    answer = trial.run(PROGRAM, main, "overlay", image, mask, "-o", out)
    expect(
        out.exists() == (answer.status == 0), f"its status and its file do not fit: {answer.status}"
    )
    if out.exists():
        with Image.open(out) as drawn, Image.open(mask) as source:
            expect(
                drawn.size == source.size,
                f"an overlay of another size: {drawn.size}, {source.size}",
            )


def evaluate(trial: Trial) -> None:
    """Masks of truth and prediction: the IoUs of what they show, or one line and no score."""
    folders = trial.folder / "truth", trial.folder / "predicted"
    extension = trial.random.choice([*mean_iou_evaluate.SUFFIXES & set(CONTAINERS)])
    sound, pairs = trial.chance(0.5), []
    for number in range(trial.random.randint(1, 5)):
        pair = [_mask(trial, extension) for _ in folders]
        if trial.chance(0.8) and sound:
            pair[1] = pair[0]
        for folder, picture in zip(folders, pair, strict=True):
            if not sound and trial.chance(0.3):
                picture = spoil(trial.random, picture)
            trial.write(folder / f"{number:04}_mask{extension}", picture.data)
        pairs.append([picture.classes for picture in pair])
    answer = trial.run(
        "python3 mean_iou_evaluate.py",
        _evaluator,
        *("-g", folders[0], "-p", folders[1]),
        quiet=False,
    )
    expect(bool(answer.out) == (answer.status == 0), "a status and a score that do not fit")
    if sound and all(truth.shape == predicted.shape for truth, predicted in pairs):
        expect(answer.status == 0, f"refuses sound {extension} masks: {answer.err[-100:]!r}")
        wanted = _ious(*(np.concatenate([m.ravel() for m in side]) for side in zip(*pairs)))  # noqa: B905
        found = [line.split(" : ")[1] for line in answer.out.splitlines()[:6]]
        expect(found == wanted, f"wrong scores of {extension} masks: {found}, not {wanted}")


def _evaluator(words: list[str]) -> int:
    warnings.simplefilter("ignore")  # as where it is run as a script
    return mean_iou_evaluate.main(words)


def read_csv(path: Path) -> list[list[str]]:
    """Return the rows of a csv that a command should have written, as any reader would see them."""
    expect(path.is_file(), "writes no csv")
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def expect_rows(found: list, wanted: list) -> None:
    """Raise a Fault that says what is missing, too much or in another order."""
    missing = [row for row in wanted if row not in found]
    expect(not missing, f"rows are missing: {len(missing)} of {len(wanted)}, {missing[:1]}")
    expect(len(found) <= len(wanted), f"rows too many: {len(found)}, not {len(wanted)}")
    expect(found == wanted, "rows in another order")


def _fill(trial: Trial, folder: Path, ending: str = "", blocks: bool = False) -> dict:
    """Write a folder of pictures, and of what is none; return the pictures by name."""
    pictures = {}
    for number in range(trial.random.randint(1, 8)):
        picture = draw(trial.random, blocks=blocks)
        way = trial.random.random()
        if way < 0.45:
            picture = spoil(trial.random, picture)
        elif way < 0.6:
            picture = scratch(trial.random, picture)
        name = named(trial.random, picture, number, ending)
        trial.write(folder / name, picture.data)
        pictures[name] = picture
    if trial.chance(0.1):  # links that lead nowhere
        name = f"link{ending}.png"
        (folder / name).symlink_to(trial.random.choice((name, "nowhere.png")))
        pictures[name] = Picture(".png", b"", None)
    if trial.chance(0.2):
        trial.write(folder / trial.random.choice((".hidden.png", "notes.txt", "Thumbs.db")), b"x")
        (folder / "folder.png").mkdir()
    return pictures


def _kind(name: str) -> str:
    return Path(name).suffix.lower()


def _expect_named(name: str, answer: Answer) -> None:
    shown = name.encode("utf-8", "backslashreplace").decode()
    expect(shown in answer.err, f"does not name an unreadable {_kind(name)}")


def _expect_label(name: str, picture: Picture, label: str, fill: bool, answer: Answer) -> None:
    expect(label == "-1" or label in map(str, range(CLASSES)), f"the label {label!r}")
    if label == "-1":
        expect(not fill, "a label -1 with --fill")
        _expect_named(name, answer)
    if picture.classes is None:
        return
    wanted = str(picture.classes[0, 0])
    why = _why(name, answer)
    expect(not why or picture.refusable, f"cannot read {picture.said}: {why}")
    expect(why or label == wanted, f"{picture.said}, is misread: class {wanted} gets {label}")


def _why(name: str, answer: Answer) -> str:
    """Return what stderr says of a picture."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    lines = (line for line in answer.err.splitlines() if f"/{shown}: " in line)
    return next((line.split(f"/{shown}: ")[1] for line in lines), "")


def _expect_mask(mask: Path, source: Path, picture: Picture) -> None:
    with Image.open(mask) as image:
        expect(image.format == "PNG" and image.mode == "RGB", "a mask that is no RGB PNG")
        pixels = np.asarray(image)
    if picture.classes is None:
        try:
            with Image.open(source) as image:
                size = image.size[::-1]
        except Exception:  # damaged too: of no known size
            return
        expect(
            pixels.shape[:2] == size,
            f"a mask of another size than its picture: {pixels.shape[:2]}, {size}",
        )
        return
    expect(
        pixels.shape[:2] == picture.classes.shape,
        f"a mask of another size: {pixels.shape[:2]}, not {picture.classes.shape}",
    )
    wrong = (pixels != COLOURS[picture.classes]).any(-1)
    unknown = picture.refusable and (pixels == COLOURS[UNKNOWN]).all()
    expect(unknown or not wrong.any(), f"{picture.said}, is misread: {wrong.mean():.0%} of it")


def _mask(trial: Trial, extension: str) -> Picture:
    while True:
        picture = draw(trial.random, extension if extension in CONTAINERS else None, blocks=True)
        if not picture.refusable:
            return picture


def _ious(truth: np.ndarray, predicted: np.ndarray) -> list[str]:
    found = []
    for index in range(6):
        both = int(((truth == index) & (predicted == index)).sum())
        union = int(((truth == index) | (predicted == index)).sum())
        found.append(f"{both / union:1.5f}" if union else "nan")
    return found
