"""Records that name their classes: what may stand there, and who uses it."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from inference import UserError, landcover, load, zoo
from inference.landcover import to_colours
from inference.overlay import overlay, with_legend
from inference.zoo import listing
from inference.zoo.provenance import class_names_of, source_of

NAMES = [f"thing {i}" for i in range(49)] + ["jalapeño"]


@pytest.fixture
def named(repository, monkeypatch):
    """Make this process use a zoo of its own whose P1 and P3 records name their classes."""
    surfaces = ["building", "field", "road", "tree", "sea", "sand", "nothing"]
    p1 = dataclasses.replace(repository.records["p1"], names=NAMES)
    p3 = dataclasses.replace(repository.records["p3"], names=surfaces)
    repository.write_zoo([p1, repository.records["p2"], p3])
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    return p1, p3


def test_names_go_into_the_file_and_come_back(named):
    p1, p3 = named
    there = zoo.records()
    assert there["p1-small"] == p1 and there["p3-small"].class_names == p3.names
    assert "names" not in json.loads(zoo.ZOO.read_text())["checkpoints"]["p2-small"]
    assert there["p2-small"].names == there["p2-small"].class_names == []
    zoo.add(dataclasses.replace(p3, names=[]))
    assert zoo.record("p3-small").class_names == list(landcover.CLASSES)  # as its colours are
    rows = [line.split() for line in listing.table().splitlines()[1:4]]
    assert [row[4:6] for row in rows[:2]] == [["50,", "named"], ["65", rows[1][5]]]


@pytest.mark.parametrize(
    "names, said",
    [
        ("apple", "its 'names' is no list"),
        (None, "its 'names' is no list"),
        ([], "0 names for 50 classes"),
        (NAMES[1:], "49 names for 50 classes"),
        ([*NAMES, "one"], "51 names for 50 classes"),
        ([*NAMES[:-1], 7], "the name of class 49 is 7, no word"),
        ([*NAMES[:-1], None], "the name of class 49 is null, no word"),
        ([*NAMES[:-1], " "], 'the name of class 49 is " ", no word'),
        ([*NAMES[:-1], "a\nb"], r'the name of class 49, "a\nb", is no single line'),
        ([*NAMES[:-1], "a\u202eb"], "the name of class 49, "),
        ([*NAMES[:-1], "\ud800"], "the name of class 49, "),
        (
            [*NAMES[:-1], "x" * 101],
            'the name of class 49, "' + 39 * "x" + ", is no single line of at most 100",
        ),
        ([*NAMES[:-1], "thing 3"], 'classes 3 and 49 are both called "thing 3"'),
    ],
)
def test_names_that_will_not_do_fail_when_they_are_read(repository, names, said):
    content = json.loads(repository.zoo.read_text())
    content["checkpoints"]["p1-small"]["names"] = names
    repository.zoo.write_text(json.dumps(content))
    with pytest.raises(UserError) as raised:
        zoo.records(repository.zoo)
    line = str(raised.value)
    assert f"checkpoint 'p1-small': {said}" in line and "mend it" in line and line.isprintable()


def test_python_gets_names(named, small_images):
    paths = sorted(small_images.iterdir())
    net = load("p1-small", device="cpu")
    labels = net.predict(paths)
    assert net.predict(paths, names=True) == [NAMES[label] for label in labels]
    assert net.names == NAMES and net.predict([], names=True) == []


@pytest.mark.parametrize(
    "name, own, said",
    [
        ("p2-small", False, "the record of p2-small says no names of classes: leave out names"),
        ("p1-small", True, "the own weights say no names of classes: leave out names=True"),
        ("p3-small", False, "p3-small answers with masks, whose pixels are numbers: leave out"),
    ],
)
def test_names_that_nobody_knows_are_no_numbers(named, small_images, name, own, said):
    weights = zoo.path(zoo.record(name)) if own else None
    net = load(name, weights=weights, device="cpu")
    with pytest.raises(UserError, match=said):
        net.predict(sorted(small_images.iterdir()), names=True)
    assert net.names == (zoo.record(name).names if not own else [])


def test_own_weights_of_land_cover_mean_its_colours(named):
    net = load("p3-small", weights=zoo.path(named[1]), device="cpu")
    assert net.names == list(landcover.CLASSES)


def test_a_note_in_the_data_names_its_classes(tmp_path):
    (tmp_path / "office").mkdir()
    for folder, task in ((tmp_path, "p1"), (tmp_path / "office", "p2"), (tmp_path, "p3")):
        (folder / "DATA.json").write_text(json.dumps({"source": "x", "classes": ["a", "b"]}))
        assert class_names_of(task, tmp_path) == ["a", "b"] and source_of(folder) == "x"
    assert class_names_of("byol", tmp_path) == []
    for content in (
        "[]",
        "{",
        "{}",
        '{"classes": 3}',
        '{"classes": ["a", 2]}',
        "\udcff",
        "[" * 9999,
    ):
        (tmp_path / "DATA.json").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert class_names_of("p1", tmp_path) == [] and source_of(tmp_path) is None


# The legend of an overlay


def test_a_legend_lists_the_classes_of_the_mask_below_the_picture():
    mask = np.full((100, 600), 3, np.uint8)
    mask[:, :150] = 4
    picture = overlay(np.full((100, 600, 3), 90, np.uint8), mask)
    whole = with_legend(picture, mask)
    assert np.array_equal(whole[:100], picture) and whole.shape[1] == 600
    strip = whole[100:].reshape(-1, 3).tolist()
    there = {tuple(colour) for colour in strip}
    assert {(0, 255, 0), (0, 0, 255), (255, 255, 255)} <= there
    assert not there & {(0, 255, 255), (255, 255, 0), (255, 0, 255)}
    assert strip.index([0, 255, 0]) < strip.index([0, 0, 255])  # the larger share first


@pytest.mark.parametrize("size", [(1, 1), (30, 20), (700, 1031), (40, 2448)])
def test_a_legend_fits_pictures_of_any_size(size):
    mask = np.arange(size[0] * size[1]).reshape(size).astype(np.uint8) % 7
    names = ["x" * 40, "日本", "\u202e", *"defg"]
    whole = with_legend(to_colours(mask), mask, names)
    assert np.array_equal(whole[: size[0], : size[1]], to_colours(mask))
    assert len(whole) > size[0] + 10
    assert whole.shape[1] == size[1] if size[1] > 1000 else whole.shape[1] > size[1]


def test_the_command_draws_a_legend_where_it_is_asked_for(named, tmp_path, run_here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 80), (9, 90, 200)).save("0_sat.png")
    mask = np.zeros((80, 200), np.uint8)
    Image.fromarray(to_colours(mask)).save("0_mask.png")
    pictures = []
    for options in ([], ["--legend"], ["--legend", "--model", "p3-small"], ["--model", "p3-small"]):
        assert run_here("overlay", "0_sat.png", "0_mask.png", "-o", "o.png", *options)[0] == 0
        pictures.append(np.asarray(Image.open("o.png")))
    assert pictures[0].shape == (80, 200, 3)
    assert len(pictures[1]) > 80 and np.array_equal(pictures[2], pictures[3])
    assert not np.array_equal(pictures[1], pictures[2])  # Urban land, building


def test_a_legend_of_a_classifier_is_refused(named, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("overlay", "a.png", "b.png", "--legend", "--model")
    assert "p1-small maps no land cover" in refused(*options, "p1-small")
    assert "no checkpoint 'gone' in the zoo" in refused(*options, "gone")
    assert list(tmp_path.glob("*.png")) == []
