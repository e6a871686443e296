"""What turns each public dataset into its part of the course's hw1_data/."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from inference import UserError
from inference.spelling import listed
from training.datasets.public import cifar, deepglobe, mini_imagenet, office_home
from training.datasets.public.place import place


@dataclass(frozen=True)
class Importer:
    """One dataset.

    Attributes:
        part: of hw1_data, which is made.
        reads: what it is read from and what becomes of it, in words.
        options: what it takes beside the seed: all, half, domain.
        fill: (folder, source, seed, options) -> what DATA.json says of the data.
    """

    part: str
    reads: str
    options: tuple[str, ...]
    fill: Callable[[Path, Path, int, Mapping[str, Any]], dict]


def _cifar(form: Any, folder: Path, source: Path, seed: int, options: Mapping[str, Any]) -> dict:
    whole = options.get("all", False)
    half = None
    if form is cifar.CIFAR100 and not whole:
        half = options.get("half") or 1
    return cifar.fill(folder, form, source, seed, half=half, whole=whole)


def _cifar_importer(form: Any, *options: str) -> Importer:
    reads = (
        f"{form.archive}, or the folder {form.folder}; 450 + 50 images a class, all of them from "
        "the training images, or with --all every class and image, a tenth in val_50"
    )
    return Importer("p1_data", reads, ("all", *options), partial(_cifar, form))


IMPORTERS = {
    "cifar10": _cifar_importer(cifar.CIFAR10),
    "cifar100": _cifar_importer(cifar.CIFAR100, "half"),
    "mini-imagenet": Importer(
        "p2_data/mini",
        "a folder with train.csv and images/, one with class folders (those of the training split "
        f"are taken), or {mini_imagenet.CACHE}; 84x84",
        (),
        lambda folder, source, seed, _: mini_imagenet.fill(folder, source, seed),
    ),
    "office-home": Importer(
        "p2_data/office",
        "the unpacked OfficeHomeDataset_10072016; 3,951 + 406 images of Real World, as many as in "
        "the course, or of another --domain",
        ("domain",),
        lambda folder, source, seed, options: office_home.fill(
            folder, source, options.get("domain") or "Real World", seed
        ),
    ),
    "deepglobe": Importer(
        "p3_data",
        "the folder with train/*_sat.jpg and *_mask.png; 2,000 + 257 tiles of 512x512, no scene in "
        "both sets, or with --all every tile, about 12,800",
        ("all",),
        lambda folder, source, seed, options: deepglobe.fill(
            folder, source, seed, options.get("all", False)
        ),
    ),
}


def described() -> str:
    """Return what each dataset is read from and what becomes of it, in lines for a terminal."""
    indent = " " * (max(map(len, IMPORTERS)) + 4)
    lines = ["what each DATASET is read from, and what is made of it:"]
    for name, importer in IMPORTERS.items():
        first = f"  {name}".ljust(len(indent))
        text = f"{importer.reads} -> {importer.part}"
        lines += textwrap.wrap(text, 96, initial_indent=first, subsequent_indent=indent)
    return "\n".join(lines)


def import_data(name: str, source: Path, out: Path, seed: int, options: Mapping[str, Any]) -> str:
    """Make a dataset's part of a hw1_data folder, and return a line on what was written.

    Args:
        options: those that were given, by name.

    Raises:
        UserError: no such dataset, an option that it does not take, or what reading it meets.
    """
    if name not in IMPORTERS:
        raise UserError(f"no dataset '{name}'; there are: {listed(name, IMPORTERS)}")
    importer = IMPORTERS[name]
    odd = [key for key in options if key not in importer.options]
    if odd:
        takes = ", ".join(f"--{key}" for key in importer.options) or "none but --seed"
        raise UserError(f"{name} takes no --{odd[0]}; it takes {takes}")
    if options.get("all") and options.get("half"):
        raise UserError("--all takes every class, --half one half of them: give one of the two")
    domain = options.get("domain")
    if domain is not None and domain not in office_home.DOMAINS:
        raise UserError(f"--domain {domain}: there are {listed(domain, office_home.DOMAINS)}")
    return place(out, importer.part, lambda folder: importer.fill(folder, source, seed, options))
