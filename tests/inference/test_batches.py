"""Images too large to be seen at once, on their way through the forward pass."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from inference import images, landcover, predict

CPU = predict.Settings(device="cpu", precision="fp32")


def masks(folder):
    found = {}
    for path in folder.iterdir():
        with Image.open(path) as image:
            found[path.name] = landcover.to_indices(np.asarray(image))
    return found


@pytest.fixture
def scene(draw, tmp_path, monkeypatch):
    """A folder of images, all but the first of which are taken for large."""
    monkeypatch.setattr("inference.images.LARGEST", 100 * 100)
    monkeypatch.setattr("inference.runner.LARGEST", 100 * 100)
    for i, size in enumerate([(100, 100), (300, 260), (20, 1100), (260, 300)]):
        draw(tmp_path / "in" / f"{i}_sat.png", size)
    return tmp_path / "in"


def test_large_images_are_segmented_in_windows(small_zoo, scene, tmp_path):
    assert predict.segment(scene, tmp_path / "out", CPU) == 0
    found = masks(tmp_path / "out")
    assert [found[f"{i}_mask.png"].shape for i in range(1, 4)] == [
        (260, 300),
        (1100, 20),
        (300, 260),
    ]
    runner = predict.load_runner(small_zoo["p3"], CPU)
    runner.largest = 10**6
    for i in range(4):  # 300 pixels are less than a window, whose equality is test_windows.py's
        image = images.read_pixels(scene / f"{i}_sat.png")
        items = [("key", image)]
        [(_, whole)] = predict.forward(items, runner, small_zoo["p3"])
        same = (found[f"{i}_mask.png"] == whole).mean()
        assert same == 1 if i != 2 else same < 1  # the network averages over what it sees


def test_a_classifier_of_any_size_answers_large_images_too(small_zoo, draw, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.images.LARGEST", 50 * 50)
    draw(tmp_path / "0.png", (64, 64))
    record = dataclasses.replace(small_zoo["p1"], input={**small_zoo["p1"].input, "size": None})
    runner = predict.load_runner(small_zoo["p1"], CPU)
    [pixels] = predict.read([tmp_path / "0.png"], record)
    assert callable(pixels)
    [(key, label)] = predict.forward([("0", pixels)], runner, record)
    assert key == "0" and 0 <= int(label) < record.classes


def test_large_images_are_read_one_at_a_time_when_their_turn_comes(
    small_zoo, scene, tmp_path, monkeypatch
):
    read, reading = [], images.read_pixels
    monkeypatch.setattr(images, "read_pixels", lambda path: read.append(path.stem) or reading(path))
    (scene / "2_sat.png").write_bytes((scene / "2_sat.png").read_bytes()[:200])
    paths = images.list_tiles(scene)
    runner = predict.load_runner(small_zoo["p3"], CPU)
    pixels = predict.read(paths, small_zoo["p3"])
    for i, (_, mask) in enumerate(predict.forward(zip(paths, pixels), runner, small_zoo["p3"])):
        assert read == [f"{n}_sat" for n in range(i + 1)]
        assert isinstance(mask, OSError) == (i == 2)


def test_images_too_large_for_memory_are_segmented_in_windows(small_zoo, draw, tmp_path, capsys):
    paths = [draw(tmp_path / f"{i}.png", (600, 300)) for i in range(2)]
    runner = predict.load_runner(small_zoo["p3"], CPU._replace(batch_size=2))
    forward = runner.network.forward

    def small(batch):
        if len(batch) * batch.shape[-1] * batch.shape[-2] > 256 * 256:
            raise MemoryError
        return forward(batch)

    runner.network.forward = small
    items = zip(paths, predict.read(paths, small_zoo["p3"]))
    found = [mask.shape for _, mask in predict.forward(items, runner, small_zoo["p3"])]
    assert found == [(300, 600)] * 2
    tries = ["batches of 1", *(f"windows of {n} x {n}" for n in (1024, 512, 256))]
    said = capsys.readouterr().err.splitlines()
    assert said == [f"note: out of memory; trying {what}" for what in tries]


def test_scenes_are_no_attacks(tmp_path):
    (tmp_path / "scene.png").write_bytes(b"P6 20000 20000 255\n")  # Pillow itself refuses half
    assert images.size_of(tmp_path / "scene.png") == (20_000, 20_000)
