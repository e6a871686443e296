"""Beginning and end of a command's process."""

from __future__ import annotations

import io
import json
import os
import sys
import time


class Stderr(io.TextIOWrapper):
    """A stderr that nobody can read any more, its disk full or its reader gone, costs no answer."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            pass


def open_streams() -> None:
    """Opens streams that the caller closed (`2>&-`): their numbers would go to other files."""
    old = sys.stderr
    if old is not None:
        sys.stderr = Stderr(old.buffer, old.encoding, old.errors, line_buffering=True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


def say_error(line: str) -> None:
    """Prints a process's last words on stderr.

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
    """Ends the process without tearing the interpreter down, which costs torch half a second."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            pass  # nobody wants the rest
        except OSError:
            status = status or 1  # a full disk, say
    os._exit(status)
