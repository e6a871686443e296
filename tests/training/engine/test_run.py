"""The training command from outside: killed, interrupted, refused, and what it says."""

import csv
import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.engine.started import run, start, wait_until

COMMAND = ("training", "fit", "p1-a", "--data", "p1_data")
FIELDS = (
    "classes=3",
    "epochs=12",
    "batch_size=16",
    'arguments={"widths": [4, 8, 128], "depths": [1, 0], "dropout": 0.1}',
    "select_epoch_by=HeldOut(0.05)",
    "keep_epochs=[1, 4]",
    "precision=fp32",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with P1 data of three classes: noise of three colours."""
    root = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)
    for part, count in (("train_50", 40), ("val_50", 4)):
        (root / "p1_data" / part).mkdir(parents=True)
        for label in range(3):
            for i in range(count):
                pixels = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 100
                Image.fromarray(pixels).save(root / "p1_data" / part / f"{label}_{i}.png")
    return root


@pytest.fixture(scope="module")
def whole(place):
    """Return the folder of an uninterrupted run."""
    status, log = run(*COMMAND, *FIELDS, "--out", "whole", cwd=place)
    assert status == 0, log
    return place / "whole"


def rows(out):
    """Return the rows of metrics.csv but for what a clock says."""
    with (out / "metrics.csv").open() as text:
        found = list(csv.DictReader(text))
    clock = ("seconds", "images_per_second")
    return [{key: row[key] for key in row if key not in clock} for row in found]


def epochs(out):
    return len(rows(out)) if (out / "metrics.csv").exists() else 0


def kill_while_it_writes(file, place):
    """Kill the run that writes `file`, which is left half written."""
    os.mkfifo(file)  # writing waits for us to read
    process = start(*COMMAND, *FIELDS, "--out", file.parent, cwd=place)
    pipe = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # or a run that never writes hangs us too
    halves = []

    def is_writing():
        try:
            halves.append(os.read(pipe, 1000))
        except BlockingIOError:  # it has opened the file
            return False
        return bool(halves[-1])

    wait_until(is_writing, process)
    process.kill()
    process.join()
    os.close(pipe)
    half = halves[-1]
    file.unlink()
    file.write_bytes(half)


def test_killed_at_any_moment_a_run_ends_as_an_uninterrupted_one(place, whole):
    out = place / "killed"
    moments = [out.is_dir, lambda: epochs(out) >= 2, lambda: epochs(out) >= 5]
    for moment in moments:
        process = start(*COMMAND, *FIELDS, "--out", out, cwd=place)
        wait_until(moment, process)
        process.kill()
        process.join()
    kill_while_it_writes(out / ".last.ckpt.tmp", place)
    assert not (out / "result.json").exists()
    status, log = run(*COMMAND, *FIELDS, "--out", out, cwd=place)
    assert status == 0, log
    assert rows(out) == rows(whole)
    for name in ("best.pth", "epoch-0001.pth", "epoch-0004.pth"):
        one, other = (torch.load(folder / name, weights_only=True) for folder in (out, whole))
        assert all(torch.equal(one[key], other[key]) for key in one), name
    results = [json.loads((folder / "result.json").read_text()) for folder in (out, whole)]
    assert results[0]["scores"] == results[1]["scores"]
    with (out / "metrics.csv").open() as text:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(text))
    assert results[0]["minutes"] == pytest.approx(seconds / 60, abs=0.002)
    assert not list(out.glob(".*.tmp"))


def test_a_run_that_diverged_at_its_end_says_what_to_lower(place):
    fields = ("epochs=1", "select_epoch_by=LastEpoch()", "ema=0", "batch_size=120", "lr=1e38")
    status, log = run(*COMMAND, *FIELDS, *fields, "warmup=0", "--out", "diverged", cwd=place)
    assert status == 2 and "--model" not in log
    assert "error: training diverged: " in log and "lower lr=, and choose another --out" in log


def test_the_result_tells_how_to_reproduce_it(whole):
    result = json.loads((whole / "result.json").read_text())
    assert result["command"].startswith("python -m training fit p1-a --data p1_data")
    assert '\'arguments={"widths"' in result["command"]
    assert (result["trained_on"], result["seed"], result["processes"]) == (114, 0, 1)
    assert result["scores"]["select"] == "held_out" and result["scores"]["images"] == 12
    assert result["kept"] == ["epoch-0001.pth", "epoch-0004.pth"]
    assert {"revision", "python", "torch", "lightning", "device", "precision"} <= result.keys()


def test_a_run_leaves_its_answers_on_val(whole):
    result = json.loads((whole / "result.json").read_text())
    with (whole / "predictions.csv").open() as text:
        answers = list(csv.DictReader(text))
    assert len(answers) == len({row["filename"] for row in answers}) == 12
    right = sum(row["label"] == row["predicted"] for row in answers)
    assert right / 12 == result["scores"]["val"]


def test_an_epoch_chosen_on_val_is_marked(place, whole):
    status, log = run(
        *COMMAND, *FIELDS, "epochs=1", "select_epoch_by=BestOnVal()", "--out", "val", cwd=place
    )
    assert status == 0, log
    assert ", val accuracy " in log and "validation images, which chose the epoch" in log
    scores = json.loads((place / "val" / "result.json").read_text())["scores"]
    assert (scores["select"], scores["held_out"]) == ("val", None)


def test_tensorboards_curves_have_one_point_an_epoch(place, whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for out in (whole, place / "killed"):
        events = EventAccumulator(str(out / "tensorboard")).Reload()
        points = [(p.step, p.value) for p in events.Scalars("accuracy")]
        assert points == [
            (int(row["epoch"]), pytest.approx(float(row["accuracy"]))) for row in rows(out)
        ]


def test_ctrl_c_is_one_line_that_says_how_to_go_on(place):
    out = place / "interrupted"
    process = start(*COMMAND, *FIELDS, "epochs=500", "--out", out, cwd=place)
    wait_until(lambda: epochs(out) >= 2, process)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 130
    said = (place / f"{process.pid}.log").read_text().splitlines()
    assert said[-1] == "interrupted: the same command goes on from the last saved epoch"
    assert all(line.startswith("epoch ") for line in said[:-1]), said


def test_two_processes_do_not_share_a_runs_folder(place):
    out = place / "shared"
    process = start(*COMMAND, *FIELDS, "epochs=500", "--out", out, cwd=place)
    wait_until(lambda: epochs(out) >= 1, process)
    status, log = run(*COMMAND, *FIELDS, "epochs=500", "--out", out, cwd=place)
    process.kill()
    process.join()
    assert status == 2
    assert log == f"error: another process trains in {out}: wait for it or choose --out\n"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["--data", "nowhere"], "error: no folder nowhere: give the course's p1_data"),
        (["classes=4"], "error: no image of class 3 in p1_data"),
        (["lr=1e30"], "error: the loss is nan at step "),
        (["pretrained=nowhere.pth"], "error: cannot read pretrained=nowhere.pth: "),
        (["batch_size=500"], "error: 114 images make no batch: lower batch_size"),
    ],
)
def test_what_the_user_can_mend_is_one_line(place, changes, says):
    status, log = run(*COMMAND, *FIELDS, *changes, "--out", "refused/run", cwd=place)
    assert status == 2 and not (place / "refused").exists()
    errors = [line for line in log.splitlines() if not line.startswith("epoch ")]
    assert len(errors) == 1 and errors[0].startswith(says), log


def test_a_run_that_fails_at_once_leaves_a_folder_as_it_was(place):
    out = place / "mine"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    status, log = run(*COMMAND, *FIELDS, "lr=1e30", "--out", "mine", cwd=place)
    assert status == 2, log
    assert [file.name for file in out.iterdir()] == ["notes.txt"]


def test_a_full_disk_is_one_line_and_spares_the_last_checkpoint(place, whole):
    out = place / "full"
    process = start(*COMMAND, *FIELDS, "--out", out, cwd=place)
    wait_until(lambda: epochs(out) >= 3, process)
    process.kill()
    process.join()
    before = (out / "last.ckpt").read_bytes()
    process = start(*COMMAND, *FIELDS, "--out", out, cwd=place, largest=len(before) // 2)
    process.join(60)
    said = (place / f"{process.pid}.log").read_text()
    assert process.exitcode == 2
    assert said.startswith(f"error: cannot write {out / 'last.ckpt'}: ")
    assert said.count("\n") == 1 and "make room there" in said
    assert (out / "last.ckpt").read_bytes() == before and not list(out.glob(".*.tmp"))
    status, log = run(*COMMAND, *FIELDS, "--out", out, cwd=place)
    assert status == 0, log
    assert rows(out) == rows(whole)


def test_another_recipe_is_not_mixed_into_a_run(place, whole):
    status, log = run(*COMMAND, *FIELDS, "lr=0.02", "--out", "whole", cwd=place)
    assert status == 2
    assert log == (
        "error: whole holds a run with lr=0.1, and lr=0.02 is asked for: choose another --out, "
        "or delete that folder\n"
    )


@pytest.mark.parametrize(
    "data, said",
    [
        ("nowhere", "error: no folder nowhere: give the course's p1_data with --data, or make "),
        (".", "did you mean --data p1_data?\n"),
        ("p1_data/train_50", "did you mean --data p1_data?\n"),
        ("p3_data", "did you mean --data p1_data?\n"),
    ],
)
def test_data_that_is_not_there_is_one_line_that_points_to_it(place, monkeypatch, data, said):
    (place / "p3_data").mkdir(exist_ok=True)
    words = ["--data", data, *(word for word in FIELDS if not word.startswith("--data"))]
    status, log = run(*COMMAND, *words, "--out", "lost", cwd=place)
    assert status == 2 and said in log and log.count("\n") == 1


def test_other_data_is_not_mixed_into_a_run_but_moved_data_is_the_same(place, whole):
    shutil.copytree(place / "p1_data", place / "moved")
    for file in (place / "moved").rglob("*.png"):
        os.utime(file, (1, 1))
    command = (*COMMAND[:3], *FIELDS, "--data", "moved", "--out", "whole")
    status, log = run(*command, cwd=place)
    assert status == 0, log
    result = json.loads((whole / "result.json").read_text())
    assert result["data"] == str(place / "moved")
    (place / "moved" / "train_50" / "0_0.png").rename(place / "moved" / "train_50" / "1_40.png")
    status, log = run(*command, cwd=place)
    assert status == 2
    moved = place / "moved"
    assert log == f"error: whole holds a run on other data ({moved}): choose another --out\n"
    assert json.loads((whole / "result.json").read_text()) == result


def test_a_run_that_never_began_keeps_no_one_out(place):
    begun = place / "begun"
    process = start(*COMMAND, *FIELDS, "--out", begun, cwd=place)
    wait_until((begun / "data.json").exists, process)
    process.kill()
    process.join()
    assert (begun / "recipe.json").exists() and epochs(begun) == 0
    status, log = run(*COMMAND, *FIELDS, "pretrained=nowhere.pth", "--out", begun, cwd=place)
    assert status == 2 and begun.exists()  # that command has not made it
    status, log = run(*COMMAND, *FIELDS, "epochs=1", "--out", begun, cwd=place)
    assert status == 0, log


def test_another_recipe_waits_for_no_checkpoint_to_be_refused(place):
    out = place / "early"
    process = start(*COMMAND, *FIELDS, "save_every=12", "--out", out, cwd=place)
    wait_until(lambda: epochs(out) >= 1, process)
    process.kill()
    process.join()
    assert not (out / "last.ckpt").exists()
    before = rows(out)
    status, log = run(*COMMAND, *FIELDS, "save_every=12", "lr=0.02", "--out", out, cwd=place)
    assert status == 2 and "holds a run with lr=0.1, and lr=0.02 is asked for" in log
    assert rows(out) == before
    status, log = run(*COMMAND, *FIELDS, "save_every=12", "--out", out, cwd=place)
    assert status == 0, log


@pytest.mark.parametrize(
    "kept, said",
    [
        (["best.pth"], "best.pth"),
        (["best.pth", "recipe.json", "result.json", "metrics.csv"], "best.pth and result.json"),
        (["recipe.json", "result.json"], "result.json"),
    ],
)
def test_what_somebody_keeps_without_a_checkpoint_is_not_overwritten(place, whole, kept, said):
    out = place / f"kept-{len(kept)}"
    out.mkdir()
    for name in kept:
        shutil.copy(whole / name, out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    status, log = run(*COMMAND, *FIELDS, "--out", out, cwd=place)
    assert (status, log) == (
        2,
        f"error: {out} has no last.ckpt to go on from, and a new run would overwrite {said}: "
        "choose another --out\n",
    )
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
