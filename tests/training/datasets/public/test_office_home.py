"""Office-Home, and the course's split of it."""

import shutil

import numpy as np
import pytest

from training.__main__ import main
from training.classification import p2
from training.datasets.public import office_home

NAMES = ["TV", "Table", "ToothBrush", *(f"Class_{i:02}" for i in range(62))]


@pytest.fixture(scope="module")
def source(tmp_path_factory, draw):
    """Two domains of 65 classes: 2-4 images of each in one, 2 in the other."""
    root = tmp_path_factory.mktemp("downloads") / "OfficeHomeDataset_10072016"
    for i, name in enumerate(NAMES):
        for number in range(2 + i % 3):
            draw(root / "Real World" / name / f"{number:05}.jpg", (20 + i, 16), quality=70 + number)
        for number in range(2):
            draw(root / "Art" / name / f"{number:05}.jpg", (8, 8))
    return root


def read(out, part):
    return p2.read(out / "p2_data", part)


def test_the_course_layout(source, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["import-data", "office-home", str(source.parent), str(out)]) == 0
    assert "Office-Home, Real World; images: train 129, val 65" in capsys.readouterr().out
    originals = {path.read_bytes() for path in source.glob("Real World/*/*.jpg")}
    found = []
    for part in ("train", "val"):
        paths, labels = read(out, part)
        assert {path.name for path in (out / "p2_data/office" / part).iterdir()} == {
            path.name for path in paths
        }
        assert set(labels.tolist()) == set(range(65))
        found += [path.read_bytes() for path in paths]
        # Each class has a width of its own here, so a copy tells where it came from.
        names = sorted(NAMES)
        for path, label in zip(paths, labels):
            image = originals_of(source, names[label])
            assert path.read_bytes() in image
    assert set(found) == originals and len(found) == len(set(found))
    assert {path.name for path in read(out, "val").paths} == {f"{i:04}.jpg" for i in range(65)}


def originals_of(source, name):
    return {path.read_bytes() for path in (source / "Real World" / name).iterdir()}


def test_the_same_seed_gives_the_same_files(source, tmp_path):
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        arguments = [str(source / "Real World"), str(tmp_path / out), "--seed", seed]
        assert main(["import-data", "office-home", *arguments]) == 0
    a, b, c = ([path.read_bytes() for path in read(tmp_path / out, "val").paths] for out in "abc")
    assert a == b != c


def test_another_domain(source, tmp_path):
    assert main(["import-data", "office-home", str(source), str(tmp_path), "--domain", "Art"]) == 0
    assert len(read(tmp_path, "train").paths) == 65


def test_the_courses_counts():
    random = np.random.default_rng(0)
    counts = random.multinomial(4357 - 65 * 20, np.ones(65) / 65) + 20
    quotas = office_home.quota(counts.tolist())
    assert sum(quotas) == 406 and min(quotas) >= 1
    assert np.abs(np.array(quotas) - counts * 406 / 4357).max() < 1
    assert office_home.quota([2, 2, 99]) == [1, 1, 9]


def test_wrong_and_damaged_sources(source, tmp_path, refusal):
    out = tmp_path / "out"
    assert "no folder 'Product' in" in refusal("office-home", source, out, "--domain", "Product")
    mine = tmp_path / "mine"
    shutil.copytree(source, mine)
    (mine / "Real World/TV/00000.jpg").write_bytes(b"")
    assert "TV/00000.jpg: not an image; fetch" in refusal("office-home", mine, out)
    (mine / "Real World/TV/00000.jpg").unlink()
    assert "one image in" in refusal("office-home", mine, out)
    shutil.rmtree(mine / "Real World/TV")
    assert "holds 64 classes, not 65" in refusal("office-home", mine, out)
    assert not out.exists()
