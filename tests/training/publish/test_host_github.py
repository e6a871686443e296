"""A checkpoint hosted in a release of GitHub in one command, by a stand-in gh."""

import json
import os

import pytest

from inference import zoo
from tests.training.publish.hosting import fetches, publish, refusal, state_of
from training.publish import host

GH = """#!/usr/bin/env bash
# Keeps releases as folders of $GH/releases, and says what the real one says.
printf '%s\\n' "$*" >> "$GH/calls"
fail() { echo "$2" >&2; exit "$1"; }
[ ! -f "$GH/failure" ] || fail "$(head -n 1 "$GH/failure")" "$(tail -n +2 "$GH/failure")"
here="$GH/releases/$3"
case "$1 $2" in
"repo view") cat "$GH/repository" ;;
"release view") [ -d "$here" ] || fail 1 "release not found" ;;
"release create") mkdir -p "$here" && cp "$4" "$here" ;;
"release upload")
    [ ! -e "$here/$4" ] || fail 1 "asset under the same name already exists: [$4]"
    cp "$4" "$here" ;;
esac
"""


@pytest.fixture
def place(authors):
    """Return a repository of its own with printed pages, whose zoo this process uses."""
    return authors


@pytest.fixture
def gh(hub, tmp_path, monkeypatch):
    """Return the folder of a stand-in gh that is on PATH; the hub has what it uploads."""
    folder = tmp_path / "gh"
    (folder / "releases").mkdir(parents=True)
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    repository = {"isPrivate": False, "viewerPermission": "WRITE"}
    (folder / "repository").write_text(json.dumps(repository))
    monkeypatch.setenv("GH", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    run = host._gh

    def run_and_show(*words, **options):
        said = run(*words, **options)
        for file in (folder / "releases").rglob("*.pth"):
            tag = file.parent.relative_to(folder / "releases")
            hub.files[f"/ada/hw1/releases/download/{tag}/{file.name}"] = file.read_bytes()
        return said

    monkeypatch.setattr(host, "_gh", run_and_show)
    return folder


def test_a_release_is_made_and_then_added_to(place, gh, hub, capsys):
    base = f"{hub.url}/ada/hw1/releases/download"
    for name, tag, wanted in (
        ("p1-small", "v1", "release create v1 p1-small.pth --repo github.com/ada/hw1 --title v1"),
        ("p3-small", "v1", "release upload v1 p3-small.pth --repo github.com/ada/hw1"),
        ("p2-small", "@me/hw1@2", "release create @me/hw1@2 p2-small.pth --repo"),
    ):
        status, out, err = publish(capsys, name, "--host", f"gh:ada/hw1@{tag}")
        assert (status, err) == (0, "") and f"{name} is hosted, and was fetched" in out
        assert (gh / "calls").read_text().splitlines()[-1].startswith(wanted)
        assert fetches(place, name)
    assert zoo.record("p1-small").urls == [f"{base}/v1/p1-small.pth"]
    assert zoo.record("p2-small").urls == [f"{base}/%40me%2Fhw1%402/p2-small.pth"]
    before = state_of(place)  # what is there already is hosted again
    assert publish(capsys, "p1-small", "--host", "gh:ada/hw1@v1")[0] == 0
    assert state_of(place) == before


def test_another_file_of_a_release_stays(place, gh, capsys):
    (gh / "releases/v1").mkdir()
    (gh / "releases/v1/p1-small.pth").write_bytes(b"last week's")
    said = refusal(capsys, place, "p1-small", "--host", "gh:ada/hw1@v1")
    assert "11 bytes there instead of" in said and "choose a new tag, or: gh release del" in said
    assert (gh / "releases/v1/p1-small.pth").read_bytes() == b"last week's"


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("4\nTo get started with GitHub CLI, please run:  gh auth login", "gh is not logged in"),
        ("1\nGraphQL: Could not resolve to a Repository with the name", "make it first (gh repo"),
        ("1\nerror connecting to api.github.com\ncheck your internet", "error connecting to api.g"),
        ("1\nHTTP 403: Resource not accessible", "gh auth refresh --scopes repo"),
        ("2\n", "gh repo view failed: 2"),
    ],
)
def test_what_gh_refuses(place, gh, capsys, failure, said):
    (gh / "failure").write_text(failure)
    assert said in refusal(capsys, place, "p1-small", "--host", "gh:ada/hw1@v1")


def test_a_repository_that_will_not_do(place, gh, capsys, monkeypatch):
    for found, said in (
        ({"isPrivate": True, "viewerPermission": "ADMIN"}, "is private, so graders could not"),
        ({"isPrivate": False, "viewerPermission": "READ"}, "your login may not write to ada/hw1"),
    ):
        (gh / "repository").write_text(json.dumps(found))
        assert said in refusal(capsys, place, "p1-small", "--host", "gh:ada/hw1@v1")
    (gh / "repository").write_text('{"isPrivate": false, "viewerPermission": "MAINTAIN"}')
    monkeypatch.setattr(host, "LARGEST_ASSET", place.records["p1"].bytes)
    said = refusal(capsys, place, "p1-small", "--host", "gh:ada/hw1@v1")
    assert "GitHub takes files below 2 GiB: host it elsewhere" in said
    monkeypatch.setenv("PATH", "")
    said = refusal(capsys, place, "p1-small", "--host", "gh:ada/hw1@v1")
    assert "cannot run gh" in said and "https://cli.github.com, then: gh auth login" in said
