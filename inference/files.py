"""Output files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from pathlib import Path
from typing import Iterator

from inference import UserError

# What says that a file may be written, but not be replaced: a folder that is read-only, a file
# that is a mount point.
_IRREPLACEABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)


def write_whole(path: Path | str, data: bytes) -> None:
    """Writes a file beside its place and renames it into place.

    Folders that are missing are made. What cannot be replaced is written to directly: a pipe, a
    device, `/dev/stdout`, a file in a folder that is read-only.

    Raises:
        UserError: it cannot be written (no permission, a full disk, a folder of that name);
            what was there before is untouched.
    """
    try:
        if _is_stream(path):
            with open(path, "ab") as stream:  # "wb" would empty the file that stdout appends to
                stream.write(data)
        else:
            _replace(Path(os.path.realpath(path)), data)  # a link is followed, not replaced
    except OSError as error:
        raise _unwritable(path, error) from error


def _replace(target: Path, data: bytes) -> None:
    temporary = _temporary(target.parent)
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        except OSError as error:
            _write_through(error, target, data)
        else:
            _put(temporary, target, data)
    finally:
        _remove(temporary)


def _put(temporary: Path, target: Path, data: bytes) -> None:
    try:
        os.replace(temporary, target)
    except OSError as error:
        _write_through(error, target, data)


def _write_through(error: OSError, target: Path, data: bytes) -> None:
    """Writes directly to what may be written but not be replaced."""
    if error.errno not in _IRREPLACEABLE or not _is_writable_file(target):
        raise error
    target.write_bytes(data)


@contextlib.contextmanager
def staged(path: Path | str, data: bytes) -> Iterator[None]:
    """Writes a file beside its place, and renames it into place when the block ends well.

    So what can fail has failed before either the file or what the block writes is there.

    Raises:
        UserError: as `write_whole`; or what the block raises, with the file as it was before.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary(target.parent)
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        except OSError as error:
            raise _unwritable(path, error) from error
        yield
        try:
            _put(temporary, target, data)
        except OSError as error:
            raise _unwritable(path, error) from error
    finally:
        _remove(temporary)


_alone = threading.RLock()
_locked: set[str] = set()  # folders


@contextlib.contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Waits until no other process or thread holds a folder, and keeps them out meanwhile.

    The system lets go when the process ends, however it ends. A system or drive without locks
    keeps nobody out.
    """
    place = os.path.realpath(folder)
    with _alone:
        if place in _locked:  # by this thread, further out
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                import fcntl

                handle = os.open(place, os.O_RDONLY)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            except (ImportError, OSError):
                pass
            _locked.add(place)
            stack.callback(_locked.discard, place)
            yield


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Makes a temporary folder, which is gone afterwards.

    Raises:
        UserError: there is no place for one.
    """
    import tempfile

    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise UserError(
            f"no room for temporary files: {error.strerror or error}; set TMPDIR to a folder that "
            "has some"
        ) from None
    with folder as name:
        yield Path(name)


def check_writable(path: Path | str) -> None:
    """Finds out that an output file could not be written before hours are spent on it.

    Raises:
        UserError: `path` is a folder, or its folder cannot be made or written to.
    """
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):  # Path.is_dir raises where a folder above may not be entered
        raise UserError(f"{path} is a folder: give the name of the file to write")
    if _is_stream(path):
        return
    try:
        os.lstat(target)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _unwritable(path, error) from error
    try:
        check_folder(target.parent)
    except UserError:
        if not _is_writable_file(target):
            raise


def check_folder(folder: Path | str) -> None:
    """Makes an output folder where there is none, and makes sure that it can be written to.

    Raises:
        UserError: it cannot.
    """
    if os.path.isfile(folder):
        raise UserError(f"{folder} is a file: give the name of a folder")
    temporary = _temporary(Path(folder))
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(b"")
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        _remove(temporary)


def _is_stream(path: Path | str) -> bool:
    """Whether `path` is a pipe or a device, or what the shell calls its streams."""
    if str(path).startswith(("/dev/std", "/dev/fd/", "/proc/")):
        return True  # though it may lead to a regular file, which the shell has open
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _is_writable_file(path: Path) -> bool:
    return os.path.isfile(path) and os.access(path, os.W_OK)


def _temporary(folder: Path) -> Path:
    # Short, since the target's name may already have the 255 bytes that a name can have; random,
    # since threads, processes and hosts may write into one folder.
    return folder / f".{os.urandom(8).hex()}.tmp"


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        pass  # renamed into place, or its folder never came to be


def _unwritable(path: Path | str, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"cannot write {path}: {reason}; choose another place or make room there")
