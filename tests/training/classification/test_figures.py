"""Figures of a small run of P1, as a user gets them."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import silhouette_score
from torch import nn
from training.classification.recipes import RECIPES, Recipe
from training.engine.evaluate import score

from inference import UserError
from inference.networks import build
from training.classification import figures
from training.classification.finished import read_run
from training.engine.run import record_of
from training.segmentation.recipes import RECIPES as SEGMENTERS

CLASSES, SIZE = 4, 16
TINY = Recipe(
    name="tiny",
    task="p1",
    network="convnet",
    classes=CLASSES,
    arguments={"widths": [4, 8], "depths": [1]},
    epochs=4,
    size=SIZE,
    cache_size=SIZE,
    tta=True,
)


def write_weights(file, seed):
    """Random weights, with logits far enough apart for a network to be sure of something."""
    torch.manual_seed(seed)
    network = build(TINY.network, CLASSES, **TINY.arguments)
    nn.init.normal_(network.fc.weight, 0, 4)
    torch.save(network.state_dict(), file)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Gives noisy images, redder from class to class, larger than the network's."""
    folder = tmp_path_factory.mktemp("p1_data") / "val_50"
    folder.mkdir()
    random = np.random.default_rng(0)
    for label in range(CLASSES):
        for i in range(8):
            pixels = random.integers(0, 120, (20, 20, 3), dtype=np.uint8)
            pixels[..., 0] += 40 * label
            Image.fromarray(pixels).save(folder / f"{label}_{i}.png")
    return folder.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    """Gives the folder of a finished run of four epochs, the third of which is the best."""
    folder = tmp_path_factory.mktemp("runs") / "tiny-s0"
    folder.mkdir()
    for seed, name in enumerate(("best", "epoch-0001", "epoch-0002", "epoch-0003", "epoch-0004")):
        write_weights(folder / f"{name}.pth", seed)
    fields = dataclasses.asdict(TINY)
    (folder / "recipe.json").write_text(json.dumps(fields))
    scores = {"metric": "accuracy", "val": 0.25, "best_epoch": 2}
    result = {"recipe": fields, "data": str(data), "scores": scores}
    (folder / "result.json").write_text(json.dumps(result))
    with (folder / "metrics.csv").open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["epoch", "accuracy", "loss", "seconds"])
        rows.writerows([[0, 0.2, 2.0, 1], [1, 0.3, 1.5, 1], [2, 0.5, 1.2, 1], [3, 0.4, 1.1, 1]])
    return folder


@pytest.fixture(scope="module")
def drawn(run):
    return figures.draw(run)


@pytest.fixture
def copy(run, tmp_path):
    """Gives a copy of the run, to spoil."""
    return shutil.copytree(run, tmp_path / run.name, ignore=shutil.ignore_patterns("figures"))


def val(data):
    """Reads val in the order of its names, normalised, without the project's reading."""
    files = sorted((data / "val_50").iterdir())
    resized = [Image.open(file).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for file in files]
    images = torch.tensor(np.stack(resized)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (TINY.mean, TINY.std))
    return files, (images - mean) / std, np.array([int(file.name[0]) for file in files])


def network(file):
    built = build(TINY.network, CLASSES, **TINY.arguments).eval()
    built.load_state_dict(torch.load(file, weights_only=True))
    return built.requires_grad_(False)


def test_every_figure_is_a_picture_as_wide_as_a_page(run, drawn):
    names = ("pca", "tsne", "confusion", "mistakes", "learning_curve")
    assert drawn["figures"] == {name: f"{name}.png" for name in names}
    for file in drawn["figures"].values():
        with Image.open(run / "figures" / file) as image:
            assert image.width == 1800 and image.height > 400
            assert len(image.convert("RGB").getcolors(2**24)) > 50  # not a blank page
    assert json.loads((run / "figures" / "figures.json").read_text()) == drawn
    assert drawn["notes"] == []


def test_the_same_run_gives_the_same_files(run, drawn, tmp_path):
    assert figures.draw(run, out=tmp_path) == drawn
    for file in (*drawn["figures"].values(), "figures.json"):
        assert (tmp_path / file).read_bytes() == (run / "figures" / file).read_bytes(), file


def test_first_middle_and_best_epoch_are_judged_in_all_dimensions(run, drawn, data):
    assert [(shown["epoch"], shown["file"]) for shown in drawn["epochs"]] == [
        (1, "epoch-0001.pth"),
        (2, "epoch-0002.pth"),
        (3, "best.pth"),
    ]
    _, images, labels = val(data)
    for shown in drawn["epochs"]:
        features = network(run / shown["file"]).features(images).numpy()
        wanted = silhouette_score(features, labels, metric="cosine")
        assert shown["silhouette"] == pytest.approx(wanted, abs=1e-4)
    assert drawn["features"] == 8 and drawn["knn"]["k"] == 7
    assert len({shown["knn_accuracy"] for shown in drawn["epochs"]}) > 1


def test_an_unfinished_run_shows_the_epoch_that_its_weights_are_of(copy, data):
    last = {"select": "last", "held_out": 0.0}
    for fields, epoch in (({}, 3), (last, 4), ({**last, "every": 3, "epochs": 9}, 3)):
        (copy / "result.json").unlink(missing_ok=True)
        recipe = {**dataclasses.asdict(TINY), **fields}
        (copy / "recipe.json").write_text(json.dumps(recipe))
        assert read_run(copy, data).best == epoch


def test_accuracy_is_the_graded_one(run, drawn, data):
    graded = score(record_of(TINY), data, "fp32", "cpu", run / "best.pth")
    assert drawn["accuracy"] == pytest.approx(graded.score, abs=1e-6)
    assert drawn["images"] == len(graded.names) == 32


def test_mistakes_are_the_surest_wrong_answers(run, drawn, data):
    files, images, labels = val(data)
    best = network(run / "best.pth")
    logits = (best(images) + best(images.flip(-1))) / 2  # the recipe's tta
    confidence, predicted = logits.softmax(1).max(1)
    wrong = np.flatnonzero(predicted.numpy() != labels)
    order = sorted(wrong, key=lambda i: -confidence[i])[:24]
    assert len(order) > 5  # else there is nothing to sort
    found = drawn["mistakes"]
    assert [mistake["file"] for mistake in found] == [files[i].name for i in order]
    assert [mistake["predicted"] for mistake in found] == predicted[order].tolist()
    assert [m["confidence"] for m in found] == pytest.approx(confidence[order].tolist(), abs=1e-4)


def test_what_a_run_lacks_is_said_and_the_rest_drawn(copy, data, capsys):
    for file in [*copy.glob("epoch-*.pth"), copy / "metrics.csv", copy / "result.json"]:
        file.unlink()
    assert figures.main([str(copy), "--data", str(data)]) == 0
    out, err = capsys.readouterr()
    kept, curve = err.splitlines()
    assert kept.startswith("note: ") and "keeps no other epoch-NNNN.pth" in kept
    assert curve.startswith("note: ") and "no learning curve" in curve
    names = [line.rsplit("/", 1)[1] for line in out.splitlines()]
    assert names == ["pca.png", "tsne.png", "confusion.png", "mistakes.png", "figures.json"]
    assert sorted(file.name for file in (copy / "figures").iterdir()) == sorted(names)


def spoil(run, change, tmp_path):
    """Breaks a run or its data; gives the words of the command line."""
    if change in ("best.pth", "recipe.json"):
        (run / change).unlink()
    elif change == "garbage":
        (run / "best.pth").write_bytes(b"not a checkpoint")
    elif change == "dead":
        state = {k: torch.zeros_like(v) for k, v in network(run / "best.pth").state_dict().items()}
        for file in run.glob("*.pth"):
            torch.save(state, file)
    elif change == "p3":
        (run / "recipe.json").write_text(json.dumps(dataclasses.asdict(SEGMENTERS["p3-lite"])))
    elif change == "result.json":
        (run / change).unlink()
    elif change == "classes":
        (tmp_path / "val_50").mkdir()
        Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "val_50" / "17_0.png")
        return [str(run), "--data", str(tmp_path)]
    elif change == "data":
        return [str(run), "--data", str(run / "nowhere")]
    return [str(run)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("best.pth", "no best.pth in .*give a run's folder"),
        ("recipe.json", "no recipe.json in .*give a run's folder"),
        ("garbage", "best.pth is not a checkpoint"),
        ("dead", "the same for every image"),
        ("p3", "p3-lite, which is no classifier"),
        ("result.json", "add --data DIR"),
        ("classes", "reach 17, .* knows 4 classes"),
        ("data", "no folder .*nowhere: say where"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(copy, tmp_path, capsys, change, says):
    assert figures.main(spoil(copy, change, tmp_path)) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    with pytest.raises(UserError, match=says):
        raise UserError(err)
    assert err.startswith("error: ")
    assert not (copy / "figures").exists()


def test_a_run_of_p2_is_read_with_its_csv_and_the_names_of_its_classes(copy, tmp_path):
    office = tmp_path / "p2_data" / "office"
    (office / "val").mkdir(parents=True)
    lines = ["id,filename,label"]
    for i in range(6):
        name = f"{('Couch', 'Bed', 'TV')[i % 3]}{i:05}.jpg"
        Image.new("RGB", (30, 20), (40 * i, 0, 0)).save(office / "val" / name)
        lines.append(f"{i},{name},{i % 3}")
    (office / "val.csv").write_text("\n".join(lines) + "\n")
    recipe = dataclasses.replace(RECIPES["p2-a"], classes=4, size=SIZE)
    (copy / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe)))
    found = figures.read_validation(figures.read_run(copy, office.parent))
    assert found.pixels.shape == (6, SIZE, SIZE, 3)
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.names == ["0 Couch", "1 Bed", "2 TV", "3"]
