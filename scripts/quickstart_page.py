"""Draws what the quickstart predicted: python scripts/quickstart_page.py DATA OUT.

Reads OUT/p1.csv, OUT/p2.csv, OUT/p3/ and OUT/grade.txt and the validation sets of DATA; writes
OUT/index.html, one file with its pictures in it.
"""

from __future__ import annotations

import base64
import csv
import html
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

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1120px; padding: 1rem;
       color: #1b1f24; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
pre { overflow-x: auto; background: #f3f4f6; padding: .8rem; border-radius: 6px; font-size: 13px }
.grid { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)) }
.grid.wide { grid-template-columns: repeat(3, 1fr) }
figure { margin: 0; font-size: 13px } img { width: 100%; display: block; border-radius: 4px }
.small img { image-rendering: pixelated }
.grid:not(.wide) img { aspect-ratio: 1; object-fit: contain }
.wrong { color: #b42318; font-weight: 600 } .right { color: #1a7f37 }
.key span { display: inline-block; margin-right: 1rem; white-space: nowrap }
.key i { display: inline-block; width: 1em; height: 1em; margin-right: .35em;
         vertical-align: -.15em; border: 1px solid #888 }
"""
INTRO = """<p>Sample images that no network was trained on, and what the checkpoints in
<code>weights/</code> make of them. The data is generated: the numbers say that everything works,
not how good the recipes are on the course's data.</p>"""


class Answer(NamedTuple):
    """An image, its class, and the class that was predicted."""

    path: Path
    truth: int
    predicted: int


def main(data: Path, out: Path) -> None:
    """Writes OUT/index.html."""
    parts = [
        f"<h1>Quickstart</h1>{INTRO}<pre>{html.escape((out / 'grade.txt').read_text())}</pre>",
        "<h2>Problem 1: image classification</h2>",
        _labelled(p1_answers(data, out), "small"),
        "<h2>Problem 2: four styles, fine-tuned</h2>",
        _labelled(p2_answers(data, out), ""),
        "<h2>Problem 3: land cover</h2>",
        _land(data / "p3_data/validation", out / "p3"),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quickstart</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    write_whole(out / "index.html", page.encode())


def p1_answers(data: Path, out: Path) -> list[Answer]:
    """Gives the answers to P1; here an image's name tells the truth."""
    folder = data / "p1_data/val_50"
    return [
        Answer(folder / row["filename"], int(row["filename"].split("_")[0]), int(row["label"]))
        for row in _rows(out / "p1.csv")
    ]


def p2_answers(data: Path, out: Path) -> list[Answer]:
    """Gives the answers to P2."""
    office = data / "p2_data/office"
    truth = {row["filename"]: int(row["label"]) for row in _rows(office / "val.csv")}
    return [
        Answer(office / "val" / row["filename"], truth[row["filename"]], int(row["label"]))
        for row in _rows(out / "p2.csv")
    ]


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def _labelled(found: list[Answer], kind: str) -> str:
    """Shows 40 images at even distances, with their labels."""
    figures = []
    for place in np.linspace(0, len(found) - 1, min(40, len(found))).astype(int):
        path, truth, predicted = found[place]
        verdict = (
            f'<span class="right">{predicted}</span>'
            if predicted == truth
            else f'<span class="wrong">{predicted}</span>, is {truth}'
        )
        figures.append(f"<figure>{_picture(read_rgb(path), 160)}class {verdict}</figure>")
    right = sum(truth == predicted for _, truth, predicted in found)
    return (
        f"<p>{right} of {len(found)} are right; 40 of them:</p>"
        f'<div class="grid {kind}">{"".join(figures)}</div>'
    )


def _land(folder: Path, predicted: Path) -> str:
    """Shows the report's three tiles and some more: image, truth, prediction."""
    tiles = list_tiles(folder)
    chosen = [tile for tile in tiles if tile.stem[:4] in ("0013", "0062", "0104")]
    chosen += [tile for tile in tiles[:: max(1, len(tiles) // 5)] if tile not in chosen]
    figures = []
    for tile in chosen:
        image = np.asarray(read_rgb(tile))
        name = landcover.mask_name(tile.name)
        shown = [("", image)]
        for title, where in (("truth", folder), ("predicted", predicted)):
            mask = landcover.to_indices(np.asarray(read_rgb(where / name)))
            shown.append((title, overlay(image, mask)))
        figures += [
            f"<figure>{_picture(Image.fromarray(picture), 320)}{tile.name} {title}</figure>"
            for title, picture in shown
        ]
    key = "".join(
        f'<span><i style="background:rgb{tuple(colour.tolist())}"></i>{name}</span>'
        for name, colour in zip(landcover.CLASSES, landcover.COLOURS, strict=True)
    )
    return f'<p class="key">{key}</p><div class="grid wide">{"".join(figures)}</div>'


def _picture(image: Image.Image, side: int) -> str:
    image.thumbnail((side, side))
    small = max(image.size) <= 64
    content = io.BytesIO()
    image.save(content, "PNG" if small else "JPEG", quality=85)
    text = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="" src="data:image/{"png" if small else "jpeg"};base64,{text}">'


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
