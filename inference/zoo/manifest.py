"""The records of `zoo.json`: one a checkpoint, and which of them are defaults.

    {"defaults": {"p1": ["p1-a"]}, "checkpoints": {"p1-a": {"task": "p1", "network": ...}}}

A record that lacks a field, has one too many, or one of the wrong type or out of its range fails
when it is read; only `names` may be missing, and any of the `scores`.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from inference import UserError, files

ZOO = Path(__file__).resolve().parents[1] / "zoo.json"
WEIGHTS = ZOO.parent.parent / "weights"


@dataclass(frozen=True)
class Record:
    """One checkpoint, as `zoo.json` describes it.

    Attributes:
        name: what `--model` calls it.
        task: "p1", "p2" or "p3".
        network: key of `inference.networks.NETWORKS`.
        arguments: of the network's constructor, beside the number of classes.
        classes: number of outputs.
        input: {"size": side in pixels that images are resized to, or None for their own size,
            "mean": three numbers, "std": three numbers}, mean and std of RGB in [0, 1].
        tta: whether predictions are averaged over views, for which `--tta` asks too: the image
            and its mirror image, of "p3" all eight flips and rotations.
        file: name of the file in `folder`.
        bytes: its size.
        sha256: its hash, in lower-case hexadecimal.
        urls: where it can be had, tried in order: gdrive:ID, https://..., file:...; see urls.py.
        trained_on: the data, in words.
        recipe: name of the training recipe.
        scores: {"data": which set, "images": how many, "metric": "accuracy" or "mIoU", "fp32":
            score in [0, 1], "fast": {"cuda-fp16": {"score": ..., "agreement": ...}, ...}}, and
            "select": "val" where those images chose the epoch, which flatters the score.
        names: of the classes, in the order of their numbers; none where nobody said.
        folder: follows from where the zoo.json lies, and is not written there.
    """

    name: str
    task: str
    network: str
    arguments: dict
    classes: int
    input: dict
    tta: bool
    file: str
    bytes: int
    sha256: str
    urls: list
    trained_on: str
    recipe: str
    scores: dict
    names: list = field(default_factory=list)
    folder: Path = WEIGHTS

    @property
    def size(self) -> int | None:
        return self.input["size"]

    @property
    def mean(self) -> list:
        return self.input["mean"]

    @property
    def std(self) -> list:
        return self.input["std"]

    @property
    def class_names(self) -> list:
        """The names of the classes, of P3 at least those of its colours; else none."""
        if not self.names and self.task == "p3":
            from inference.landcover import CLASSES  # numpy, for which `list` does not wait

            return list(CLASSES) if self.classes == len(CLASSES) else []
        return self.names


_TYPES = {"str": str, "int": int, "bool": bool, "dict": dict, "list": list}
_FIELDS = {f.name: _TYPES[str(f.type)] for f in fields(Record) if f.name not in ("name", "folder")}
_OPTIONAL = ("names",)
_LONGEST = 100  # characters of a name: it is to fit a column's head and a caption
_LARGEST = 4096  # side of a classifier's input, in pixels
_LAND_COVER = 7  # classes that a mask has colours for, Unknown among them
_TEXTS = ("task", "network", "file", "trained_on", "recipe")


def read(file: Path) -> dict:
    """Read zoo.json: {"defaults": {task: [name, ...]}, "checkpoints": {name: {...}}}.

    Raises:
        UserError: it is missing or malformed.
    """
    try:
        zoo = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise _unusable(file, f"it is not JSON ({error})") from None
    _check(zoo, file)
    return zoo


def write(zoo: dict, file: Path) -> None:
    """Replace zoo.json in one step; what `read` would refuse is not written.

    Args:
        zoo: in the form that `read` gives; its order is kept, and its floats as they are.
        file: the zoo.json.
    """
    _check(zoo, file)
    text = json.dumps(zoo, indent=2, ensure_ascii=False) + "\n"
    files.write_whole(file, text.encode())


def from_entry(name: str, entry: dict, file: Path) -> Record:
    """Make the record of what stands under `name` in the zoo.json `file`.

    Its urls are those of the files themselves, even where somebody wrote down a page about one.
    """
    urls = _direct(entry["urls"])
    return Record(name=name, folder=file.parent.parent / "weights", **{**entry, "urls": urls})


def to_entry(record: Record) -> dict:
    """Make what stands under the record's name in zoo.json."""
    whole = asdict(record)
    return {name: whole[name] for name in _FIELDS if whole[name] or name not in _OPTIONAL}


def problem_of_names(names: list, classes: int) -> str | None:
    """Return what is wrong with the names of classes, in words; None where nothing is."""
    if len(names) != classes:
        return f"{len(names)} names for {classes} classes"
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            return f"the name of class {number} is {_short(name)}, no word"
        if not name.isprintable() or len(name) > _LONGEST:
            return (
                f"the name of class {number}, {json.dumps(name)[:40]}, is no single line of at "
                f"most {_LONGEST} characters"
            )
        if name in names[:number]:
            return f"classes {names.index(name)} and {number} are both called {json.dumps(name)}"
    return None


def _check(zoo, file: Path) -> None:
    for part in ("defaults", "checkpoints"):
        if not isinstance(zoo, dict) or not isinstance(zoo.get(part), dict):
            raise _unusable(file, f"it has no {part!r}")
    for name, entry in zoo["checkpoints"].items():
        problem = _problem_of(entry) if _is_line(name) else "its name is no single line of text"
        if problem:
            raise _unusable(file, f"checkpoint {name!a}: {problem}")
    for task, names in zoo["defaults"].items():
        for name in names if isinstance(names, list) else [names]:
            known = isinstance(names, list) and isinstance(name, str)
            if not known or name not in zoo["checkpoints"]:
                raise _unusable(file, f"{ascii(name)[:60]}, a default of {task!a}, has no record")
            if zoo["checkpoints"][name]["task"] != task:
                raise _unusable(file, f"{name!a}, a default of {task!a}, is for another task")
    try:
        json.dumps(zoo, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _unusable(file, "it holds half a character, like \\ud800") from None


def _problem_of(entry) -> str | None:
    """Return what is wrong with what stands under a checkpoint's name; None where nothing is."""
    if not isinstance(entry, dict):
        return "it is no record"
    for name in entry:
        if name not in _FIELDS:
            return f"no field {name!a} in a record; fields: {', '.join(_FIELDS)}"
    for name, wanted in _FIELDS.items():
        if name in _OPTIONAL and name not in entry:
            continue
        value = entry.get(name)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            return f"its {name!r} is " + (f"no {wanted.__name__}" if name in entry else "missing")
    for name in _TEXTS:
        if not _is_line(entry[name]):
            return f"its {name!r} is no single line of text: {_short(entry[name])}"
    for name, least in (("classes", 1), ("bytes", 0)):
        if not least <= entry[name] < 1 << 63:
            return f"its {name!r} is {_short(entry[name])}, and not from {least} up"
    if not re.fullmatch("[0-9a-f]{64}|", entry["sha256"]):
        return f"its 'sha256' is {_short(entry['sha256'])}, and not 64 digits from 0 to f"
    if entry["task"] == "p3" and entry["classes"] > _LAND_COVER:
        return f"its 'classes' is {entry['classes']}, and land cover has {_LAND_COVER}"
    file = entry["file"]
    if Path(file).name != file or not 0 < len(file.encode("utf-8", "replace")) < 256:
        return f"its file {_short(file)} is not a plain file name"
    problem = _problem_of_input(entry["input"], entry["task"]) or _problem_of_scores(
        entry["scores"]
    )
    if problem:
        return problem
    try:
        _direct(entry["urls"])
    except UserError as error:
        return str(error)
    return problem_of_names(entry["names"], entry["classes"]) if "names" in entry else None


def _problem_of_input(given: dict, task: str) -> str | None:
    if "size" not in given or not all(_are_three(given.get(name)) for name in ("mean", "std")):
        return "its 'input' wants size, and mean and std of three numbers"
    size = given["size"]
    if task == "p3" and size is not None:
        return f"its 'size' is {_short(size)}, and not null: maps are of their images' own sizes"
    if size is not None and (type(size) is not int or not 1 <= size <= _LARGEST):
        return f"its 'size' is {_short(size)}, and no whole number of pixels from 1 to {_LARGEST}"
    # Of channels in [0, 1]. What lies far outside cannot be computed with, and answers class 0.
    if (
        max(map(abs, given["mean"])) > 1e4
        or not 1e-6 <= min(given["std"]) <= max(given["std"]) <= 1e4
    ):
        return "its 'mean' and 'std' are of channels in [0, 1], and std is above 0"
    return None


def _problem_of_scores(scores: dict) -> str | None:
    """Return what is wrong with scores; any of them may be missing, as somebody wrote them down."""
    for name in ("data", "metric", "select"):
        if name in scores and not _is_line(scores[name]):
            return f"its 'scores': {name} is no single line of text: {_short(scores[name])}"
    if "images" in scores and (type(scores["images"]) is not int or scores["images"] < 1):
        return f"its 'scores': images is {_short(scores['images'])}, and not from 1 up"
    fast = scores.get("fast") or {}
    if not isinstance(fast, dict) or not all(isinstance(found, dict) for found in fast.values()):
        return f"its 'scores': fast is no record of precisions: {_short(fast)}"
    for where, found in (("", scores), *((f"{name!a}: ", found) for name, found in fast.items())):
        for name in ("fp32", "score", "agreement"):
            if name in found and not (_is_number(found[name]) and 0 <= found[name] <= 1):
                return f"its 'scores': {where}{name} is {_short(found[name])}, and no share, 0 to 1"
    return None


def _are_three(value) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_number(value) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _is_line(value) -> bool:
    """Whether a value is text that a table can show: no line break in it, and no half character."""
    return isinstance(value, str) and value.isprintable()


def _short(value) -> str:
    """Return a value as JSON, for a message: plain ASCII, and its beginning if it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _direct(urls: list) -> list:
    if not urls:  # as of what comes with a clone, for which urllib would be imported in vain
        return []
    from inference.zoo.urls import direct

    return [direct(url) for url in urls]


def _unusable(file: Path, why: str) -> UserError:
    short = f"{file.parent.name}/{file.name}"
    return UserError(f"cannot use {file}: {why}; mend it, or restore it: git checkout {short}")
