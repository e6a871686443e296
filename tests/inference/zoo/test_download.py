"""Downloads from servers that misbehave, from folders, and what they leave behind."""

import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from inference import UserError
from inference.zoo.download import download

REPOSITORY = Path(__file__).resolve().parents[3]


def test_fetches_then_leaves_alone(server, shelf):
    server.answers["/a"] = server.whole()
    shelf.add(f"{server.url}/a")
    assert shelf.fetch() == [f"small: weights/small.pth (0.3 MB) fetched from {server.url}/a"]
    assert shelf.holds()
    assert shelf.contents() == ["small.pth"]
    # Readable for as many as any file that this user makes.
    assert (shelf.weights / "small.pth").stat().st_mode == shelf.file.stat().st_mode
    assert shelf.fetch() == ["small: weights/small.pth is right (0.3 MB), left alone"]
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_needs_no_network(shelf):
    shelf.add("http://127.0.0.1:1/a")
    (shelf.weights / "small.pth").write_bytes(shelf.data)
    assert shelf.fetch() == ["small: weights/small.pth is right (0.3 MB), left alone"]


@pytest.mark.parametrize("damage", ["cut", "changed", "longer", "empty"])
def test_a_wrong_file_is_replaced(server, shelf, damage):
    data = shelf.data
    damaged = {"cut": data[:1000], "changed": data[::-1], "longer": data + b"x", "empty": b""}
    server.answers["/a"] = server.whole()
    (shelf.weights / "small.pth").write_bytes(damaged[damage])
    shelf.add(f"{server.url}/a").fetch()
    assert shelf.holds()


def test_a_wrong_file_stays_until_there_is_a_good_one(server, shelf):
    shelf.add(f"{server.url}/gone")
    (shelf.weights / "small.pth").write_bytes(b"mine")
    with pytest.raises(UserError):
        shelf.fetch()
    assert (shelf.weights / "small.pth").read_bytes() == b"mine"
    assert shelf.contents() == ["small.pth"]


def test_the_mirror_comes_first(server, shelf, monkeypatch, tmp_path):
    shelf.add(f"{server.url}/a")
    server.answers.update({"/a": server.whole(), "/hw1/small.pth": server.whole()})
    monkeypatch.setenv("HW1_MIRROR", f"{server.url}/hw1/")
    shelf.fetch()
    assert server.requests == [("/hw1/small.pth", None)]
    folder = tmp_path / "class server"
    folder.mkdir()
    for mirror in (str(folder), folder.as_uri(), f"file:{folder}"):
        (folder / "small.pth").write_bytes(shelf.data)
        (shelf.weights / "small.pth").unlink()
        monkeypatch.setenv("HW1_MIRROR", mirror)
        assert "class" in shelf.fetch()[0]
        assert shelf.holds()
    assert len(server.requests) == 1


def test_what_the_mirror_lacks_comes_from_the_urls(server, shelf, monkeypatch, tmp_path):
    server.answers["/a"] = server.whole()
    monkeypatch.setenv("HW1_MIRROR", str(tmp_path / "nowhere"))
    [line] = shelf.add(f"{server.url}/a").fetch()
    assert "before that, file:" in line and "No such file or directory" in line


@pytest.mark.parametrize("odd", ["~nobody-of-this-name/w", "file:///x%00y"])
def test_a_place_that_cannot_be_one_is_passed_over(server, shelf, monkeypatch, odd):
    server.answers["/a"] = server.whole()
    if odd.startswith("~"):
        monkeypatch.setenv("HW1_MIRROR", odd)
        [line] = shelf.add(f"file:{odd}", f"{server.url}/a").fetch()
    else:
        [line] = shelf.add(odd, f"{server.url}/a").fetch()
    assert "before that, file:" in line and shelf.holds()


@pytest.mark.parametrize(
    "mirror, reason",
    [
        ("ftp://example.org/hw1", "nothing is fetched by ftp:"),
        ("https://drive.google.com/drive/folders/1a2b3c", "it is a folder of Google Drive"),
        ("http:///hw1", "it has no host"),
    ],
)
def test_a_mirror_that_cannot_be_one_is_said_and_passed_over(
    server, shelf, monkeypatch, mirror, reason
):
    server.answers["/a"] = server.whole()
    monkeypatch.setenv("HW1_MIRROR", mirror)
    [line] = shelf.add(f"{server.url}/a").fetch()
    assert f"before that, {mirror}" in line and reason in line and shelf.holds()


def test_file_urls(shelf, tmp_path):
    (tmp_path / "a b.pth").write_bytes(shelf.data)
    (tmp_path / "cut.pth").write_bytes(shelf.data[:7])
    for url in ((tmp_path / "a b.pth").as_uri(), f"file:{tmp_path}/a b.pth", "file:a b.pth"):
        shelf.add("file:cut.pth", url)
        assert "7 bytes there instead of 300000" in shelf.fetch()[0]
        assert shelf.holds()
        (shelf.weights / "small.pth").unlink()


def test_names_choose_and_one_failure_does_not_stop_the_others(server, shelf):
    server.answers["/a"] = server.whole()
    shelf.add(f"{server.url}/a", name="first", default=False)
    shelf.add(f"{server.url}/gone", name="second")
    shelf.add(f"{server.url}/a", name="third", default=False)
    said = []
    with pytest.raises(UserError, match=r"no right file for second; .*HW1_MIRROR"):
        download(["second", "third"], said.append, shelf.file, shelf.quick)
    assert shelf.contents() == ["third.pth"] and len(said) == 2
    with pytest.raises(UserError, match="no checkpoint 'thrid' in the zoo; there are: first, s"):
        download(["first", "thrid"], said.append, shelf.file, shelf.quick)
    assert shelf.contents() == ["third.pth"] and len(said) == 2


def test_a_bundled_file_that_was_lost(shelf):
    assert (
        "zoo.json has no url for it; if it is a bundled one, git checkout" in shelf.add().failure()
    )


def test_weights_that_cannot_be_written(server, shelf, tmp_path):
    server.answers["/a"] = server.whole()
    shelf.add(f"{server.url}/a")
    (tmp_path / "weights").rmdir()
    (tmp_path / "weights").write_text("a file")
    said = []
    with pytest.raises(UserError):
        download([], said.append, shelf.file, shelf.quick)
    assert said[0].startswith(f"cannot write {tmp_path / 'weights'}: ")


def test_a_full_disk_is_named_and_leaves_nothing(server, shelf, tmp_path):
    server.answers["/a"] = server.whole()
    shelf.add(f"{server.url}/a", f"{server.url}/b")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        line = shelf.failure()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert line.startswith(f"cannot write to {tmp_path / 'weights'}: File too large")
    assert len(server.requests) == 1


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from inference.zoo.download import download
download(file=Path(sys.argv[2]))
assert "torch" not in sys.modules
"""


def start(file):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(REPOSITORY), str(file)], stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("url", ["{}/a", "gdrive:1a2b3c"])
def test_an_interruption_leaves_nothing(server, shelf, url, tmp_path, monkeypatch):
    server.answers["/a"] = server.stalling()
    server.answers["/uc"] = server.stalling()
    shelf.add(url.format(server.url))
    fake = tmp_path / "gdown.py"  # it hangs as the real one does, which knows one server only
    fake.write_text(
        "import urllib.request\n"
        "def download(url, output, **_):\n"
        f"    answer = urllib.request.urlopen('{server.url}/uc')\n"
        "    while True: output.write(answer.read(4096))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = start(shelf.file)
    deadline = time.monotonic() + 10
    while not any(path.stat().st_size for path in shelf.weights.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=10)[1]
    assert process.returncode != 0
    assert shelf.contents() == []


def test_two_at_once_both_succeed(server, shelf):
    together = threading.Barrier(2, timeout=10)

    def answer(request, number):
        server.send(request, shelf.data[: server.part], length=len(shelf.data))
        together.wait()
        request.wfile.write(shelf.data[server.part :])

    server.answers["/a"] = answer
    shelf.add(f"{server.url}/a")
    both = [start(shelf.file), start(shelf.file)]
    for process in both:
        assert process.communicate(timeout=20)[1].endswith(b"/a\n")
        assert process.returncode == 0
    assert shelf.holds()
    assert shelf.contents() == ["small.pth"]
