"""The model zoo: finding a checkpoint, and loading that either verifies or fails.

`manifest.py` says what a checkpoint's record holds; the files lie in `weights/`. A record's file is
loaded only if its size and sha256 are the record's, and its keys and shapes fit: there are no
random weights here, and no download. Nothing but `load` imports torch.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from inference import UserError, files
from inference.spelling import listed
from inference.zoo.manifest import ZOO, Record, from_entry, read, to_entry, write


def records(file: Path | None = None) -> dict[str, Record]:
    """Read the whole zoo, by name and in the order of the file.

    Args:
        file: another zoo.json; its checkpoints lie in `../weights`, seen from its folder.

    Raises:
        UserError: it is missing or malformed.
    """
    file = file or ZOO
    entries = read(file)["checkpoints"].items()
    return {name: from_entry(name, entry, file) for name, entry in entries}


def record(name: str, file: Path | None = None) -> Record:
    """Find a record by name; a UserError lists those there are."""
    there = records(file)
    if name not in there:
        raise UserError(f"no checkpoint {name!r} in the zoo; there are: {listed(name, there)}")
    return there[name]


def defaults(file: Path | None = None) -> dict[str, list[Record]]:
    """Find, for each task, what may serve as its default, best first."""
    there = records(file)
    named = read(file or ZOO)["defaults"]
    return {task: [there[name] for name in names] for task, names in named.items()}


def default(task: str, file: Path | None = None, present: bool = True) -> Record:
    """Find the best checkpoint of a task whose file is present.

    A damaged file counts as present, and `load` says so: to fall back in silence would be to
    answer with a worse model than the user believes.

    Args:
        task: "p1", "p2" or "p3".
        file: another zoo.json.
        present: False takes the best one, present or not.

    Raises:
        UserError: there is none; it says what to download.
    """
    candidates = defaults(file).get(task, [])
    if not candidates:
        raise UserError(
            f"the zoo names no default for {task}; choose a checkpoint with --model, see `list`"
        )
    for candidate in candidates:
        if not present or os.path.isfile(path(candidate)):  # Path's raises where it may not look
            return candidate
    names = " or ".join(candidate.name for candidate in candidates)
    raise UserError(
        f"no checkpoint for {task} in {candidates[0].folder} (it would be {names}); "
        f"run: bash hw1_download.sh {candidates[0].name}"
    )


def passed_over(record: Record, file: Path | None = None) -> list[Record]:
    """Return the better defaults of a record's task, best first: those that are named before it."""
    better: list[Record] = []
    for candidate in defaults(file).get(record.task, []):
        if candidate.name == record.name:
            return better
        better.append(candidate)
    return []  # it is no default


def path(record: Record) -> Path:
    """Return the path of the record's file, whether the file is there or not."""
    return record.folder / record.file


def sha256(file: Path) -> str:
    """Return the sha256 of a file of any size, in lower-case hexadecimal."""
    with file.open("rb") as stream:
        return _sha256(stream)


def check(record: Record) -> None:
    """Raise a UserError unless the record's file is there, whole and unchanged."""
    problem = problem_of(record)
    if problem:
        raise UserError(problem[1])


def problem_of(record: Record) -> tuple[str, str] | None:
    """Compare the record's file with its bytes and sha256.

    Returns:
        None where all is right, else one word for a table ("missing", "truncated", "changed",
        "unreadable") and a line that says what to do.
    """
    file = path(record)
    if not os.path.isfile(file):
        return "missing", f"{file} is missing; run: bash hw1_download.sh {record.name}"
    try:
        size = file.stat().st_size
        return _difference(record, size, sha256(file) if size == record.bytes else "")
    except OSError as error:
        return "unreadable", f"cannot read {file}: {error.strerror or error}; mend it, or delete it"


def load(record: Record, weights: Path | str | None = None):
    """Build the record's network with its weights: fp32, on the CPU, in eval mode.

    Args:
        record: says which network to build, and which file belongs to it.
        weights: the user's own bare state_dict for that network, taken as it is; None loads the
            record's file, whose bytes and sha256 must be right.

    Raises:
        UserError: the file is missing, damaged, no checkpoint, another network's, or not finite.
    """
    from inference.networks import load_into
    from inference.zoo.checkpoint import expect_finite, state_dict

    file = path(record) if weights is None else Path(weights)
    if weights is None and not os.path.isfile(file):
        check(record)
    try:
        with file.open("rb") as stream:
            if weights is None:
                _expect_right(record, stream)
            tensors = state_dict(stream, file)
    except OSError as error:
        raise UserError(f"cannot read the checkpoint {file}: {error.strerror or error}") from None
    try:
        network = load_into(record.network, record.classes, record.arguments, tensors)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    expect_finite(network.state_dict(), file)  # as fp32, in which a double may be too large
    return network


def add(record: Record, default: bool = False, file: Path | None = None) -> None:
    """Write a record into zoo.json, in place of one of the same name.

    Args:
        record: the new record.
        default: put it first among its task's defaults; else they stay as they are.
        file: another zoo.json; begun where there is none.
    """
    file = file or ZOO
    with files.locked(file.parent):  # several may add theirs at once
        zoo = read(file) if file.exists() else {"defaults": {}, "checkpoints": {}}
        zoo["checkpoints"][record.name] = to_entry(record)
        if default:
            others = [name for name in zoo["defaults"].get(record.task, []) if name != record.name]
            zoo["defaults"][record.task] = [record.name, *others]
        write(zoo, file)


def _expect_right(record: Record, stream) -> None:
    # Hashing and then unpickling from one open file beats reading it into memory first (at 50 MB
    # 90 against 130 ms, and half the memory), and what was checked is still what is loaded.
    size = os.fstat(stream.fileno()).st_size
    problem = _difference(record, size, _sha256(stream) if size == record.bytes else "")
    if problem:
        raise UserError(problem[1])
    stream.seek(0)


def _sha256(stream) -> str:
    digest = hashlib.sha256()
    for block in iter(lambda: stream.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()


def _difference(record: Record, size: int, digest: str) -> tuple[str, str] | None:
    file, again = path(record), f"fetch it again: bash hw1_download.sh {record.name}"
    if size < record.bytes:
        return "truncated", f"{file} is truncated: {size} of {record.bytes} bytes; {again}"
    if size > record.bytes:
        return "changed", f"{file} was changed: {size} bytes instead of {record.bytes}; {again}"
    if digest != record.sha256:
        return "changed", (
            f"{file} was changed: its sha256 is {digest[:12]}..., zoo.json says "
            f"{record.sha256[:12]}...; {again}, or load your own file with --weights"
        )
    return None
