"""Beginning and end of a command's process."""

from __future__ import annotations

import os
import sys


def open_streams() -> None:
    """Opens streams that the caller closed (`2>&-`): their numbers would go to other files."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


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
