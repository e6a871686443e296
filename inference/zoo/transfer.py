"""Bytes from a web server or a folder into an open file, or the reason why not.

`Failed` is a source's last word. `Broken` is a transfer that stopped on the way: it is tried
again, and goes on where it stopped if the server can do that (RFC 9110, section 14).
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO, Callable, Iterator, NamedTuple

from inference import UserError

BLOCK = 1 << 16
QUOTA = "a web page that says its download quota is exceeded (try again tomorrow)"
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Failed(Exception):
    """A source cannot give the file; the message says why, in a few words."""


class Broken(Failed):
    """A transfer stopped on the way; another try may get further."""


class RetryPolicy(NamedTuple):
    """How long to put up with a bad connection.

    Attributes:
        timeout: seconds without a byte after which a transfer counts as broken.
        tries: how many in a row may bring next to nothing.
        pause: seconds before the second try; it doubles each time.
    """

    timeout: float = 30.0
    tries: int = 5
    pause: float = 1.0


class PartialFile:
    """The private file that a download goes to. It takes no more than the bytes wanted.

    Attributes:
        wanted: how many bytes the whole file has.
        size: how many are there.
        validator: what the server called this version of its file (ETag or date), or None.
    """

    def __init__(self, stream: BinaryIO, wanted: int, bar=None):
        self.stream, self.wanted, self.bar = stream, wanted, bar
        self.size, self.validator = 0, None

    def write(self, block: bytes) -> None:
        if self.size + len(block) > self.wanted:
            start = block if self.size == 0 else self.head()
            raise Failed(page(start) or f"more than the {self.wanted} bytes that it should have")
        self.size += len(block)
        with self._writing():
            while block:  # an unbuffered file may take less than all at once
                block = block[self.stream.write(block) :]
        self._draw()

    def restart(self) -> None:
        with self._writing():
            self.stream.seek(0)
            self.stream.truncate()
        self.size, self.validator = 0, None
        self._draw()

    def head(self) -> bytes:
        self.stream.seek(0)
        start = self.stream.read(BLOCK)
        self.stream.seek(0, 2)
        return start

    def expect_whole(self) -> None:
        """Raise Failed for a web page, Broken for too few bytes."""
        if self.size != self.wanted:
            reason = page(self.head())
            raise Failed(reason) if reason else Broken(f"{self.size} of {self.wanted} bytes came")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        # A full disk is not the source's fault, so no other source is tried.
        try:
            yield
        except OSError as error:
            folder = Path(self.stream.name).parent
            reason = error.strerror or str(error)
            raise UserError(f"cannot write to {folder}: {reason}; make room there") from None

    def _draw(self) -> None:
        if self.bar is not None:
            self.bar.n = self.size
            self.bar.refresh()


def page(start: bytes) -> str | None:
    """Describe what begins like a web page; None for anything else."""
    text = start[:BLOCK].decode("utf-8", "replace")
    if not re.match(r"\s*<(!doctype html|html)", text, re.IGNORECASE):
        return None
    if re.search("quota|too many users", text, re.IGNORECASE):
        return QUOTA
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    named = f" ({' '.join(title.group(1).split())[:60]})" if title else ""
    return f"a web page{named} instead of the file"


def persist(attempt: Callable[[], None], partial: PartialFile, policy: RetryPolicy) -> None:
    """Repeat an attempt while it is Broken, until too many in a row brought next to nothing."""
    left, best = policy.tries, 0
    while True:
        try:
            return attempt()
        except Broken as broken:
            left -= 1
            # With 5 % more than ever before it counts as going on: at most 20 times `tries`.
            if partial.size > best + partial.wanted // 20:
                left, best = policy.tries - 1, partial.size
            if left <= 0:
                raise Failed(f"{broken} ({policy.tries} tries)") from None
        time.sleep(policy.pause * 2 ** (policy.tries - 1 - left))


def from_file(url: str, partial: PartialFile, policy: RetryPolicy) -> None:
    """Copy from `file:///path` (percent-encoded) or `file:path` (as it is)."""
    rest = url[len("file:") :]
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path) if rest[:2] == "//" else rest
    partial.restart()
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                partial.write(block)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise Failed(getattr(error, "strerror", None) or str(error)) from None
    try:
        partial.expect_whole()
    except Broken:
        raise Failed(f"{partial.size} bytes there instead of {partial.wanted}") from None


def from_http(url: str, partial: PartialFile, policy: RetryPolicy) -> None:
    """Fetch from a web server; redirections are followed, broken transfers continued."""
    partial.restart()
    persist(lambda: _http(url, partial, policy.timeout), partial, policy)


def _http(url: str, partial: PartialFile, timeout: float) -> None:
    headers = {"User-Agent": "hw1-download/1", "Accept-Encoding": "identity"}
    if partial.size and partial.validator:  # with neither ETag nor date it might be another version
        headers.update({"Range": f"bytes={partial.size}-", "If-Range": partial.validator})
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            _expect_length(response, partial)
            for block in iter(lambda: response.read1(BLOCK), b""):
                partial.write(block)
    except urllib.error.HTTPError as error:
        raise _http_failure(error, partial) from None
    except urllib.error.URLError as error:
        raise _failure(error.reason, timeout) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _failure(error, timeout) from None
    partial.expect_whole()


def _expect_length(response, partial: PartialFile) -> None:
    """Find where the body begins, and fail at once if it is of another length."""
    continued = response.headers.get("Content-Range", "").startswith(f"bytes {partial.size}-")
    if not (response.status == 206 and continued):
        partial.restart()
    etag = response.headers.get("ETag", "W/")
    partial.validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and partial.size + int(length) != partial.wanted:
        there = f"{partial.size + int(length)} bytes there instead of {partial.wanted}"
        raise Failed(page(response.read(BLOCK)) or there)


def _http_failure(error: urllib.error.HTTPError, partial: PartialFile) -> Failed:
    try:
        reason = page(error.read(BLOCK))
    except (OSError, http.client.HTTPException):
        reason = None
    finally:
        error.close()
    text = f"HTTP {error.code} {error.reason}".strip()
    if error.code == 416:  # what is here is no beginning of what is there
        partial.restart()
    if reason == QUOTA:
        return Failed(QUOTA)
    return Broken(text) if error.code in TRY_AGAIN or error.code == 416 else Failed(text)


def _failure(reason, timeout: float) -> Failed:
    if isinstance(reason, socket.timeout):
        return Broken(f"nothing came for {timeout:g} s")
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    # No such host, no server there, a bad certificate or url: asking again would not help.
    final = (socket.gaierror, ConnectionRefusedError, ValueError, http.client.InvalidURL, str)
    return Failed(text) if isinstance(reason, final) else Broken(text)
