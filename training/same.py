"""Whether a run's folder holds the run that is asked for: the same recipe on the same data.

recipe.json   the recipe
data.json     the data's folder when the run last went on, and a digest of what it trains on
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

from inference import UserError, landcover
from inference.images import list_tiles
from training.byol import data as unlabelled
from training.classification import data as labelled
from training.finished import read_json, read_noted
from training.keep import write_whole
from training.recipe import Recipe, recipe_of


def check(recipe: Recipe, data: Path, out: Path) -> None:
    """Notes what a run is of, or refuses to go on with another one in its folder.

    A run that did not reach the end of an epoch keeps no one out.

    Raises:
        UserError: the folder holds a run with another recipe or on other data; the data cannot be
            read.
    """
    now = dataclasses.asdict(recipe)
    files = out / "recipe.json", out / "data.json"
    begun = any((out / name).exists() for name in ("last.ckpt", "result.json"))
    if begun and files[0].exists():
        then = dataclasses.asdict(recipe_of(read_json(files[0])))
        changed = [name for name in now if then.get(name) != now[name]]
        if changed:
            raise UserError(f"{out} holds a run with another {changed[0]}: choose another --out")
    digest = expect(recipe, data, out) if begun else key(recipe, data)
    write_whole(files[0], json.dumps(now, indent=2).encode())
    noted = {"folder": str(data.resolve()), "key": digest}
    write_whole(files[1], (json.dumps(noted, indent=2) + "\n").encode())


def read(out: Path) -> dict:
    """Gives what data.json holds; nothing for a run from before there was one.

    Raises:
        UserError: it cannot be read.
    """
    return read_noted(out)


def expect(recipe: Recipe, data: Path, out: Path) -> str:
    """Gives the key of data, which has to be what the run in a folder is on.

    Raises:
        UserError: it is on other data; the data cannot be read.
    """
    digest, there = key(recipe, data), read(out)
    if there.get("key", digest) != digest:
        raise UserError(
            f"{out} holds a run on other data ({there.get('folder')}): choose another --out"
        )
    return digest


def key(recipe: Recipe, data: Path) -> str:
    """Names data by its files' names, sizes and labels, wherever it lies.

    With `select=val` the validation set is part of it, since it chooses the epoch. Pre-training
    has its images alone: labels only watch it.

    Raises:
        UserError: the layout is not the course's, or a file is missing.
    """
    digest = hashlib.sha256()
    for part in ("train", "val") if recipe.select == "val" else ("train",):
        if recipe.task == "p3":
            tiles = list_tiles(data / {"train": "train", "val": "validation"}[part])
            paths = [*tiles, *(tile.with_name(landcover.mask_name(tile.name)) for tile in tiles)]
        elif recipe.task == "byol":
            paths = unlabelled.read(data).paths
        else:
            paths, labels = labelled.read(recipe.task, data, part)
            digest.update(labels.tobytes())
        for path in paths:
            try:
                named = f"{path.name}\0{path.stat().st_size}\n"
                digest.update(named.encode("utf-8", "surrogateescape"))
            except OSError as error:
                raise UserError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()[:16]
