"""Office-Home (https://www.hemanthdv.org/officeHomeDataset.html) -> p2_data/office.

The course's 3,951 + 406 images are as many as the domain Real World has, 4,357, so that is what is
taken unless another is asked for: Art 2,427, Clipart 4,365, Product 4,439.
"""

import re
from pathlib import Path

import numpy as np

from inference import UserError
from inference.images import list_images
from training.datasets.public.files import decode, for_each, write_table

DOMAINS = ("Art", "Clipart", "Product", "Real World")
CLASSES = 65
VAL_SHARE = 406 / 4357  # the course's


def fill(folder: Path, source: Path, domain: str, seed: int) -> dict:
    """Write train/, val/ and their csv files; images are copied as they are.

    Classes are numbered by their names' order. The names of val's files say nothing of them.

    Args:
        folder: empty.
        source: holds the domains' folders, or the folder that does.
        domain: one of `DOMAINS`.

    Returns:
        What DATA.json says.

    Raises:
        UserError: `source` is not the dataset, or an image in it is damaged.
    """
    classes = _class_folders(source, domain)
    paths = [list_images(one) for one in classes]
    jobs = []
    tables: dict[str, list] = {"train": [], "val": []}
    val = []
    quotas = quota([len(those) for those in paths])
    for label, (those, held) in enumerate(zip(paths, quotas, strict=True)):
        order = np.random.default_rng([seed, label]).permutation(len(those)).tolist()
        val += [(those[i], label) for i in order[:held]]
        for number, i in enumerate(order[held:]):
            name = f"{label}_{number}{those[i].suffix.lower()}"
            tables["train"].append((name, label))
            jobs.append((those[i], folder / "train" / name))
    for number, i in enumerate(np.random.default_rng([seed, len(paths)]).permutation(len(val))):
        path, label = val[i]
        name = f"{number:04d}{path.suffix.lower()}"
        tables["val"].append((name, label))
        jobs.append((path, folder / "val" / name))
    for part, rows in tables.items():
        (folder / part).mkdir()
        write_table(folder / f"{part}.csv", rows)
    for_each(_copy, jobs)
    names = [one.name for one in classes]
    return {"source": f"Office-Home, {domain}", "seed": seed, "classes": names}


def quota(counts: list[int]) -> list[int]:
    """Divide the validation set among classes by their sizes, to the image (largest remainders).

    Args:
        counts: images of each class, at least 2.

    Returns:
        How many of each are for validation, at least one.
    """
    exact = [count * VAL_SHARE for count in counts]
    found = [max(1, int(share)) for share in exact]
    left = max(0, round(sum(exact)) - sum(found))
    by_rest = sorted(range(len(counts)), key=lambda i: found[i] - exact[i])
    for i in by_rest[:left]:
        found[i] += 1
    return found


def _class_folders(source: Path, domain: str) -> list[Path]:
    """Find the 65 folders of a domain, sorted by name."""
    key = _plain(domain)
    places = [source.absolute()]
    for _ in range(2):  # the folder itself, the one that holds it, and the one that holds that
        places += [path for place in places for path in _folders(place) if path not in places]
    found = [path for path in places if _plain(path.name) == key]
    if not found:
        raise UserError(
            f"no folder '{domain}' in {source}: give the unpacked OfficeHomeDataset_10072016, "
            f"which holds {', '.join(DOMAINS)}"
        )
    classes = _folders(found[0])
    if len(classes) != CLASSES:
        raise UserError(f"{found[0]} holds {len(classes)} classes, not {CLASSES}: is it complete?")
    for one in classes:
        if len(list_images(one)) < 2:
            raise UserError(f"one image in {one}, which cannot be split: is it complete?")
    return classes


def _folders(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())
    except OSError:  # no folder, or one that may not be listed, as lost+found
        return []


def _plain(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())  # Real World, Real_World and RealWorld


def _copy(path: Path, to: Path) -> None:
    decode(path)  # a damaged file is to be known now
    to.write_bytes(path.read_bytes())
