"""Locks on folders, which end with the process that took them however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_held: set[int] = set()  # descriptors


@contextlib.contextmanager
def locked(folder: Path, wait: bool) -> Iterator[None]:
    """Keeps other processes from locking a folder.

    Args:
        wait: for a process that has it.

    Raises:
        BlockingIOError: another process has it, and `wait` is false.
        OSError: the folder cannot be opened, or its drive has no locks.
    """
    handle = os.open(folder, os.O_RDONLY)
    _held.add(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        if handle in _held:
            _held.remove(handle)
            os.close(handle)


def _let_go() -> None:
    """Closes a forked child's copies: with one open the lock would outlive the parent."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
