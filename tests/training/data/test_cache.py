"""Images decoded once: the array of them, and who may build it."""

import contextlib
import errno
import multiprocessing
import os
import platform
import subprocess
import threading
import time
from functools import partial

import numpy as np
import pytest
from filelock import FileLock, Timeout
from PIL import Image

from inference import UserError, landcover
from inference.images import read_pixels
from tests.training.engine.started import wait_until
from training.data import cache
from training.engine.run import _alone as alone


def left(folder):
    """Return what is in a folder, but for its lock."""
    return sorted(file for file in folder.iterdir() if file.name != ".lock")


@pytest.fixture
def pictures(tmp_path):
    """Return six images of different sizes."""
    random = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        Image.fromarray(random.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(path)
    return paths


def test_images_are_what_inference_reads(pictures, tmp_path):
    found = cache.images(pictures, 16, tmp_path / "cache")
    assert (found.shape, found.dtype) == ((6, 16, 16, 3), np.uint8)
    for path, pixels in zip(pictures, found):
        assert np.array_equal(pixels, read_pixels(path, 16))


def test_the_array_is_reused_until_a_file_changes(pictures, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    before = np.array(cache.images(pictures, 16, folder))
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_build", lambda *_: pytest.fail("decoded again"))
        assert np.array_equal(cache.images(pictures, 16, folder), before)
    Image.new("RGB", (30, 20), "red").save(pictures[0])
    os.utime(pictures[0], ns=(1, 1))
    after = cache.images(pictures, 16, folder)
    assert (after[0] == (255, 0, 0)).all() and np.array_equal(after[1:], before[1:])


def test_a_broken_image_is_named_and_leaves_nothing(pictures, tmp_path):
    pictures[3].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read .*3\.png"):
        cache.images(pictures, 16, tmp_path / "cache")
    assert left(tmp_path / "cache") == []


def test_of_many_images_every_one_is_where_it_belongs(tmp_path, draw):
    paths = [draw(tmp_path / f"{i}.png", (8, 8)) for i in range(250)]  # read by several threads
    found = cache.images(paths, 8, tmp_path / "cache")
    for path, pixels in zip(paths, found):
        assert np.array_equal(pixels, read_pixels(path, 8))
    paths[200].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"cannot read .*200\.png: .*; mend or remove it"):
        cache.images(paths, 8, tmp_path / "cache")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads
def test_of_two_processes_that_start_at_once_one_decodes(pictures, tmp_path):
    log = tmp_path / "log"

    def slowly(path):
        time.sleep(0.05)
        with log.open("a") as text:
            text.write(f"{path.name}\n")
        return read_pixels(path, 16)

    def use():
        found = cache._mapped(pictures, "slow", (16, 16, 3), slowly, tmp_path / "cache")
        assert np.array_equal(found[5], read_pixels(pictures[5], 16))

    both = [multiprocessing.get_context("fork").Process(target=use) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(log.read_text().split()) == [path.name for path in pictures]


def stuck(path, readers):
    """Read nothing, and say which process and thread it is that tries."""
    (readers / f"{os.getpid()}-{threading.get_ident()}").touch()
    time.sleep(100)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads
def test_a_killed_process_takes_its_readers_and_its_locks_along(tmp_path, draw, monkeypatch):
    paths = [draw(tmp_path / f"{i}.png", (8, 8)) for i in range(200)]
    readers, run, built = tmp_path / "readers", tmp_path / "run", tmp_path / "cache"
    readers.mkdir()
    monkeypatch.setattr(os, "cpu_count", lambda: 2)

    def use():
        with alone(run):
            cache._mapped(paths, "rgb-8", (8, 8, 3), partial(stuck, readers=readers), built)

    process = multiprocessing.get_context("fork").Process(target=use)
    process.start()
    try:
        wait_until(lambda: len(list(readers.iterdir())) == 2, process)
        with pytest.raises(UserError, match="another process trains in"), alone(run):
            pass
        with pytest.raises(Timeout), FileLock(built / ".lock", timeout=0):
            pass
    finally:
        process.kill()
        process.join()
    assert {file.name.partition("-")[0] for file in readers.iterdir()} == {str(process.pid)}
    with alone(run):
        assert len(left(built)) == 1  # half a file
        assert len(cache.images(paths, 8, built)) == 200
    assert [file.suffix for file in left(built)] == [".npy"]


def test_what_a_killed_process_left_is_removed(pictures, tmp_path):
    file = tmp_path / "cache" / f"rgb-16-{cache._key(pictures)}.npy"
    file.parent.mkdir()
    (file.parent / f".{file.name}.{platform.node()}.1.tmp").write_bytes(b"half")
    others = file.parent / f".{file.name}.another-host.1.tmp"  # which may be at work on it
    others.write_bytes(b"half")
    cache.images(pictures, 16, file.parent)
    assert left(file.parent) == sorted([file, others])


def test_what_cannot_be_removed_is_in_nobodys_way(pictures, tmp_path):
    name = f"rgb-16-{cache._key(pictures)}.npy"
    stale = tmp_path / "cache" / f".{name}.{platform.node()}.1.tmp"
    stale.mkdir(parents=True)  # no file: it cannot be unlinked
    assert len(cache.images(pictures, 16, tmp_path / "cache")) == 6


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "garbage", "of other images"])
def test_a_damaged_file_of_the_cache_is_built_anew(pictures, tmp_path, damage):
    folder = tmp_path / "cache"
    whole = np.array(cache.images(pictures, 16, folder))
    (file,) = folder.glob("*.npy")
    content = file.read_bytes()
    if damage == "of other images":
        np.save(file, whole[:2])
    else:
        spoilt = {"empty": b"", "cut": content[:-100], "zeros": bytes(len(content))}
        file.write_bytes(spoilt.get(damage, b"PK\3\4" + content[4:]))
    assert np.array_equal(cache.images(pictures, 16, folder), whole)
    assert left(folder) == [file] and file.read_bytes() == content


def test_a_file_of_the_cache_that_may_not_be_read_is_named(pictures, tmp_path):
    file = tmp_path / "cache" / f"rgb-16-{cache._key(pictures)}.npy"
    file.mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot read the cache .*rgb-16-\w+\.npy: .*; remove it"):
        cache.images(pictures, 16, file.parent)


def test_a_file_has_its_name_when_its_pages_are_on_the_disk(pictures, tmp_path, monkeypatch):
    """Else a power loss would leave a whole file of zeros, which the next run would train on."""
    done, replace = [], os.replace
    monkeypatch.setattr(np.memmap, "flush", lambda self: done.append("flush"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda *names: done.append("replace") or replace(*names))
    cache.images(pictures, 16, tmp_path / "cache")
    assert done[:3] == ["flush", "fsync", "replace"]


def test_hosts_that_build_side_by_side_spoil_nothing(pictures, tmp_path, monkeypatch):
    """On a network drive each host is granted the lock; its process numbers may be equal too."""
    folder, read, met = tmp_path / "cache", cache.read_pixels, threading.Barrier(2)
    monkeypatch.setattr(cache, "_one_at_a_time", lambda _: contextlib.nullcontext(True))
    hosts, found = threading.local(), {}
    monkeypatch.setattr(platform, "node", lambda: hosts.name)

    def slowly(path, size):
        if path == pictures[-1]:
            met.wait(20)  # each has a file that is all but done
        return read(path, size)

    def use(name):
        hosts.name = name
        found[name] = cache.images(pictures, 16, folder)

    monkeypatch.setattr(cache, "read_pixels", slowly)
    threads = [threading.Thread(target=use, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for images in found.values():
        assert all((images[i] == read(path, 16)).all() for i, path in enumerate(pictures))
    assert len(left(folder)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_full_disk_is_one_line(pictures, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        with pytest.raises(UserError, match=r"cannot write the cache .*\(1 MB\): No space left"):
            cache.images(pictures, 100, folder)
        assert left(folder) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_foreseen(pictures, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(UserError, match=r"cannot write the cache .*No space left .*make room"):
        cache.images(pictures, 16, tmp_path / "cache")
    assert left(tmp_path / "cache") == []


def test_masks_are_indices_and_never_resized(tmp_path):
    mask = np.arange(64, dtype=np.uint8).reshape(8, 8) % 7
    file = tmp_path / "0_mask.png"
    file.write_bytes(landcover.encode_png(landcover.to_colours(mask)))
    assert np.array_equal(cache.masks([file], 8, tmp_path / "cache")[0], mask)
    with pytest.raises(UserError, match="it is 8 x 8, not 16 x 16"):
        cache.masks([file], 16, tmp_path / "cache")


def test_a_mask_of_class_indices_is_named_and_not_taken_for_unknown(tmp_path):
    indices = np.arange(16, dtype=np.uint8).reshape(4, 4) % 7
    file = tmp_path / "0000_mask.png"
    for pixels in (indices, np.dstack([indices] * 3), np.where(indices == 6, 255, indices)):
        Image.fromarray(pixels.astype(np.uint8)).save(file)
        with pytest.raises(
            UserError, match=r"0000_mask\.png: it seems to hold class indices in pl"
        ):
            cache.masks([file], 4, tmp_path / "cache")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file)
    assert (cache.masks([file], 4, tmp_path / "cache") == 6).all()


@pytest.mark.parametrize("kind", ["cut png", "cut jpeg", "damaged checksum", "empty"])
def test_training_takes_no_damaged_image_or_mask(tmp_path, draw, kind):
    file = draw(tmp_path / ("a.jpg" if kind == "cut jpeg" else "a.png"), (64, 64))
    content = bytearray(file.read_bytes())
    if kind == "damaged checksum":
        content[content.index(b"IDAT") + 20] ^= 255
    else:
        del content[0 if kind == "empty" else len(content) - 100 :]
    file.write_bytes(content)
    for read in (cache.images, cache.masks):
        with pytest.raises(UserError, match=rf"cannot read .*{file.name}: .*; mend or remove it"):
            read([file], 64, tmp_path / "cache")
