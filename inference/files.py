"""Output files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterable, Iterator, Sequence

from inference import UserError

# What says that a file may be written, but not be replaced: a folder that is read-only, a file
# that is a mount point.
_IRREPLACEABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a disk, a quota, `ulimit -f`


def in_words(path: Path | str) -> str:
    """Return a path as text that any page and picture can show, also where it is not UTF-8."""
    try:
        return os.fsencode(path).decode("utf-8", "replace")
    except UnicodeEncodeError:  # half a character of a JSON file, no file's name
        return os.fspath(path).encode("utf-8", "replace").decode()


def in_one_line(text: object) -> str:
    """Return a text with its control characters as `\\n`, `\\x1b`: a name may hold line breaks."""
    return re.sub(
        "[\x00-\x1f\x7f-\x9f\u2028\u2029]",
        lambda found: found[0].encode("unicode_escape").decode(),
        str(text),
    )


@contextmanager
def scratch(*others: Path) -> Iterator[Path]:
    """Make a folder for temporary files and remove it at the end.

    Args:
        others: folders to make it in where the system's place for them (TMPDIR, /tmp) will not do.

    Raises:
        UserError: there is none.
    """
    import tempfile  # here: predicting has no use for it

    folder, reason = None, ""
    for place in (None, *others):
        try:
            folder = tempfile.TemporaryDirectory(prefix="hw1-", dir=place)
            break
        except OSError as error:
            reason = error.strerror or str(error)
    if folder is None:
        raise UserError(
            f"no place for temporary files: {reason}; make room there, or set TMPDIR to a folder "
            "that can be written to"
        )
    with folder as name:
        yield Path(name).resolve()


def write_whole(path: Path | str, data: bytes) -> None:
    """Write a file beside its place and rename it into place.

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
    """Write directly to what may be written but not be replaced; put back what was there."""
    if error.errno not in _IRREPLACEABLE or not _is_writable_file(target):
        raise error
    before = target.read_bytes() if os.access(target, os.R_OK) else None
    try:
        target.write_bytes(data)
    except OSError:
        if before is not None:
            target.write_bytes(before)  # which had room there
        raise


@contextmanager
def staged(path: Path | str, data: bytes) -> Iterator[None]:
    """Write a file beside its place, and rename it into place when the block ends well.

    Thus most errors (no permission, a full disk) are raised before the block has written anything.

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


@contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Wait until no other process or thread holds a folder, and keep them out meanwhile.

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


def check_writable(path: Path | str, inputs: Iterable[Path | str] = ()) -> None:
    """Raise an error now if an output file cannot be written, not after hours of work.

    Args:
        inputs: files that are read, of which the output must be none.

    Raises:
        UserError: `path` is a folder, or its folder cannot be made or written to, or it is one of
            the inputs, by whatever name.
    """
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):  # Path.is_dir raises where a folder above may not be entered
        raise UserError(f"{path} is a folder: give the name of the file to write")
    if _is_stream(path):
        return
    same = overwritten([path], inputs)
    if same:
        raise UserError(f"writing {path} would overwrite the input {same[1]}: choose another place")
    try:
        if not fits(target):
            raise _unwritable(path, OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)))
        check_folder(target.parent)
    except UserError:
        if not _is_writable_file(target):
            raise


def check_outputs(
    outputs: Sequence[Path | str],
    inputs: Sequence[Path | str] = (),
    folders: Sequence[Path | str] = (),
) -> None:
    """Raise an error now if an output cannot be written, or if two outputs are one file.

    Folders that were made for one of them are removed again where another will not do.

    Args:
        outputs, inputs: files, as of `check_writable`.
        folders: that are written into.

    Raises:
        UserError: as `check_writable` and `check_folder`; two of them are one file, by whatever
            name.
    """
    seen: dict = {}
    places = [*folders, *(Path(os.path.realpath(path)).parent for path in outputs)]
    every = {folder for place in places for folder in (Path(place), *Path(place).parents)}
    made = [folder for folder in every if not os.path.lexists(folder)]
    try:
        for folder in folders:
            check_folder(folder)
        for path in outputs:
            target = Path(os.path.realpath(path))
            if target in seen and str(target) != os.devnull:
                raise UserError(
                    f"{path} and {seen[target]} are one file, to be written twice: choose two"
                )
            seen[target] = path
            check_writable(path, inputs)
    except UserError:
        for folder in sorted(made, reverse=True):  # what is inside before what it is in
            remove_empty(folder)
        raise


def overwritten(outputs: Iterable[Path | str], inputs: Iterable[Path | str]) -> tuple | None:
    """Return the first output that is an input too, and which; None where there is none.

    Hard and symbolic links count as what they lead to. Where no output exists, which is the rule,
    no input is looked at.
    """
    there = {_identity(path): path for path in outputs if os.path.isfile(path)}
    for path in inputs if there else ():
        output = there.get(_identity(path))
        if output is not None:
            return output, path
    return None


def _identity(path: Path | str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # no such file; a NUL in its name
        return None
    return status.st_dev, status.st_ino


def fits(path: Path | str) -> bool:
    """Return whether a file's name is short enough for the file system."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def check_folder(folder: Path | str) -> None:
    """Make an output folder where there is none, and make sure that it can be written to.

    Raises:
        UserError: it cannot.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        what = "a file" if os.path.isfile(folder) else "no folder"
        raise UserError(f"{folder} is {what}: give the name of a folder")
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


def remove_empty(folder: Path) -> None:
    """Remove a folder if it is empty; leave whatever else there is."""
    try:
        folder.rmdir()
    except OSError:
        pass  # not made, or not empty


def _unwritable(path: Path | str, error: OSError) -> UserError:
    remedy = "choose another place"
    if error.errno in FULL:
        remedy += " or make room there"
    elif error.errno in _IRREPLACEABLE:
        remedy += " or make it writable"
    return UserError(f"cannot write {path}: {error.strerror or error}; {remedy}")
