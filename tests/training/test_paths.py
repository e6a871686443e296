"""Paths that cannot be looked at: one line, whichever command they are given to."""

import errno
import os

import pytest

from training.__main__ import main

LONG = "x" * 300
WORDS = {
    "fit": ["fit", "p1-a", "--data", "{}"],
    "fit out": ["fit", "p1-a", "--data", ".", "--out", "{}"],
    "compare": ["compare", "--data", "{}"],
    "figures": ["figures", "{}"],
    "figures data": ["figures", ".", "--data", "{}"],
    "probe": ["probe", "none", "--data", "{}"],
    "publish data": ["publish", "p1-small", "--data", "{}"],
    "publish names": ["publish", "p1-small", "--names", "{}"],
    "export": ["export", "p1-small", "{}"],
    "report": ["report", "{}"],
    "report notes": ["report", "--notes", "{}"],
    "import-data": ["import-data", "cifar10", "{}", "out"],
    "import-data out": ["import-data", "cifar10", ".", "{}"],
    "sample-data": ["sample-data", "{}"],
}


def refusal(capsys, words, path):
    """Run a command, which must fail with one line; return it."""
    assert main([word.format(path) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    return err


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path, monkeypatch):
    """Run in an empty folder, which must stay so."""
    monkeypatch.chdir(tmp_path)
    yield
    assert [path.name for path in tmp_path.iterdir() if path.name != "closed"] == []


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_name_that_is_too_long(small_zoo, capsys, words):
    expected = f"error: cannot open {LONG}: {os.strerror(errno.ENAMETOOLONG)}; give another\n"
    assert refusal(capsys, words, LONG) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
@pytest.mark.parametrize("path", ["closed", "closed/inside"])
def test_a_folder_that_may_not_be_entered(capsys, tmp_path, path):
    (tmp_path / "closed").mkdir(mode=0o600)
    expected = f"error: cannot open {path}: {os.strerror(errno.EACCES)}; give another\n"
    assert refusal(capsys, ["figures", "{}"], path) == expected


def test_a_backbone_of_too_long_a_name(capsys):
    words = ["compare", "p2-c", "--data", ".", "--backbone-ssl", "{}"]
    expected = f"error: no file {LONG}: give p2-c another backbone\n"
    assert refusal(capsys, words, LONG) == expected
