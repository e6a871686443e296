"""Beginning and end of a command's process."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import time
import warnings
from pathlib import Path

from inference import UserError


class Stream(io.TextIOWrapper):
    """Stdout or stderr that never raises: what went wrong with it is known at the end.

    A stderr that nobody can read any more, its disk full or its reader gone, costs no answer.
    Names of files go through as the bytes that they are.

    Attributes:
        failure: the first error of writing, or None.
    """

    failure: OSError | None = None

    def __init__(self, buffer, **options):
        super().__init__(buffer, encoding="utf-8", errors="surrogateescape", **options)

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.failure = self.failure or error
        except UnicodeEncodeError:  # half a character of a JSON file, no file's name
            self.write(text.encode("utf-8", "backslashreplace").decode())
        return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.failure = self.failure or error


class ClosedStream(Stream):
    """Stands in for a stream that the caller closed (`>&-`)."""

    def write(self, text: str) -> int:
        self.failure = OSError(errno.EBADF, "it is closed")
        return len(text)


def use_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale has another encoding.

    There names would come out in another encoding than they are in: Big5's, Latin-1's. In that
    mode what the file system says is what is written.
    """
    if sys.getfilesystemencoding() == "utf-8" or "utf8" in sys._xoptions or not sys.executable:
        return
    import subprocess  # seldom, so here

    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    package = os.path.dirname(os.path.abspath(__file__))
    os.execv(sys.executable, [sys.executable, *flags, "-X", "utf8", package, *sys.argv[1:]])


def open_streams() -> None:
    """Open streams that the caller closed, whose numbers would go to other files, and mend others.

    Pillow's remarks on odd files are left out: what matters of them is told in our own line.
    """
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        if old is None:
            mode = "rb" if number == 0 else "wb"
            setattr(sys, name, ClosedStream(open(os.devnull, mode)))
        elif number:
            options = {"line_buffering": number == 2 or old.line_buffering}
            setattr(sys, name, Stream(old.buffer, **options))
    warnings.filterwarnings("ignore", module="PIL")


def line_of(error: Exception) -> str | None:
    """Return in one line what the user can mend; None of a bug of ours."""
    text = " ".join(str(error).splitlines())
    if isinstance(error, UserError):
        return text
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "numpy", "PIL"):
        needs = Path(__file__).resolve().parents[1] / "requirements.txt"
        return f"no {error.name} here: python3 -m pip install -r {needs}"
    if isinstance(error, ImportError) and not _is_ours(error):  # torch's is a UserError by now
        reason = str(error).strip().splitlines()[-1:]  # of numpy's two pages, too
        return f"cannot load a library: {''.join(reason)}; is memory limited (ulimit -v)?"
    if isinstance(error, MemoryError):
        return f"not memory enough: {text or 'none is left'}; try a machine with more"
    if "can't start new thread" in text:
        return "the system lets us start no thread: raise its limits (ulimit -u, ulimit -v)"
    return None


def _is_ours(error: ImportError) -> bool:
    return isinstance(error, ModuleNotFoundError) or (error.name or "").startswith("inference")


def say_error(line: str) -> None:
    """Print a process's last words on stderr.

    torchrun follows them up with a traceback of its own, at whose end it shows what a process left
    it, in the form of torch.distributed.elastic's `ErrorHandler.record_exception`. There the line
    stands out; so of several processes only the first prints it too.
    """
    # Without WORLD_SIZE the process is alone, and torchrun's other variables are left over.
    first = "WORLD_SIZE" not in os.environ or os.environ.get("RANK") == "0"
    if not _is_left(line) or first:
        print(line, file=sys.stderr)


def _is_left(line: str) -> bool:
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not file:
        return False
    now = str(int(time.time()))
    try:
        with open(file, "w", encoding="utf-8") as stream:
            json.dump({"message": {"message": line, "extraInfo": {"timestamp": now}}}, stream)
        return True
    except OSError:
        return False


def leave(status: int) -> None:
    """End the process without tearing the interpreter down, which costs torch half a second."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure and not isinstance(failure, BrokenPipeError):  # of which: nobody wants the rest
        reason = failure.strerror or str(failure)
        say_error(f"error: cannot write to standard output: {reason}; send it elsewhere")
        sys.stderr.flush()
        status = status or 2
    os._exit(status)
