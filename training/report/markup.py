"""Small pieces of HTML. Text is escaped unless it is `Html`, which was made here."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from urllib.parse import quote


class Html(str):
    """Text that is HTML already."""


def text(value: object) -> Html:
    """Escapes a value; `Html` stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Puts pieces one after the other."""
    return Html(text(between).join(map(text, parts)))


def tag(name: str, content: object, **attributes: str) -> Html:
    """Gives `<name ...>content</name>`; `class_` stands for class, `aria_label` for aria-label."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{text(content)}</{name}>")


def code(value: object) -> Html:
    """Gives words of a program."""
    return tag("code", value)


def paragraph(*parts: object, class_: str = "") -> Html:
    """Gives a paragraph."""
    return tag("p", join(parts), **({"class_": class_} if class_ else {}))


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    name: str,
    numbers: Sequence[int] = (),
    class_: str = "plain",
) -> Html:
    """Gives a table in a box that scrolls where the screen is narrow.

    Args:
        rows: cells; the first of each names its row.
        name: what it is a table of, for those who cannot see it.
        numbers: columns that are aligned to the right.
        class_: of the style sheet.
    """

    def cell(kind: str, i: int, value: object, **more: str) -> Html:
        return tag(kind, value, **more, **({"class_": "number"} if i in numbers else {}))

    heads = join(cell("th", i, value, scope="col") for i, value in enumerate(head))
    lines = [tag("tr", heads)]
    for first, *rest in rows:
        cells = [cell("td", i, value) for i, value in enumerate(rest, 1)]
        lines.append(tag("tr", join([cell("th", 0, first, scope="row"), *cells])))
    body = join([tag("thead", lines[0]), tag("tbody", join(lines[1:]))])
    box = {"class_": "scroll", "tabindex": "0", "role": "region", "aria_label": name}
    return tag("div", tag("table", body, class_=class_), **box)


def figure(file: str, alt: str, caption: object, wide: bool = True) -> Html:
    """Gives a picture with its caption.

    Args:
        file: seen from the page.
        alt: what it shows, for those who cannot see it.
        wide: whether it keeps a width at which its text can be read, and scrolls on a phone.
    """
    file = quote(os.fsencode(file))  # a folder's name may hold a #, or be no UTF-8
    image = Html(f'<img src="{text(file)}" alt="{text(alt)}">')
    link = tag("a", image, href=file)
    box = tag("div", link, class_="scroll picture" if wide else "picture")
    return tag("figure", join([box, tag("figcaption", caption)]))


def commands(*lines: str) -> Html:
    """Gives command lines to copy."""
    return tag("pre", tag("code", "\n".join(lines)), class_="command")


def missing(said: object, *lines: str) -> Html:
    """Says what is not there, and the commands that make it."""
    made = [commands(*lines)] if lines else []
    return tag("div", join([paragraph(said), *made]), class_="missing")
