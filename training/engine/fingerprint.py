"""Whether a run's folder holds the run that is asked for: the same recipe on the same data.

recipe.json   the recipe
data.json     the data's folder when the run last went on, and a digest of what it trains on
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from inference import UserError
from training.engine.checkpoint import write_whole
from training.engine.problem import Problem
from training.engine.recipe import Recipe
from training.engine.run_folder import data_note, read_json


def claim(problem: Problem, recipe: Recipe, data: Path, folder: Path) -> None:
    """Note in its folder what a run is of, or refuse to go on with another one there.

    A run that did not reach the end of an epoch keeps no one out.

    Raises:
        UserError: the folder holds a run with another recipe or on other data; the data cannot be
            read.
    """
    begun = any((folder / name).exists() for name in ("last.ckpt", "result.json"))
    if begun and (folder / "recipe.json").exists():
        try:
            then = type(recipe).from_plain(read_json(folder / "recipe.json"))
        except UserError as error:
            raise UserError(f"{folder / 'recipe.json'}: {error}; choose another --out") from error
        asked, there = recipe.changes_from(then), then.changes_from(recipe)
        if recipe.seed != then.seed:
            asked, there = [*asked, f"seed={recipe.seed}"], [*there, f"seed={then.seed}"]
        if asked or there:
            theirs, ours = (there or asked)[0], (asked or there)[0]
            raise UserError(
                f"{folder} holds a run with {theirs}, and {ours} is asked for: choose another "
                f"--out, or delete that folder"
            )
    digest = expect(problem, recipe, data, folder) if begun else fingerprint(problem, recipe, data)
    plain = json.dumps(recipe.to_plain(), indent=2)
    write_whole(folder / "recipe.json", plain.encode())
    noted = {"folder": str(data.resolve()), "key": digest}
    write_whole(folder / "data.json", (json.dumps(noted, indent=2) + "\n").encode())


def expect(problem: Problem, recipe: Recipe, data: Path, folder: Path) -> str:
    """Return the fingerprint of data; raise UserError unless the run in a folder is on it."""
    digest, noted = fingerprint(problem, recipe, data), data_note(folder)
    if noted.get("key", digest) != digest:
        raise UserError(
            f"{folder} holds a run on other data ({noted.get('folder')}): choose another --out"
        )
    return digest


def fingerprint(problem: Problem, recipe: Recipe, data: Path) -> str:
    """Return a digest of what a run trains on: names, sizes and labels, wherever they lie.

    Raises:
        UserError: the layout is not the problem's, or a file is missing.
    """
    digest = hashlib.sha256()
    if not data.is_dir():
        raise UserError(
            f"no folder {data}: give the course's {problem.folder} with --data, or make some: "
            "python -m training sample-data hw1_data"
        )
    try:
        files = problem.files(recipe, data)
    except UserError as error:
        near = (place / problem.folder for place in (data, data.parent, data.parent.parent))
        meant = next((place for place in near if place.is_dir() and place != data), None)
        if meant is None:
            raise
        raise UserError(f"{error}; did you mean --data {meant}?") from error
    for paths, labels in files:
        if labels is not None:
            digest.update(labels.tobytes())
        for path in paths:
            try:
                digest.update(os.fsencode(path.name) + f"\0{path.stat().st_size}\n".encode())
            except OSError as error:
                raise UserError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()[:16]
