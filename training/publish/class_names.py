"""What the classes of a checkpoint are called: said by the user, or found in its data."""

from __future__ import annotations

from pathlib import Path

from inference import UserError
from inference.zoo.manifest import problem_of_names
from inference.zoo.provenance import class_names_of
from training.engine.problem import Problem


def of(problem: Problem, data: Path, classes: int, file: Path | None = None) -> list[str]:
    """Return the names of classes, in the order of their numbers; none where nobody says.

    Args:
        data: the problem's folder of hw1_data: a note of where it came from may name its classes,
            or its files' names begin with theirs.
        file: the user's own, a name a line.

    Raises:
        UserError: the file cannot be read, or its names will not do.
    """
    if file is not None:
        return read(file, classes)
    for found in (class_names_of(problem.name, data), problem.words(data)):
        if found and problem_of_names(found, classes) is None:
            return found
    return []


def read(file: Path, classes: int) -> list[str]:
    """Return the names that a file lists, one a line; see `of`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").strip().splitlines()
    except OSError as error:
        raise UserError(f"cannot read the names {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read the names {file}: it is no text in UTF-8") from error
    names = [line.strip() for line in lines]
    wrong = problem_of_names(names, classes)
    if wrong:
        raise UserError(f"{file}: {wrong}; give one name a line, that of class 0 first")
    return names
