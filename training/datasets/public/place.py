"""A folder that is there whole or not at all, and the note in it that says what it holds."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from inference import UserError
from inference.zoo.provenance import GENERATED, IMPORTED, source_of


def place(out: Path, part: str, fill: Callable[[Path], dict]) -> str:
    """Make one part of a hw1_data folder, beside its place, and rename it when it is complete.

    Args:
        out: the hw1_data folder; made if need be.
        part: such as "p1_data" or "p2_data/office".
        fill: writes it into the empty folder that it is given, and returns what DATA.json says:
            at least `source`, the dataset in words.

    Returns:
        One line on what was written.

    Raises:
        UserError: the part is there already, `out` holds generated data, or it cannot be written.
    """
    target = out.absolute() / part
    _refuse_to_overwrite(out, target)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    made = [folder for folder in partial.parents if not folder.exists()]
    try:
        partial.mkdir(parents=True)
        note = fill(partial)
        counts = _count(partial)
        (partial / IMPORTED).write_text(json.dumps({**note, "images": counts}, indent=2) + "\n")
        partial.rename(target)
    except OSError as error:
        why, named = error.strerror or error, error.filename
        if isinstance(named, (str, os.PathLike)) and not _is_written(Path(named), partial):
            raise UserError(f"cannot read {named}: {why}") from None
        raise UserError(f"cannot write {target} ({why}): choose another folder") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in made:
            _remove_if_empty(folder)
    images = ", ".join(f"{folder} {count}" for folder, count in counts.items())
    return f"wrote {target}: {note['source']}; images: {images}"


def _is_written(path: Path, partial: Path) -> bool:
    """Return whether a path is `partial`, inside of it, or a folder that it lies in."""
    return path in partial.parents or partial in (path, *path.parents)


def _refuse_to_overwrite(out: Path, target: Path) -> None:
    if (out / GENERATED).exists():
        raise UserError(
            f"{out} holds generated sample data, not to be mixed: choose another folder"
        )
    if target.exists():
        what = source_of(target) or "something else"
        raise UserError(f"{target} exists and holds {what}: delete it or choose another folder")


def _count(root: Path) -> dict[str, int]:
    """Count the images of each folder, masks aside."""
    folders = sorted(path for path in root.rglob("*") if path.is_dir())
    names = {str(folder.relative_to(root)): os.listdir(folder) for folder in folders}
    return {
        folder: sum(not name.endswith("_mask.png") for name in there)
        for folder, there in names.items()
    }


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # it holds what was written
