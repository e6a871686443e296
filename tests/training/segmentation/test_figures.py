"""Figures of a small run of P3, as a user gets them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from inference import UserError, landcover
from inference.networks import NETWORKS
from tests.training.segmentation.conftest import Small, tile, write_tile
from training.__main__ import main
from training.engine.run_folder import Run
from training.problems import PROBLEMS
from training.segmentation import figures


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    """Train five epochs; return the run's folder."""
    out = tmp_path_factory.mktemp("runs") / "small-s0"
    words = ["p3-b", "--data", data, "--out", out, "epochs=5", "batch_size=4", "lr=0.03"]
    words += ["tilecrop.side=64", "pretrained=none", "val_fraction=0.3", "precision=fp32"]
    words += ["layer_decay=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "deeplabv3_resnet50", Small)
        patch.chdir(out.parent)
        assert main(["fit", *map(str, words)]) == 0
    return out


def draw(folder, data, names=(), out=None):
    return figures.draw(Run.load(folder, PROBLEMS), data, out or folder / "figures", names)


@pytest.fixture(autouse=True)
def _small(small):
    """Every test reads weights of the small network."""


@pytest.fixture
def copy(run, tmp_path):
    """Copy the run, to spoil it."""
    return shutil.copytree(run, tmp_path / run.name, ignore=shutil.ignore_patterns("figures"))


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the drawing of pictures, which takes seconds, where a test is of the numbers."""
    monkeypatch.setattr("training.plots.style.png", lambda figure: b"")


def test_every_figure_is_a_picture_as_wide_as_a_page(copy, data, capsys):
    assert main(["figures", str(copy)]) == 0
    out, err = capsys.readouterr()
    names = ["confusion.png", "worst.png", "stages.png", "learning_curves.png", "figures.json"]
    assert out.split() == [str(copy / "figures" / name) for name in names]
    assert err.startswith("note: no tile 0013 in ") and err.endswith(" 0000, 0001, 0002\n")
    for name in names[:-1]:
        with Image.open(copy / "figures" / name) as image:
            assert image.width == 1800 and image.height > 400
            assert len(image.convert("RGB").getcolors(2**24)) > 50  # not a blank page
    said = json.loads((copy / "figures" / "figures.json").read_text())
    assert said["images"] == 5 and len(said["worst"]) == 5
    problem = PROBLEMS["p3"]
    record = problem.recipes["p3-b"].record()
    graded = problem.evaluate(record, data, copy / "best.pth", "fp32", "cpu")
    assert said["mIoU"] == pytest.approx(graded.score, abs=1e-6)
    assert said["mIoU"] == pytest.approx(np.mean(list(said["iou"].values())), abs=1e-5)
    scores = [tile["iou"] for tile in said["worst"]]
    assert scores == sorted(scores) and len(set(scores)) > 1


def test_stages_are_the_first_the_middle_the_last_and_the_best_epoch(run, copy):
    found = Run.load(copy, PROBLEMS)
    files = {"epoch 1": "epoch-0001.pth", "epoch 3": "epoch-0003.pth", "epoch 5": "epoch-0005.pth"}
    for best in range(1, 6):
        shown = dict(figures.shown_epochs(replace(found, best_epoch=best)))
        wanted = {**files, f"epoch {best} (best)": "best.pth"}
        wanted.pop(f"epoch {best}", None)
        assert {title: file.name for title, file in shown.items()} == wanted
        assert list(shown) == sorted(shown)


def test_stages_show_the_tiles_that_are_asked_for(copy, data, undrawn):
    said = draw(copy, data, ["0003", "0001"])
    assert said["notes"] == []
    for stage in said["stages"]:
        assert list(stage["iou"]) == ["0003", "0001"]
    paths = figures.list_validation(data)
    mask = figures.segment(Run.load(copy, PROBLEMS), copy / "epoch-0001.pth", paths)[3]
    true = figures.read_truth(paths[3], mask.shape)
    weighted = 0.0
    for c in np.unique(true[true < landcover.UNKNOWN]):
        both, either = ((mask == c) & (true == c)).sum(), ((mask == c) | (true == c)).sum()
        weighted += both / either * (true == c).sum()
    wanted = weighted / (true < landcover.UNKNOWN).sum()
    assert said["stages"][0]["iou"]["0003"] == pytest.approx(wanted, abs=1e-6)


def test_what_a_run_lacks_is_said_and_the_rest_drawn(copy, data, capsys, undrawn):
    for file in [*copy.glob("epoch-*.pth"), copy / "metrics.csv", copy / "result.json"]:
        file.unlink()
    assert main(["figures", str(copy), "--data", str(data)]) == 0
    out, err = capsys.readouterr()
    assert "no learning curves" in err and "learning_curves" not in out
    said = json.loads((copy / "figures" / "figures.json").read_text())
    assert [stage["title"] for stage in said["stages"]] == ["epoch unknown (best)"]


@pytest.mark.parametrize(
    ("table", "lacks"),
    [
        ("epoch,loss,mIoU,best_epoch\n", "epoch"),
        ("epoch,loss,best_epoch\n1,2.0,1\n", "mIoU"),
        ("epoch,loss,mIoU,best_epoch\n1,2.0,0.5,0\n", "best epoch"),
    ],
)
def test_what_the_learning_curves_lack_is_named(copy, table, lacks):
    (copy / "metrics.csv").write_text(table)
    said = draw(copy, None)
    assert said["figures"] == {} and len(said["notes"]) == 2
    assert said["notes"][1] == f"no {lacks} in {copy / 'metrics.csv'}: no learning curves"


def test_a_run_that_has_not_ended_shows_its_best_epoch_so_far(copy, data, undrawn):
    before = draw(copy, data)
    (copy / "result.json").unlink()
    assert draw(copy, data)["best_epoch"] == before["best_epoch"]


def test_without_its_data_a_run_shows_its_learning_curves_alone(copy, tmp_path):
    (copy / "best.pth").unlink()
    said = draw(copy, None)
    assert said["figures"] == {"learning_curves": "learning_curves.png"} and "mIoU" not in said
    assert len(said["notes"]) == 1 and "is not here" in said["notes"][0]


def test_tiles_without_a_class_are_drawn_and_judged_by_none(copy, tmp_path, undrawn):
    """Nor does a class that no tile has end anything: the mIoU is of the others."""
    folder = tmp_path / "data" / "validation"
    image, mask = tile(np.random.default_rng(1), landcover.COLOURS[:2])
    write_tile(folder, "0000", image, mask)
    write_tile(folder, "0001", image, np.full_like(mask, landcover.UNKNOWN))
    said = draw(copy, tmp_path / "data")
    assert [worst["tile"] for worst in said["worst"]] == ["0000"]
    assert said["stages"][0]["iou"]["0001"] is None and said["mIoU"] is not None


def spoil(run, change, data, tmp_path):
    """Break a run or its data; return the words of the command line."""
    words = [str(run)]
    if change == "best.pth":
        (run / change).unlink()
    elif change == "nothing":
        (run / "recipe.json").unlink()
        (run / "result.json").unlink()
    elif change == "moved":
        for name in ("data.json", "result.json"):
            there = (run / name).read_text().replace(str(data), str(tmp_path / "nowhere"))
            (run / name).write_text(there)
    elif change == "out":
        (tmp_path / "file").write_text("a user's")
        words += ["--out", str(tmp_path / "file")]
    elif change == "garbage":
        (run / "best.pth").write_bytes(b"not a checkpoint")
    elif change == "network":
        torch.save({"fc.weight": torch.zeros(2, 2)}, run / "best.pth")
    elif change == "data":
        words += ["--data", str(tmp_path / "nowhere")]
    else:
        there = shutil.copytree(data, tmp_path / "data") / "validation"
        words += ["--data", str(there.parent)]
        if change == "mask":
            (there / "0002_mask.png").unlink()
        elif change == "image":
            (there / "0002_sat.png").write_bytes(b"not an image")
        else:
            Image.new("RGB", (10, 12)).save(there / "0002_mask.png")
    return words


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("best.pth", "no best.pth in "),
        ("nothing", "no recipe.json in .*give a run's folder"),
        ("moved", "not where it was: say where with --data DIR"),
        ("out", "file"),
        ("garbage", "best.pth is not a checkpoint"),
        ("network", "do not fit network"),
        ("data", "say where .* is with --data DIR"),
        ("mask", "no 0002_mask.png beside .*0002_sat.png"),
        ("image", "cannot read .*0002_sat.png: not an image"),
        ("size", "0002_mask.png is 10 x 12, its tile is not"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(copy, data, tmp_path, capsys, change, says):
    assert main(["figures", *spoil(copy, change, data, tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("error: ")
    with pytest.raises(UserError, match=says):
        raise UserError(err)
    assert not (copy / "figures").exists()


def test_a_tile_that_is_not_there_is_named(copy, data):
    with pytest.raises(
        UserError, match=r"no tile 0099 in .*; there are: 0000, 0001, 0002, 0003, \.\.\."
    ):
        draw(copy, data, ["0003", "0099"])
    assert not (copy / "figures").exists()
