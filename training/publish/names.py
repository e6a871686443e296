"""Names of checkpoints: each is a file's name, a word of a command line and a torch.hub entry."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inference import UserError
from inference.zoo import Record

LONGEST = 60  # letters; with the 255 bytes of a file's name the tables could not be read
# What hubconf.py has to be called so, for torch.hub itself.
TAKEN = {"dependencies"}
# Windows has no files of these names, whatever their suffix.
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{kind}{i}" for kind in ("com", "lpt") for i in range(10)),
}


def expect_usable(record: Record, there: Mapping[str, Record]) -> None:
    """Raise a UserError where a record's name would fail somewhere, or spoil another record.

    Args:
        there: the zoo's records; one of the same name and problem is replaced.
    """
    name = record.name
    reason = _reason(name) or _clash(record, there)
    if reason:
        raise UserError(f"--name {_short(name)}: {reason}; choose another name, like p1-mine")
    if name in there and there[name].task != record.task:  # it may be that one's default
        raise UserError(f"{name} is a checkpoint of {there[name].task}: choose another --name")


def hub_name(name: str) -> str:
    """Return what torch.hub calls a checkpoint."""
    return name.replace("-", "_")


def _reason(name: str) -> str | None:
    if "/" in name or "\\" in name:
        return "a name without / is needed"
    if len(name) > LONGEST:
        return f"it has {len(name)} letters, and {LONGEST} are the most"
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        return "it has to be of the letters a-z, small or capital, digits, and . - _ between them"
    if name.split(".")[0].lower() in DEVICES:
        return "Windows has no file of that name"
    if hub_name(name) in TAKEN:
        return "torch.hub takes that word for something else"
    return None


def _clash(record: Record, there: Mapping[str, Record]) -> str | None:
    for other in there.values():
        if other.name == record.name:
            continue
        # Drives of macOS and Windows do not tell capital letters apart.
        if hub_name(other.name).lower() == hub_name(record.name).lower():
            return f"torch.hub, or a drive, would take it for {other.name}, which is there"
        if other.file.lower() == record.file.lower():
            return f"its file would be {other.file}, which is {other.name}'s"
    return None


def _short(name: str) -> str:
    shown = name if name.isprintable() and name.strip() == name != "" else repr(name)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."
