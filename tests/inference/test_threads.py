"""How many threads compute: affinity, quota, load, and what the user says."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from inference import threads
from inference.threads import Usage, choose_threads, others, quota

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(monkeypatch):
    """Make this machine one of some cores, on which nobody has chosen a number of threads."""

    def machine(count):
        monkeypatch.setattr(threads, "cores", lambda: list(range(count)))
        monkeypatch.setattr(threads, "quota", lambda: math.inf)

    for name in threads.NUMBERS + threads.WAITING:
        monkeypatch.delenv(name, raising=False)
    machine(2)
    return machine


# How many


@pytest.mark.parametrize(
    "count, busy, expected",
    [
        (1, 0, 1),
        (1, 5, 1),
        (2, 0, 2),
        (2, 0.4, 2),  # a browser that is open
        (2, 0.6, 1),
        (2, 1, 1),
        (2, 2, 1),
        (2, 40, 1),
        (4, 1, 3),
        (16, 1, 15),
        (16, 3.4, 13),
        (16, 15, 8),  # half at least
    ],
)
def test_as_many_threads_as_cores_are_free(machine, count, busy, expected):
    machine(count)
    assert choose_threads(count, busy) == expected


def test_hyperthreads_of_which_half_compute(machine):
    machine(16)
    assert [choose_threads(8, busy) for busy in (0, 6, 8, 11, 16)] == [8, 8, 8, 5, 4]


def test_others_are_all_but_this_process():
    before = Usage(100, 50, 10)
    assert others(before, Usage(102, 54, 12)) == 1
    assert others(before, Usage(102, 51, 12)) == 0  # by a clock of 10 ms it may be less than ours
    assert others(before, before) == others(None, before) == others(before, None) == 0


def test_the_cores_use_is_that_of_those_that_we_may_use(machine, monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu  1 1 1 1 1 1 1 1 0 0\n"
        "cpu0 100 1000 30 9000 9000 4 5 60 7 8\n"
        "cpu1 10 0 0 9 9 0 0 0 0 0\n"
        "cpu2 70000 0 0 9 9 0 0 0 0 0\n"
        "cpu10 70000 0 0 9 9 0 0 0 0 0\n"
        "intr 5\n"
    )
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    monkeypatch.setattr(threads, "_niceness", lambda: 0)
    found = threads.usage(stat)
    assert found.busy == pytest.approx(2.09)  # those that are nice make room for us
    assert 0 < found.own < 1e5 and found.clock > 0
    monkeypatch.setattr(threads, "_niceness", lambda: 10)
    assert threads.usage(stat).busy == pytest.approx(12.09)  # but we are nice, too


@pytest.mark.parametrize("text", [None, "cpu0 some text and more of it 1 2\n", "cpu0 1 2\n"])
def test_a_system_that_does_not_say(machine, tmp_path, text):
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)
    assert threads.usage(stat) is None


# Quotas of cgroups, version 1 and 2


def group(root, name, **files):
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    "lines, place, files, expected",
    [
        ("0::/", ".", {"cpu__max": "150000 100000\n"}, 1.5),
        ("0::/", ".", {"cpu__max": "max 100000\n"}, math.inf),
        ("0::/a/b", "a", {"cpu__max": "50000 100000\n"}, 0.5),  # the group that it is in
        ("0::/gone/here", ".", {"cpu__max": "400000 100000\n"}, 4),  # a container's view
        ("0::/../../x", ".", {"cpu__max": "400000 100000\n"}, 4),
        ("0::/", ".", {"cpu__max": "broken"}, math.inf),
        ("0::/", ".", {}, math.inf),
        (
            "4:cpu,cpuacct:/d",
            "cpu,cpuacct/d",
            {"cpu__cfs_quota_us": "300000\n", "cpu__cfs_period_us": "100000\n"},
            3,
        ),
        (
            "1:cpu:/",
            "cpu",
            {"cpu__cfs_quota_us": "-1\n", "cpu__cfs_period_us": "100000\n"},
            math.inf,
        ),
        (
            "1:cpu:/docker/0123",
            "cpu",
            {"cpu__cfs_quota_us": "200000\n", "cpu__cfs_period_us": "100000\n"},
            2,
        ),
        (
            "3:cpuset:/\n9:name=systemd:/",
            "cpuset",
            {"cpu__cfs_quota_us": "200000\n", "cpu__cfs_period_us": "100000\n"},
            math.inf,
        ),
    ],
)
def test_a_quota(tmp_path, lines, place, files, expected):
    (tmp_path / "cgroup").write_text(f"{lines}\n")
    group(tmp_path / "mounted", place, **files)
    assert quota(tmp_path / "cgroup", tmp_path / "mounted") == expected


def test_the_smallest_of_several_quotas_counts(tmp_path, monkeypatch):
    (tmp_path / "cgroup").write_text("0::/a/b\n1:cpu:/\n")
    group(tmp_path, "a/b", cpu__max="300000 100000")
    group(tmp_path, "a", cpu__max="200000 100000")
    group(tmp_path, "cpu", cpu__cfs_quota_us="800000", cpu__cfs_period_us="100000")
    assert quota(tmp_path / "cgroup", tmp_path) == 2
    assert quota(tmp_path / "none", tmp_path) == math.inf
    monkeypatch.setattr(threads, "cores", lambda: list(range(8)))
    for granted, expected in ((math.inf, 8), (0.2, 1), (1.5, 2), (2, 2), (64, 8)):
        monkeypatch.setattr(threads, "quota", lambda granted=granted: granted)
        assert threads.most_threads() == expected


def test_this_machine_has_cores_and_says_how_busy_they_are():
    assert 1 <= threads.most_threads() <= len(threads.cores()) <= os.cpu_count()
    if Path("/proc/stat").exists():
        before, after = threads.usage(), threads.usage()
        assert before is not None and after is not None
        assert all(b >= a for a, b in zip(before, after)), (before, after)


# What the user says


@pytest.mark.parametrize("name", threads.WAITING)
def test_threads_wait_as_the_user_wants(machine, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    threads.wait_passively()
    assert os.environ.get("OMP_WAIT_POLICY") == ("1" if name == "OMP_WAIT_POLICY" else None)


COMMANDS = {
    "module": ["-m", "inference", "classify", "images", "out.csv"],
    "folder": [str(ROOT / "inference"), "classify", "images", "out.csv"],
    "training": ["-m", "training", "fit", "p1-a", "--data", "images"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
@pytest.mark.parametrize("own", ["", "GOMP_SPINCOUNT"])
def test_it_is_settled_before_torch_is_loaded(tmp_path, command, own):
    stand_in = tmp_path / "stand-in"
    stand_in.mkdir()
    (stand_in / "torch.py").write_text(
        "import os\nprint(os.environ.get('OMP_WAIT_POLICY'), flush=True)\nos._exit(0)\n"
    )
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "0000.png")
    environment = {k: v for k, v in os.environ.items() if k not in threads.WAITING}
    environment["PYTHONPATH"] = os.pathsep.join([str(stand_in), str(ROOT)])
    if own:
        environment[own] = "7"
    command = [sys.executable, *command]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("None\n" if own else "PASSIVE\n", "")


def test_no_more_threads_than_there_are_cores_for(machine, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    threads.limit()
    machine(8)
    threads.limit()  # torch has its reasons: hyperthreads
    assert chosen == []
    monkeypatch.setattr(threads, "quota", lambda: 0.7)
    for name in threads.NUMBERS:
        monkeypatch.setenv(name, "2")
        threads.limit()
        assert chosen == []
        monkeypatch.delenv(name)
    threads.limit()
    assert chosen == [1]


def test_the_line_counts():
    assert threads.note(16, 14, "training") == (
        "note: 2 of 16 cores are busy: training with 14 threads"
    )
