"""The author's own words: a Markdown file with a heading for each question.

    # P1.5 What the PCA shows
    Animals and vehicles part along the first axis ...

A heading begins with a question's number (`P1.5`, `1.5` or `1-5` will do); what stands before the
first one goes on the cover, where `Name:` and `Student ID:` have lines of their own. Headings of a
lower level are part of the answer; `<!-- ... -->` is for the author alone.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import os
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import markdown
from markdown.treeprocessors import Treeprocessor
from markupsafe import Markup

from inference import UserError
from inference.files import write_whole
from training.report.sections import NOTES, questions

FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")  # of a block of code; not ```code``` in a line
HEADING = re.compile(r"(#+)\s+(.*?)\s*#*\s*$")
NUMBER = re.compile(r"P?\s*([1-9])\s*[.\-]\s*([0-9]+)\b", re.IGNORECASE)
SIGNED = re.compile(r"(Name|Student)(?: ID)?:[ \t]*(.*?)\s*", re.IGNORECASE)
# Code stays as it is, comments go.
COMMENT = re.compile(
    r"(^ *(?P<fence>```|~~~).*?^ *(?P=fence)|`[^`\n]+`)|<!--.*?-->", re.MULTILINE | re.DOTALL
)
COVER = "cover"
DEEPEST = 6  # of HTML's headings; a question's own is the third


class Notes(NamedTuple):
    """What an author has to say.

    Attributes:
        words: HTML by a question's number, that of the cover under `COVER`; empty where a heading
            has no words below it.
        author: the author's name, where the notes have it, as is `student`.
    """

    words: dict[str, Markup]
    author: str = ""
    student: str = ""


def write_template(file: Path) -> None:
    """Write notes to fill in: a heading a question, and what is asked.

    Raises:
        UserError: there is something of this name, or it cannot be written.
    """
    if os.path.lexists(file):
        raise UserError(f"{file} is there and is not overwritten: choose another name")
    write_whole(file, NOTES.read_bytes())


def read(file: Path, log: Callable[[str], None]) -> Notes:
    """Return the notes.

    Args:
        log: takes a line that names the headings without words.

    Raises:
        UserError: the file cannot be read, a heading names no question, a picture is missing.
    """
    try:
        text = COMMENT.sub(lambda found: found[1] or "", file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UserError(f"cannot read the notes {file}: {reason}") from error
    parts: dict[str, list[str]] = {COVER: []}
    signed: dict[str, str] = {}
    now, level, fence = COVER, None, ""
    for line in text.splitlines():
        fence = _fence_after(fence, line)
        heading = None if fence else HEADING.match(line)
        level = level or (heading and len(heading[1]))
        if heading and len(heading[1]) <= (level or 0):
            now = _number(heading[2], file)
            parts.setdefault(now, [])
        elif now == COVER and (field := SIGNED.fullmatch(line)):
            signed[field[1].lower()] = field[2]
        else:
            parts[now].append(line)
    words = {number: render("\n".join(lines), file.parent) for number, lines in parts.items()}
    empty = [number for number, said in words.items() if not said and number != COVER]
    if empty:
        headings = "1 heading is" if len(empty) == 1 else f"{len(empty)} headings are"
        log(f"note: {headings} still empty in {file}: {', '.join(empty)}")
    return Notes(words, signed.get("name", ""), signed.get("student", ""))


def _number(heading: str, file: Path) -> str:
    match = NUMBER.match(heading)
    number = f"P{match[1]}.{match[2]}" if match else ""
    if number not in questions():
        known = ", ".join(questions())
        raise UserError(f"{file}: no question in the heading '{heading}'; begin it with: {known}")
    return number


def render(text: str, folder: Path) -> Markup:
    """Return Markdown as HTML; HTML in it is shown as it stands, pictures go into the page.

    Args:
        folder: that names of pictures are seen from.

    Raises:
        UserError: a picture is not there.
    """
    reader = markdown.Markdown(extensions=["tables", "fenced_code", "sane_lists"])
    reader.preprocessors.deregister("html_block")
    reader.inlinePatterns.deregister("html")
    reader.treeprocessors.register(_Tame(reader, folder), "tame", 0)
    return Markup(reader.convert(text))


def _fence_after(fence: str, line: str) -> str:
    """Return the fence of the block of code that is open after a line; "" where none is.

    Args:
        fence: the one that was open before it. A line of the same sign, as long or longer, ends it.
    """
    found = FENCE.match(line)
    if not found:
        return fence
    if not fence:
        return found[1]
    closes = line.strip() == line.strip()[0] * len(line.strip()) and found[1].startswith(fence)
    return "" if closes else fence


class _Tame(Treeprocessor):
    """Keep the page whole without a network: pictures are in it, links lead to pages."""

    def __init__(self, reader: markdown.Markdown, folder: Path) -> None:
        super().__init__(reader)
        self.folder = folder

    def run(self, root: Element) -> None:
        """Change what would lead out of the page."""
        for element in root.iter():
            if element.tag == "img":
                element.set("src", self._embedded(element.get("src", "")))
            elif element.tag == "a" and not re.match(
                r"(https?:|mailto:|#)", html.unescape(element.get("href", "")), re.IGNORECASE
            ):
                del element.attrib["href"]
            elif re.fullmatch("h[1-6]", element.tag):
                element.tag = f"h{min(DEEPEST, int(element.tag[1]) + 2)}"
            elif element.tag == "table":
                element.set("class", "plain")

    def _embedded(self, name: str) -> str:
        if name.startswith("data:image/"):  # as an editor pastes it
            return name
        name = urllib.parse.unquote(name)  # my%20picture.png
        file = self.folder / name
        kind = mimetypes.guess_type(name)[0] or ""
        if not kind.startswith("image/") or not os.path.isfile(file):
            raise UserError(f"no picture {file}: the notes' pictures are files beside them")
        try:
            return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
        except OSError as error:
            raise UserError(f"cannot read the picture {file}: {error.strerror}") from error
