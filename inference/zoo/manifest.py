"""The records of `zoo.json`: one a checkpoint, and which of them are defaults.

    {"defaults": {"p1": ["p1-a"]}, "checkpoints": {"p1-a": {"task": "p1", "network": ...}}}

A record that lacks a field, has one too many or one of the wrong type fails when it is read; only
`names` may be missing.
"""

from __future__ import annotations

import json
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
_FIELDS = {f.name: _TYPES[f.type] for f in fields(Record) if f.name not in ("name", "folder")}
_OPTIONAL = ("names",)
_LONGEST = 100  # characters of a name: it is to fit a column's head and a caption


def read(file: Path) -> dict:
    """Reads zoo.json: {"defaults": {task: [name, ...]}, "checkpoints": {name: {...}}}.

    Raises:
        UserError: it is missing or malformed.
    """
    try:
        zoo = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from None
    except ValueError as error:
        raise _unusable(file, f"it is not JSON ({error})") from None
    _check(zoo, file)
    return zoo


def write(zoo: dict, file: Path) -> None:
    """Replaces zoo.json in one step; what `read` would refuse is not written.

    Args:
        zoo: in the form that `read` gives; its order is kept, and its floats as they are.
        file: the zoo.json.
    """
    _check(zoo, file)
    text = json.dumps(zoo, indent=2, ensure_ascii=False) + "\n"
    files.write_whole(file, text.encode())


def from_entry(name: str, entry: dict, file: Path) -> Record:
    """Makes the record of what stands under `name` in the zoo.json `file`.

    Its urls are those of the files themselves, even where somebody wrote down a page about one.
    """
    urls = _direct(entry["urls"])
    return Record(name=name, folder=file.parent.parent / "weights", **{**entry, "urls": urls})


def to_entry(record: Record) -> dict:
    """Makes what stands under the record's name in zoo.json."""
    whole = asdict(record)
    return {name: whole[name] for name in _FIELDS if whole[name] or name not in _OPTIONAL}


def problem_of_names(names: list, classes: int) -> str | None:
    """Return what is wrong with the names of classes, in words; None where nothing is."""
    if len(names) != classes:
        return f"{len(names)} names for {classes} classes"
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            return f"the name of class {number} is {json.dumps(name)}, no word"
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
        problem = _problem_of(entry)
        if problem:
            raise _unusable(file, f"checkpoint {name!r}: {problem}")
    for task, names in zoo["defaults"].items():
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(names, list) or name not in zoo["checkpoints"]:
                raise _unusable(file, f"{name!r}, a default of {task!r}, has no record")


def _problem_of(entry) -> str | None:
    if not isinstance(entry, dict):
        return "it is no record"
    for name in entry:
        if name not in _FIELDS:
            return f"no field {name!r} in a record; fields: {', '.join(_FIELDS)}"
    for name, wanted in _FIELDS.items():
        if name in _OPTIONAL and name not in entry:
            continue
        if not isinstance(entry.get(name), wanted):
            return f"its {name!r} is " + (f"no {wanted.__name__}" if name in entry else "missing")
    numbers = [entry["input"].get(name) for name in ("mean", "std")]
    if "size" not in entry["input"] or any(
        not isinstance(three, list) or len(three) != 3 for three in numbers
    ):
        return "its 'input' wants size, and mean and std of three numbers"
    if Path(entry["file"]).name != entry["file"]:
        return f"its file {entry['file']!r} is not a plain file name"
    try:
        _direct(entry["urls"])
    except UserError as error:
        return str(error)
    return problem_of_names(entry["names"], entry["classes"]) if "names" in entry else None


def _direct(urls: list) -> list:
    if not urls:  # as of what comes with a clone, for which urllib would be imported in vain
        return []
    from inference.zoo.urls import direct

    return [direct(url) for url in urls]


def _unusable(file: Path, why: str) -> UserError:
    short = f"{file.parent.name}/{file.name}"
    return UserError(f"cannot use {file}: {why}; mend it, or restore it: git checkout {short}")
