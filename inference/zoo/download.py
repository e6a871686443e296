"""Fetching checkpoints: the mirror first, then the record's urls, and nothing unverified.

A download goes into a private file beside its place, and is renamed into place when its bytes
and sha256 are the record's. So half a file or a web page never becomes a checkpoint, a good file
is never lost to a bad one, and processes that fetch the same file do not meet.
"""

from __future__ import annotations

import contextlib
import os
import sys
import urllib.parse
import uuid
from pathlib import Path
from typing import BinaryIO, Callable, Iterable, Iterator

from inference import UserError, zoo
from inference.zoo import urls
from inference.zoo.drive import from_drive
from inference.zoo.transfer import Failed, PartialFile, RetryPolicy, from_file, from_http

SCHEMES = {"https": from_http, "http": from_http, "file": from_file, "gdrive": from_drive}


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def download(
    names: Iterable[str] | None = None,
    say: Callable[[str], None] = _to_stderr,
    file: Path | None = None,
    policy: RetryPolicy | None = None,
) -> None:
    """Make sure that checkpoints are there and right, fetching what is not.

    The environment's HW1_MIRROR, a url or a folder that holds the files under their names, is
    tried before the urls of the records.

    Args:
        names: which ones; none means every one that may be a task's default.
        say: is given one line for each.
        file: another zoo.json.
        policy: for slow and broken connections; None is the usual one.

    Raises:
        UserError: an unknown name; or, after all were tried, some could not be had.
    """
    if names:
        records = {name: zoo.record(name, file) for name in names}
    else:
        records = {record.name: record for those in zoo.defaults(file).values() for record in those}
    failed = []
    for record in records.values():
        try:
            say(_provide(record, policy or RetryPolicy()))
        except UserError as error:
            say(str(error))
            failed.append(record.name)
    if failed:
        raise UserError(
            f"no right file for {', '.join(failed)}; try again later, set HW1_MIRROR to a url or "
            f"folder that has it, or put it into {records[failed[0]].folder} yourself"
        )


def _provide(record: zoo.Record, policy: RetryPolicy) -> str:
    place = f"{record.name}: {record.folder.name}/{record.file}"
    size = f"{record.bytes / 1e6:.1f} MB"
    problem = zoo.problem_of(record)
    if problem is None:
        return f"{place} is right ({size}), left alone"
    sources = list(_sources(record))
    if not sources:
        hint = "if it is a bundled one, git checkout brings it back"
        raise UserError(f"{place} is {problem[0]}, and zoo.json has no url for it; {hint}")
    try:
        return f"{place} ({size}) fetched from {fetch(record, sources, policy)}"
    except Failed as reasons:
        raise UserError(f"{place} is {problem[0]}, and no source has it: {reasons}") from None


def fetch(record: zoo.Record, sources: Iterable[str], policy: RetryPolicy) -> str:
    """Fetch a record's file into its folder, from the first source that has it.

    Args:
        sources: urls, and paths as `file:/PATH`.

    Returns:
        That source, and what was wrong with those before it.

    Raises:
        Failed: none has it; the message names each, and why not.
        UserError: the folder cannot be written to.
    """
    reasons = []
    with _private_file(record) as (private, stream), _bar(record) as bar:
        for source in sources:
            try:
                _fetch(source, record, private, PartialFile(stream, record.bytes, bar), policy)
            except Failed as reason:
                reasons.append(f"{source}: {reason}")
                continue
            return source + (f"; before that, {'; '.join(reasons)}" if reasons else "")
    raise Failed("; ".join(reasons))


def _sources(record: zoo.Record) -> Iterator[str]:
    mirror = os.environ.get("HW1_MIRROR", "").strip()
    if "://" in mirror and not mirror.startswith("file:"):
        try:
            yield urls.beside(mirror, record.file)
        except UserError:
            yield mirror  # which `_fetch` says what is wrong with
    elif mirror.startswith("file://"):
        yield f"{mirror.rstrip('/')}/{urllib.parse.quote(record.file)}"
    elif mirror:
        folder = mirror[len("file:") :] if mirror.startswith("file:") else mirror
        yield f"file:{Path(os.path.expanduser(folder)) / record.file}"
    for url in record.urls:
        if url.startswith("file:") and url[5:7] != "//":  # seen from the repository
            url = f"file:{record.folder.parent / os.path.expanduser(url[5:])}"
        yield url


def _fetch(
    source: str, record: zoo.Record, private: Path, partial: PartialFile, policy: RetryPolicy
) -> None:
    if not source.startswith("file:"):  # a path is taken as it is, whatever it is called
        try:
            source = urls.direct(source)
        except UserError as error:  # of a mirror: zoo.json was looked through when it was read
            raise Failed(str(error).split(": ", 1)[1]) from None
    SCHEMES[source.split(":")[0]](source, partial, policy)
    digest = zoo.sha256(private)
    if digest != record.sha256:
        there, wanted = digest[:12], record.sha256[:12]
        raise Failed(f"another file (sha256 {there}..., zoo.json says {wanted}...)")
    with _writing(zoo.path(record)):
        os.replace(str(private), str(zoo.path(record)))


@contextlib.contextmanager
def _private_file(record: zoo.Record) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a file that no other process or thread has; it is gone afterwards, come what may."""
    # Not by tempfile, whose files only their owner may read: a class server's are for everyone.
    private = record.folder / f".{os.getpid()}-{uuid.uuid4().hex[:12]}.part"
    with _writing(record.folder):
        record.folder.mkdir(parents=True, exist_ok=True)
        # Unbuffered, or closing it would try again to write what a full disk refused.
        stream = private.open("x+b", buffering=0)
    try:
        with stream:
            yield private, stream
    finally:
        with contextlib.suppress(FileNotFoundError):  # renamed into place
            private.unlink()


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {place}: {reason}; make it writable") from None


@contextlib.contextmanager
def _bar(record: zoo.Record) -> Iterator[object]:
    """Draw progress where a person looks on and tqdm is installed."""
    try:
        if not sys.stderr.isatty():
            raise ImportError
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(total=record.bytes, desc=record.name, unit="B", unit_scale=True, leave=False) as bar:
        yield bar
