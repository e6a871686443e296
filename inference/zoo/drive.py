"""Google Drive: `gdrive:ID` by gdown, or by Drive's plain link where gdown cannot."""

from __future__ import annotations

import contextlib
import io
import re
import threading
import time
import warnings
from typing import BinaryIO, cast

from inference import UserError
from inference.zoo.transfer import (
    QUOTA,
    Broken,
    Failed,
    PartialFile,
    RetryPolicy,
    from_http,
    persist,
)

# confirm=t answers the question "too large for a virus scan, download anyway?" beforehand. gdown
# 6 asks it again and knows the answer; the forms that 4.x knew are gone.
LINK = "https://drive.google.com/uc?id={}&confirm=t"
# gdown 4 fails on the headers that Drive has sent since 2024, and a machine may
# have no gdown at all. This is where Drive redirects to in the end.
PLAIN_LINK = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"


def from_drive(url: str, partial: PartialFile, policy: RetryPolicy) -> None:
    """Fetch from Google Drive a file that is shared with anyone who has the link."""
    identifier = url[len("gdrive:") :]
    if not re.fullmatch(r"[\w-]+", identifier):
        raise Failed("no file ID (of a link .../file/d/ID/view it is the part after /d/)")
    try:
        persist(lambda: _by_gdown(identifier, partial, policy), partial, policy)
    except Failed as first:
        if str(first) == QUOTA:
            raise
        try:
            from_http(PLAIN_LINK.format(identifier), partial, policy)
        except Failed as second:
            raise Failed(f"{first}; by plain link: {second}") from None


class _Gate:
    """What gdown writes to: the partial file, until the gate is shut."""

    def __init__(self, partial: PartialFile):
        self.partial, self.lock = partial, threading.Lock()
        self.shut, self.last = False, time.monotonic()

    def write(self, block: bytes) -> None:
        with self.lock:
            if self.shut:
                raise Broken("given up")
            self.partial.write(block)
            self.last = time.monotonic()

    def flush(self) -> None:
        pass


def _by_gdown(identifier: str, partial: PartialFile, policy: RetryPolicy) -> None:
    partial.restart()
    try:
        import gdown
    except ImportError as error:
        raise Failed(f"gdown cannot be imported ({error})") from None
    gate, raised = _Gate(partial), []

    def work() -> None:
        try:
            link, output = LINK.format(identifier), cast(BinaryIO, gate)  # as far as it writes
            gdown.download(link, output=output, quiet=True, use_cookies=False)
        except Exception as error:  # whatever it is, it is said in one line
            raised.append(error)

    # gdown waits for ever on a stalled connection (before 6 it could not do otherwise), so it
    # works in a thread that can be left behind. It writes half a megabyte at a time: a slow line
    # looks stalled for long.
    worker = threading.Thread(target=work, daemon=True)
    said = _run(worker, gate, 2 * policy.timeout)
    if raised and isinstance(raised[0], (UserError, Failed)):
        raise raised[0]
    if worker.is_alive() or raised or partial.size == 0:
        reason = _reason(raised[0] if raised else None, said)
        if worker.is_alive():
            reason = f"nothing came for {2 * policy.timeout:g} s"
        raise (Broken if partial.size else Failed)(reason)
    partial.expect_whole()


def _run(worker: threading.Thread, gate: _Gate, timeout: float) -> str:
    """Run a thread until it ends or writes nothing for `timeout` seconds, then shut the gate.

    Returns:
        what was printed meanwhile, which is nobody's to see: gdown 4 prints what it should raise.
    """
    said = io.StringIO()
    try:
        with contextlib.ExitStack() as quiet:
            quiet.enter_context(contextlib.redirect_stdout(said))
            quiet.enter_context(contextlib.redirect_stderr(said))
            quiet.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # about its own libraries
            worker.start()
            while worker.is_alive() and time.monotonic() - gate.last < timeout:
                worker.join(0.05)
    finally:
        with gate.lock:
            gate.shut = True
    return said.getvalue()


def _reason(error: Exception | None, said: str) -> str:
    text = " ".join(f"{error or ''} {said}".split())
    if re.search("quota|too many users", text, re.IGNORECASE):
        return QUOTA
    if "public link" in text:
        return "not shared with anyone who has the link, or fetched too often lately"
    kind = f"{type(error).__name__}: " if error else ""
    return f"gdown: {kind}{text[:150] or 'no file'}"
