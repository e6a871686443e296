"""How bytes and JSON are damaged."""

from __future__ import annotations

import copy
import json
import math
import random

HOSTILE = (b"", b"\0", b"\0" * 4096, b"\xff\xfe", b"\xef\xbb\xbf", b"<!DOCTYPE html><html></html>")
NUMBERS = (0, 1, 2, 3, 7, 8, 127, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)
MARKS = b"<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"  # what git leaves of a merge

# What may stand in JSON where something else should.
ODD = (
    *(None, True, False, 0, -1, 1, 3, 10_000, 2**63, 1e308, -0.5, math.nan, math.inf),
    *("", "0", "none", "no such", "../x", "a\nb", "\ud800", "é", "x" * 300, "/nowhere", "\0"),
    *([], {}, [[]], [1, 2, 3], {"a": 1}, [None]),
)


def damage(random: random.Random, data: bytes) -> bytes:
    """Return bytes with one to three things wrong."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(WAYS)(random, data)
    return data


def _flip(random: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8)) if data else 0):
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _number(random: random.Random, data: bytes) -> bytes:
    """Overwrite two or four bytes, among the first as a rule, with a number in either order."""
    width = random.choice((1, 2, 4))
    at = random.randrange(max(1, min(len(data), random.choice((32, 64, len(data) or 1)))))
    number = random.choice(NUMBERS) % 256**width
    return data[:at] + number.to_bytes(width, random.choice(("big", "little"))) + data[at + width :]


def _truncate(random: random.Random, data: bytes) -> bytes:
    few = random.randint(1, 12)
    return data[: random.choice((random.randint(0, len(data)), max(0, len(data) - few)))]


def _cut(random: random.Random, data: bytes) -> bytes:
    start, end = _slice(random, data)
    return data[:start] + data[end:]


def _double(random: random.Random, data: bytes) -> bytes:
    start, end = _slice(random, data)
    return data[:end] + data[start:]


def _overwrite(random: random.Random, data: bytes) -> bytes:
    start, end = _slice(random, data)
    return data[:start] + random.choice((b"\0", b"\xff", b" ")) * (end - start) + data[end:]


def _insert(random: random.Random, data: bytes) -> bytes:
    at = random.randint(0, len(data))
    new = random.choice((*HOSTILE, MARKS, random.randbytes(random.randint(1, 40)), b'"', b"\n"))
    return data[:at] + new + data[at:]


def _replace(random: random.Random, data: bytes) -> bytes:
    return random.choice((*HOSTILE, random.randbytes(200)))


def _slice(random: random.Random, data: bytes) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + random.choice((1, 4, 16, 64, len(data))))


WAYS = (_flip, _flip, _number, _number, _truncate, _cut, _double, _overwrite, _insert, _replace)


def damage_json(random: random.Random, value: object, times: int | None = None) -> bytes:
    """Return JSON text in which fields are removed, renamed, of another type or odd in value."""
    value = copy.deepcopy(value)
    for _ in range(times or random.choice((1, 1, 1, 2, 4))):
        parents = list(_containers(value))
        _change(random, random.choice(parents)) if parents else None
    text = json.dumps(value, indent=random.choice((None, 2))).encode()
    if random.random() < 0.1:
        text = random.choice((b"[" * 200_000, b"null", b"[]", b"{}", b'"x"', b"1", b"\xff" + text))
    return damage(random, text) if random.random() < 0.1 else text


def _containers(value: object):
    """Yield every dict and list that is not empty, from the outside in, the outer ones oftener."""
    if isinstance(value, dict | list) and value:
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _containers(inner)


def _change(random: random.Random, parent: dict | list) -> None:
    key = random.choice([*parent]) if isinstance(parent, dict) else random.randrange(len(parent))
    way = random.choice(("odd", "odd", "odd", "type", "near", "remove", "rename", "more"))
    now = parent[key]
    if way == "type":
        parent[key] = random.choice((str(now), [now], {"": now}, repr(now)))
    elif way == "near" and isinstance(now, int | float):
        parent[key] = random.choice((-now, now + 1, now / 2, 1000 * now, bool(now)))
    elif way == "remove":
        del parent[key]
    elif way == "rename" and isinstance(parent, dict):
        parent[f"{key}_"] = parent.pop(key)
    elif way == "more" and isinstance(parent, dict):
        parent[random.choice(("", "new", "file", "a\nb", "\ud800"))] = copy.deepcopy(now)
    else:
        parent[key] = copy.deepcopy(random.choice(ODD))  # which later damage must not reach
