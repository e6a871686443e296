"""Writes a generated `hw1_data/`: which files there are, over all cores, whole or not at all."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from inference import UserError
from inference.zoo.provenance import GENERATED as RECORD
from training.datasets.sample.problems import (
    MINI_CLASSES,
    OFFICE_CLASSES,
    P1_CLASSES,
    mini_image,
    office_image,
    p1_image,
)

# To be raised whenever any picture of the same seed changes.
GENERATOR = 1

_P1_A_CLASS = 450  # in train; the course's val_50 goes on counting from here
_JPEG = {"p2": 88, "p3": 90}
_CHUNK = 4  # pictures that a process fetches at a time, and that the bar moves by
_P3_ALWAYS = (13, 62, 104)  # the validation tiles that the report draws


@dataclass(frozen=True)
class Scale:
    """How many pictures: a class in P1, in all elsewhere."""

    p1_train: int
    p1_val: int
    mini: int
    office_train: int
    office_val: int
    p3_train: int
    p3_validation: int


SCALES = {
    "small": Scale(60, 10, 10 * MINI_CLASSES, 12 * OFFICE_CLASSES, 3 * OFFICE_CLASSES, 160, 40),
    "full": Scale(450, 50, 600 * MINI_CLASSES, 3951, 406, 2000, 257),
}


def validation_indices(count):
    """The numbers of the P3 validation tiles, at least 3: 0013, 0062, 0104 always among them."""
    kept = [i for i in _P3_ALWAYS if i < count]
    late = [i for i in _P3_ALWAYS if i not in kept]
    return [*range(count - len(late)), *late]


def plan(scale):
    """Every picture, as (problem, split, label or None, index, path).

    Pictures of a problem go through its classes in turn, so that a smaller count is a prefix of a
    larger one. P1 is named `{class}_{id}.png`, with ids that go on from train to val; mini
    `{number}.jpg`; office `{class}_{index}.jpg` in train and, as the hidden test set, `0000.jpg`
    in val; a path ends in `xxxx_sat.jpg` in P3, its mask lies beside it.
    """
    counts = SCALES[scale]
    for split, each, first in (("train", counts.p1_train, 0), ("val", counts.p1_val, _P1_A_CLASS)):
        for label in range(P1_CLASSES):
            for i in range(each):
                yield "p1", split, label, i, f"p1_data/{split}_50/{label}_{first + i}.png"
    for number in range(counts.mini):
        index, label = divmod(number, MINI_CLASSES)
        yield "mini", "train", label, index, f"p2_data/mini/train/{number}.jpg"
    for split, count in (("train", counts.office_train), ("val", counts.office_val)):
        for number in range(count):
            index, label = divmod(number, OFFICE_CLASSES)
            name = f"{label}_{index}" if split == "train" else f"{number:04d}"
            yield "office", split, label, index, f"p2_data/office/{split}/{name}.jpg"
    for index in range(counts.p3_train):
        yield "p3", "train", None, index, f"p3_data/train/{index:04d}_sat.jpg"
    for index in validation_indices(counts.p3_validation):
        yield "p3", "validation", None, index, f"p3_data/validation/{index:04d}_sat.jpg"


def generate(out, scale="small", seed=0, workers=None):
    """Write the data set into a new or empty folder; change nothing where it is there already.

    Args:
        out: the folder, `hw1_data`.
        scale: a key of `SCALES`.
        seed: the same one gives the same arrays.
        workers: processes; all usable cores if None.

    Returns:
        One line on what was done.

    Raises:
        UserError: `out` holds something else, or cannot be written.
    """
    out = Path(out).absolute()
    record = _record(scale, seed)
    try:
        held = _holds(out, record)
    except OSError as error:
        raise UserError(f"cannot read {out} ({error.strerror}): choose another folder") from None
    if held:
        return f"{out} already holds the {scale} sample data of seed {seed}: nothing to do"
    # Named before it is made: an interrupt at any moment from here on finds what to delete.
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    made = [folder for folder in partial.parents if not os.path.lexists(folder)]
    try:
        partial.mkdir(parents=True)
        _write_all(partial, scale, seed, workers)
        (partial / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        partial.rename(out)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write {out} ({reason}): choose another folder") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in made:  # unless it holds what was written
            with contextlib.suppress(OSError):
                folder.rmdir()
    total = sum(record["pictures"].values())
    return f"wrote {total} generated pictures ({scale} scale, seed {seed}) to {out}"


def _record(scale, seed):
    pictures: dict[str, int] = {}
    for *_, path in plan(scale):
        folder = str(Path(path).parent)
        pictures[folder] = pictures.get(folder, 0) + 1
    return {
        "generated": True,
        "about": "Generated sample data in the course's layout; not the course's data.",
        "scale": scale,
        "seed": seed,
        "generator": GENERATOR,
        "pictures": pictures,
    }


def _holds(out, record):
    """Whether a folder holds exactly this data; an error if it holds anything else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / RECORD).read_text())
        if not isinstance(found, dict):
            raise ValueError
    except (OSError, ValueError):
        raise UserError(
            f"{out} exists and is no sample data: nothing was written; choose another folder"
        ) from None
    if found != record:
        what = ", ".join(f"{key} {found.get(key)}" for key in ("scale", "seed", "generator"))
        raise UserError(f"{out} holds other sample data ({what}): delete it or choose another")
    for folder, count in record["pictures"].items():
        masks = sum(name.endswith("_mask.png") for name in _names(out / folder))
        for kind, there in (("pictures", len(_names(out / folder)) - masks), ("masks", masks)):
            if there < count and (kind == "pictures" or folder.startswith("p3_data")):
                raise UserError(f"{out / folder} lacks {count - there} {kind}: delete {out}")
    for split in ("train", "val"):
        if not (out / _table(split)).is_file():
            raise UserError(f"{out} lacks {_table(split)}: delete {out}")
    return True


def _table(split):
    return Path("p2_data", "office", f"{split}.csv")


def _names(folder):
    return [entry.name for entry in os.scandir(folder)] if folder.is_dir() else []


def _write_all(root, scale, seed, workers):
    pictures = list(plan(scale))
    for folder in {str(Path(picture[-1]).parent) for picture in pictures}:
        (root / folder).mkdir(parents=True)
    _write_tables(root, pictures)
    jobs = [(root, seed, *picture) for picture in _spread(pictures)]
    if workers is None:
        usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
        workers = len(usable(0))
    if workers == 1:
        _report(map(_write, jobs), len(jobs))
        return
    # Spawned, since a fork of a process with threads (torch's, say) may hang.
    with multiprocessing.get_context("spawn").Pool(workers, _ignore_interrupt) as pool:
        _report(pool.imap_unordered(_write, jobs, _CHUNK), len(jobs))


def _spread(pictures):
    """Return pictures with each problem's spread evenly: the bar's first estimate is the last.

    A tile of P3 takes a hundred times as long as a picture of P1.
    """
    counts = Counter(problem for problem, *_ in pictures)
    seen: Counter[str] = Counter()
    places = []
    for picture in pictures:
        seen[picture[0]] += 1
        places.append(seen[picture[0]] / counts[picture[0]])
    return [pictures[i] for i in sorted(range(len(pictures)), key=places.__getitem__)]


def _ignore_interrupt():
    """Ctrl-C reaches the whole process group; the parent alone answers, and ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _report(done, total):
    """Consume an iterator, with a bar on stderr from the start when it is a terminal."""
    for _ in tqdm(done, "sample data", total, leave=False, unit="picture", disable=None):
        pass


def _write_tables(root, pictures):
    """`train.csv` and `val.csv` of office: id,filename,label."""
    for split in ("train", "val"):
        chosen = [p for p in pictures if p[:2] == ("office", split)]
        rows = [f"{i},{Path(path).name},{label}" for i, (_, _, label, _, path) in enumerate(chosen)]
        table = "\n".join(["id,filename,label", *rows, ""])
        (root / _table(split)).write_text(table)


def _write(job):
    """Draw and write one picture of the plan."""
    root, seed, problem, split, label, index, path = job
    if problem == "p3":
        _write_tile(root / path, seed, index, split)
        return
    draw = {"p1": p1_image, "mini": mini_image, "office": office_image}[problem]
    picture = Image.fromarray(draw(seed, split, label, index))
    picture.save(root / path, quality=_JPEG["p2"])


def _write_tile(path, seed, index, split):
    from inference.landcover import encode_png, mask_name, to_colours
    from training.datasets.sample.landscapes import landscape

    rgb, mask = landscape(seed, index, split)
    Image.fromarray(rgb).save(path, quality=_JPEG["p3"])
    path.with_name(mask_name(path.name)).write_bytes(encode_png(to_colours(mask)))
