"""The page and the probabilities beside the answers, and that they change nothing of those."""

import base64
import csv
import dataclasses
import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from inference import images, landcover, predict, windows, zoo
from inference.batches import forward
from inference.predict import Extras, Settings

PLAIN = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


@pytest.fixture
def named_zoo(small_zoo, tmp_path, monkeypatch):
    """Make this process use a zoo whose P1 record names its classes; returns the names."""
    names = [f"thing {i}" for i in range(48)] + ["<b>\"x\" & 'y'", "jalapeño_pepper"]
    file = tmp_path / "named" / "inference" / "zoo.json"
    (file.parent.parent / "weights").mkdir(parents=True)
    record = dataclasses.replace(small_zoo["p1"], names=names)
    shutil.copy(zoo.path(record), file.parent.parent / "weights")
    zoo.add(record, default=True, file=file)
    monkeypatch.setattr(zoo, "ZOO", file)
    return names


class Figures(HTMLParser):
    """What a page shows: `text`, of every figure `texts`, and `pictures`, all as (w, h)."""

    def __init__(self, file):
        super().__init__()
        self.text, self.texts, self.pictures, self.tags = "", [], [], set()
        self.source = file.read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "figure":
            self.texts.append("")
        if tag == "img":
            head, data = dict(attrs)["src"].split(",")
            assert re.fullmatch("data:image/(png|jpeg);base64", head)
            with Image.open(io.BytesIO(base64.b64decode(data))) as image:
                self.pictures.append(image.size)

    def handle_data(self, data):
        self.text += data
        if self.texts and data.strip():
            self.texts[-1] += data + "|"


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def probabilities(record, paths):
    """Return what the plain network's softmax says, (N, classes), of one image after the other."""
    network, found = zoo.load(record), []
    for path in paths:
        pixels = images.read_pixels(path, record.size)
        one = (torch.tensor(pixels) / 255 - torch.tensor(record.mean)) / torch.tensor(record.std)
        with torch.no_grad():
            logits = network(one.permute(2, 0, 1)[None])
        logits = logits["out"] if isinstance(logits, dict) else logits
        found.append(logits.softmax(1)[0].numpy())
    return found


def test_the_page_and_the_probabilities_leave_the_answers_as_they_are(
    small_images, tiles, photos, tmp_path, run_here
):
    folder, table = photos
    for name, *places in (("classify", small_images), ("classify-csv", table, folder)):
        for tta in ((), ("--tta",)):
            a, b = tmp_path / "a.csv", tmp_path / "b.csv"
            extras = ("--html", tmp_path / "x.html", "--probabilities", tmp_path / "p.csv")
            assert run_here(name, *places, a, *PLAIN, *tta)[0] == 0
            assert run_here(name, *places, b, *PLAIN, *tta, *extras)[0] == 0
            assert a.read_bytes() == b.read_bytes()
    assert run_here("segment", tiles, tmp_path / "m", *PLAIN)[0] == 0
    assert run_here("segment", tiles, tmp_path / "n", *PLAIN, "--html", tmp_path / "y.html")[0] == 0
    for path in (tmp_path / "m").iterdir():
        assert path.read_bytes() == (tmp_path / "n" / path.name).read_bytes()


def test_probabilities_are_the_networks_softmax(small_zoo, small_images, tmp_path, run_here):
    out, beside = tmp_path / "out.csv", tmp_path / "new" / "p.csv"
    assert run_here("classify", small_images, out, *PLAIN, "--probabilities", beside) == (0, [])
    rows, answers = read_csv(beside), read_csv(out)
    assert [*rows[0]] == ["filename", *map(str, range(50))]
    assert [row["filename"] for row in rows] == [row["filename"] for row in answers]
    found = np.array([[float(row[str(k)]) for k in range(50)] for row in rows])
    wanted = probabilities(small_zoo["p1"], sorted(small_images.iterdir()))
    assert np.allclose(found, wanted, atol=1e-4)
    assert found.argmax(1).tolist() == [int(row["label"]) for row in answers]


def test_probabilities_of_a_csv_keep_its_ids_and_names_are_columns(
    named_zoo, small_images, tmp_path, run_here
):
    table = tmp_path / "in.csv"
    table.write_text("id,filename,label\n7,0003.png,\n5,gone.png,\n")
    extras = ("--probabilities", tmp_path / "p.csv")
    name = zoo.default("p1").name
    options = (*PLAIN, "--model", name, *extras)
    status, _ = run_here("classify-csv", table, small_images, tmp_path / "o.csv", *options)
    assert status == 3
    first, second = read_csv(tmp_path / "p.csv")
    assert [*first] == ["id", "filename", *named_zoo]
    assert (first["id"], second["id"], second["filename"]) == ("7", "5", "gone.png")
    assert set([*second.values()][2:]) == {""}  # no number that one could take for one
    assert sum(map(float, [*first.values()][2:])) == pytest.approx(1, abs=1e-4)


def test_the_least_confident_stand_first(small_zoo, small_images, tmp_path, run_here):
    html = tmp_path / "look.html"
    assert run_here("classify", small_images, tmp_path / "o.csv", *PLAIN, "--html", html)[0] == 0
    page = Figures(html)
    paths = sorted(small_images.iterdir())
    sure = [one.max() for one in probabilities(small_zoo["p1"], paths)]
    order = sorted(range(len(paths)), key=lambda i: sure[i])
    assert [text.split("|")[-2] for text in page.texts] == [paths[i].name for i in order]
    answers = [row["label"] for row in read_csv(tmp_path / "o.csv")]
    for i, text in zip(order, page.texts):
        assert f"class {answers[i]}|" in text
        assert f"{100 * sure[i]:.1f}\N{NO-BREAK SPACE}%" in text
    assert page.pictures == [(32, 32)] * 37
    assert "left out" not in page.text and "37 images" in page.text


def test_a_page_needs_no_network_and_runs_nothing(tiles, tmp_path, run_here):
    html = tmp_path / "look.html"
    assert run_here("segment", tiles, tmp_path / "m", *PLAIN, "--html", html)[0] == 0
    page = Figures(html)
    assert not re.search(
        r"https?:|//|@import|url\(|<script|<link", re.sub('base64,[^"]*', "", page.source)
    )
    assert not page.tags & {"script", "link", "iframe", "object"}


def test_a_large_folder_makes_no_large_page(small_images, tmp_path, run_here):
    html = tmp_path / "look.html"
    options = (*PLAIN, "--html", html, "--html-limit", 5)
    assert run_here("classify", small_images, tmp_path / "o.csv", *options)[0] == 0
    page = Figures(html)
    assert len(page.texts) == 5 and "Shown are 5 images; 32 are left out, of" in page.text
    assert html.stat().st_size < 40_000
    big = tmp_path / "big"
    big.mkdir()
    Image.effect_noise((1500, 900), 90).convert("RGB").save(big / "0.png")
    assert run_here("classify", big, tmp_path / "o.csv", *PLAIN, "--html", html)[0] == 0
    assert Figures(html).pictures == [(128, 77)] and html.stat().st_size < 40_000


def test_names_are_shown_and_escaped(named_zoo, small_images, tmp_path, run_here):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in [*small_images.iterdir()][:3]:
        shutil.copy(path, folder / f"<i>&{path.name}")
    html = tmp_path / "look.html"
    assert run_here("classify", folder, tmp_path / "o.csv", *PLAIN, "--html", html)[0] == 0
    page = Figures(html)
    labels = {row["filename"]: int(row["label"]) for row in read_csv(tmp_path / "o.csv")}
    for text in page.texts:
        assert f"{named_zoo[labels[text.split('|')[-2]]]}|" in text
    assert "49 jalapeño_pepper" in page.text and "48 <b>\"x\" & 'y'" in page.text
    assert "<i>&" not in page.source and '<b>"x' not in page.source
    own = zoo.path(zoo.default("p1"))  # of whose classes nobody knows the names
    options = (*PLAIN, "--html", html, "--weights", own)
    assert run_here("classify", folder, tmp_path / "o.csv", *options)[0] == 0
    assert "thing" not in Figures(html).text


@pytest.mark.parametrize("fill", [(), ("--fill",)])
def test_what_cannot_be_read_is_marked_and_stands_first(small_images, tmp_path, run_here, fill):
    folder = tmp_path / "in"
    shutil.copytree(small_images, folder)
    (folder / "0012.png").write_text("no picture")
    whole = (folder / "0013.png").read_bytes()
    (folder / "0013.png").write_bytes(whole[: len(whole) * 2 // 3])
    html = tmp_path / "look.html"
    run_here("classify", folder, tmp_path / "o.csv", *PLAIN, "--html", html, *fill)
    page = Figures(html)
    assert "1 image could not be read" in page.text
    said = "class 0, filled in" if fill else "no label (-1)"
    assert page.texts[0] == f"no picture|cannot be read|{said}|not an image|0012.png|"
    [damaged] = [text for text in page.texts if "0013.png" in text]
    assert "damaged: " in damaged and "class " in damaged and len(page.pictures) == 36


def test_masks_have_shares_and_their_mean_confidence(small_zoo, tiles, tmp_path, run_here):
    html, out = tmp_path / "look.html", tmp_path / "m"
    assert run_here("segment", tiles, out, *PLAIN, "--html", html)[0] == 0
    page = Figures(html)
    assert sorted(page.pictures) == sorted([(64, 64)] * 8 + [(50, 70)] * 2)
    for text in page.texts:
        name = text.split("|")[-2]
        [one] = probabilities(small_zoo["p3"], [tiles / name])
        assert f"{100 * one.max(0).mean():.1f}\N{NO-BREAK SPACE}%|" in text
        mask = landcover.to_indices(images.read_pixels(out / landcover.mask_name(name)))
        for label, called in enumerate(landcover.CLASSES):
            share = (mask == label).mean()
            said = f"{called}\N{NO-BREAK SPACE}{100 * share:.1f}\N{NO-BREAK SPACE}%"
            assert (said in text) == (share >= 5e-4)


@pytest.mark.parametrize("fill", [False, True])
def test_a_mask_of_an_earlier_run_is_not_shown_for_what_cannot_be_read(
    tiles, tmp_path, run_here, fill
):
    folder, out, html = tmp_path / "in", tmp_path / "m", tmp_path / "look.html"
    shutil.copytree(tiles, folder)
    assert run_here("segment", folder, out, *PLAIN)[0] == 0
    (folder / "0002_sat.jpg").write_text("no picture")
    options = (*PLAIN, "--html", html, *(["--fill"] if fill else []))
    assert run_here("segment", folder, out, *options)[0] == (0 if fill else 3)
    said = "a mask all Unknown, filled in" if fill else "no mask"
    first = Figures(html).texts[0]
    assert f"cannot be read|{said}|not an image|0002_sat.jpg" in first
    assert ("no mask here" in first) != fill


@pytest.mark.parametrize("tta", [False, True])
def test_an_image_seen_in_windows_is_as_sure_as_seen_whole(small_zoo, tmp_path, draw, tta):
    record = small_zoo["p3"]
    pixels = images.read_pixels(draw(tmp_path / "a.png", (320, 300)))
    runner = predict.load_runner(record, Settings(device="cpu", precision="fp32", tta=tta))
    [(_, whole)] = forward([(0, pixels)], runner, record, measure=True)
    mask, sure = windows.with_confidence(pixels, runner)
    assert np.array_equal(mask, whole.answer)
    assert sure == pytest.approx(whole.probabilities, abs=1e-6)  # one window holds it
    runner.largest, runner.window = 1, 256
    [(_, parted)] = forward([(0, pixels)], runner, record, measure=True)
    assert 0 < parted.probabilities <= 1
    assert np.array_equal(parted.answer, windows.segment(pixels, runner))


def test_averaging_views_makes_no_network_surer_than_its_views(small_zoo, small_images):
    record, paths = small_zoo["p1"], sorted(small_images.iterdir())
    pixels = np.stack([images.read_pixels(path, 32) for path in paths])
    one, both = (
        predict.load_runner(record, Settings(device="cpu", precision="fp32", tta=tta))
        for tta in (False, True)
    )
    logits = (one.logits(pixels) + one.logits(np.ascontiguousarray(pixels[:, :, ::-1]))) / 2
    classes, shares = both.with_probabilities(pixels)
    assert torch.allclose(shares, logits.softmax(1), atol=1e-5)
    assert torch.equal(classes, both(pixels))


def test_what_cannot_be_written_is_known_before_and_leaves_all_as_it_was(
    small_images, tiles, tmp_path, refused
):
    file, out = tmp_path / "file", tmp_path / "o.csv"
    file.write_text("old")
    out.write_text("old")
    before = sorted(tmp_path.rglob("*"))
    image = next(iter(sorted(small_images.iterdir())))
    for option in ("--html", "--probabilities"):
        for path, said in (
            (out, "are one file, to be written twice"),
            (tmp_path / "." / "sub" / ".." / "o.csv", "are one file, to be written twice"),
            (tmp_path, "is a folder"),
            (file / "x.html", "is a file: give the name of a folder"),
            (image, f"would overwrite the input {image}"),
        ):
            assert said in refused("classify", small_images, out, option, path)
    both = ("--html", tmp_path / "x", "--probabilities", tmp_path / "x")
    assert "are one file" in refused("classify", small_images, out, *both)
    new = tmp_path / "new" / "o.csv"
    assert "is a file" in refused("classify", small_images, new, "--html", file / "x")
    new = tmp_path / "new" / "x.html"
    assert "Not a directory" in refused("segment", tiles, file / "m", "--html", new)
    masks = tmp_path / "m"
    taken = refused("segment", tiles, masks, "--html", masks / "0001_mask.png")
    assert "is where the mask of" in taken and "0001_sat.jpg goes" in taken
    assert sorted(tmp_path.rglob("*")) == before and out.read_text() == "old"


def test_a_page_of_nothing_that_can_be_read(tmp_path, run_here):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "0000_sat.jpg").write_text("no picture")
    for command, out in (("classify", "o.csv"), ("segment", "m")):
        html = tmp_path / f"{command}.html"
        assert run_here(command, folder, tmp_path / out, *PLAIN, "--html", html)[0] == 3
        assert len(Figures(html).texts) == 1


def test_processes_write_one_page(pristine, small_images, tiles, tmp_path):
    options = "--device cpu --precision fp32"
    started = "-m torch.distributed.run --nproc_per_node 2 --master_port 0 --standalone inference"
    for command, folder in (("classify", small_images), ("segment", tiles)):
        pages = []
        for how in ("inference", started):
            out, html = tmp_path / f"{command}{len(pages)}", tmp_path / f"{command}.html"
            done = pristine.shell(
                f'python {how} {command} "$1" "$2" --html "$3" {options}',
                *(folder, out, html),
                cwd=pristine.root,
            )
            assert done.returncode == 0, done.stderr
            pages.append(html.read_bytes())
            html.unlink()
        assert pages[0] == pages[1]


def test_extras_are_no_settings_of_a_library():
    assert not set(Extras._fields) & set(Settings._fields)
