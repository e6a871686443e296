"""The scores of a checkpoint: which images they are of, and what each precision gets."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from inference import UserError, zoo
from inference.runner import NotFinite, OutOfMemory
from tests.training.publish.author import P1, PUBLISH, command, ended, refusal, run
from training.engine.problem import Evaluation
from training.engine.run import reserve
from training.engine.run_folder import Run
from training.problems import PROBLEMS, RECIPES
from training.publish import scores


def test_scores_of_another_machine_are_added(trained, data):
    run(*PUBLISH, "runs/p1-a-s0", "--name", "more", cwd=trained)
    file = trained / "inference/zoo.json"
    written = json.loads(file.read_text())
    fast = written["checkpoints"]["more"]["scores"]["fast"]
    scores = written["checkpoints"]["more"]["scores"]
    assert "select" not in scores
    scores["fast"] = {"cuda-fp16": {"score": 1.0, "agreement": 1.0}}
    scores["select"] = "val"
    file.write_text(json.dumps(written))
    run(*PUBLISH, "more", "--data", str(data), cwd=trained)
    again = json.loads(file.read_text())["checkpoints"]["more"]["scores"]
    assert again["select"] == "val"
    assert again["fast"] == {"cuda-fp16": {"score": 1.0, "agreement": 1.0}, **fast}


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NotFinite("in fp16: use --precision fp32"), "its logits are NaN or infinite"),
        (OutOfMemory("on cuda: try --device cpu"), "not memory enough"),
    ],
)
def test_a_fast_precision_that_fails_is_left_out(place, data, monkeypatch, capsys, error, why):
    def evaluate(record, data, weights, precision, where):
        if precision == "fp16":
            raise error
        return P1.evaluate(record, data, weights, "fp32", where)

    monkeypatch.setitem(PROBLEMS, "p1", dataclasses.replace(P1, evaluate=evaluate))
    monkeypatch.setattr(scores.device, "native_precisions", lambda where: ["fp16", "bf16"])
    for given in ((place / "runs/p1-a-s0", "--name", "mine"), ("mine", "--data", data)):
        status, _, err = command(capsys, *given)
        said = [line for line in err.splitlines() if "no score" in line]
        assert (status, said) == (0, [f"note: mine gets no score in cpu-fp16: {why}"])
        assert list(zoo.record("mine").scores["fast"]) == ["cpu-bf16"]


def test_only_the_images_that_chose_the_epoch_are_said_to_have(place, data, tmp_path, capsys):
    run = Run.load(place / "runs/p1-a-s0", PROBLEMS)
    chosen, folder = run.recipe.with_changes(["select_epoch_by=BestOnVal"]), tmp_path / "run"
    folder.mkdir()
    reserve(P1, chosen, data, folder)
    ended(folder, chosen, data=str(data), scores={"images": 12})
    shutil.copy(run.best, folder)
    shutil.copytree(data, tmp_path / "moved")
    shutil.copytree(data / "val_50", tmp_path / "alone" / "val_50")
    shutil.copytree(data, tmp_path / "other")
    (tmp_path / "other/val_50/0_3.png").unlink()
    shutil.copytree(tmp_path / "other/val_50", tmp_path / "fewer" / "val_50")

    def marked(*words):
        status, _, err = command(capsys, *words)
        assert status == 0, err
        return zoo.record("mine").scores.get("select")

    for name in (None, "moved", "alone"):
        elsewhere = ("--data", tmp_path / name) if name else ()
        assert marked(folder, "--name", "mine", *elsewhere) == "val"
    assert marked("mine", "--data", data) == "val"
    assert marked("mine", "--data", tmp_path / "other") is None
    for name in ("other", "fewer"):
        assert marked(folder, "--name", "mine", "--data", tmp_path / name) is None


@pytest.mark.parametrize("scores", [{}, {"fp32": 0.5}, {"select": "val", "fast": None}])
def test_a_record_without_scores_is_scored(place, data, capsys, scores):
    assert command(capsys, place / "runs/p1-a-s0", "--name", "mine")[0] == 0
    whole = zoo.record("mine")
    zoo.add(dataclasses.replace(whole, scores=scores))
    status, out, _ = command(capsys, "mine", "--data", data)
    found = zoo.record("mine").scores
    assert status == 0 and "mine: accuracy " in out
    assert {**found, "select": None} == {**whole.scores, "select": None}
    assert found.get("select") == scores.get("select")
    said = refusal(capsys, "mine", "--data", data, "--url", "gdrive:1")
    assert "--name, --url, --default and --no-tta make no sense" in said


def test_what_data_is_called(data, tmp_path):
    own = RECIPES["p1-a"].with_changes(["classes=3"])
    assert scores.described(P1, data, 3) == "own data (3 classes)"
    assert scores.described(P1, data, 50) == "course data"
    gone = {"data": str(tmp_path / "gone")}
    assert scores.trained_on(ended(tmp_path, own, **gone), data) == "unknown data"
    noted = ended(tmp_path, own, **gone, provenance="CIFAR-10")
    assert scores.trained_on(noted, data) == "CIFAR-10"
    for name in ("result.json", "best.pth"):
        (tmp_path / name).unlink()
    reserve(P1, own, data, tmp_path)  # the run was on this data, before it was moved
    moved = ended(tmp_path, own, **gone)
    assert scores.trained_on(moved, data) == "own data (3 classes)"


@pytest.mark.parametrize(
    ("images", "changed", "published"),
    [(406, 1, True), (406, 2, False), (2500, 5, True), (2500, 6, False)],
)
def test_rounding_may_change_one_image_in_500_or_one_in_all(images, changed, published):
    truth = np.zeros(images, np.int64)
    before = Evaluation(truth.copy(), truth, 1.0, [""] * images)
    after = before._replace(predictions=(np.arange(images) < changed).astype(np.int64))
    if published:
        assert scores.expect_same(before, after, Path("run")) == 1 - changed / images
    else:
        with pytest.raises(UserError, match="of run's predictions stay: not published"):
            scores.expect_same(before, after, Path("run"))
