"""The comparison of P2's settings: what it trains, what it takes as it is, and what it says."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inference.networks import NETWORKS, build
from inference.networks.resnet import ResNet
from training.__main__ import main
from training.classification import compare
from training.engine.run import run
from training.problems import PROBLEMS, recipe_named

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["classes=2", "epochs=1", "batch_size=4", "size=32", "augment=Flip()", "precision=fp32"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with office data and two backbones, of a small network."""

    def resnet(classes, head=None, logits=0):
        return ResNet(classes, (1, 1, 1, 1), head=head, logits=logits)

    monkeypatch.setitem(NETWORKS, "resnet50", resnet)
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 5)):
        folder = tmp_path / "data" / "office" / part
        folder.mkdir(parents=True)
        rows = ["id,filename,label"]
        for i in range(2 * count):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                folder / f"{i}.png"
            )
            rows.append(f"{i},{i}.png,{i % 2}")
        (folder.parent / f"{part}.csv").write_text("\n".join([*rows, ""]))
    for name in ("ssl", "sl"):
        torch.save(build("resnet50", 1000).state_dict(), f"{name}.pth")
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """Train in this process; return the list of what was trained."""
    names = []

    def start(words, data, folder):
        names.append(folder.name)
        recipe = recipe_named(words[0]).with_changes(words[1:])
        run(PROBLEMS[recipe.problem], recipe, data, folder, lambda line: None)

    monkeypatch.setattr(compare, "start", start)
    return names


def make(*words):
    return main(["compare", "--data", "data", "--out", "out", *words])


def test_what_is_missing_is_trained_and_compared(place, started, capsys):
    backbones = ("--backbone-ssl", "ssl.pth", "--backbone-sl", "sl.pth")
    words = ("p2-d", "p2-e", *SMALL, *backbones, "--seeds", "0", "1")
    assert make(*words) == 0
    said, err = capsys.readouterr()
    assert "training out/p2-d-s0 (1 of 4)\n" in err
    assert started == ["p2-d-s0", "p2-d-s1", "p2-e-s0", "p2-e-s1"]
    assert said == (place / "out" / "table.md").read_text() + "\n"
    assert "| more than other images explain |" in said and "Val chose" not in said
    assert (
        "| D (`p2-d`) | supervised | classifier alone | " in said
        and "on the 10 images of val" in said
    )
    with (place / "out" / "table.csv").open() as text:
        rows = list(csv.DictReader(text))
    for row, name in zip(rows, ("p2-d", "p2-e")):
        results = [
            json.loads((place / "out" / f"{name}-s{seed}" / "result.json").read_text())
            for seed in (0, 1)
        ]
        accuracies = [result["scores"]["val"] for result in results]
        assert float(row["accuracy"]) == pytest.approx(np.mean(accuracies))
        assert float(row["sd"]) == pytest.approx(np.std(accuracies, ddof=1), abs=1e-6)
        assert float(row["low"]) < float(row["accuracy"]) < float(row["high"])
        file = "sl.pth" if name == "p2-d" else "ssl.pth"
        assert {result["recipe"]["pretrained"] for result in results} == {file}
    with (place / "out" / "differences.csv").open() as text:
        (pair,) = csv.DictReader(text)
    accuracies = [float(row["accuracy"]) for row in rows]
    assert (pair["better"], pair["than"]) == ("p2-e", "p2-d")
    assert float(pair["by"]) == pytest.approx(accuracies[1] - accuracies[0], abs=2e-6)

    # What is finished is not done again: answers are enough of it, wherever they came from.
    for weights in (place / "out").glob("*/best.pth"):
        weights.unlink()
    assert make(*words) == 0 and capsys.readouterr().out == said
    assert make("p2-e", *SMALL, "--seeds", "1") == 0  # no backbone is needed for what is there
    assert "(n = 1)" in capsys.readouterr().out and len(started) == 4
    assert not (place / "out" / "differences.csv").exists()  # of one setting there are none

    # Unless seeds are named those that are there count, and 0 where a setting has none.
    shutil.rmtree(place / "out" / "p2-d-s1")
    assert make("p2-a", "p2-d", "p2-e", *SMALL) == 0 and started[4:] == ["p2-a-s0"]
    with (place / "out" / "table.csv").open() as text:
        assert [row["seeds"] for row in csv.DictReader(text)] == ["1", "1", "2"]
    capsys.readouterr()
    assert make(*words) == 0 and started[5:] == ["p2-d-s1"] and capsys.readouterr().out == said

    # But what is there must be what is asked for, and its answers those of its result.
    assert make(*words, "epochs=2") == 2
    assert capsys.readouterr().err == (
        "error: out/p2-d-s0 holds a run with another epochs than is asked for: choose another "
        "--out, or say epochs=1\n"
    )
    answers = place / "out" / "p2-e-s1" / "predictions.csv"
    answers.write_text(re.sub(r"[01]\n", "7\n", answers.read_text()))  # neither of the classes
    assert make(*words) == 2
    assert "predictions.csv does not fit its result" in capsys.readouterr().err
    answers.unlink()
    assert make(*words) == 2
    assert "predictions.csv is missing, and there is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["p2-d"], "p2-d needs a backbone, and out has no finished p2-d-s0: add --backbone-sl"),
        (["p2-c-report"], "p2-c-report needs a backbone"),
        (["p2-a", "p2-d"], "p2-d needs a backbone"),  # before hours go into p2-a
        (["p2-a", "p2-c", "--backbone-ssl", "gone.pth"], "no file gone.pth: give p2-c another"),
        (["p1-a"], "no setting 'p1-a'; there are: p2-a, "),
        (["p2-supervised"], "no setting 'p2-supervised'; there are: p2-a, "),
        (["p2-a", "epoch=1"], "no field 'epoch' in p2-a"),
        (["--seeds", "p2-a"], "--seeds needs a number"),
        (["p2-a", "seed=3"], "compare takes no seed=, which is not every run's: use --seeds"),
        (["p2-a", "Seed=3"], "compare takes no seed="),
        (["p2-a", "pretrained=sl.pth"], "compare takes no pretrained=, which is not every run's: "
         "use --backbone-ssl FILE for C and E, --backbone-sl FILE for B and D"),
    ],
)  # fmt: skip
def test_what_the_user_can_mend_is_one_line(place, started, capsys, words, says):
    assert make(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {says}") and said.count("\n") == 1
    assert not started


def test_runs_on_other_data_are_refused_and_left_as_they_are(place, started, capsys):
    assert make("p2-a", *SMALL) == 0
    answers = place / "out" / "p2-a-s0" / "predictions.csv"
    before = answers.read_bytes()
    shutil.copytree(place / "data", place / "more")
    table_of = place / "more" / "office" / "train.csv"
    table_of.write_text(table_of.read_text().replace("0.png,0", "0.png,1"))
    capsys.readouterr()
    assert main(["compare", "p2-a", *SMALL, "--data", "more", "--out", "out"]) == 2
    assert "p2-a-s0 holds a run on other data" in capsys.readouterr().err

    shutil.copy(place / "data" / "office" / "train.csv", table_of)  # val alone is another
    labels = place / "more" / "office" / "val.csv"
    head, *rows = labels.read_text().splitlines()
    labels.write_text("\n".join([head, *(f"{row[:-1]}{1 - int(row[-1])}" for row in rows), ""]))
    result = place / "out" / "p2-a-s0" / "result.json"
    whole = json.loads(result.read_text())
    whole["scores"]["val"] = 0.9  # of two classes half of the answers are right in either case
    result.write_text(json.dumps(whole))
    assert main(["compare", "p2-a", *SMALL, "--data", "more", "--out", "out"]) == 2
    assert "another validation set, or other weights" in capsys.readouterr().err
    assert answers.read_bytes() == before and started == ["p2-a-s0"]


def test_a_backbone_is_the_same_by_another_path_and_another_file_is_named(place, started, capsys):
    words = ("p2-e", *SMALL, "--backbone-ssl")
    assert make(*words, "ssl.pth") == 0
    (place / "link").symlink_to(place)
    for path in ("./ssl.pth", str(place / "ssl.pth"), "link/ssl.pth"):
        assert make(*words, path) == 0
    capsys.readouterr()
    assert make(*words, "sl.pth") == 2
    said = capsys.readouterr().err
    assert said == (
        "error: out/p2-e-s0 holds a run with another backbone than is asked for: choose another "
        "--out, or say --backbone-ssl ssl.pth\n"
    )
    assert make(*words, "sl.pth", *said.split(", or say ")[1].split()) == 0
    assert started == ["p2-e-s0"]


def stop(place, name, *changes):
    """Write what a run of a recipe leaves that was stopped."""
    folder = place / "out" / f"{name}-s0"
    folder.mkdir(parents=True)
    recipe = recipe_named(name).with_changes([*SMALL, *changes])
    (folder / "recipe.json").write_text(json.dumps(recipe.to_plain()))
    (folder / "last.ckpt").write_bytes(b"")


def test_a_run_that_goes_on_keeps_its_path_of_the_backbone(place, monkeypatch):
    trained = []

    def start(words, data, folder):
        trained.append(words)
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "start", start)
    stop(place, "p2-c", "pretrained=ssl.pth")
    assert make("p2-c", *SMALL, "--backbone-ssl", str(place / "ssl.pth")) == 130
    assert trained == [["p2-c", *SMALL, "pretrained=ssl.pth", "seed=0"]]


def test_of_a_backbone_that_no_option_gives_no_option_is_said(place, started, capsys):
    stop(place, "p2-a", "pretrained=ssl.pth")
    assert make("p2-a", *SMALL) == 2
    assert capsys.readouterr().err == (
        "error: out/p2-a-s0 holds a run with another backbone than is asked for: choose another "
        "--out\n"
    )


def test_what_changes_no_result_is_no_other_run(place, started, capsys):
    assert make("p2-a", *SMALL) == 0
    assert make("p2-a", *SMALL, "save_every=5", "keep_epochs=[1]") == 0
    assert started == ["p2-a-s0"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("result", "cannot read out/p2-a-s1/result.json: "),
        ("empty", "out/p2-a-s1 names no recipe"),
        ("field", "the recipe in out/p2-a-s1 cannot be read: "),
        ("data", "out/p2-a-s1/data.json is none of ours: "),
        ("recipe", "out/p2-a-s1 holds a run of p2-a-report: choose another --out"),
        ("lr", "out/p2-a-s1 holds a run with another lr than is asked for: choose another --out, "
         "or say lr=0.5"),
        ("optimizer", "out/p2-a-s1 holds a run with another classes, optimizer than is asked for: "
         "choose another --out, or say classes=9 'optimizer=Adam(weight_decay=0.05)'"),
        ("seed", "out/p2-a-s1 holds a run with another seed than is asked for: choose another "
         "--out\n"),
    ],
)  # fmt: skip
def test_a_run_that_will_not_do_is_named_before_anything_is_trained(
    place, started, capsys, change, says
):
    """One that has not ended as well as one that has."""
    folder = place / "out" / "p2-a-s1"
    folder.mkdir(parents=True)
    recipe = recipe_named("p2-a-report" if change == "recipe" else "p2-a")
    changes = {"lr": ["lr=0.5"], "optimizer": ["classes=9", "optimizer=Adam"]}.get(change, [])
    recipe = recipe.with_changes([*SMALL, f"seed={0 if change == 'seed' else 1}", *changes])
    fields = recipe.to_plain()
    if change == "field":
        fields["lrr"] = 1
    if change in ("result", "empty"):
        (folder / "result.json").write_text("{" if change == "result" else "{}")
    else:
        (folder / "recipe.json").write_text(json.dumps(fields))
        (folder / "last.ckpt").write_bytes(b"")
    if change == "data":
        (folder / "data.json").write_text("[]")
    assert make("p2-a", *SMALL, "--seeds", "0", "1") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {says}") and said.count("\n") == 1
    assert not started


def test_a_batch_that_batchnorm_cannot_normalise_is_one_line(place, started, capsys):
    assert make("p2-a", *SMALL, "batch_size=1") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "error: batch_size=1 is too small for the BatchNorm of resnet50: each process needs two "
        "images or more"
    )


def test_how_often_epochs_are_measured_matters_where_one_is_chosen(place, started, capsys):
    words = ("p2-a", *SMALL, "select_epoch_by=BestOnVal()", "save_every=2")
    assert make(*words) == 0
    said = capsys.readouterr().out
    assert "\nVal chose the epoch of `p2-a`, which flatters" in said and "report" not in said
    assert make(*words[:-1]) == 2
    assert "holds a run with another save_every than is asked for" in capsys.readouterr().err
    last = ("p2-a", *SMALL, "--out", "last")
    assert make(*last, "save_every=2") == 0 and make(*last) == 0
    assert started == ["p2-a-s0", "p2-a-s0"]


@pytest.mark.parametrize(
    ("status", "ends", "says"),
    [
        (2, 2, "error: p2-a did not reach its end (above): mend it, and it goes on\n"),
        (130, 130, "interrupted: the same command goes on\n"),
    ],
)
def test_a_run_that_ends_early_ends_the_table(place, monkeypatch, capsys, status, ends, says):
    commands = []

    def fail(words):
        commands.append(words)
        return types.SimpleNamespace(wait=lambda: status)

    monkeypatch.setattr(subprocess, "Popen", fail)
    assert make("--seeds", "3", "4", "p2-a", "epochs=1") == ends
    assert capsys.readouterr().err == f"training out/p2-a-s3 (1 of 2)\n{says}"
    assert not (place / "out").exists()
    (words,) = commands
    assert words[1:7] == ["-m", "training", "fit", "p2-a", "epochs=1", "seed=3"]
    assert words[7:] == ["--data", "data", "--out", "out/p2-a-s3"]


def test_ctrl_c_waits_until_the_training_has_left_its_folder_in_order(tmp_path):
    slow = tmp_path / "slow"
    slow.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, time\n"
        "try:\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(1)\n    pathlib.Path('tidy').touch()\n"
    )
    slow.chmod(0o755)
    program = (
        "import pathlib, sys\n"
        "from training.classification import compare\n"
        "sys.executable = './slow'\n"
        "compare.start(['p2-a'], pathlib.Path('data'), pathlib.Path('run'))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while process.poll() is None and not (tmp_path / "begun").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (tmp_path / "tidy").exists() and b"KeyboardInterrupt" in said
