"""What is predicted, and for which images; see test_command_line.py for what goes wrong."""

import csv
import dataclasses
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from inference import images, landcover, predict, zoo
from inference.predict import Settings


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_mask(path):
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return landcover.to_indices(np.asarray(image))


def masks(folder):
    return {path.name: read_mask(path) for path in folder.iterdir()}


def settings(**changes):
    return Settings(device="cpu", precision="fp32")._replace(**changes)


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


# The answers are those of the plain script


def plain(record, paths, batch_size=32):
    """Return what torchvision's transforms and a loop over batches predict."""
    transforms = pytest.importorskip("torchvision.transforms")
    steps = [] if record.size is None else [transforms.Resize((record.size, record.size))]
    steps += [transforms.ToTensor(), transforms.Normalize(record.mean, record.std)]
    transform, network, found = transforms.Compose(steps), zoo.load(record), []
    with torch.no_grad():
        for start in range(0, len(paths), batch_size):
            batch = []
            for path in paths[start : start + batch_size]:
                with Image.open(path) as image:
                    batch.append(transform(image.convert("RGB")))
            logits = network(torch.stack(batch))
            logits = logits["out"] if isinstance(logits, dict) else logits
            found += list(logits.argmax(1).numpy())
    return found


def test_classes_are_the_plain_scripts(small_zoo, small_images, tmp_path):
    assert predict.classify(small_images, tmp_path / "out.csv", settings()) == 0
    rows = read_csv(tmp_path / "out.csv")
    paths = sorted(small_images.iterdir())
    assert [row["filename"] for row in rows] == [path.name for path in paths]
    assert [int(row["label"]) for row in rows] == plain(small_zoo["p1"], paths)
    assert len({row["label"] for row in rows}) > 3  # else this would prove little


def test_classes_of_a_csv_are_the_plain_scripts(small_zoo, photos, tmp_path):
    folder, table = photos
    assert predict.classify_csv(table, folder, tmp_path / "out.csv", settings()) == 0
    asked, rows = read_csv(table), read_csv(tmp_path / "out.csv")
    assert [(r["id"], r["filename"]) for r in rows] == [(r["id"], r["filename"]) for r in asked]
    expected = plain(small_zoo["p2"], [folder / row["filename"] for row in asked])
    assert [int(row["label"]) for row in rows] == expected
    assert len(set(expected)) > 2


def test_masks_are_the_plain_scripts(small_zoo, tiles, tmp_path):
    assert predict.segment(tiles, tmp_path / "out", settings()) == 0
    found = masks(tmp_path / "out")
    assert sorted(found) == [f"{i:04}_mask.png" for i in range(5)]
    for path in sorted(tiles.glob("*_sat.jpg")):
        expected = plain(small_zoo["p3"], [path])[0]
        mask = found[path.name.replace("_sat.jpg", "_mask.png")]
        assert mask.shape == expected.shape and (mask != expected).sum() <= 1
        assert len(np.unique(mask)) > 1


# They depend on the image alone


@pytest.mark.parametrize("batch_size", [1, 4, 36, 64])  # 36: the last batch has one image
def test_classes_do_not_depend_on_the_batch(small_images, tmp_path, batch_size):
    predict.classify(small_images, tmp_path / "a.csv", settings())
    predict.classify(small_images, tmp_path / "b.csv", settings(batch_size=batch_size))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_classes_do_not_depend_on_the_order(small_zoo, small_images):
    paths = sorted(small_images.iterdir())
    shuffled = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]
    forth = dict(zip(paths, predict.labels(paths, small_zoo["p1"], settings())))
    back = dict(zip(shuffled, predict.labels(shuffled, small_zoo["p1"], settings())))
    assert forth == back


@pytest.mark.parametrize("batch_size", [2, 4, 8])
def test_masks_do_not_depend_on_the_batch(tiles, tmp_path, batch_size):
    predict.segment(tiles, tmp_path / "a", settings())
    predict.segment(tiles, tmp_path / "b", settings(batch_size=batch_size))
    one, other = masks(tmp_path / "a"), masks(tmp_path / "b")
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("task", ["p1", "p3"])
def test_flip_averaging_makes_an_image_and_its_mirror_image_the_same(small_zoo, tmp_path, task):
    record = dataclasses.replace(small_zoo[task], tta=True)
    count = 20 if task == "p1" else 6
    noise = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
    for i, values in enumerate(noise):
        Image.fromarray(values).save(tmp_path / f"{i:02}.png")
        Image.fromarray(values[:, ::-1]).save(tmp_path / f"{i:02}-mirrored.png")
    paths = images.list_images(tmp_path)

    def answers(record):
        if task == "p1":
            return np.reshape(predict.labels(paths, record, settings()), (count, 2))
        predict.write_masks(paths, tmp_path / "out", record, settings())
        drawn = [read_mask(tmp_path / "out" / path.name) for path in paths]
        return np.stack(
            [[drawn[i][:, ::-1], drawn[i + 1]] for i in range(0, len(drawn), 2)]
        ).reshape(count, 2, -1)

    with_tta, without = answers(record), answers(small_zoo[task])
    assert (with_tta[:, 0] != with_tta[:, 1]).mean() < 1e-4  # sums in another order
    assert (without[:, 0] != without[:, 1]).any()


# Every size


def test_a_mask_has_the_size_of_its_image(small_zoo, draw, tmp_path):
    sizes = [(1, 1), (20, 700), (700, 20), (31, 33), (64, 48), (64, 48), (200, 100)]
    for i, size in enumerate(sizes):
        draw(tmp_path / "in" / f"{i}_sat.png", size)
    predict.segment(tmp_path / "in", tmp_path / "out", settings(batch_size=4))
    found = masks(tmp_path / "out")
    assert [found[f"{i}_mask.png"].shape[::-1] for i in range(len(sizes))] == sizes


@pytest.mark.parametrize(
    ("network", "arguments"), [("vgg16_fcn32", {"width": 8}), ("deeplabv3_resnet50", {})]
)
def test_other_networks_take_every_size_too(
    small_zoo, draw, tmp_path, monkeypatch, network, arguments
):
    from inference.networks import build

    monkeypatch.setattr(zoo, "load", lambda *_: build(network, 7, **arguments).eval())
    for i, size in enumerate([(1, 1), (20, 70)]):
        draw(tmp_path / f"{i}.png", size)
    paths = images.list_tiles(tmp_path)
    predict.write_masks(paths, tmp_path / "out", small_zoo["p3"], settings())
    assert [read_mask(tmp_path / "out" / p.name).shape for p in paths] == [(1, 1), (70, 20)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_images_of_every_mode_are_answered(draw, tmp_path, mode):
    for i in range(3):
        draw(tmp_path / "in" / f"{i}.png", (40, 30), "RGB")
        draw(tmp_path / "in" / f"{i}-odd.png", (40, 30), "L" if mode == "I;16" else mode)
    if mode == "I;16":
        for path in (tmp_path / "in").glob("*odd.png"):
            with Image.open(path) as image:
                values = np.asarray(image).astype(np.uint16) * 257
            Image.fromarray(values).save(path)
    assert predict.classify(tmp_path / "in", tmp_path / "out.csv", settings()) == 0
    assert predict.segment(tmp_path / "in", tmp_path / "out", settings()) == 0
    assert len(read_csv(tmp_path / "out.csv")) == len(masks(tmp_path / "out")) == 6


# Editions, and folders that hold more than images


def test_the_naming_of_2022(draw, tmp_path):
    for name in ("0000.jpg", "0001.jpg", "0001.png"):  # the last is the truth of the second
        draw(tmp_path / "in" / name, (40, 40))
    predict.segment(tmp_path / "in", tmp_path / "out", settings())
    assert sorted(masks(tmp_path / "out")) == ["0000.png", "0001.png"]


def test_only_images_are_answered(small_images, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for old, new in [("0000.png", "b.PNG"), ("0001.png", "a.png"), ("0002.png", ".hidden.png")]:
        shutil.copy(small_images / old, folder / new)
    (folder / "sub.png").mkdir()
    (folder / "notes.txt").write_text("")
    predict.classify(folder, tmp_path / "out.csv", settings())
    assert [row["filename"] for row in read_csv(tmp_path / "out.csv")] == ["a.png", "b.PNG"]


def test_a_terminal_without_tqdm_gets_no_bar(small_images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert predict.classify(small_images, tmp_path / "out.csv", settings()) == 0
    assert len(read_csv(tmp_path / "out.csv")) == 37
