"""The csv files that graders hand in and expect back.

Bytes that are not UTF-8 (a name in another encoding) pass through unchanged both ways.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple, Sequence

from inference import UserError
from inference.files import write_whole

# Excel separates columns by semicolons where the comma is the decimal point, and saves "Unicode
# text" with tabs.
DELIMITERS = ",;\t"
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Row(NamedTuple):
    """A row of the P2 csv: what is needed of it, as written there."""

    id: str
    filename: str


class Line(NamedTuple):
    """A row of any csv: the number of its first line, and its values of the columns asked for."""

    number: int
    values: tuple[str | None, ...]  # None where the row is too short to have one


def read_rows(path: Path | str, folder: Path | str | None = None) -> list[Row]:
    """Read `id` and `filename` of every row, in the file's order.

    A byte order mark, carriage returns, blank lines, further columns, and a label that says None,
    is empty or is missing altogether make no difference; nor does what `read_columns` allows.

    Args:
        folder: of the images. Blanks after commas stay part of the names if no image is found
            without them and at least one is found with them.

    Raises:
        UserError: there is no such file, it is no csv, a column or a name is missing, or it
            has no row.
    """
    rows, (lines, padded) = [], _read(path, Row._fields)
    if folder is not None and padded and not _any_there(folder, lines):
        written = _read(path, Row._fields, padding=False)[0]
        lines = written if _any_there(folder, written) else lines
    for number, (key, name) in lines:
        if key is None or not name or not name.strip():
            raise UserError(f"line {number} of {path} names no image: complete or remove it")
        rows.append(Row(key, name))
    if not rows:
        raise UserError(f"no row in {path}: it should list id,filename,label, one image a line")
    return rows


def locate(folder: Path | str, filename: str) -> Path:
    """Return where the image of a row is: as the csv names it, or else without blanks around it."""
    path, bare = Path(folder, filename), filename.strip()
    if bare != filename and not os.path.exists(path):
        return Path(folder, bare)
    return path


def _any_there(folder: Path | str, lines: Iterable[Line]) -> bool:
    return any(name and os.path.exists(locate(folder, name)) for _, (_, name) in lines)


def read_columns(path: Path | str, columns: Sequence[str]) -> list[Line]:
    """Read some columns of every row of a csv that is not blank, in the file's order.

    UTF-8 or UTF-16; columns are parted by commas, semicolons or tabs. Where a blank follows the
    first comma of every line, blanks after commas are no part of the values.

    Raises:
        UserError: there is no such file, it is no csv, a quote is not closed, or a column is
            missing or there twice; a line that is wrong is named by its number.
    """
    return _read(path, columns)[0]


def _read(
    path: Path | str, columns: Sequence[str], padding: bool = True
) -> tuple[list[Line], bool]:
    """Return what `read_columns` does, and whether blanks after commas were left out.

    Args:
        padding: whether they may be.
    """
    try:
        text = _decoded(Path(path).read_bytes(), path)
    except OSError as error:
        raise UserError(f"cannot read the csv {path}: {error.strerror}") from error
    delimiter = _delimiter(text)
    padded = padding and _is_padded(text, delimiter)
    records = _records(text, path, delimiter, padded)
    header = [name.strip() for name in next(records, (1, []))[1]]
    places = [_place(name, header, path) for name in columns]
    found = []
    for number, values in records:
        if padded:
            values = [value.rstrip(" \t") for value in values]
        chosen = (values[place] if place < len(values) else None for place in places)
        found.append(Line(number, tuple(chosen)))
    return found, padded


def _decoded(content: bytes, path: Path | str) -> str:
    encoding = _UTF16.get(content[:2])
    if encoding is None and content[:2].count(0) == 1:  # UTF-16 whose byte order mark is lost
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        if encoding:
            return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no csv: it looks like UTF-16, but byte {error.start} is none; save it as "
            "plain text in UTF-8"
        ) from error
    text = content.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        number = len(re.findall("\r\n|\r|\n", text[: text.index("\0")])) + 1
        raise UserError(
            f"{path} is no csv: line {number} holds a NUL byte; save it as plain text in UTF-8"
        )
    return text


def _delimiter(text: str) -> str:
    """Return what parts the columns: the one that the first line has most of; a comma if none."""
    first = text.lstrip("\r\n").split("\n", 1)[0].split("\r", 1)[0]
    return max(DELIMITERS, key=first.count)  # of equal counts the first, the comma


def _is_padded(text: str, delimiter: str) -> bool:
    """Whether a blank follows the first delimiter of every line but the header's."""
    field = f'(?:[ \t]*"[^"]*"[ \t]*|[^"{delimiter}]*)'
    start = re.compile(f"{field}{delimiter} ")
    lines = re.split("[\r\n]+", text.strip())[1:]
    return bool(lines) and all(map(start.match, lines))


def _records(
    text: str, path: Path | str, delimiter: str, padded: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with the number of the line on which each begins."""
    # The whole text at once: a quoted name may hold a line break, but newline="" keeps CRLF.
    lines = list(io.StringIO(text, newline=""))
    width = 0  # of the header
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=padded, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num > number or str(error).startswith("unexpected end"):
                raise _unclosed(number, path) from error
            if "expected after" in str(error):
                raise UserError(
                    f"line {number} of {path} goes on after a closing quote: write a name with a "
                    'quote in it as "say ""hi"".jpg", or leave the quotes out'
                ) from error
            raise UserError(
                f"{path} is no csv: {error} (line {number}); save it as plain text"
            ) from error
        if not any(value.strip() for value in values):
            continue  # an empty line, at the end as a rule
        width = width or len(values)
        if reader.line_num > number and _swallows(values, delimiter, width):
            raise _unclosed(number, path)
        yield number, values


def _swallows(values: list[str], delimiter: str, width: int) -> bool:
    """Whether a row of several lines is two, of which each has a quote too many."""
    rests = (re.split("[\r\n]", value, maxsplit=1)[1:] for value in values)
    return len(values) > width or any(delimiter in rest[0] for rest in rests if rest)


def _unclosed(number: int, path: Path | str) -> UserError:
    return UserError(
        f"line {number} of {path} opens a quote that is not closed on it and would swallow the "
        "rows after it: close or remove the quote"
    )


def _place(name: str, header: list[str], path: Path | str) -> int:
    if name not in header:
        found = ascii(", ".join(header)[:100]) if header else "nothing"  # garbage, perhaps
        raise UserError(
            f"no column '{name}' in {path}: its first line is {found}, not id,filename,label"
        )
    if header.count(name) > 1:
        raise UserError(f"{header.count(name)} columns '{name}' in {path}: keep one of them")
    return header.index(name)


def write_table(path: Path | str, header: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a csv whole or not at all: UTF-8, one `\\n` a line, quotes only where needed.

    Raises:
        UserError: it cannot be written; what was there before is untouched.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    for row in rows:  # a lone \r ends a line for readers, and the writer does not see that
        values = [*row]
        (quoting if any("\r" in str(value) for value in values) else writer).writerow(values)
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))
