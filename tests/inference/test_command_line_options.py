"""Checkpoints, devices and other options that will not do, as the command line tells it."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from inference import zoo
from inference.__main__ import main

CPU = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


def contents(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# Checkpoints


@pytest.mark.parametrize("task, command", [("p1", "classify"), ("p3", "segment")])
@pytest.mark.parametrize("harm", ["missing", "truncated", "changed", "longer"])
def test_a_damaged_checkpoint(
    refused, repository, monkeypatch, tmp_path, draw, task, command, harm
):
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    image = draw(tmp_path / "in" / "0.png")
    file = zoo.path(repository.records[task])
    data = file.read_bytes()
    if harm == "missing":
        file.unlink()
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        file.write_bytes({"truncated": data[:999], "longer": data + b"x"}.get(harm, changed))
    out = tmp_path / "out"
    for choice in ([], ["--model", f"{task}-small"]):
        line = refused(command, image.parent, out, *choice, *CPU)
        assert f"hw1_download.sh {task}-small" in line
    assert contents(tmp_path / "in") == ["0.png"] and not out.is_file()
    assert not out.is_dir() or contents(out) == []


def test_weights_that_will_not_do(refused, small_zoo, small_images, tmp_path):
    (tmp_path / "page.pth").write_text("<html>quota exceeded</html>")
    torch.save({"model": {}, "epoch": 3}, tmp_path / "wrapped.pth")
    for weights, said in [
        (zoo.path(small_zoo["p3"]), "do not fit network 'convnet'"),
        (zoo.path(small_zoo["p2"]), "of another shape (fc.weight"),
        (tmp_path / "page.pth", "is a web page"),
        (tmp_path / "wrapped.pth", "holds other things than tensors"),
        (tmp_path / "absent.pth", "No such file"),
        (tmp_path, "Is a directory"),
    ]:
        line = refused("classify", small_images, tmp_path / "o.csv", "--weights", weights, *CPU)
        assert said in line and str(weights) in line
    assert not (tmp_path / "o.csv").exists()


def test_models_that_will_not_do(refused, small_images, tmp_path):
    for name, said in [("p9", "no checkpoint 'p9' in the zoo"), ("p3-small", "segments images")]:
        assert said in refused("classify", small_images, tmp_path / "o.csv", "--model", name, *CPU)


def test_a_zoo_without_a_default(refused, repository, monkeypatch, small_images, tmp_path):
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    repository.write_zoo([repository.records["p1"]])
    line = refused("segment", small_images, tmp_path / "out", *CPU)
    assert "the zoo names no default for p3" in line


# Options


def test_devices_and_precisions_that_will_not_do(refused, small_images, tmp_path):
    arguments = ("classify", small_images, tmp_path / "o.csv")
    for device in ("cuda:99", "gpu"):
        line = refused(*arguments, "--device", device)
        assert f"no device '{device}' here: " in line and "try --device cpu" in line
    line = refused(*arguments, "--device", "cpu", "--precision", "fp16")
    assert "fp16 is far slower than fp32 on a CPU" in line


@pytest.mark.parametrize("seconds", ["0", "-1", "2.5", "many"])
def test_limits_that_will_not_do(run_here, small_images, seconds):
    status, lines = run_here("grade", small_images, "--limit-seconds", seconds)
    assert status == 2
    said = f"argument --limit-seconds: {seconds} is not a whole number above 0"
    assert lines[-1].endswith(said)


@pytest.mark.parametrize(
    "command", "classify classify-csv segment download list grade overlay".split()
)
def test_help_says_what_is_read_and_written(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0 and "Reads" in text


def test_an_unknown_command_or_none(run_here):
    for arguments in (["clasify"], []):
        status, lines = run_here(*arguments)
        assert status == 2 and "COMMAND" in " ".join(lines)


@pytest.mark.parametrize("task, command", [("p1", "classify"), ("p3", "segment")])
def test_averaging_is_asked_for_by_the_record_or_by_the_user(
    run_here, repository, monkeypatch, tmp_path, task, command
):
    noise = np.random.default_rng(0).integers(0, 256, (9, 40, 40, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    for i, values in enumerate(noise):
        Image.fromarray(values).save(tmp_path / "in" / f"{i:02}.png")
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)

    def answers(*options):
        out = tmp_path / "out"
        assert run_here(command, tmp_path / "in", out, *options, *CPU) == (0, [])
        return [path.read_bytes() for path in ([out] if task == "p1" else sorted(out.iterdir()))]

    plain, asked = answers(), answers("--tta")
    repository.write_zoo([dataclasses.replace(repository.records[task], tta=True)])
    assert answers() == answers("--tta") == asked != plain
