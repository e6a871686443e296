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
        changed = recipe.changes_from(then)
        if changed or recipe.seed != then.seed:
            key = changed[0].partition("=")[0] if changed else "seed"
            raise UserError(f"{folder} holds a run with another {key}: choose another --out")
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
    for paths, labels in problem.files(recipe, data):
        if labels is not None:
            digest.update(labels.tobytes())
        for path in paths:
            try:
                digest.update(os.fsencode(path.name) + f"\0{path.stat().st_size}\n".encode())
            except OSError as error:
                raise UserError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()[:16]
