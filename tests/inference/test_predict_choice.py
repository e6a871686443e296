"""Which checkpoint is used, in which precision, and what is said about it."""

import csv
import dataclasses

import pytest
import torch

from inference import UserError, predict, processor, zoo
from inference.predict import Settings


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def settings(**changes):
    return Settings(device="cpu", precision="fp32")._replace(**changes)


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


def test_the_tasks_default_is_used_and_another_may_be_named(small_zoo):
    assert predict.choose("p1", settings()).name == "p1-small"
    assert predict.choose("p1", settings(model="p2-small")).name == "p2-small"
    for task, model, does in [("p3", "p1-small", "classifies"), ("p2", "p3-small", "segments")]:
        with pytest.raises(UserError, match=f"{model} {does} images: choose another --model"):
            predict.choose(task, settings(model=model))
    with pytest.raises(UserError, match="no checkpoint 'p1-b' in the zoo; there are: p1-small"):
        predict.choose("p1", settings(model="p1-b"))


@pytest.mark.parametrize(
    "trained_on, changes, noted",
    [
        ("sample data", {}, True),
        ("sample data", {"model": "p1-small"}, False),  # the user knows what they ask for
        ("sample data", {"weights": True}, False),
        ("course data", {}, False),
    ],
)
def test_a_default_trained_on_sample_data_says_so(
    small_zoo, repository, small_images, tmp_path, monkeypatch, capsys, trained_on, changes, noted
):
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    record = dataclasses.replace(repository.records["p1"], trained_on=trained_on)
    repository.write_zoo([record])
    if "weights" in changes:
        changes = {"weights": zoo.path(record)}
    predict.classify(small_images, tmp_path / "out.csv", settings(**changes))
    out, err = capsys.readouterr()
    assert out == ""
    if noted:
        assert err.startswith("note: p1-small was trained on") and err.count("\n") == 1
    else:
        assert err == ""


@pytest.mark.parametrize("trained_on", ["sample data", "course data"])
@pytest.mark.parametrize("urls", [[], ["gdrive:1a2b", "https://example.org/best.pth"]])
def test_a_better_default_that_is_missing_is_said_loudly(
    repository, small_images, tmp_path, monkeypatch, capsys, trained_on, urls
):
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    record = dataclasses.replace(repository.records["p1"], trained_on=trained_on)
    repository.write_zoo([record])
    better = dataclasses.replace(record, name="p1-best", file="p1-best.pth", urls=urls)
    zoo.add(dataclasses.replace(better, trained_on="course data"), default=True)
    predict.classify(small_images, tmp_path / "out.csv", settings())
    line = capsys.readouterr().err
    file = repository.root / "weights" / "p1-best.pth"
    assert line.startswith(f"WARNING: {file} is missing, so p1-small answers in its place")
    assert line.count("\n") == 1 and ("generated sample data" in line) == ("sample" in trained_on)
    if urls:
        wanted = "; bash hw1_download.sh p1-best  (from gdrive:1a2b, https://example.org/best.pth)"
    else:
        wanted = "; zoo.json has no url for it: copy it there, or publish it with --url"
    assert line.rstrip("\n").endswith(wanted)
    predict.classify(small_images, tmp_path / "out.csv", settings(model="p1-small"))
    assert capsys.readouterr().err == ""  # the user knows what they ask for
    file.write_bytes(zoo.path(record).read_bytes())
    predict.classify(small_images, tmp_path / "out.csv", settings())
    assert capsys.readouterr().err == ""


def test_the_users_own_weights(small_zoo, small_images, tmp_path):
    state = torch.load(zoo.path(small_zoo["p1"]), weights_only=True)
    state["fc.bias"] = torch.zeros(50).index_fill(0, torch.tensor(33), 1e6)
    torch.save(state, tmp_path / "mine.pth")
    own = settings(weights=tmp_path / "mine.pth")
    predict.classify(small_images, tmp_path / "out.csv", own)
    assert {row["label"] for row in read_csv(tmp_path / "out.csv")} == {"33"}


def test_precision_follows_the_record(small_zoo, monkeypatch):
    monkeypatch.setattr(processor, "is_fast_in_bf16", lambda: True)
    fast = {"cpu-bf16": {"score": 0.9, "agreement": 1.0}}
    scores = {"fp32": 0.9, "images": 100, "fast": fast}
    record = dataclasses.replace(small_zoo["p1"], scores=scores)
    auto = settings(precision="auto")
    assert predict.load_runner(record, auto).dtype == torch.bfloat16
    assert predict.load_runner(small_zoo["p1"], auto).dtype == torch.float32
    own = auto._replace(weights=zoo.path(record))  # which nobody has measured
    assert predict.load_runner(record, own).dtype == torch.float32


def test_processes_that_do_not_know_where_to_meet(small_images, tmp_path, monkeypatch):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="WORLD_SIZE is 2, but RANK, MASTER_ADDR"):
        predict.classify(small_images, tmp_path / "out.csv", settings())
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert predict.classify(small_images, tmp_path / "out.csv", settings()) == 0
