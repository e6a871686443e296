"""Pages from `templates/`, where every value is escaped that is not markup already."""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from inference.files import in_words

HERE = Path(__file__).parent
NO_BREAK = "\N{NO-BREAK SPACE}"
ABSOLUTE = re.compile(r"\A((?:[\w.-]+=)?)(/.*)\Z", re.DOTALL)  # a command's word, or its value


def render(template: str, **values: Any) -> str:
    """Return a template of `templates/`, filled in."""
    return in_words(environment().get_template(template).render(**values))


@functools.cache
def environment() -> jinja2.Environment:
    """Return what templates are read and filled with; a name that is not defined is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (point, points, percent, millions, gflop, shape, url, word, portable)
    made.filters.update({one.__name__: one for one in filters})
    made.globals.update(attempt=attempt)
    return made


def attempt(macro: Callable[..., str], *numbers: Any) -> str:
    """Return a macro's text about numbers from a file; "" where they have another shape."""
    try:
        return macro(*numbers)
    except (jinja2.UndefinedError, TypeError, ValueError, LookupError, AttributeError):
        return ""


def url(file: str) -> str:
    """Return a file's address, seen from the page; its name may hold a #, or be no UTF-8."""
    return quote(os.fsencode(file))


def below_here(path: Path) -> Path | None:
    """Return a path as seen from the working folder; None of one that is not below it."""
    place = Path(os.path.abspath(path))
    return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else None


def word(path: Path) -> str:
    """Return a path as a word of a command."""
    return shlex.quote(path.as_posix())


def portable(command: str) -> str:
    """Return a command with no machine's own paths: `.../p1_data` for what is not below here."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote, which no shell has taken
        return command
    changed = [ABSOLUTE.sub(_without_machine, one) for one in words]
    return command if changed == words else shlex.join(changed)


def _without_machine(found: re.Match[str]) -> str:
    path = Path(found[2])
    local = below_here(path)
    return found[1] + (f".../{path.name}" if local is None else local.as_posix())


def point(share: float, digits: int = 4) -> str:
    """Return a share as `.8520`."""
    return f"{share:.{digits}f}".removeprefix("0")


def points(share: float) -> str:
    """Return a difference of shares in percentage points: `+1.2`."""
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent: `85.2%`."""
    return f"{share:.{digits}%}"


def millions(number: int) -> str:
    """Return a count of parameters in words: `4.2 million`."""
    return f"{number / 1e6:,.1f} million"


def gflop(flops: int) -> str:
    """Return how much arithmetic an image takes, in words."""
    billions = flops / 1e9
    return f"{billions:,.0f} GFLOP" if billions >= 99.5 else f"{billions:,.2g} GFLOP"


def shape(of: Sequence[int]) -> str:
    """Return a shape in one piece: `512 × 16 × 16`."""
    return f"{NO_BREAK}×{NO_BREAK}".join(map(str, of))
