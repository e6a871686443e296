"""Trials of checkpoints and of zoo.json."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inference.__main__ import main
from inference.landcover import COLOURS
from scripts.fuzzing import corners
from scripts.fuzzing.damage import damage, damage_json
from scripts.fuzzing.pictures import OLD, PROGRAM, expect_rows, read_csv
from scripts.fuzzing.trial import Trial, expect

TASKS = {"p1": "classify", "p2": "classify-csv", "p3": "segment"}
DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float64, torch.complex64),
    *(torch.int8, torch.uint8, torch.int64, torch.bool),
)


def checkpoint(trial: Trial) -> None:
    """A checkpoint that is damaged, or something else: the right answers, or one line."""
    corners.write_zoo(trial.folder)
    data, must_fail = _checkpoint(trial)
    file = trial.folder / "weights" / "p1-corners.pth"
    way = trial.random.choice(("--weights", "recorded", "damaged"))
    if way == "--weights":
        file = trial.folder / "mine.pth"
    if way == "recorded":
        _record(trial.folder, data)
    original = corners.packed(corners.state())
    trial.write(file, data)
    with corners.at_work(trial.folder):
        options = ["--weights", file] if way == "--weights" else []
        status = _predict(trial, "p1", options)
        if trial.chance(0.3):
            trial.run(PROGRAM, main, "list", quiet=False)
    expect(status == 2 or not must_fail, f"answers with a checkpoint {must_fail}")
    if way == "damaged" and data != original:
        expect(status == 2, "answers with a checkpoint that was changed")


def zoo(trial: Trial) -> None:
    """A zoo.json with fields removed, of other types or odd: answers, or one line."""
    written = corners.write_zoo(trial.folder)
    text = damage_json(trial.random, written)
    trial.write(trial.folder / "inference" / "zoo.json", text)
    with corners.at_work(trial.folder):
        trial.run(PROGRAM, main, "list", quiet=False)
        task = trial.random.choice([*TASKS])
        options = ["--model", f"{task}-corners"] * trial.chance(0.3)
        _predict(trial, task, options)


def _record(root: Path, data: bytes) -> None:
    """Let the zoo say that these are the right bytes."""
    file = root / "inference" / "zoo.json"
    written = json.loads(file.read_text())
    entry = written["checkpoints"]["p1-corners"]
    entry["bytes"], entry["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    file.write_text(json.dumps(written))


def _predict(trial: Trial, task: str, options: list) -> int:
    """Predict two sound pictures; all are answered, or none and nothing is written."""
    folder, out = trial.folder / "in", trial.folder / "out"
    folder.mkdir()
    names = ["0_sat.png", "1_sat.png"]
    for number, name in enumerate(names):
        Image.new("RGB", (8, 8), tuple(COLOURS[number].tolist())).save(folder / name)
    places = [folder, out if task == "p3" else out / "pred.csv"]
    if task == "p2":
        table = trial.folder / "test.csv"
        table.write_text(
            "id,filename,label\n" + "".join(f"{i},{n},\n" for i, n in enumerate(names))
        )
        places.insert(0, table)
    if task != "p3" and trial.chance(0.3):
        trial.write(out / "pred.csv", OLD)
    words = [TASKS[task], *places, *options, *["--fill"] * trial.chance(0.5)]
    words += ["--device", trial.random.choice(("cpu", "auto"))]
    answer = trial.run(PROGRAM, main, *words)
    if answer.status == 2:
        left = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
        expect(
            not left or (out / "pred.csv").read_bytes() == OLD,
            f"an error, and something is written: {left}",
        )
    elif task == "p3":
        expect(len(list(out.iterdir())) == len(names), "a mask is missing")
    else:
        expect_rows([row[-2] for row in read_csv(out / "pred.csv")[1:]], names)
    expect("cannot read" not in answer.err or answer.status == 2, "blames sound pictures")
    return answer.status


def _checkpoint(trial: Trial) -> tuple[bytes, str]:
    """Return a checkpoint's bytes, and why it must be refused, or nothing where it need not be."""
    way = trial.random.choice(("bytes", "bytes", "tensors", "tensors", "numbers", "object"))
    if way == "bytes":
        old = {"_use_new_zipfile_serialization": not trial.chance(0.3)}
        return damage(trial.random, corners.packed(corners.state(), **old)), ""
    if way == "numbers":
        state, key = corners.state(), trial.random.choice([*corners.state()])
        flat = state[key].flatten()
        flat[trial.random.randrange(len(flat))] = trial.random.choice((np.nan, np.inf, -np.inf))
        state[key] = flat.reshape(state[key].shape)
        return corners.packed(state), "that holds nan or inf"
    if way == "tensors":
        return corners.packed(_tensors(trial)), ""
    return _object(trial), "that is no state dict"


def _tensors(trial: Trial) -> dict:
    """Return a state dict of other keys, shapes or types."""
    state = corners.state()
    key = trial.random.choice([*state])
    value = state[key]
    changes = {
        "dtype": lambda: {key: value.to(trial.random.choice(DTYPES))},
        "shape": lambda: {key: value[:-1]},
        "flat": lambda: {key: value.reshape(-1)},
        "scalar": lambda: {key: torch.tensor(1.0)},
        "empty": lambda: {key: value[:0]},
        "expanded": lambda: {key: torch.zeros(1).expand(value.shape)},
        "sparse": lambda: {key: value.reshape(len(value), -1).to_sparse()},
        "quantised": lambda: {key: _quantised(value)},
        "meta": lambda: {key: value.to("meta")},
        "learned": lambda: {key: torch.nn.Parameter(value)},
        "prefix": lambda: {f"module.{name}": tensor for name, tensor in state.items()},
        "more": lambda: {trial.random.choice(("", "a\nb", "é", 3, None, ("x",))): value},
    }
    way = trial.random.choice([*changes])
    changed = changes[way]()
    if way in ("prefix", "more") or trial.chance(0.1):
        return changed if way == "prefix" else {**state, **changed}
    return {**state, **changed}


def _quantised(value: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what torch will drop; old checkpoints have it
        return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


def _object(trial: Trial) -> bytes:
    """Return a file that holds something else than a state dict."""
    state = corners.state()
    numbers = io.BytesIO()
    np.savez(numbers, **{key: value.numpy() for key, value in state.items()})
    saved = (
        *([], {}, None, 3, "x", list(state.values()), {"state_dict": state}, {"epoch": 3, **state}),
        *({"a": np.zeros(3)}, {"a": {"b": torch.zeros(1)}}, torch.zeros(3), Path("/nowhere")),
        {"lr": 0.1, "model": state},
    )
    return trial.random.choice(
        (
            *(corners.packed(one) for one in saved),
            *(pickle.dumps({"a": 1}), pickle.dumps(OSError), b"cos\nsystem\n(S'false'\ntR."),
            numbers.getvalue(),
        )
    )
