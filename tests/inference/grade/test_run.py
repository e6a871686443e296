"""How a graded script is run: elsewhere, alone, and not for ever."""

import os
import socket
import threading

import pytest

from inference.grade.run import make_elsewhere, network_cutter, run_script, snapshot
from tests.processes import has_ended


def run(folder, text, *arguments, limit=20, cutter=()):
    (folder / "script.sh").write_text(text)
    if not (folder / "elsewhere").exists():
        make_elsewhere(folder)
    return run_script(folder / "script.sh", arguments, folder, limit, cutter)


def test_arguments_arrive_and_streams_come_back(tmp_path):
    done = run(tmp_path, 'printf "%s|" "$@"; echo oh >&2; exit 3', tmp_path / "a b", "c")
    assert (done.status, done.stdout, done.stderr) == (3, f"{tmp_path / 'a b'}|c|", "oh\n")


def test_there_is_no_terminal_and_no_input(tmp_path):
    look = "[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || { : < /dev/tty; } 2> /dev/null || echo none; read"
    done = run(tmp_path, look)
    assert (done.status, done.stdout) == (1, "none\n")


@pytest.mark.parametrize("name", ["torch", "inference"])
def test_working_folder_holds_decoys(tmp_path, name):
    done = run(tmp_path, f"python3 -c 'import {name}'")
    assert done.status == 1
    assert f"{name} was imported from the working folder" in done.stderr


def test_script_is_stopped_at_the_limit_with_its_children(tmp_path):
    done = run(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid; echo begun; wait", limit=2)
    assert (done.status, done.stdout) == (None, "begun\n")
    assert has_ended(int((tmp_path / "pid").read_text()))


def test_children_left_behind_are_ended(tmp_path):
    done = run(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid")
    assert done.status == 0
    assert has_ended(int((tmp_path / "pid").read_text()))


def test_network_is_cut_where_it_can_be(tmp_path):
    cutter = network_cutter()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        connect = f"exec 3<> /dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        if cutter:
            assert run(tmp_path, connect, cutter=cutter).status == 1
        assert run(tmp_path, connect).status == 0


def answer(server):
    try:
        server.accept()[0].close()
    except OSError:
        pass  # closed by the test: nobody came


def test_no_network_cutter_where_there_is_no_unshare(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert network_cutter() == []


def test_snapshot_sees_what_is_written_but_python_caches(tmp_path):
    repository, place = tmp_path / "repository", tmp_path / "place"
    for folder in (repository / "weights", repository / "inference" / "networks", place / "test"):
        folder.mkdir(parents=True)
    make_elsewhere(place)
    (repository / "weights" / "p1.pth").write_text("weights")
    os.utime(repository / "weights" / "p1.pth", (0, 0))
    before = snapshot(repository, place)
    (repository / "inference" / "networks" / "__pycache__").mkdir()
    (repository / "inference" / "networks" / "__pycache__" / "x.pyc").touch()
    assert snapshot(repository, place) == before
    written = [
        repository / "weights" / "p1.pth",
        repository / "log",
        repository / "inference" / "networks" / "cache.json",
        place / "test" / "0000.png",
        place / "elsewhere" / "out.csv",
    ]
    for path in written:
        path.write_text("changed")
    after = snapshot(repository, place)
    assert {path for path in after if after[path] != before.get(path)} == set(written)
