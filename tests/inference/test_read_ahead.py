"""Images that are read ahead of their use."""

import os
import threading

import pytest

from inference import images


@pytest.mark.parametrize("ahead, chunk", [(1, 1), (3, 1), (16, 4), (1000, 16), (2, 16)])
def test_images_come_in_order(ahead, chunk):
    found = images.read_ahead(range(100), lambda n: n * n, ahead, chunk)
    assert list(found) == [n * n for n in range(100)]


def test_nothing_to_read_is_nothing_read():
    assert list(images.read_ahead([], int, 16)) == []


@pytest.mark.parametrize("ahead, chunk", [(1, 1), (5, 1), (32, 8)])
def test_no_more_is_held_than_asked_for(ahead, chunk):
    lock, started, used, most = threading.Lock(), 0, 0, 0

    def reader(_):
        nonlocal started, most
        with lock:
            started += 1
            most = max(most, started - used)

    for _ in images.read_ahead(range(200), reader, ahead, chunk):
        with lock:
            used += 1
    assert started == 200
    assert most <= ahead + 1  # and the one that was handed over and is in use


def test_reading_begins_before_the_first_is_asked_for():
    begun = threading.Event()
    found = images.read_ahead([0], lambda _: begun.set(), 1)
    assert begun.wait(10)
    assert len(list(found)) == 1


def test_stopping_early_stops_the_readers():
    read = []
    before = threading.active_count()
    found = images.read_ahead(range(10_000), read.append, 64, chunk=8)
    next(found)
    found.close()
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(10)
    assert threading.active_count() <= before
    assert len(read) <= 64 + 8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_hundred_broken_images_do_not_exhaust_file_handles(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    found = list(images.read_ahead([tmp_path / "a.png"] * 100, images.read_pixels, 16))
    assert all(isinstance(result, Exception) for result in found)
    del found
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 2
