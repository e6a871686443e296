"""Checkpoints as ONNX files: what onnxruntime makes of them is what PyTorch does."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from inference import UserError, images, zoo
from inference.networks.segmentation import resize
from training.__main__ import main
from training.publish import onnx as export

MISSING = [name for name in export.PACKAGES if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(MISSING), reason=f'no {MISSING}: pip install -e ".[onnx]"')


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


def run(file, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session, session.run(["logits"], {"images": images.numpy()})[0]


@needs_onnx
def test_a_classifier(small_zoo, small_images, tmp_path, capsys):
    file = tmp_path / "p1.onnx"
    assert main(["export", "p1-small", str(file), "--images", str(small_images)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["noise", "pictures", str(file)]
    assert "100.000% of classes equal" in lines[1] and lines[2].endswith("opset 18")

    images = torch.rand(5, 3, 32, 32)
    session, found = run(file, images)
    with torch.no_grad():
        wanted = zoo.load(small_zoo["p1"])(images).numpy()
    assert np.allclose(found, wanted, atol=1e-4)
    told = session.get_modelmeta().custom_metadata_map
    assert (told["name"], told["classes"], told["size"], told["tta"]) == (
        "p1-small",
        "50",
        "32",
        "false",
    )
    assert json.loads(told["mean"]) == small_zoo["p1"].mean
    assert json.loads(told["std"]) == small_zoo["p1"].std
    with pytest.raises(Exception, match="Got: 48 Expected: 32"):
        run(file, torch.rand(1, 3, 48, 48))


class Coarse(nn.Module):
    """As the real segmentation networks: coarse logits, enlarged to their image's size."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 7, 8, stride=8)

    def forward(self, images):
        return {"out": resize(self.convolution(images), like=images)}


@needs_onnx
def test_a_segmentation_network_takes_any_size(small_zoo, tmp_path):
    # The smallest real one takes ten seconds to convert; whatever is exported is compared anyway.
    network = export.Logits(Coarse()).eval()
    content = export._convert(small_zoo["p3"], network)
    difference, equal = export._compare(network, content, export._noise(small_zoo["p3"]))
    assert difference < 1e-5 and equal == 1
    for height, width in ((32, 32), (64, 100), (131, 77)):
        images = torch.rand(1, 3, height, width)
        session, found = run(content, images)
        assert found.shape == (1, 7, height, width)
        assert np.allclose(found, network(images).detach().numpy(), atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["size"] == "any"


@needs_onnx
def test_what_differs_is_not_written(small_zoo, tmp_path, monkeypatch, capsys):
    other = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 50))
    small = export._convert(small_zoo["p1"], other)
    monkeypatch.setattr(export, "_convert", lambda *_: small)
    file = tmp_path / "p1.onnx"
    file.write_bytes(b"old")
    assert main(["export", "p1-small", str(file)]) == 2
    error = capsys.readouterr().err
    assert "p1-small differ from PyTorch's by" in error and "on noise" in error
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("task", ["p1", "p2", "p3"])
def test_generated_pictures_are_what_the_network_takes(small_zoo, task):
    record = small_zoo[task]
    found = list(export._pictures(record, None))
    side = record.size or 512
    assert [tuple(one.shape) for one in found] == [(1, 3, side, side)] * export.REAL
    low, high = -np.array(record.mean) / record.std, (1 - np.array(record.mean)) / record.std
    for one in found:
        assert one.dtype == torch.float32 and (one.amax((0, 2, 3)).numpy() <= high + 1e-5).all()
        assert (one.amin((0, 2, 3)).numpy() >= low - 1e-5).all()


def test_what_the_user_can_mend(tmp_path, capsys, monkeypatch):
    def refused(*arguments):
        assert main(["export", *map(str, arguments)]) == 2
        return capsys.readouterr().err

    monkeypatch.setattr(export, "PACKAGES", ("torch",))
    assert "no checkpoint 'p9' in the zoo" in refused("p9", tmp_path / "x.onnx")
    assert "is a folder" in refused("p1-small", tmp_path)
    monkeypatch.setattr(export, "PACKAGES", ("torch", "onnx_of_tomorrow"))
    assert 'no onnx_of_tomorrow here: pip install -e ".[onnx]"' in refused("p1-small", "x")


def test_pictures_that_cannot_be_read(small_zoo, tmp_path):
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"cannot read an image of .*: not an image"):
        list(export._pictures(small_zoo["p1"], tmp_path))


def test_a_scene_that_is_too_large_to_be_seen_whole_is_compared_on_a_corner(
    small_zoo, draw, tmp_path, monkeypatch
):
    monkeypatch.setattr(images, "LARGEST", 64 * 64)
    draw(tmp_path / "0_sat.png", (60, 50))
    draw(tmp_path / "1_sat.png", (100, 90))
    whole, corner = export._pictures(small_zoo["p3"], tmp_path)
    assert (whole.shape, corner.shape) == ((1, 3, 50, 60), (1, 3, 64, 64))
    pixels = images.read_pixels(tmp_path / "1_sat.png")[:64, :64] / 255
    wanted = (pixels - small_zoo["p3"].mean) / small_zoo["p3"].std
    assert np.allclose(corner[0].permute(1, 2, 0), wanted, atol=1e-5)
    scene = (tmp_path / "1_sat.png").read_bytes()
    (tmp_path / "1_sat.png").write_bytes(scene[: len(scene) // 2])
    with pytest.raises(UserError, match=r"cannot read an image of .*"):
        list(export._pictures(small_zoo["p3"], tmp_path))


def test_no_minutes_are_spent_where_nothing_could_be_written(
    repository, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    monkeypatch.setattr(export, "PACKAGES", ())
    monkeypatch.setattr(export, "_convert", None)
    file = zoo.path(zoo.record("p1-small"))
    before = file.read_bytes()
    for place, options, said in (
        (file, (), "is the checkpoint of p1-small: choose another file"),
        (tmp_path / ("x" * 300), (), "File name too long"),
        (file / "x.onnx", (), "is a file: give the name of a folder"),
        (tmp_path / "x.onnx", ("--images", tmp_path / "none"), "cannot read the folder"),
    ):
        assert main(["export", "p1-small", str(place), *map(str, options)]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert file.read_bytes() == before and list(tmp_path.glob("*.onnx")) == []


def test_a_full_disk_leaves_no_half_of_a_file(small_zoo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, "PACKAGES", ())
    monkeypatch.setattr(export, "_convert", lambda *_: b"onnx" * 1000)
    monkeypatch.setattr(export, "_compare", lambda *_: (0.0, 1.0))
    write = Path.write_bytes

    def full(path, data):
        write(path, data[:10])
        if data:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["export", "p1-small", str(tmp_path / "x.onnx")]) == 2
    assert "x.onnx: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
