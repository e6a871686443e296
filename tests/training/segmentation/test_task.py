"""The segmentation task: its loss moves the network, its score is the evaluator's."""

import numpy as np
import pytest
import torch

from inference import UserError, landcover
from inference.images import list_tiles
from mean_iou_evaluate import mean_iou_score
from training.recipe import override
from training.segmentation.__main__ import prepare
from training.segmentation.recipes import RECIPES
from training.segmentation.task import Segmentation


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    return Segmentation(override(RECIPES["p3-lite"], ["crop=64", "precision=fp32"]))


def tiles(count):
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8))
    masks = torch.from_numpy(random.integers(0, 7, (count, 96, 96), dtype=np.uint8))
    return images, masks


def test_the_score_is_the_evaluators_to_the_last_digit(task, capsys):
    images, masks = tiles(4)
    masks[0, :8] = landcover.NO_CLASS
    task.average.eval()
    with torch.no_grad():
        task.measure(images[:3], masks[:3])
        task.measure(images[3:], masks[3:])
        predicted = task.average(task.normalise(task.unit(images)))["out"].argmax(1)
    predicted[masks == landcover.NO_CLASS] = landcover.NO_CLASS  # measured nowhere
    wanted = mean_iou_score(predicted.numpy().astype(np.uint8), masks.numpy())
    assert task.score() == pytest.approx(wanted, abs=1e-7)
    capsys.readouterr()


def test_the_loss_reaches_every_parameter(task):
    task.train()
    task.loss(*tiles(4)).backward()
    for name, parameter in task.network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Gives three tiles in train and one in validation, black and Unknown, in P3's layout."""
    monkeypatch.chdir(tmp_path)
    picture = landcover.encode_png(np.zeros((512, 512, 3), np.uint8))
    for part, count in (("train", 3), ("validation", 1)):
        folder = tmp_path / "p3_data" / part
        folder.mkdir(parents=True)
        for i in range(count):
            (folder / f"{i:04d}_sat.png").write_bytes(picture)
            (folder / f"{i:04d}_mask.png").write_bytes(picture)
    return tmp_path / "p3_data"


def test_data_needs_a_mask_for_every_tile(data):
    assert len(list_tiles(data / "train")) == 3
    train, held = prepare(override(RECIPES["p3-lite"], ["batch_size=1"]), data)
    assert len(train) == 2 and len(held) == 1
    (data / "train" / "0001_mask.png").unlink()
    with pytest.raises(UserError, match=r"cannot read .*0001_mask\.png"):
        prepare(RECIPES["p3-lite"], data)


def test_choosing_by_val_trains_on_every_tile(data):
    recipe = override(RECIPES["p3-lite"], ["batch_size=1", "select=val"])
    train, measured = prepare(recipe, data)
    assert len(train) == 3 and len(measured) == 1
