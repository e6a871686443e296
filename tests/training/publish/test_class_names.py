"""The names of a checkpoint's classes: from a file, from the data, into the record and the page."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference import UserError, zoo
from training.engine.run import run
from training.engine.run_folder import Run
from training.problems import PROBLEMS, RECIPES
from training.publish import class_names, publish

TINY = replace(
    RECIPES["p1-a"],
    arguments={"widths": [4, 8], "depths": [1]},
    classes=3,
    epochs=1,
    batch_size=8,
)
SAID = ["apple", "aquarium_fish", "<b> & *c*"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three classes of coloured noise, and a run on them: (data, run's folder)."""
    root = tmp_path_factory.mktemp("named")
    data, random = root / "hw1_data" / "p1_data", np.random.default_rng(0)
    for part in ("train_50", "val_50"):
        (data / part).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            pixels[..., i % 3] += 100
            Image.fromarray(pixels).save(data / part / f"{i % 3}_{i}.png")
    run(PROBLEMS["p1"], TINY, data, root / "run", lambda line: None)
    return data, root / "run"


@pytest.fixture
def place(authors):
    """Return the root of a repository of its own, whose zoo this process uses."""
    return authors.root


def test_a_file_names_the_classes_of_what_is_published(trained, place, tmp_path, capsys):
    _, folder = trained
    file = tmp_path / "names.txt"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*SAID, "", ""]).encode())
    publish.publish(Run.load(folder, PROBLEMS), "mine", None, [], False, classes=file)
    assert zoo.record("mine").names == SAID
    page = (place / "docs" / "zoo.md").read_text("utf-8")
    assert "- classes, from 0: apple, aquarium\\_fish, \\<b\\> \\& \\*c\\*\n" in page
    assert page.count("- classes, from 0") == 1


def test_the_datas_note_names_them_unless_it_is_of_others(trained, place, tmp_path, capsys):
    data, folder = trained
    mine = tmp_path / "p1_data"
    shutil.copytree(data, mine)
    for names, wanted in ((SAID, SAID), (SAID[:2], []), (["a", "a", "b"], [])):
        (mine / "DATA.json").write_text(json.dumps({"source": "a dataset", "classes": names}))
        publish.publish(Run.load(folder, PROBLEMS), "mine", mine, [], False)
        assert zoo.record("mine").names == wanted


@pytest.mark.parametrize(
    "content, said",
    [
        (b"a\nb\n", "2 names for 3 classes; give one name a line, that of class 0 first"),
        (b"a\n\nb\n", 'the name of class 1 is "", no word'),
        (b"a\nb\na\n", 'classes 0 and 2 are both called "a"'),
        (b"", "0 names for 3 classes"),
        (b"a\nb\n\xff\n", "it is no text in UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_names_that_will_not_do_publish_nothing(trained, place, tmp_path, content, said):
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    before = zoo.ZOO.read_bytes(), sorted(os.listdir(place / "weights"))
    for go in (
        lambda: publish.publish(Run.load(trained[1], PROBLEMS), "x", None, [], False, classes=file),
        lambda: class_names.read(file, 3),
    ):
        with pytest.raises(UserError) as raised:
            go()
        assert said in str(raised.value) and str(file) in str(raised.value)
    assert (zoo.ZOO.read_bytes(), sorted(os.listdir(place / "weights"))) == before


def test_a_checkpoint_is_named_afterwards(place, tmp_path, capsys):
    file = tmp_path / "names.txt"
    file.write_text("\n".join(f"thing {i}" for i in range(50)))
    before = zoo.record("p1-small")
    publish.name_classes("p1-small", file)
    named = zoo.record("p1-small")
    assert named == replace(before, names=[f"thing {i}" for i in range(50)])
    assert "p1-small: 50 classes, thing 0 to thing 49" in capsys.readouterr().out
    with pytest.raises(UserError, match="no checkpoint 'nix' in the zoo"):
        publish.name_classes("nix", file)


@pytest.mark.parametrize("parts", [("train", "val"), ("val",)])
def test_words_that_files_begin_with_name_the_classes(tmp_path, parts):
    office = tmp_path / "office"
    for part in parts:
        (office / part).mkdir(parents=True)
        rows = ["id,filename,label"]
        for i, (word, label) in enumerate([("Couch", 1), ("Bed", 0), ("TV", 2), ("Bed", 0)]):
            Image.new("RGB", (9, 9)).save(office / part / f"{word}{i:05}.jpg")
            rows.append(f"{i},{word}{i:05}.jpg,{label}")
        (office / f"{part}.csv").write_text("\n".join(rows) + "\n")
    assert class_names.of(PROBLEMS["p2"], tmp_path, 3) == ["Bed", "Couch", "TV"]
    assert class_names.of(PROBLEMS["p2"], tmp_path, 4) == []  # of which one has no image
    (office / "DATA.json").write_text(json.dumps({"classes": ["bed", "couch", "tv"]}))
    assert class_names.of(PROBLEMS["p2"], tmp_path, 3) == ["bed", "couch", "tv"]
    assert class_names.of(PROBLEMS["p3"], tmp_path, 7) == []
