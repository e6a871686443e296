"""The graded path while it runs: interrupted, watched on a terminal, shared among processes."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from PIL import Image


def test_interrupted_in_the_middle_of_segmenting(pristine, draw, tmp_path):
    tile = draw(tmp_path / "in" / "tile_sat.jpg", (512, 512))
    for i in range(400):
        os.link(tile, tmp_path / "in" / f"{i}_sat.jpg")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, pristine.root / "inference", "segment", tmp_path / "in", out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    while process.poll() is None and not (out.is_dir() and any(out.glob("*_mask.png"))):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    streams = process.communicate(timeout=60)
    assert (process.returncode, *streams) == (130, b"", b"")
    found = list(out.iterdir())
    assert 0 < len(found) < 401
    for path in found:
        with Image.open(path) as image:  # whole, and no temporary file among them
            assert image.size == (512, 512)
            image.load()


def test_progress_is_for_terminals(pristine, small_images, tmp_path):
    pty, fcntl, termios = map(pytest.importorskip, ("pty", "fcntl", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    run = pristine.run(
        "hw1_1.sh",
        small_images,
        tmp_path / "out.csv",
        capture_output=False,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    os.close(ours)
    assert (run.returncode, run.stdout) == (0, "")
    assert b"/37" in shown and b"image" in shown


def test_sharing_the_work_out_changes_nothing(pristine, small_images, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    shutil.copytree(small_images, images)
    (images / "0003.png").write_text("no picture")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    alone = pristine.python("classify", images, out / "one.csv")
    processes = [
        subprocess.Popen(
            [sys.executable, pristine.root / "inference", "classify", images, out / "two.csv"],
            env={**os.environ, **meeting, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [alone.returncode, *(process.returncode for process in processes)] == [3, 3, 3], said
    assert (out / "one.csv").read_bytes() == (out / "two.csv").read_bytes()
    assert sum(text.count("warning: cannot read") for text in said) == 1
    assert sorted(os.listdir(out)) == ["one.csv", "two.csv"]
