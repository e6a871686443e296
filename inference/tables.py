"""The csv files that graders hand in and expect back.

Bytes that are not UTF-8 (a name in another encoding) pass through unchanged both ways.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Iterable, NamedTuple

from inference import UserError
from inference.files import write_whole


class Row(NamedTuple):
    """A row of the P2 csv: what is needed of it, as written there."""

    id: str
    filename: str


def read_rows(path: Path | str) -> list[Row]:
    """Reads `id` and `filename` of every row, in the file's order.

    A byte order mark, carriage returns, further columns, and a label that says None, is empty
    or is missing altogether make no difference.

    Raises:
        UserError: there is no such file, it is no csv, a column or a name is missing, or it
            has no row.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise UserError(f"cannot read the csv {path}: {error.strerror}") from error
    try:
        # The whole text at once: a quoted name may hold a line break, but newline="" keeps CRLF.
        lines = csv.reader(io.StringIO(text, newline=""))
        header = [name.strip() for name in next(lines, [])]
        places = [_column(name, header, path) for name in Row._fields]
        return _rows(lines, places, path)
    except csv.Error as error:
        raise UserError(f"{path} is no csv: {error}; save it as plain text") from error


def _column(name: str, header: list[str], path: Path | str) -> int:
    if name not in header:
        found = ascii(", ".join(header)[:100]) if header else "nothing"  # garbage, perhaps
        raise UserError(
            f"no column '{name}' in {path}: its first line is {found}, not id,filename,label"
        )
    return header.index(name)


def _rows(lines: csv.reader, places: list[int], path: Path | str) -> list[Row]:
    rows = []
    for line in lines:
        if not any(line):
            continue  # an empty line, at the end as a rule
        if len(line) <= max(places) or not line[places[1]]:
            raise UserError(
                f"line {lines.line_num} of {path} names no image: complete or remove it"
            )
        rows.append(Row(*(line[place] for place in places)))
    if not rows:
        raise UserError(f"no row in {path}: it should list id,filename,label, one image a line")
    return rows


def write_table(path: Path | str, header: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Writes a csv whole or not at all: UTF-8, one `\\n` a line, quotes only where needed.

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
