"""The whole life of a hosted checkpoint, and what publishing promises."""

import dataclasses
import functools
import http.server
import json
import shutil
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import zoo
from inference.networks import NETWORKS
from tests.training.publish.author import P1, PUBLISH, clone, command, ended, refusal, run
from tests.training.segmentation.conftest import Small, tile, write_tile
from training.problems import PROBLEMS, RECIPES
from training.publish import publish, zoo_page


def test_a_run_explains_itself(trained):
    result = json.loads((trained / "runs/p1-a-s0/result.json").read_text())
    assert result["recipe"]["classes"] == 3
    assert result["scores"]["images"] == 12 and 0 <= result["scores"]["val"] <= 1
    assert {"torch", "device", "minutes", "revision", "data"} <= result.keys()


def test_from_training_to_a_graders_csv(trained, data, tmp_path):
    # The author publishes, says where it will be, and predicts.
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(trained / "weights")
    )
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/mine.pth"
        command = [
            "runs/p1-a-s0",
            "--name",
            "mine",
            "--url",
            url,
            "--default",
        ]
        run(*PUBLISH, *command, cwd=trained)
        assert "| `mine` | p1 |" in (trained / "README.md").read_text()
        assert url in (trained / "docs" / "zoo.md").read_text()
        images = str(data / "val_50")
        run("bash", "hw1_1.sh", images, str(tmp_path / "author.csv"), cwd=trained)

        # A clean clone has the record and not the file; the grader fetches and predicts.
        clean = clone(tmp_path / "clone")
        shutil.copy(trained / "inference/zoo.json", clean / "inference/zoo.json")
        run("bash", "hw1_download.sh", cwd=clean, no_proxy="127.0.0.1")
    finally:
        server.shutdown()
        server.server_close()
    run("bash", "hw1_1.sh", images, str(tmp_path / "grader.csv"), cwd=clean)
    assert (tmp_path / "grader.csv").read_bytes() == (tmp_path / "author.csv").read_bytes()

    record = json.loads((clean / "inference/zoo.json").read_text())["checkpoints"]["mine"]
    assert record["urls"] == [url] and record["trained_on"] == "own data (3 classes)"
    assert record["scores"]["images"] == 12
    state = torch.load(clean / "weights/mine.pth", weights_only=True)
    kinds = {key: value.dtype for key, value in state.items()}
    assert kinds["fc.weight"] == kinds["trunk.0.weight"] == torch.float16
    assert kinds["trunk.1.running_var"] == torch.float32


def test_a_record_may_leave_out_the_recipes_average_over_views(trained):
    records = []
    for name, *flag in (("views",), ("one-view", "--no-tta")):
        run(*PUBLISH, "runs/p1-a-s0", "--name", name, *flag, cwd=trained)
        written = json.loads((trained / "inference/zoo.json").read_text())
        records.append(written["checkpoints"][name])
    assert [record["tta"] for record in records] == [True, False]
    assert records[0]["sha256"] == records[1]["sha256"]  # the weights are the same


def test_a_name_that_would_spoil_the_zoo_is_refused(small_zoo, data, tmp_path, capsys):
    ended(tmp_path, RECIPES["p1-a"].with_changes(["classes=3"]), data=str(data))
    assert "a name without / is needed" in refusal(capsys, tmp_path, "--name", "a/b")
    said = refusal(capsys, tmp_path, "--name", "p3-small")
    assert "p3-small is a checkpoint of p3: choose another --name" in said
    (tmp_path / "best.pth").unlink()
    assert "no best.pth in" in refusal(capsys, tmp_path)
    (tmp_path / "result.json").write_text("{")
    assert "cannot read " in refusal(capsys, tmp_path, "--name", "mine")


def test_what_cannot_be_published_is_one_line(small_zoo, data, tmp_path, capsys, monkeypatch):
    ended(tmp_path / "byol", RECIPES["p2-byol"], data=str(data))
    assert "fine-tune its best.pth (pretrained=FILE)" in refusal(capsys, tmp_path / "byol")
    ended(tmp_path / "unknown", RECIPES["p1-a"])
    said = refusal(capsys, tmp_path / "unknown")
    assert "does not say where its data was: add --data DIR" in said
    half = ended(tmp_path / "half", RECIPES["p1-a"]).folder
    (half / "result.json").unlink()
    (half / "recipe.json").write_text(json.dumps(RECIPES["p1-a"].to_plain()))
    assert "has not ended: its command goes on where it was stopped" in refusal(capsys, half)
    for nothing in ("nothing", "x" * 300):
        assert "is neither a run's folder nor a checkpoint of the zoo" in refusal(capsys, nothing)
    assert "--data hw1_data/p1_data" in refusal(capsys, "p1-small")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p1-small").mkdir()  # no run: the checkpoint is meant
    assert "--data hw1_data/p1_data" in refusal(capsys, "p1-small")
    (tmp_path / "empty").mkdir()
    assert "no recipe.json in empty: give a run's folder" in refusal(capsys, "empty")


def state_of(root):
    """Return what publishing may change: names and contents."""
    places = [root / "inference", root / "weights", root / "docs", root / "README.md"]
    found = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return {path: path.read_bytes() for path in found if path.suffix != ".pyc"}


def test_a_students_own_readme_is_a_note(place, capsys):
    (place / "README.md").write_text("# DLCV HW1\nmy own words\n")
    arguments = (place / "runs/p1-a-s0", "--name", "mine", "--default")
    status, out, err = command(capsys, *arguments)
    assert status == 0 and "mine: accuracy " in out and "mine is what the scripts answer" in out
    assert err.startswith("note: ") and "has no lines <!-- zoo -->" in err
    assert (place / "README.md").read_text() == "# DLCV HW1\nmy own words\n"
    assert "## mine" in (place / "docs" / "zoo.md").read_text()
    zoo.check(zoo.default("p1"))


def test_links_become_what_can_be_fetched(place, capsys):
    links = ["https://drive.google.com/file/d/1a2b/view", "gdrive:1a2b", "https://a.org/b.pth"]
    given = [word for link in links for word in ("--url", link)]
    status, _, err = command(capsys, place / "runs/p1-a-s0", "--name", "mine", *given)
    assert (status, zoo.record("mine").urls) == (0, ["gdrive:1a2b", "https://a.org/b.pth"])
    assert err == f"note: --url {links[0]} is recorded as gdrive:1a2b\n"


def test_a_run_is_published_and_hosted_at_once_or_not_at_all(place, tmp_path, capsys):
    folder, before, there = place / "runs/p1-a-s0", state_of(place), tmp_path / "there"
    there.mkdir()
    (there / "mine.pth").write_bytes(b"somebody's")
    given = (folder, "--name", "mine", "--url", "gdrive:1a2b", "--host", f"file:{there}")
    assert "mine.pth is another file, which somebody may be fetching" in refusal(capsys, *given)
    assert state_of(place) == before
    (there / "mine.pth").unlink()
    status, out, err = command(capsys, *given)
    assert (status, err) == (0, "") and "mine is hosted, and was fetched without a login" in out
    assert zoo.record("mine").urls == ["gdrive:1a2b", f"file:{there}/mine.pth"]
    assert (there / "mine.pth").read_bytes() == zoo.path(zoo.record("mine")).read_bytes()
    assert zoo_page.stale() == []


def test_no_checkpoint_is_replaced_unless_its_name_is_said(place, capsys):
    folder = place / "runs/p1-a-s0"
    assert command(capsys, folder)[0] == 0 and command(capsys, folder)[0] == 0  # the same twice
    zoo.add(dataclasses.replace(zoo.record("p1-a"), sha256="0" * 64))  # another of that name
    before = state_of(place)
    said = refusal(capsys, folder)
    assert "p1-a is in the zoo already (accuracy " in said and "--name p1-a to replace it" in said
    assert state_of(place) == before
    status, _, err = command(capsys, folder, "--name", "p1-a")
    assert status == 0 and zoo.record("p1-a").sha256 != "0" * 64
    assert "note: p1-a was another checkpoint until now (accuracy " in err


def test_published_again_the_same_file_is_still_where_it_was_hosted(place, tmp_path, capsys):
    given = (place / "runs/p1-a-s0", "--name", "mine")
    assert command(capsys, *given, "--host", f"file:{tmp_path}")[0] == 0
    urls = zoo.record("mine").urls
    status, _, err = command(capsys, *given)
    assert (status, err, zoo.record("mine").urls) == (0, "", urls)
    zoo.add(dataclasses.replace(zoo.record("mine"), sha256="0" * 64))
    status, _, err = command(capsys, *given)
    assert status == 0 and f"hosted at {urls[0]}: host the new one" in err
    assert zoo.record("mine").urls == []


def test_published_again_the_new_commit_is_recorded(place, capsys):
    given = (place / "runs/p1-a-s0", "--name", "mine", "--url")
    commits = [f"https://huggingface.co/a/b/resolve/{n * 40}/mine.pth" for n in "12"]
    assert command(capsys, *given, commits[0], "--url", "gdrive:1a2b")[0] == 0
    assert command(capsys, *given, commits[1])[0] == 0
    assert zoo.record("mine").urls == ["gdrive:1a2b", commits[1]]


def test_an_auxiliary_head_is_left_out(authors, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(NETWORKS, "deeplabv3_resnet50", Small)
    random = np.random.default_rng(0)
    for i in range(3):
        write_tile(tmp_path / "data" / "validation", str(i), *tile(random))
    folder = ended(tmp_path / "run", RECIPES["p3-b"], data=str(tmp_path / "data")).folder
    torch.manual_seed(0)
    trained = {
        key: value.half().to(value) for key, value in Small(7, aux=True).state_dict().items()
    }
    torch.save(trained, folder / "best.pth")
    status, out, err = command(capsys, folder, "--name", "mine")
    assert status == 0, err
    assert "100.00% of predictions equal the run's" in out
    record = zoo.record("mine")
    published = zoo.load(record).state_dict()
    assert record.arguments == {} and set(trained) - set(published) == {
        "aux_classifier.weight",
        "aux_classifier.bias",
    }


def test_interrupted_it_says_what_was_written(place, data, monkeypatch, capsys):
    before, evaluate, refresh = state_of(place), P1.evaluate, zoo_page.refresh

    def interrupted(run):
        def interrupt(*arguments):
            signal.raise_signal(signal.SIGINT)
            return run(*arguments)

        return interrupt

    given = (place / "runs/p1-a-s0", "--name", "mine")
    with monkeypatch.context() as early:
        problem = dataclasses.replace(P1, evaluate=interrupted(evaluate))
        early.setitem(PROBLEMS, "p1", problem)
        assert command(capsys, *given) == (130, "", "interrupted: nothing was written\n")
        assert state_of(place) == before
    monkeypatch.setattr(zoo_page, "refresh", interrupted(refresh))
    status, out, err = command(capsys, *given)
    assert (status, err.splitlines()[-1]) == (130, "interrupted: mine is published all the same")
    zoo.check(zoo.record("mine"))
    assert zoo_page.stale() == [] and "mine: accuracy " in out
    # Of a checkpoint what was done first is there, and says so.
    monkeypatch.setattr(zoo_page, "refresh", refresh)
    monkeypatch.setitem(PROBLEMS, "p1", problem)
    (place / "names").write_text("a\nb\nc\n")
    status, out, err = command(capsys, "mine", "--names", place / "names", "--data", data)
    assert (status, out) == (130, "mine: 3 classes, a to c\n")
    assert err == "interrupted: what is said above was written, and nothing else\n"


@pytest.mark.parametrize(
    "options, said",
    [
        (["--host", "mega:x"], "--host 'mega:x' is no place to put a file"),
        (["--url", "ftp://a.org/b.pth"], "url 'ftp://a.org/b.pth': nothing is fetched by ftp:"),
        (["--url", ""], "url '': it is empty"),
        (["--name", ""], "it has to be of the letters a-z"),
        (["--name", "a\nb"], "it has to be of the letters a-z"),
        (["--name", "x" * 300], "it has 300 letters"),
        (["--name", "dependencies"], "torch.hub takes that word"),
        (["--name", "there_1"], "would take it for there-1"),
    ],
)
def test_what_could_not_be_had_is_refused_before_anything_is_written(
    place, monkeypatch, capsys, options, said
):
    folder = place / "runs/p1-a-s0"
    assert command(capsys, folder, "--name", "there-1")[0] == 0
    before = state_of(place)

    def spend_minutes(*arguments):
        raise AssertionError("evaluated before the words were looked at")

    monkeypatch.setitem(PROBLEMS, "p1", dataclasses.replace(P1, evaluate=spend_minutes))
    assert said in refusal(capsys, folder, *options)
    assert state_of(place) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_run_that_diverged_is_not_published(place, capsys, value):
    folder, before = place / "runs/p1-a-s0", state_of(place)
    state = torch.load(folder / "best.pth", weights_only=True)
    state["fc.bias"][0] = value
    torch.save(state, folder / "best.pth")
    said = refusal(capsys, folder)
    assert "best.pth holds weights that are NaN or infinite (fc.bias): its training diver" in said
    (folder / "best.pth").write_bytes(b"not weights")
    assert "best.pth is not a checkpoint" in refusal(capsys, folder)
    (folder / "best.pth").unlink()
    assert "no best.pth in" in refusal(capsys, folder)
    (folder / "result.json").write_text("[]")
    assert "result.json is none of ours: it holds no record, but []" in refusal(capsys, folder)
    assert state_of(place) == before


def test_a_score_that_is_nan_is_refused_before_anything_is_uploaded(place, capsys, monkeypatch):
    folder, before = place / "runs/p1-a-s0", state_of(place)

    def evaluate(*arguments):
        return P1.evaluate(*arguments)._replace(score=float("nan"))

    monkeypatch.setitem(PROBLEMS, "p1", dataclasses.replace(P1, evaluate=evaluate))
    said = refusal(capsys, folder, "--host", f"file:{place / 'there'}")
    assert "has no accuracy on" in said and "a class is neither there nor predicted" in said
    assert state_of(place) == before and not (place / "there" / "p1-a.pth").exists()


@pytest.mark.parametrize("part", ["temporary", "weights", "inference"])
def test_a_full_disk_leaves_all_as_it_was(place, monkeypatch, capsys, part):
    folder, before = place / "runs/p1-a-s0", state_of(place)
    write, full_disks = Path.write_bytes, []

    def full(path, data):
        there = {place / "weights": "weights", place / "inference": "inference"}
        disk = there.get(path.parent, "temporary")
        if disk == part and data:  # an empty file tries whether a folder can be written to
            full_disks.append(disk)
            write(path, data[:10])
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    said = refusal(capsys, folder, "--name", "mine")
    assert full_disks == [part]
    assert said.startswith("error: cannot write ") and "No space left on device" in said
    assert state_of(place) == before


SEVERAL = """
import multiprocessing, os, sys, time, torch
from inference import zoo
from training.__main__ import main
from training.publish import scores
torch.set_num_threads(1)
# All write their records at once, and each is slow between reading the others' and writing its own.
together, trained_on, write = multiprocessing.Barrier(6), scores.trained_on, zoo.write
def wait(*arguments):
    together.wait(60)
    return trained_on(*arguments)
def write_slowly(*arguments):
    time.sleep(0.1)
    write(*arguments)
scores.trained_on, zoo.write = wait, write_slowly
def work(name):
    os._exit(main(["publish", "runs/p1-a-s0", "--default", "--name", name]))
children = [pid for name in "abcdef" if (pid := os.fork() or work(name))]
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
"""


def test_several_may_publish_at_once(place):
    run(sys.executable, "-c", SEVERAL, cwd=place)
    assert set(zoo.records()) == set("abcdef")
    assert {record.name for record in zoo.defaults()["p1"]} == set("abcdef")
    for record in zoo.records().values():
        zoo.check(record)
        assert f"| `{record.name}` | p1 |" in (place / "README.md").read_text()
    assert len(list((place / "weights").iterdir())) == 6


def test_a_file_that_a_clone_would_lack_is_named(tmp_path, capsys):
    (tmp_path / ".gitignore").write_text("weights/*\n!weights/kept.pth\n")
    for name, urls, said in (
        ("mine", [], "only this machine has mine.pth"),
        ("mine", ["https://example.org/mine.pth"], ""),
        ("kept", [], ""),
    ):
        place = {"urls": urls, "folder": tmp_path / "weights"}
        record = dataclasses.replace(RECIPES["p1-a"].record(name), **place)
        publish._say_what_follows(record, default=name == "kept")
        out, err = capsys.readouterr()
        assert said in err and bool(said) == bool(err)
        assert out == ("kept is what the scripts answer p1 with from now on\n" * (name == "kept"))
