"""Output files that are there whole or not at all."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from inference import UserError

_serial = itertools.count()  # with the process id, a name that no other thread or process takes


def write_whole(path: Path | str, data: bytes) -> None:
    """Writes a file beside its place and renames it into place.

    Folders that are missing are made. A pipe or a device (`/dev/stdout`), which cannot be
    renamed over, is written to directly.

    Raises:
        UserError: it cannot be written (no permission, a full disk, a folder of that name);
            what was there before is untouched.
    """
    target = Path(os.path.realpath(path))  # a link is followed, not replaced
    if target.exists() and not target.is_file() and not target.is_dir():
        target.write_bytes(data)
        return
    temporary = _temporary(target.parent)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        _remove(temporary)


def check_writable(path: Path | str) -> None:
    """Finds out that an output file could not be written before hours are spent on it.

    Raises:
        UserError: `path` is a folder, or its folder cannot be made or written to.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UserError(f"{path} is a folder: give the name of the file to write")
    if target.exists() and not target.is_file():
        return
    check_folder(target.parent)


def check_folder(folder: Path | str) -> None:
    """Makes an output folder where there is none, and makes sure that it can be written to.

    Raises:
        UserError: it cannot.
    """
    temporary = _temporary(Path(folder))
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(b"")
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        _remove(temporary)


def _temporary(folder: Path) -> Path:
    # A short name of its own: the target's may already have the 255 bytes that a name can have.
    return folder / f".{os.getpid()}-{next(_serial)}.tmp"


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass  # renamed into place, or its folder never came to be


def _unwritable(path: Path | str, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"cannot write {path}: {reason}; choose another place or make room there")
