"""Figures of a small run of P1, as a user gets them."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import silhouette_score
from torch import nn

from inference import UserError
from inference.networks import build
from training.__main__ import main
from training.classification import figures, p2
from training.classification.recipe import ClassificationRecipe
from training.engine.run_folder import Run
from training.engine.selection import LastEpoch
from training.problems import PROBLEMS

CLASSES, SIZE = 4, 16
TINY = ClassificationRecipe(
    name="tiny",
    problem="p1",
    network="convnet",
    classes=CLASSES,
    arguments={"widths": [4, 8], "depths": [1]},
    epochs=4,
    size=SIZE,
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
    """Write noisy images, redder from class to class, larger than the network's."""
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
    """Write a finished run of four epochs, the third of which is the best."""
    folder = tmp_path_factory.mktemp("runs") / "tiny-s0"
    folder.mkdir()
    for seed, name in enumerate(("best", "epoch-0001", "epoch-0002", "epoch-0003", "epoch-0004")):
        write_weights(folder / f"{name}.pth", seed)
    fields = TINY.to_plain()
    (folder / "recipe.json").write_text(json.dumps(fields))
    scores = {"metric": "accuracy", "val": 0.25, "best_epoch": 2}
    result = {"recipe": fields, "data": str(data), "scores": scores}
    (folder / "result.json").write_text(json.dumps(result))
    with (folder / "metrics.csv").open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["epoch", "accuracy", "loss", "best_epoch"])
        rows.writerows([[0, 0.2, 2.0, 0], [1, 0.3, 1.5, 1], [2, 0.5, 1.2, 2], [3, 0.4, 1.1, 2]])
    return folder


def draw(folder, data, out=None):
    """Draw as the command does."""
    run = Run.load(folder, PROBLEMS)
    return run.problem.figures(run, data, out or folder / "figures")


@pytest.fixture(scope="module")
def drawn(run, data):
    return draw(run, data)


@pytest.fixture
def copy(run, tmp_path):
    """Copy the run, to spoil it."""
    return shutil.copytree(run, tmp_path / run.name, ignore=shutil.ignore_patterns("figures"))


def val(data):
    """Read val in the order of its names, normalised, without the project's reading."""
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


def test_the_same_run_gives_the_same_files(run, drawn, data, tmp_path):
    assert draw(run, data, tmp_path) == drawn
    for file in (*drawn["figures"].values(), "figures.json"):
        assert (tmp_path / file).read_bytes() == (run / "figures" / file).read_bytes(), file


def knn_accuracy(features, labels, k):
    """Return the leave-one-out accuracy of the weighted vote (arXiv 1805.01978), image by image."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    right = 0
    for i, label in enumerate(labels):
        cosines = unit @ unit[i]
        cosines[i] = -np.inf
        nearest = np.argsort(-cosines)[:k]
        votes = np.zeros(CLASSES)
        np.add.at(votes, labels[nearest], np.exp(cosines[nearest] / 0.07))
        right += votes.argmax() == label
    return right / len(labels)


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
        assert shown["knn_accuracy"] == pytest.approx(knn_accuracy(features, labels, 7), abs=1e-6)
    assert drawn["features"] == 8
    assert (drawn["knn"]["k"], drawn["knn"]["split"]) == (7, "val")
    assert len({shown["knn_accuracy"] for shown in drawn["epochs"]}) > 1


def test_an_unfinished_run_shows_its_best_epoch_so_far_or_its_last(copy, data):
    (copy / "result.json").unlink()
    assert draw(copy, data)["best_epoch"] == 3
    table = (copy / "metrics.csv").read_text().replace("1.1,2", "1.1,3")
    (copy / "metrics.csv").write_text(table)
    recipe = replace(TINY, select_epoch_by=LastEpoch())
    (copy / "recipe.json").write_text(json.dumps(recipe.to_plain()))
    said = draw(copy, data)
    assert [shown["epoch"] for shown in said["epochs"]] == [1, 2, 4]


def test_accuracy_is_the_graded_one(run, drawn, data):
    problem = PROBLEMS["p1"]
    graded = problem.evaluate(TINY.record(), data, run / "best.pth", "fp32", "cpu")
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
    assert main(["figures", str(copy), "--data", str(data)]) == 0
    out, err = capsys.readouterr()
    kept, curve = err.splitlines()
    assert kept.startswith("note: ") and "keeps no other epoch-NNNN.pth" in kept
    assert curve.startswith("note: ") and "no learning curve" in curve
    names = [line.rsplit("/", 1)[1] for line in out.splitlines()]
    assert names == ["pca.png", "tsne.png", "confusion.png", "mistakes.png", "figures.json"]
    assert sorted(file.name for file in (copy / "figures").iterdir()) == sorted(names)


@pytest.mark.parametrize("column", ["loss", "accuracy"])
def test_without_a_column_of_the_learning_curve_the_rest_is_drawn(copy, data, column):
    rows = [line.split(",") for line in (copy / "metrics.csv").read_text().splitlines()]
    at = rows[0].index(column)
    lines = [",".join(row[:at] + row[at + 1 :]) for row in rows]
    (copy / "metrics.csv").write_text("\n".join(lines))
    said = draw(copy, data)
    assert said["notes"] == [f"no {column} in {copy / 'metrics.csv'}: no learning curve"]
    assert len(said["figures"]) == 4


@pytest.mark.parametrize(("kept", "notes"), [((2, 4), 0), ((1, 2, 4), 0), ((1, 4), 1), ((1,), 1)])
def test_where_more_epochs_are_kept_than_shown_none_is_said_to_lack(copy, data, kept, notes):
    """The first epoch is the best, so that two are shown."""
    (copy / "result.json").unlink()
    table = (copy / "metrics.csv").read_text()
    (copy / "metrics.csv").write_text(table.replace("1.1,2", "1.1,0"))  # counted from 0 there
    for epoch in {1, 2, 3, 4} - {*kept}:
        (copy / f"epoch-{epoch:04}.pth").unlink()
    said = draw(copy, data)
    assert len(said["epochs"]) == (1 if kept == (1,) else 2)
    assert ["keeps no other epoch-NNNN.pth" in note for note in said["notes"]] == [True] * notes


def test_a_classifier_shows_no_chosen_images(copy, data, capsys):
    assert main(["figures", str(copy), "--data", str(data), "--images", "0013"]) == 2
    assert "figures of tiny show no chosen image; leave it out" in capsys.readouterr().err


def test_without_its_data_a_run_shows_its_learning_curve_alone(copy, tmp_path):
    for file in copy.glob("*.pth"):
        file.unlink()
    said = draw(copy, None, tmp_path / "out")
    assert said["figures"] == {"learning_curve": "learning_curve.png"} and "accuracy" not in said
    assert len(said["notes"]) == 1 and "is not here" in said["notes"][0]


def spoil(run, change, data, tmp_path):
    """Break a run or its data; return the words of the command line."""
    words = [str(run), "--data", str(data)]
    if change == "best.pth":
        (run / change).unlink()
    elif change == "nothing":
        (run / "recipe.json").unlink()
        (run / "result.json").unlink()
    elif change == "garbage":
        (run / "best.pth").write_bytes(b"not a checkpoint")
    elif change == "dead":
        state = {k: torch.zeros_like(v) for k, v in network(run / "best.pth").state_dict().items()}
        for file in run.glob("*.pth"):
            torch.save(state, file)
    elif change == "mini":
        (run / "result.json").unlink()
        recipe = PROBLEMS["mini"].recipes["p2-supervised"]
        (run / "recipe.json").write_text(json.dumps(recipe.to_plain()))
    elif change == "result.json":
        (run / change).unlink()
        words = words[:1]
    elif change == "classes":
        (tmp_path / "val_50").mkdir()
        Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "val_50" / "17_0.png")
        words[2] = str(tmp_path)
    elif change == "data":
        words[2] = str(run / "nowhere")
    return words


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("best.pth", "no best.pth in .*"),
        ("nothing", "no recipe.json in .*give a run's folder"),
        ("garbage", "best.pth is not a checkpoint"),
        ("dead", "the same for every image"),
        ("mini", "p2-supervised, of which nothing is drawn"),
        ("result.json", "--data DIR"),
        ("classes", "reach 17, .* knows 4 classes"),
        ("data", "say where .*--data DIR"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(copy, data, tmp_path, capsys, change, says):
    assert main(["figures", *spoil(copy, change, data, tmp_path)]) == 2
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
    (copy / "result.json").unlink()
    recipe = replace(p2.RECIPES["p2-a"], classes=4, size=SIZE)
    (copy / "recipe.json").write_text(json.dumps(recipe.to_plain()))
    found = figures.read_validation(p2.read, Run.load(copy, PROBLEMS), office.parent)
    assert found.pixels.shape == (6, SIZE, SIZE, 3)
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.names == ["0 Couch", "1 Bed", "2 TV", "3"]
