"""mini-ImageNet in the forms in which it is passed around."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.training.datasets.public.python2 import python2
from training.__main__ import main
from training.byol import data as unlabelled
from training.datasets.public import mini_imagenet

CLASSES = sorted(mini_imagenet.TRAIN)[:3]
OTHER = "n01855672"  # of the validation split
SIZES = [(84, 84), (84, 84), (120, 90), (84, 84)]


@pytest.fixture(scope="module")
def files(tmp_path_factory, draw):
    """Three classes of four JPEGs, one of another size, and the path of each by its class."""
    root = tmp_path_factory.mktemp("mini")
    return {
        name: [draw(root / f"{name}0000000{i}.jpg", size) for i, size in enumerate(SIZES)]
        for name in [*CLASSES, OTHER]
    }


def flat(root, files):
    (root / "images").mkdir(parents=True)
    rows = ["filename,label"]
    for name in CLASSES:
        for path in files[name]:
            shutil.copy(path, root / "images")
            rows.append(f"{path.name},{name}")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    return root


def nested(root, files, names=(*CLASSES, OTHER)):
    for name in names:
        (root / name).mkdir(parents=True)
        for path in files[name]:
            shutil.copy(path, root / name)
    return root


def table_of_folders(root, files):
    nested(root / "images", files)
    rows = [f"{path.name},{name}" for name in CLASSES for path in files[name]]
    (root / "train.csv").write_text("\n".join(["filename,label", *rows, ""]))
    return root


FORMS = {
    "a table and images": flat,
    "a table and class folders": table_of_folders,
    "class folders of all splits": nested,
    "class folders of train": lambda root, files: nested(root / "train", files).parent,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_training_classes(form, files, tmp_path, capsys):
    source = FORMS[form](tmp_path / "source", files)
    assert main(["import-data", "mini-imagenet", str(source), str(tmp_path / "out")]) == 0
    assert "mini-ImageNet, 3 classes; images: train 12" in capsys.readouterr().out
    paths, labels = unlabelled.read(tmp_path / "out" / "p2_data")
    assert {path.name for path in paths} == {f"{i}.jpg" for i in range(12)}
    found = {}
    for path, label in zip(paths, labels):
        found.setdefault(int(label), set()).add(path.read_bytes())
        with Image.open(path) as image:
            assert image.size == (84, 84)
    for label, name in enumerate(CLASSES):
        untouched = {path.read_bytes() for i, path in enumerate(files[name]) if i != 2}
        assert len(found[label]) == 4 and len(found[label] & untouched) == 3
    by_number = [int(labels[paths.index(p)]) for p in sorted(paths, key=lambda p: int(p.stem))]
    assert by_number != sorted(by_number)  # a batch of neighbours is not one class


def test_the_pickled_form(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 1, 3), dtype=np.uint8)
    pixels = np.broadcast_to(pixels, (4, 84, 84, 3)).copy()
    content = {b"image_data": pixels, b"class_dict": {b"n2": [2, 3], b"n1": [0, 1]}}
    (tmp_path / mini_imagenet.CACHE).write_bytes(python2(content))
    out = tmp_path / "out"
    assert main(["import-data", "mini-imagenet", str(tmp_path), str(out)]) == 0
    paths, labels = unlabelled.read(out / "p2_data")
    colours = {tuple(pixels[i, 0, 0].tolist()): i // 2 for i in range(4)}
    for path, label in zip(paths, labels):
        with Image.open(path) as image:
            seen = np.asarray(image)[40, 40].astype(int)
        nearest = min(colours, key=lambda colour: np.abs(seen - colour).sum())
        assert colours[nearest] == label


def test_classes_of_another_split_are_taken_where_there_are_only_those(files, tmp_path):
    source = nested(tmp_path / "source", files, [OTHER])
    assert main(["import-data", "mini-imagenet", str(source), str(tmp_path / "out")]) == 0
    assert len(unlabelled.read(tmp_path / "out" / "p2_data").paths) == 4


def test_wrong_and_damaged_sources(files, tmp_path, refusal):
    out = tmp_path / "out"
    assert "no mini-ImageNet in" in refusal("mini-imagenet", tmp_path, out)
    source = flat(tmp_path / "source", files)
    name = f"{CLASSES[1]}00000001.jpg"
    (source / "images" / name).write_bytes(b"<html>")
    assert f"{name}: not an image; fetch" in refusal("mini-imagenet", source, out)
    (source / "images" / name).unlink()
    assert f"no {source}/images/{name}, which" in refusal("mini-imagenet", source, out)
    (source / "train.csv").write_text("name,class\n1,2\n")
    assert "no column 'label' in" in refusal("mini-imagenet", source, out)
    cache = tmp_path / mini_imagenet.CACHE
    cache.write_bytes(pickle.dumps({"images": [1]}))
    assert "is no mini-ImageNet: KeyError(b'image_data')" in refusal("mini-imagenet", cache, out)
    content = {b"image_data": np.zeros((1, 84, 84)), b"class_dict": {b"n1": [0]}}
    cache.write_bytes(python2(content))
    assert "holds no RGB images" in refusal("mini-imagenet", cache, out)
    assert not out.exists()
