"""CIFAR-10 and CIFAR-100 as Python 2 pickled them, and what is made of them."""

import json
import lzma
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import UserError
from tests.training.datasets.public.python2 import python2
from training.__main__ import main
from training.classification import p1
from training.datasets.public import cifar, pickles


def pixel(label, index):
    """A picture that tells which one it is: (3, 32, 32)."""
    picture = np.zeros((3, 32, 32), np.uint8)
    picture[0], picture[2, 0] = label, 7
    picture[1, 0] = np.frombuffer(f"{index:032}".encode(), np.uint8)
    return picture.reshape(-1)


def batch(form, labels, start=0):
    data = np.stack([pixel(label, start + i) for i, label in enumerate(labels)])
    return python2({b"data": data, form.labels: labels, b"batch_label": b"training batch"})


def dataset(root, form, classes, each):
    """An unpacked dataset of some classes, in a mixed order."""
    folder = root / form.folder
    folder.mkdir(parents=True)
    names = [f"class {label}".encode() for label in range(classes)]
    (folder / form.meta).write_bytes(python2({form.names: names}))
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(classes), each))
    parts = np.array_split(labels, len(form.batches))
    for i, (name, part) in enumerate(zip(form.batches, parts)):
        (folder / name).write_bytes(batch(form, part.tolist(), start=1000 * i))
    (folder / "test_batch").write_bytes(b"not to be read")
    return folder


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(cifar, "TRAIN", 3)
    monkeypatch.setattr(cifar, "VAL", 1)


def read(file):
    with Image.open(file) as image:
        return np.asarray(image)


def test_the_first_and_the_second_half_of_cifar100(tmp_path, few, capsys):
    dataset(tmp_path, cifar.CIFAR100, 100, 5)
    for half, first in (("1", 0), ("2", 50)):
        out = tmp_path / half
        assert main(["import-data", "cifar100", str(tmp_path), str(out), "--half", half]) == 0
        for part, count in (("train", 3), ("val", 1)):
            paths, labels = p1.read(out / "p1_data", part)
            assert np.bincount(labels).tolist() == [count] * 50
            for path, label in zip(paths, labels):
                picture = read(path)
                assert picture.shape == (32, 32, 3) and (picture[..., 0] == first + label).all()
                assert picture[0, :, 2].tolist() == [7] * 32 and not picture[1:, :, 2].any()
        assert json.loads((out / "p1_data/DATA.json").read_text())["classes"][0] == f"class {first}"
    assert "CIFAR-100, classes 50-99; images: train_50 150, val_50 50" in capsys.readouterr().out


def test_the_courses_counts_and_names_from_the_archive(tmp_path):
    folder = dataset(tmp_path / "unpacked", cifar.CIFAR10, 2, 510)
    archive = tmp_path / cifar.CIFAR10.archive
    with tarfile.open(archive, "w:gz") as members:
        members.add(folder, cifar.CIFAR10.folder)
    assert main(["import-data", "cifar10", str(archive), str(tmp_path / "out")]) == 0
    names = {part: os.listdir(tmp_path / "out/p1_data" / part) for part in ("train_50", "val_50")}
    assert set(names["train_50"]) == {f"{c}_{i}.png" for c in (0, 1) for i in range(450)}
    assert set(names["val_50"]) == {f"{c}_{i}.png" for c in (0, 1) for i in range(450, 500)}
    assert {path.name for path in tmp_path.iterdir()} == {"unpacked", archive.name, "out"}


def test_all_of_it_and_no_image_twice(tmp_path):
    dataset(tmp_path, cifar.CIFAR10, 3, 20)
    for seed in ("0", "0", "1"):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert (
            main(["import-data", "cifar10", str(tmp_path), str(out), "--all", "--seed", seed]) == 0
        )
    outs = sorted(tmp_path.glob("out*/p1_data"))
    found = [
        [
            read(file).tobytes()
            for part in ("train_50", "val_50")
            for file in sorted((out / part).iterdir())
        ]
        for out in outs
    ]
    assert len(list((outs[0] / "train_50").iterdir())) == 54
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 60 and set(found[0]) == set(found[2])


def test_wrong_and_damaged_sources(tmp_path, refusal, few):
    out = tmp_path / "deep" / "out"
    there = lambda *names: refusal("cifar10", tmp_path.joinpath(*names), out)  # noqa: E731
    assert "no CIFAR-10 in" in there("nowhere")
    (tmp_path / "text.tar.gz").write_text("quota exceeded")
    assert "text.tar.gz: file could not be opened successfully; fetch" in there("text.tar.gz")

    folder = dataset(tmp_path, cifar.CIFAR10, 2, 5)
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as members:
        members.add(folder / "batches.meta", "cifar-100-python/meta")
    assert "is not CIFAR-10: it has no cifar-10-batches-py/data_batch_1" in there("other.tar.gz")
    with tarfile.open(tmp_path / "half.tar.gz", "w:gz") as members:
        members.add(folder, cifar.CIFAR10.folder)
    whole = (tmp_path / "half.tar.gz").read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert "cannot read" in there("half.tar.gz")

    assert "give one of the two" in refusal(
        "cifar100", tmp_path / "half.tar.gz", out, "--all", "--half", "2"
    )
    (tmp_path / "half.tar.xz").write_bytes(lzma.compress(whole)[:2000] + bytes(100))
    assert "cannot read" in there("half.tar.xz")

    whole = (folder / "data_batch_3").read_bytes()
    (folder / "data_batch_3").write_bytes(whole[:-1000])
    assert "cannot read data_batch_3 in" in there(folder.name)
    (folder / "data_batch_3").write_bytes(python2({b"data": np.zeros((1, 3072), np.uint8)}))
    assert "does not hold CIFAR-10 as it should: KeyError(b'labels')" in there(folder.name)
    (folder / "data_batch_3").write_bytes(batch(cifar.CIFAR10, [2]))
    assert "classes out of range" in there(folder.name)
    (folder / "data_batch_3").unlink()
    assert "data_batch_3: No such file" in there(folder.name)
    assert not out.parent.exists()


def test_too_few_images(tmp_path, refusal):
    dataset(tmp_path, cifar.CIFAR10, 2, 5)
    line = refusal("cifar10", tmp_path, tmp_path / "out")
    assert "class 0 has 5 images and 500 are wanted" in line


class Call:
    """What a hostile pickle holds."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def test_a_pickle_calls_nothing(tmp_path):
    for harm in (Call(os.mkdir, str(tmp_path / "harm")), Call(eval, "1"), Path("x"), np.float64):
        with pytest.raises(UserError, match=r"wants to call \w+.*, which is no part of data"):
            pickles.read(pickle.dumps({b"data": harm}), "file")
    assert not any(tmp_path.iterdir())
    with pytest.raises(UserError, match="it holds no dict"):
        pickles.read(pickle.dumps([1]), "file")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_of_python_3(protocol):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = pickle.dumps({"data": array, "labels": [1, 2]}, protocol=protocol)
    found = pickles.read(content, "file")
    assert np.array_equal(found[b"data"], array) and found[b"labels"] == [1, 2]
