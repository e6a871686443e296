"""The evaluator's numbers, the course's to the last digit, and how it runs as a program."""

import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import mean_iou_evaluate as evaluator
from scripts.bench.evaluator import COLOURS, course_masks, course_score
from tests.masks import PERFECT, empty, run, save

SCRIPT = Path(evaluator.__file__)
RED = (255, 0, 0)


def test_a_table_worked_by_hand(folders, capsys):
    # Of class 0: one pixel hit, one missed as Unknown, one claimed that is class 1. 1 / 3.
    truth, pred = [[0, 0, 1, 1, 2, 3, 4, 5]], [[0, 6, 0, 1, 2, 3, 4, 5]]
    for i in range(3):  # the sums go over the whole set
        save(folders[0] / f"000{i}_mask.png", truth)
        save(folders[1] / f"000{i}_mask.png", pred)
    assert run(folders) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "class #0 : 0.33333\nclass #1 : 0.50000\nclass #2 : 1.00000\nclass #3 : 1.00000\n"
        "class #4 : 1.00000\nclass #5 : 1.00000\n\nmean_iou: 0.805556\n\n"
    )
    assert evaluator.mean_iou_score(np.array(pred), np.array(truth)) == pytest.approx(29 / 36)
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("seed", range(3))
def test_text_and_float_equal_the_course_s(tmp_path, capsys, seed):
    random = np.random.default_rng(seed)
    folders = tmp_path / "gt", tmp_path / "pred"
    for folder in folders:
        for i in range(2):
            rgb = random.integers(0, 256, (512, 512, 3), np.uint8)
            rgb[(rgb >= 128) @ (4, 2, 1) == 4] = 0  # the course leaves red to the allocator
            save(folder / f"{i:04d}_mask.png", rgb)
    mean = course_score(course_masks(folders[1]), course_masks(folders[0]))
    expected = capsys.readouterr().out
    assert run(folders) == 0
    assert capsys.readouterr() == (expected, "")
    labels, pred = map(evaluator.read_masks, folders)
    assert repr(evaluator.mean_iou_score(pred, labels)) == repr(float(mean))
    assert capsys.readouterr() == (expected, "")
    assert np.array_equal(labels, course_masks(folders[0]))


def test_red_matches_nothing_and_is_named(folders, capsys):
    truth, pred = COLOURS[[[0, 0, 1, 2, 3, 4, 5]]], COLOURS[[[0, 0, 1, 2, 3, 4, 5]]]
    truth[0, 0] = RED  # the prediction of class 0 there is wrong: 1 / 2
    pred[0, 2] = RED  # class 1 is missed: 0 / 1
    truth = np.hstack([truth, [[RED]]])
    pred = np.hstack([pred, [[RED]]])  # red on both sides: nothing at all
    for folder, mask in zip(folders, (truth, pred)):
        empty(folder)
        save(folder / "0000_mask.png", mask)
    assert run(folders) == 0
    out, err = capsys.readouterr()
    assert out.startswith("class #0 : 0.50000\nclass #1 : 0.00000\nclass #2 : 1.00000\n")
    assert "mean_iou: 0.750000" in out
    assert err.startswith("warning: red ") and err.count("\n") == 1
    assert all(f"{folder}/0000_mask.png" in err for folder in folders) and "2 (" in err
    labels, pred = map(evaluator.read_masks, folders)
    assert labels[0, 0].tolist() == [255, 0, 1, 2, 3, 4, 5, 255]
    assert evaluator.mean_iou_score(pred, labels) == pytest.approx(0.75)
    assert capsys.readouterr().out == out


def test_a_class_on_neither_side_makes_nan_as_in_the_course_s_program(folders, capsys):
    for folder in folders:
        empty(folder)
        save(folder / "0000_mask.png", [[0, 1, 2, 3, 5, 6]])
    assert run(folders) == 0
    out, err = capsys.readouterr()
    assert out == PERFECT.replace("#4 : 1.00000", "#4 : nan").replace("iou: 1.000000", "iou: nan")
    assert err.startswith("warning: ") and err.count("\n") == 1 and "class 4 (water)" in err


def test_the_score_does_not_depend_on_names_or_order(tmp_path, capsys):
    random = np.random.default_rng(0)
    masks = random.integers(0, 7, (2, 9, 8, 8))
    texts = set()
    for order in (range(9), random.permutation(9)):
        folders = tmp_path / f"gt{order[0]}", tmp_path / f"pred{order[0]}"
        for i, k in enumerate(order):
            save(folders[0] / f"{i}_mask.png", masks[0, k])
            save(folders[1] / f"{i}_mask.png", masks[1, k])
        assert run(folders) == 0
        texts.add(capsys.readouterr().out)
    assert len(texts) == 1


def test_mean_iou_score_takes_any_shape_and_type(capsys):
    assert evaluator.mean_iou_score([0.0, 1, 2, 3, 4, 5], list(range(6))) == pytest.approx(1)
    assert isinstance(evaluator.mean_iou_score(np.arange(6), np.arange(6)), float)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        evaluator.mean_iou_score(np.zeros((2, 3)), np.zeros((3, 2)))


def test_memory_does_not_grow_with_the_number_of_masks(tmp_path, capsys):
    def peak(count):
        folders = tmp_path / f"gt{count}", tmp_path / f"pred{count}"
        save(tmp_path / "one.png", np.arange(256 * 256).reshape(256, 256) % 7)
        for folder in folders:
            folder.mkdir()
            for i in range(count):
                shutil.copy(tmp_path / "one.png", folder / f"{i}.png")
        tracemalloc.start()
        try:
            assert run(folders) == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # 80 more pairs would be 10 MB, were they held
    assert peak(100) - peak(20) < 1e6


def test_works_in_several_threads_at_once(folders):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(evaluator.count_folders(*folders)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[(3, 3, 3)] * 6] * 4


def test_stands_alone_in_any_working_folder(folders, tmp_path):
    shutil.copy(SCRIPT, tmp_path / "alone.py")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "numpy.py").write_text("raise RuntimeError('shadowed')")
    done = subprocess.run(
        [sys.executable, tmp_path / "alone.py", "--labels", "../gt/", "-p", "../pred"],
        cwd=tmp_path / "elsewhere",
        capture_output=True,
    )
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, PERFECT, b"")


def test_a_reader_that_goes_away_is_no_traceback(folders):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, SCRIPT, "-g", folders[0], "-p", folders[1]],
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(folders):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, SCRIPT, "-g", folders[0], "-p", folders[1]],
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: cannot write") and done.stderr.count(b"\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_warning_that_cannot_be_written_keeps_no_score_back(folders):
    save(folders[1] / "0001_mask.png", np.array([[[255, 0, 0]] * 7]))  # red: a warning
    command = [sys.executable, SCRIPT, "-g", folders[0], "-p", folders[1]]
    heard = subprocess.run(command, capture_output=True)
    assert heard.stderr.startswith(b"warning: red") and b"mean_iou: " in heard.stdout
    with open("/dev/full", "w") as full:
        unheard = subprocess.run(command, stdout=subprocess.PIPE, stderr=full)
    assert (unheard.returncode, unheard.stdout) == (0, heard.stdout)


def test_a_closed_stdout_is_no_success(folders):
    line = 'exec "$@" >&-'
    command = ["bash", "-c", line, "-", sys.executable, SCRIPT, "-g", folders[0], "-p", folders[1]]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"error: standard output is closed")


def test_without_docstrings(folders):
    command = [sys.executable, "-OO", SCRIPT, "-g", folders[0], "-p", folders[1]]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, PERFECT, b"")


@pytest.mark.parametrize("to", ["0001_mask.png", "nowhere.png"])
def test_a_link_that_leads_nowhere_is_named(folders, to):
    (folders[1] / "0001_mask.png").unlink()
    (folders[1] / "0001_mask.png").symlink_to(to)
    command = [sys.executable, SCRIPT, "-g", folders[0], "-p", folders[1]]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: cannot read {folders[1] / '0001_mask.png'}: ")
