"""A checkpoint hosted in one command: on a hub of our own, in a folder."""

import dataclasses
import errno
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
import torch

from inference import zoo
from tests.training.publish.hosting import fetches, publish, refusal, state_of
from training.publish import host, zoo_page
from training.publish.host import _card, with_urls

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def place(authors):
    """Return a repository of its own with printed pages, whose zoo this process uses."""
    return authors


# ---- a folder


def test_a_folder_is_a_place_that_the_downloader_knows(place, tmp_path, capsys):
    folder = tmp_path / "shared disk/100%"
    status, out, err = publish(capsys, "p1-small", "--host", f"file:{folder}")
    url = f"file:{folder}/p1-small.pth"
    assert (status, err) == (0, "")
    assert f"p1-small is hosted, and was fetched without a login from {url}\n" in out
    assert "README.md, and the download of whoever sees that folder has it\n" in out
    assert zoo.record("p1-small").urls == [url]
    assert url in (place.root / "docs/zoo.md").read_text() and zoo_page.stale() == []
    assert [path.name for path in folder.iterdir()] == ["p1-small.pth"]
    assert fetches(place)
    # Once more, by its other name: nothing changes.
    before = state_of(place)
    again = f"file://localhost{folder}".replace(" ", "%20").replace("100%", "100%25")
    assert publish(capsys, "p1-small", "--host", again)[0] == 0
    assert state_of(place) == before


def test_a_relative_folder_is_seen_from_where_the_user_is(place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert publish(capsys, "p1-small", "--host", "file:there")[0] == 0
    assert zoo.record("p1-small").urls == [f"file:{tmp_path}/there/p1-small.pth"]


def test_another_file_of_a_folder_stays(place, tmp_path, capsys):
    (tmp_path / "p1-small.pth").write_bytes(b"somebody's")
    said = refusal(capsys, place, "p1-small", "--host", f"file:{tmp_path}")
    assert "p1-small.pth is another file, which somebody may be fetching: choose another" in said
    assert (tmp_path / "p1-small.pth").read_bytes() == b"somebody's"


def test_a_folder_that_cannot_be_one(place, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    said = refusal(capsys, place, "p1-small", "--host", f"file:{tmp_path}/file")
    assert "is a file: give the name of a folder" in said
    said = refusal(capsys, place, "p1-small", "--host", f"file:{tmp_path}/file/in")
    assert "cannot write" in said and "Not a directory" in said


def test_a_folder_that_cannot_be_written_to_is_one_line(place, tmp_path, capsys, monkeypatch):
    def refuse(path, content):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    said = refusal(capsys, place, "p1-small", "--host", f"file:{tmp_path}")
    why = f"{os.strerror(errno.EROFS)}; choose another place or make it writable"
    assert said == f"error: cannot write {tmp_path}: {why}\n"


def test_a_file_there_that_cannot_be_read_is_not_called_another_one(
    place, tmp_path, capsys, monkeypatch
):
    there = tmp_path / "p1-small.pth"
    there.write_bytes((place.root / "weights/p1-small.pth").read_bytes())
    read = zoo.sha256

    def refuse(file):
        if file == there:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return read(file)

    monkeypatch.setattr(zoo, "sha256", refuse)
    said = refusal(capsys, place, "p1-small", "--host", f"file:{tmp_path}")
    why = f"{os.strerror(errno.EACCES)}; mend it, or delete it, or choose another folder"
    assert said == f"error: cannot read {there}: {why}\n"


# ---- what is no place, or has no file


@pytest.mark.parametrize(
    "target",
    ["", "p1", "hf", "hf:", "hf:ada", "hf:ada/hw1/x", "hf:ada/h w", "gh:ada/hw1", "gh:ada@v1"]
    + ["gh:ada/hw1@", "gh:ada/hw1@-x", "gh:ada/hw1@v 1", "file:", "file: ", "file:a\nb"]
    + ["file://host/share", "ftp://a.org/b", "https://huggingface.co/ada/hw1", "HF:ada/hw1"],
)
def test_what_names_no_place(place, capsys, target):
    said = refusal(capsys, place, "p1-small", "--host", target)
    assert "is no place to put a file: hf:USER/REPO, gh:OWNER/REPO@TAG (a release) or" in said


@pytest.mark.parametrize("target", ["gdrive:1a2b", "https://drive.google.com/drive/my-drive"])
def test_drive_stays_by_hand(place, capsys, target):
    said = refusal(capsys, place, "p1-small", "--host", target)
    assert "by hand, and name the link with --url; docs/hosting.md" in said


def test_a_record_without_its_file_says_how_to_have_it(place, tmp_path, capsys):
    target = f"file:{tmp_path}/there"
    (place.root / "weights/p1-small.pth").unlink()
    said = refusal(capsys, place, "p1-small", "--host", target)
    assert "p1-small.pth is missing; run: bash hw1_download.sh p1-small" in said
    (place.root / "weights/p1-small.pth").write_bytes(b"else")
    assert "is truncated: 4 of" in refusal(capsys, place, "p1-small", "--host", target)
    assert "neither a run's folder nor" in refusal(capsys, place, "nix", "--host", target)
    said = refusal(capsys, place, "p1-small", "--host", target, "--default")
    assert "--name, --url, --default and --no-tta make no sense" in said
    assert not (tmp_path / "there").exists()


# ---- Hugging Face


def test_hugging_face_gets_the_file_and_a_card_in_one_commit(place, hub, capsys):
    status, out, err = publish(capsys, "p1-small", "--host", "hf:ada/hw1")
    assert (status, err) == (0, "")
    commit, there = hub.repositories["ada/hw1"][-1]
    url = f"{hub.url}/ada/hw1/resolve/{commit}/p1-small.pth"
    assert zoo.record("p1-small").urls == [url] and f"without a login from {url}\n" in out
    assert "README.md, and everybody's download has it\n" in out
    assert len(hub.repositories["ada/hw1"]) == 2
    assert there["p1-small.pth"] == (place.root / "weights/p1-small.pth").read_bytes()
    assert there["README.md"].decode() == _card(place.records["p1"], "")
    assert len(hub.fetched) == 1 and "Authorization" not in hub.fetched[0]
    assert fetches(place)
    # Once more: nothing has changed there, and the url is the one of the same commit.
    before = state_of(place)
    assert publish(capsys, "p1-small", "--host", "hf:ada/hw1")[0] == 0
    assert state_of(place) == before and len(hub.repositories["ada/hw1"]) == 2


def test_a_card_keeps_what_follows_a_mark_whose_end_was_removed(place):
    record = place.records["p1"]
    page = f"# Mine\n\n<!-- {record.name} -->\nmy words\n"
    once = _card(record, page)
    assert once.startswith(page) and once.count(f"<!-- /{record.name} -->") == 1
    assert _card(record, once + "\nmore words\n") == once + "\nmore words\n"


def test_a_repository_keeps_what_somebody_wrote_and_other_checkpoints(place, hub, capsys):
    page = b"---\nlicense: other\n---\n# Mine\n\nmy words\n"
    hub.repositories["ada/hw1"] = [("1" * 40, {"README.md": page, "p1-small.pth": b"old"})]
    for name in ("p1-small", "p3-small", "p1-small"):
        assert publish(capsys, name, "--host", "hf:ada/hw1")[0] == 0
    commits = hub.repositories["ada/hw1"]
    text = commits[-1][1]["README.md"].decode()
    assert text.startswith(page.decode()) and text.count("## p1-small") == 1
    assert text.count("## p3-small") == 1 and text.count("license") == 1
    # The commit that a url names still has what it had, and of two commits the later is recorded.
    assert commits[0][1]["p1-small.pth"] == b"old"
    assert [f"/{commits[-1][0]}/" in url for url in zoo.record("p1-small").urls] == [True]


def test_the_card_says_how_to_load_it_and_that_works(place, tmp_path, monkeypatch):
    for task, record in place.records.items():
        scores = {"metric": "accuracy", "fp32": 0.5, "images": 1000, "data": "a set"}
        card = _card(dataclasses.replace(record, scores=scores), "")
        assert (
            f"license: mit\npipeline_tag: image-{'segment' if task == 'p3' else 'classif'}" in card
        )
        assert "accuracy 0.5000 (1,000 images)" in card and record.sha256 in card
        assert "- recipe: `none`, trained on nothing" in card and "- licence: MIT" in card
        size = "of any size" if task == "p3" else f"resized to {record.size}×{record.size}"
        assert f"- input: RGB in [0, 1], {size}, less the mean [0.48, 0.45, 0.41]" in card
        monkeypatch.chdir(place.root / "weights")
        names = {}
        exec(re.search("```python\n(.*)```", card, re.DOTALL)[1], names)
        with torch.no_grad():
            names["network"](torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("pattern", "status", "said"),
    [
        ("GET /api/whoami", 401, "you are not logged in: hf auth login, with a token that may"),
        ("POST /api/repos", 403, "your token may not write to ada/hw1, or nobody has that name"),
        ("POST .*/preupload", 403, "your token may not write to ada/hw1"),
        ("POST .*/commit/", 404, "your token may not write to ada/hw1"),
        ("PUT /blobs", 413, "it is too large there"),
        ("POST .*/commit/", 400, "a reason of theirs"),
        ("HEAD .*README", 403, "Hugging Face: "),
    ],
)
def test_what_hugging_face_refuses(place, hub, capsys, pattern, status, said):
    hub.answers[pattern] = (status, "a reason of theirs")
    line = refusal(capsys, place, "p1-small", "--host", "hf:ada/hw1")
    assert said in line and "uploaded all the same" not in line
    assert len(hub.repositories.get("ada/hw1", [0])) == 1  # no commit


def test_without_a_login_a_network_or_the_package(place, hub, capsys, monkeypatch):
    with monkeypatch.context() as without:
        without.delenv("HF_TOKEN")
        said = refusal(capsys, place, "p1-small", "--host", "hf:ada/hw1")
        assert "Hugging Face: you are not logged in: hf auth login" in said
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "huggingface_hub", None)
        said = refusal(capsys, place, "p1-small", "--host", "hf:ada/hw1")
        assert 'no huggingface_hub here: pip install -e ".[hf]"' in said
    said = refusal(capsys, place, "p1-small", "--host", "hf:a..b/hw1")
    assert "Hugging Face: " in said and "a..b/hw1" in said
    hub.answers["GET /api/whoami"] = (0, "")  # it hangs up
    said = refusal(capsys, place, "p1-small", "--host", "hf:ada/hw1")
    assert "Hugging Face: it cannot be reached" in said and "try again" in said


def test_what_nobody_can_fetch_is_not_hosted(place, hub, capsys, tmp_path):
    hub.answers["GET .*/resolve/.*pth"] = (401, "private")
    folder = f"file:{tmp_path}/there"
    said = refusal(capsys, place, "p1-small", "--host", folder, "--host", "hf:ada/hw1")
    url = f"{hub.url}/ada/hw1/resolve/{hub.repositories['ada/hw1'][-1][0]}/p1-small.pth"
    assert f"nobody could fetch p1-small.pth back: {url}: HTTP 401" in said
    assert "if the repository is private, make it public" in said
    assert f"; uploaded all the same: {folder}/p1-small.pth, {url}\n" in said


def test_what_comes_back_has_to_be_the_same_bytes(place, hub, capsys, monkeypatch):
    commit = hub.commit

    def spoil(commits, lines):
        commit(commits, lines)
        there = commits[-1][1]
        there["p1-small.pth"] = there["p1-small.pth"][:-1] + b"?"

    monkeypatch.setattr(hub, "commit", spoil)
    said = refusal(capsys, place, "p1-small", "--host", "hf:ada/hw1")
    assert ": another file (sha256 " in said and "uploaded all the same" in said


# ---- Ctrl-C


def test_interrupted_while_it_uploads(place, hub, tmp_path, capsys, monkeypatch):
    before = state_of(place)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as at_once:
        at_once.setattr(host.files, "write_whole", interrupt)
        status, _, err = publish(capsys, "p1-small", "--host", f"file:{tmp_path}/there")
    target = f"file:{tmp_path}/there"
    assert (status, err) == (130, f"interrupted: zoo.json is as it was; {target} may have it\n")
    monkeypatch.setattr(host, "fetch", interrupt)
    status, _, err = publish(capsys, "p1-small", "--host", f"file:{tmp_path}/there")
    url = f"file:{tmp_path}/there/p1-small.pth"
    assert status == 130
    assert err == f"interrupted: zoo.json is as it was; uploaded all the same: {url}\n"
    assert state_of(place) == before


def test_a_record_that_cannot_be_written_says_what_was_uploaded(
    place, tmp_path, capsys, monkeypatch
):
    fetch = host.fetch

    def publish_anew(record, *arguments):  # somebody else, meanwhile
        entries = json.loads(place.zoo.read_text())
        entries["checkpoints"][record.name]["sha256"] = "0" * 64
        place.zoo.write_text(json.dumps(entries))
        return fetch(record, *arguments)

    monkeypatch.setattr(host, "fetch", publish_anew)
    status, out, err = publish(capsys, "p1-small", "--host", f"file:{tmp_path}/there")
    assert (status, out) == (2, "") and zoo.record("p1-small").urls == []
    url = f"file:{tmp_path}/there/p1-small.pth"
    assert err == (
        f"error: p1-small was published anew meanwhile: do it again; uploaded all the same: {url}\n"
    )


def test_interrupted_while_the_pages_are_printed(place, tmp_path, capsys, monkeypatch):
    refresh = zoo_page.refresh

    def interrupt():
        signal.raise_signal(signal.SIGINT)
        return refresh()

    monkeypatch.setattr(zoo_page, "refresh", interrupt)
    status, _, err = publish(capsys, "p1-small", "--host", f"file:{tmp_path}/there")
    assert (status, err) == (130, "interrupted: the record of p1-small is written all the same\n")
    assert zoo.record("p1-small").urls and zoo_page.stale() == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_of_two_commits_of_a_file_the_later_is_recorded(place):
    record = dataclasses.replace(place.records["p1"], urls=["gdrive:1", "https://h/a/resolve/1/f"])
    found = ["https://h/a/resolve/2/f", "file:/there/f"]
    assert with_urls(record, found).urls == ["gdrive:1", *found]
