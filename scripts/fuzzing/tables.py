"""Trials of csv files: those that classify-csv reads, and those that grade checks."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from inference import grade
from inference.__main__ import main
from inference.grade.run import Run
from inference.landcover import COLOURS, encode_mask
from scripts.fuzzing.corners import CLASSES
from scripts.fuzzing.damage import MARKS, damage
from scripts.fuzzing.pictures import OLD, PROGRAM, expect_rows, read_csv
from scripts.fuzzing.trial import Trial, expect

NAMES = ("0.png", "a b.png", "ü.png", "x,y.png", 'q"q.png', "'.png", "caf\udce9.png", " .png")
HEADER = ("id", "filename", "label")
# Spreadsheets' dialects; whether the contract has them, or they may be refused
DIALECTS = (
    ({}, True),
    ({"quoting": csv.QUOTE_ALL}, True),
    ({"lineterminator": "\r\n"}, True),
    ({"lineterminator": "\r"}, False),
    ({"delimiter": ";"}, False),
    ({"delimiter": "\t"}, False),
)
ENCODINGS = (("utf-8", True), ("utf-8-sig", True), ("utf-16", False), ("latin-1", False))


def pictures(folder: Path) -> None:
    """Write a picture of each of `NAMES`, of class its place in the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        colour = tuple(COLOURS[number % CLASSES].tolist())
        Image.new("RGB", (8, 8), colour).save(folder / name)


def classify_csv(trial: Trial) -> None:
    """A csv in some dialect, damaged or not: its rows in its order, or one line and no csv."""
    folder, out = trial.folder / "img", trial.folder / "out" / "pred.csv"
    pictures(folder)
    rows = _rows(trial)
    data, rows, sure = _encoded(trial, rows)
    whole = trial.chance(0.4)
    if not whole:
        data, rows, sure = _damaged(trial, data, rows)
    table = trial.write(trial.folder / "test.csv", data)
    if trial.chance(0.3):
        trial.write(out, OLD)
    old = out.read_bytes() if out.exists() else None
    words = ["classify-csv", table, folder, out, "--device", "cpu", *["--fill"] * trial.chance(0.5)]
    answer = trial.run(PROGRAM, main, *words, allowed=(0, 2, 3))
    if answer.status == 2:
        now = out.read_bytes() if out.exists() else None
        expect(now == old, "an error, and the csv was touched")
        expect(not sure, f"refuses a sound csv: {answer.err[-120:]!r}")
        return
    written = read_csv(out)
    expect(tuple(written[0]) == HEADER, f"the csv has another header: {written[0]}")
    expect(all(len(row) == 3 for row in written), "a row has not three values")
    if rows is not None:
        expect_rows([row[:2] for row in written[1:]], [row[:2] for row in rows])
        right = {name: str(i % CLASSES) for i, name in enumerate(NAMES)}
        for _, name, label in written[1:]:
            expect(label == right.get(name, label), "a sound picture has another's label")


def _rows(trial: Trial) -> list[list[str]]:
    count = trial.random.randint(1, 12)
    ids = trial.random.sample(range(1000), count)
    label = trial.random.choice(("None", "", "7"))
    return [[str(i), trial.random.choice(NAMES), label] for i in ids]


def _encoded(trial: Trial, rows: list[list[str]]) -> tuple[bytes, list[list[str]], bool]:
    """Return a csv of rows, the rows as they can be read, and whether it has to be understood."""
    dialect, one = trial.random.choice(DIALECTS)
    encoding, two = trial.random.choice(ENCODINGS)
    columns = [*range(3)]
    if trial.chance(0.3):
        trial.random.shuffle(columns)
    if trial.chance(0.2):
        columns.remove(2)
    text = io.StringIO(newline="")
    writer = csv.writer(text, **{"lineterminator": "\n", **dialect})
    for row in [HEADER, *rows]:
        values = [row[column] for column in columns]
        writer.writerow(values + ["more, of it"] * trial.chance(0.1))
    said = text.getvalue()
    if trial.chance(0.2):
        said = said.rstrip("\r\n") + trial.random.choice(("", "\n\n\n"))
    if encoding.startswith("utf-8"):
        return said.encode(encoding, "surrogateescape"), rows, one and two
    # Names that it lacks are none of ours any more; of latin-1 the bytes pass through.
    back = ("utf-8", "surrogateescape") if encoding == "latin-1" else (encoding,)
    rows = [[value.encode(encoding, "replace").decode(*back) for value in row] for row in rows]
    return said.encode(encoding, "replace"), rows, False


def _damaged(trial: Trial, data: bytes, rows: list[list[str]]) -> tuple[bytes, list | None, bool]:
    """Return a damaged csv, the rows its answer must have (None: any), and False: it may fail."""
    way = trial.random.choice(("any", "any", "any", "nul", "blanks", "marks"))
    if way == "blanks" and b'"' not in data and b"x,y" not in data and b"\0" not in data:
        plain = data[:3] != b"\xef\xbb\xbf" and b"\n" in data and b"," in data
        if plain and b";" not in data and b"\t" not in data and b" .png" not in data:
            return data.replace(b",", b", "), rows, False
    if way == "nul":
        return data.replace(b"\n", b"\0\n", 1), None, False
    if way == "marks":
        return data + MARKS, None, False
    return damage(trial.random, data), None, False


def unclosed(trial: Trial) -> None:
    """A quote that is never closed swallows rows: all of them are answered, or none."""
    folder, out = trial.folder / "img", trial.folder / "out.csv"
    pictures(folder)
    names = [name for name in NAMES if name.isascii() and not {'"', ","} & set(name)]
    count = trial.random.randint(2, 9)
    lines = [f"{i},{trial.random.choice(names)},None" for i in range(count)]
    at = trial.random.randrange(count)
    values = lines[at].split(",")
    place = trial.random.randrange(3)
    values[place] = '"' + values[place]
    lines[at] = ",".join(values)
    table = trial.write(
        trial.folder / "test.csv", "\n".join([",".join(HEADER), *lines, ""]).encode()
    )
    words = ["classify-csv", table, folder, out, "--device", "cpu"]
    answer = trial.run(PROGRAM, main, *words, allowed=(0, 2, 3))
    if answer.status != 2:
        found = len(read_csv(out)) - 1
        expect(found == count, f"an unclosed quote loses rows: {found} of {count}")


def graded(trial: Trial) -> None:
    """grade on truth, and on a script's answers, that are damaged: a table, or one line."""
    problem = trial.random.choice(("p1", "p2", "p3"))
    data = trial.folder / f"{problem}_data"
    {"p1": _p1, "p2": _p2, "p3": _p3}[problem](trial, data)

    def answered(script, arguments, folder, limit, cutter, environment=None):
        _answer(trial, problem, [Path(argument) for argument in arguments])
        return Run(0, 0.1, "", "")

    with (
        mock.patch.object(grade, "run_script", answered),
        mock.patch.object(grade, "network_cutter", list),
        mock.patch.object(grade, "snapshot", lambda *_: {}),
    ):
        trial.run(PROGRAM, main, "grade", trial.folder, allowed=(0, 1, 2), quiet=False)


def _p1(trial: Trial, data: Path) -> None:
    for number in range(trial.random.randint(1, 5)):
        name = trial.random.choice(("3_{}.png", "49_{}.png", "50_{}.png", "x_{}.png", "{}.png"))
        if trial.chance(0.8):
            name = "3_{}.png"
        trial.write(data / "val_50" / name.format(number), b"x")


def _p2(trial: Trial, data: Path) -> None:
    names = [f"{number}.jpg" for number in range(trial.random.randint(1, 5))]
    for name in names:
        trial.write(data / "office" / "val" / name, b"x")
    lines = [",".join(HEADER), *(f"{i},{name},3" for i, name in enumerate(names)), ""]
    table = "\n".join(lines).encode()
    if trial.chance(0.6):
        table = damage(trial.random, table)
    trial.write(data / "office" / "val.csv", table)


def _p3(trial: Trial, data: Path) -> None:
    for number in range(trial.random.randint(1, 3)):
        trial.write(data / "validation" / f"{number}_sat.jpg", b"x")
        mask = encode_mask(np.full((8, 8), trial.random.randrange(CLASSES), np.uint8))
        if trial.chance(0.2):
            mask = damage(trial.random, mask)
        trial.write(data / "validation" / f"{number}_mask.png", mask)


def _answer(trial: Trial, problem: str, arguments: list[Path]) -> None:
    """Write what a script might, damaged as a rule."""
    if problem == "p3":
        for image in sorted(arguments[0].iterdir()):
            mask = encode_mask(np.zeros((8, 8), np.uint8))
            mask = damage(trial.random, mask) if trial.chance(0.1) else mask
            trial.write(arguments[1] / image.name.replace("_sat.jpg", "_mask.png"), mask)
        return
    if problem == "p1":
        names = sorted(path.name for path in arguments[0].iterdir())
        lines = ["filename,label", *(f"{name},3" for name in names), ""]
    else:
        rows = read_csv(arguments[0])
        lines = [",".join(HEADER), *(f"{row[0]},{row[1]},3" for row in rows[1:]), ""]
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    trial.write(arguments[-1], damage(trial.random, text) if trial.chance(0.7) else text)
