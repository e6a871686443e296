"""One trial: a folder, random numbers, and commands that are run in this process and watched."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shlex
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20  # that a command may take; all of them answer in a fraction of one
SAID = (
    "error: ",
    "warning: ",
    "note: ",
    "wrote ",
    "P1: ",
    "P2: ",
    "P3: ",
)  # what a line on stderr begins with


class Fault(Exception):
    """Something that a user would notice, in one line: its kind; after a colon, of what input."""


class Hang(BaseException):
    """A command did not end; no `except Exception` of the product may catch this."""


class Answer(NamedTuple):
    """A command's exit status and what it printed."""

    status: int
    out: str
    err: str


@dataclass
class Trial:
    """What one trial has, and what it did.

    Attributes:
        random: decides all that is random here.
        folder: empty at first, the trial's own.
        inputs: how many files were damaged, or made anew.
        command: the last one, as a user would type it.
    """

    random: random.Random
    folder: Path
    inputs: int = 0
    command: str = ""
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def chance(self, share: float) -> bool:
        """Return True in this share of the calls."""
        return self.random.random() < share

    def write(self, path: Path, data: bytes) -> Path:
        """Write an input, which is counted, into folders made for it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.inputs += 1
        return path

    def run(
        self, program: str, main: Callable, *words: object, allowed=(0, 2), quiet=True
    ) -> Answer:
        """Run `main` on a command's words, and check what every command promises.

        Args:
            program: what a user types before the words.
            main: takes a list of str, returns the exit status or raises SystemExit.
            allowed: the exit statuses that are documented.
            quiet: whether nothing may be printed on stdout.

        Raises:
            Fault: it raised or hung, its status is none of these, stderr holds a line that is no
                warning, note or error, an error is not one line, a temporary file is left.
        """
        texts = [os.fsdecode(word) if isinstance(word, Path) else str(word) for word in words]
        self.command = f"{program} {shlex.join(texts)}"
        answer = _call(main, texts)
        expect(answer.status in allowed, f"exit status {answer.status}: {answer.err[-150:]!r}")
        _expect_lines(answer)
        expect(not (quiet and answer.out), f"prints on stdout: {answer.out[:80]!r}")
        left = [path.name for path in self.folder.rglob(".*.tmp")]
        expect(not left, "leaves a temporary file")
        return answer


def expect(condition: object, said: str) -> None:
    """Raise a Fault that says so, unless a condition holds."""
    if not condition:
        raise Fault(said)


def _expect_lines(answer: Answer) -> None:
    """Check that stderr says what we say in lines of ours, and an error in one."""
    lines = answer.err.splitlines()
    for line in lines:
        expect("Warning: " not in line, f"a warning of Python's own on stderr: {line[:200]}")
    errors = sum(line.startswith("error: ") for line in lines)
    expect(errors == (answer.status == 2), f"{errors} lines of error, exit status {answer.status}")
    for line in lines:
        expect(line.startswith(SAID), f"a line on stderr that is none of ours: {line[:200]!r}")


def _call(main: Callable, words: list[str]) -> Answer:
    # Encoded as a terminal's streams are: a name that is no text must not end in a traceback.
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict", write_through=True)
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alarm(SECONDS):
        try:
            status = main(words)
        except SystemExit as error:
            status = error.code
    out, err = (s.buffer.getvalue().decode("utf-8", "replace") for s in (out, err))
    return Answer(int(status or 0), out, err)


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise a Hang in the block after so many seconds, and again after as many."""

    def ring(signum, frame):
        where = traceback.extract_stack(frame)[-1]
        raise Hang(f"still at work after {seconds} s, in {where.name}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # once a trial, not once a session
            # As a command's process does; its bomb warnings are of corners.at_work's making.
            warnings.filterwarnings("ignore", module="PIL")
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
