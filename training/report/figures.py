"""The pictures of a run, in the report's folder: drawn once, until the run's files change."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from inference import UserError
from inference.files import write_whole
from training.engine.run_folder import Run, read_json

Draw = Callable[..., dict[str, Any]]
SUMMARY = "figures.json"
MARK = "drawn-from.txt"  # beside the pictures: the state of the run that they show
FOLDER = re.compile(r"(?<![^\s(])/[^\s:;,()]+")  # from the root on


class Pictures(NamedTuple):
    """What was drawn of a run.

    Attributes:
        files: picture by name (`pca`, `confusion`, ...), seen from the page.
        numbers: what figures.json holds; empty where only curves could be drawn.
        notes: what is missing, and why.
    """

    files: dict[str, str]
    numbers: dict[str, Any]
    notes: list[str]


class Gallery:
    """Draws into a report's folder.

    Args:
        out: the report's folder.
        data: hw1_data, for runs whose own data is no longer where it was.
        name: what a run is called in the report.
        log: takes a line where drawing takes its time.
    """

    def __init__(
        self, out: Path, data: Path, name: Callable[[Run], str], log: Callable[[str], None]
    ) -> None:
        self.out, self.data, self.name, self.log = out, data, name, log
        self.drawn: dict[Path, Pictures] = {}

    def of(self, run: Run) -> Pictures:
        """Return a run's pictures; draw those that are missing, or of another state of the run.

        What cannot be drawn is noted, and stops nothing.
        """
        if run.folder not in self.drawn:
            self.drawn[run.folder] = self._draw(run)
        return self.drawn[run.folder]

    def _draw(self, run: Run) -> Pictures:
        draw = run.problem.figures
        if draw is None:
            return Pictures({}, {}, [])
        name, state = self.name(run), _state(run.folder)
        folder = self.out / "figures" / name
        mark = folder / MARK
        if not mark.is_file() or mark.read_text(errors="replace") != state:
            for file in folder.glob("*"):
                if not file.is_dir():  # another run's, whose name begins with this one's
                    file.unlink()
            write_whole(mark, state.encode())
        try:
            self._fill(draw, run, folder)
            summary, missing = read_json(folder / SUMMARY), []
        except UserError as error:
            summary, missing = _draw_curve(draw, run, folder), [str(error)]
        files = {title: f"figures/{name}/{file}" for title, file in summary["figures"].items()}
        notes = [] if missing else summary.get("notes")
        if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            notes = []  # somebody else's figures
        said = [_without_machine(note, run, name) for note in missing + notes]
        return Pictures(files, {} if missing else summary, said)

    def _fill(self, draw: Draw, run: Run, folder: Path) -> None:
        """Put all pictures of a run into a folder.

        Raises:
            UserError: why that is not possible.
        """
        if _is_whole(folder):
            return
        own, weights = run.folder / "figures", run.best.is_file()
        graded = run.problem.evaluate is not None
        changed = max((file.stat().st_mtime for file in _files(run.folder)), default=0)
        fresh = _is_whole(own, changed if weights else 0)
        data = run.find_data(self.data) if graded and weights and not fresh else None
        if fresh or (graded and data is None and _is_whole(own)):  # drawn beside the run
            for name in [*read_json(own / SUMMARY)["figures"].values(), SUMMARY]:
                try:
                    write_whole(folder / name, (own / name).read_bytes())
                except OSError as error:
                    raise UserError(f"cannot read {own / name}: {error.strerror}") from None
            return
        if graded and not weights:
            raise UserError(
                f"{run.folder} has no best.pth: put it there, or the figures made beside it"
            )
        if graded and data is None:
            raise UserError(
                f"the data of {run.folder} ({run.data}) is not here: name it with --data"
            )
        if graded:
            self.log(f"drawing the figures of {run.folder} ...")
        draw(run, data, folder, ())


def _without_machine(note: str, run: Run, name: str) -> str:
    """Return a note that names the run as the page does, and the folders of no machine."""
    note = note.replace(str(run.folder), name)
    if run.data:  # whose name may have spaces
        note = note.replace(str(run.data), f".../{run.data.name}")
    return FOLDER.sub(lambda found: f".../{Path(found[0]).name}", note)


def _draw_curve(draw: Draw, run: Run, folder: Path) -> dict[str, Any]:
    """Draw what metrics.csv alone allows; return what figures.json would say of it."""
    for picture in folder.glob("*.png"):
        picture.unlink()
    try:
        return draw(run, None, folder, ())
    except UserError:  # no epoch
        return {"figures": {}}
    finally:
        (folder / SUMMARY).unlink(missing_ok=True)  # once the data is here, the rest is drawn


def _files(run: Path) -> list[Path]:
    names = ("best.pth", "epoch-*.pth", "metrics.csv", "result.json")
    return sorted(file for name in names for file in run.glob(name))


def _state(run: Path) -> str:
    """Return a digest of a run's place and files; times alone would miss a copy of older files."""
    digest = hashlib.sha256(os.fsencode(run.resolve()))
    for file in [*_files(run), *run.glob(f"figures/{SUMMARY}")]:
        status = file.stat()
        digest.update(b"%s %d %d\n" % (os.fsencode(file.name), status.st_size, status.st_mtime_ns))
    return digest.hexdigest() + "\n"


def _is_whole(folder: Path, latest: float = 0) -> bool:
    """Return whether a folder has every picture that it names, none older than `latest`."""
    summary = folder / SUMMARY
    if not summary.is_file() or summary.stat().st_mtime < latest:
        return False
    try:
        named = read_json(summary)["figures"].values()
        return all(Path(name).name == name and (folder / name).is_file() for name in named)
    except (UserError, OSError, ValueError, LookupError, AttributeError, TypeError):
        return False
