"""What somebody who mistyped a name has meant, for the line that lists the right ones."""

from __future__ import annotations

from typing import Iterable


def listed(word: str, known: Iterable[str], others: Iterable[str] = ()) -> str:
    """Return the end of an error's line: the known names, and which one a wrong word is near to.

    Args:
        others: further names that may have been meant; they are not listed.
    """
    names = list(known)
    return ", ".join(names) + did_you_mean(word, [*names, *others])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'epochs'?` for a word that is near to a known name, "" for others.

    Small and capital letters are the same.
    """
    import difflib  # here: who mistypes nothing has no use for it

    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), names, n=1)
    return f"; did you mean '{names[near[0]]}'?" if near else ""
