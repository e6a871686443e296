"""Draw what the quickstart predicted: python scripts/quickstart_page.py DATA OUT.

Reads OUT/p1.csv, OUT/p2.csv, OUT/p3/ and OUT/grade.txt and the validation sets of DATA; writes
OUT/index.html, one file with its pictures in it.
"""

from __future__ import annotations

import base64
import csv
import io
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inference import landcover
from inference.files import write_whole
from inference.images import list_tiles, read_rgb
from inference.overlay import overlay
from training.report.html import render

SHOWN = 40  # images of a problem


class Answer(NamedTuple):
    """An image, its class, and the class that was predicted."""

    path: Path
    truth: int
    predicted: int


class Answers(NamedTuple):
    """Answers counted, and some of them shown: the image for the page, its class, the answer."""

    right: int
    count: int
    shown: list[tuple[str, int, int]]


def main(data: Path, out: Path) -> None:
    """Write OUT/index.html."""
    page = render(
        "quickstart.html.j2",
        grade=(out / "grade.txt").read_text(encoding="utf-8"),
        p1=_shown(p1_answers(data, out)),
        p2=_shown(p2_answers(data, out)),
        classes=list(zip(landcover.CLASSES, landcover.COLOURS.tolist(), strict=True)),
        tiles=_tiles(data / "p3_data/validation", out / "p3"),
    )
    write_whole(out / "index.html", page.encode())


def p1_answers(data: Path, out: Path) -> list[Answer]:
    """Return the answers to P1; here an image's name tells the truth."""
    folder = data / "p1_data/val_50"
    return [
        Answer(folder / row["filename"], int(row["filename"].split("_")[0]), int(row["label"]))
        for row in _rows(out / "p1.csv")
    ]


def p2_answers(data: Path, out: Path) -> list[Answer]:
    """Return the answers to P2."""
    office = data / "p2_data/office"
    truth = {row["filename"]: int(row["label"]) for row in _rows(office / "val.csv")}
    return [
        Answer(office / "val" / row["filename"], truth[row["filename"]], int(row["label"]))
        for row in _rows(out / "p2.csv")
    ]


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def _shown(found: list[Answer]) -> Answers:
    """Return the count of right answers, and answers at even distances."""
    places = np.linspace(0, len(found) - 1, min(SHOWN, len(found))).astype(int)
    shown = [(_picture(read_rgb(path), 160), *rest) for path, *rest in (found[i] for i in places)]
    return Answers(sum(a.truth == a.predicted for a in found), len(found), shown)


def _tiles(folder: Path, predicted: Path) -> list[tuple[str, str]]:
    """Return the report's three tiles and some more, each as image, truth and prediction."""
    tiles = list_tiles(folder)
    chosen = [tile for tile in tiles if tile.stem[:4] in ("0013", "0062", "0104")]
    chosen += [tile for tile in tiles[:: max(1, len(tiles) // 5)] if tile not in chosen]
    found = []
    for tile in chosen:
        image = np.asarray(read_rgb(tile))
        shown = [("", image)]
        for title, where in (("truth", folder), ("predicted", predicted)):
            mask = np.asarray(read_rgb(where / landcover.mask_name(tile.name)))
            shown.append((title, overlay(image, landcover.to_indices(mask))))
        found += [(_picture(Image.fromarray(p), 320), f"{tile.name} {t}") for t, p in shown]
    return found


def _picture(image: Image.Image, side: int) -> str:
    """Return an image, made as small as `side`, as a data: address."""
    image.thumbnail((side, side))
    small = max(image.size) <= 64
    content = io.BytesIO()
    image.save(content, "PNG" if small else "JPEG", quality=85)
    text = base64.b64encode(content.getvalue()).decode()
    return f"data:image/{'png' if small else 'jpeg'};base64,{text}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
