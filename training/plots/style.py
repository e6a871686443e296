"""How all figures look, and how they are saved."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from inference import files

# Ten colours that people with any colour vision tell apart (Petroff, arXiv 2107.02270).
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
BLUE, RED = COLOURS[0], COLOURS[2]
MARKERS = "osD^vPX"
WIDTH, DPI = 12.0, 150  # inches and dots: 8 pt are 11 pixels high on a page 1200 pixels wide


def figure(height: float, title: str = "", width: float = WIDTH) -> Figure:
    """Return an empty figure, as wide as a page; sides in inches."""
    empty = Figure((width, height), dpi=DPI, layout="constrained")
    if title:
        empty.suptitle(title, fontsize=12)
    return empty


def png(figure: Figure) -> bytes:
    """Return the content of a figure's file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def save(
    out: Path, figures: Mapping[str, Figure], numbers: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    """Write NAME.png of each figure, and figures.json; return what the latter holds.

    Args:
        numbers: what figures.json says first; names of files (`figures`) and `notes` follow.
        notes: a line for each thing that could not be drawn.

    Raises:
        UserError: a file cannot be written.
    """
    for name, drawn in figures.items():
        files.write_whole(out / f"{name}.png", png(drawn))
    named = {name: f"{name}.png" for name in figures}
    summary = {**numbers, "figures": named, "notes": list(notes)}
    files.write_whole(out / "figures.json", (json.dumps(summary, indent=2) + "\n").encode())
    return summary
