"""The author's own words: a Markdown file with a heading for each question.

    # P1.5 What the PCA shows
    Animals and vehicles part along the first axis ...

A heading begins with a question's number (`P1.5`, `1.5` or `1-5` will do); what stands before the
first one goes on the cover. Headings of a lower level are part of the answer.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import re
from pathlib import Path
from xml.etree.ElementTree import Element

import markdown
from markdown.treeprocessors import Treeprocessor
from markupsafe import Markup

from inference import UserError
from training.report.sections import BY_NUMBER

HEADING = re.compile(r"(#+)\s+(.*?)\s*#*\s*$")
NUMBER = re.compile(r"P?\s*([1-9])\s*[.\-]\s*([0-9]+)\b", re.IGNORECASE)
COVER = "cover"
DEEPEST = 6  # of HTML's headings; a question's own is the third


def read(file: Path) -> dict[str, Markup]:
    """Return the notes: HTML by a question's number, that of the cover under `COVER`.

    Raises:
        UserError: the file cannot be read, a heading names no question, a picture is missing.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UserError(f"cannot read the notes {file}: {error}") from error
    parts: dict[str, list[str]] = {COVER: []}
    now, level, fenced = COVER, None, False
    for line in lines:
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        heading = None if fenced else HEADING.match(line)
        level = level or (heading and len(heading[1]))
        if heading and len(heading[1]) <= level:
            now = _number(heading[2], file)
            parts.setdefault(now, [])
        else:
            parts[now].append(line)
    found = {number: "\n".join(text) for number, text in parts.items()}
    return {number: render(text, file.parent) for number, text in found.items() if text.strip()}


def _number(heading: str, file: Path) -> str:
    match = NUMBER.match(heading)
    number = f"P{match[1]}.{match[2]}" if match else ""
    if number not in BY_NUMBER:
        known = ", ".join(BY_NUMBER)
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
        file = self.folder / name
        kind = mimetypes.guess_type(name)[0] or ""
        if not kind.startswith("image/") or not file.is_file():
            raise UserError(f"no picture {file}: the notes' pictures are files beside them")
        return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
