"""Damaged inputs in great number, and that the fuzzer finds what is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from inference import tables
from scripts import fuzz
from scripts.fuzzing import tables as csv_trials
from scripts.fuzzing.trial import Fault, Hang, alarm

SECONDS = 60  # of one core
SEED = 1
SCRIPT = Path(__file__).parents[2] / "scripts/fuzz.py"


def test_damaged_inputs_end_in_answers_or_in_one_line(tmp_path):
    command = [sys.executable, SCRIPT, str(SECONDS), "--seed", str(SEED), "--keep", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    tried = re.findall(r"^(\S+) +[1-9]\d* ", done.stdout, re.MULTILINE)
    assert {"all", "classify", "classify-csv"} <= set(tried), done.stdout


def planted(tmp_path, capsys, kind, seconds=20):
    """Run one kind until the time is over; return what was said of its faults."""
    arguments = [str(seconds), "--trials", "40", "--kinds", kind, "--keep", str(tmp_path)]
    assert fuzz.main(arguments) == 1
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAULT")]


def test_a_traceback_is_found_and_its_input_kept(tmp_path, monkeypatch, capsys):
    def broken(path, folder):
        raise IndexError("planted")

    monkeypatch.setattr(tables, "read_rows", broken)
    (line,) = planted(tmp_path, capsys, "classify-csv")
    assert line.startswith("FAULT seed 0 index 0 classify-csv: IndexError: planted (inference/")
    (folder,) = tmp_path.iterdir()  # the others are as this one
    assert folder.name == "seed-0-0" and (folder / "test.csv").is_file()

    # The command in it finds the same fault.
    said, command, again = (folder / "FAULT.txt").read_text().splitlines()
    words = again.removeprefix("python scripts/fuzz.py ").split()
    assert fuzz.main([*words, "--keep", str(tmp_path / "again")]) == 1
    assert f"FAULT seed 0 index 0 classify-csv: {said}" in capsys.readouterr().out
    assert command


def test_a_row_that_is_lost_is_found(tmp_path, monkeypatch, capsys):
    read = tables.read_rows
    monkeypatch.setattr(tables, "read_rows", lambda *given: read(*given)[1:] or read(*given))
    said = planted(tmp_path, capsys, "classify-csv")
    assert any("rows are missing: 1 of" in line for line in said)


def test_a_file_that_is_left_is_found(tmp_path, monkeypatch, capsys):
    def half(path, header, rows):
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / ".0123.tmp").write_bytes(b"")

    monkeypatch.setattr(tables, "write_table", half)
    assert "a temporary file" in planted(tmp_path, capsys, "classify-csv")[0]


def test_a_command_that_does_not_end_is_stopped():
    with pytest.raises(Hang, match=r"still at work after 0.01 s"), alarm(0.01):
        while True:
            pass


def test_a_trial_is_a_function_of_seed_and_index(tmp_path, monkeypatch, capsys):
    def broken(trial):
        csv_trials.classify_csv(trial)
        raise Fault("planted")

    monkeypatch.setitem(fuzz.KINDS, "classify-csv", (broken, 1))
    files = []
    for name in ("one", "two"):
        arguments = ["1", "--seed", "3", "--only", "17", "--kinds", "classify-csv"]
        assert fuzz.main([*arguments, "--keep", str(tmp_path / name)]) == 1
        folder = tmp_path / name / "seed-3-17"
        files.append({p.name: p.read_bytes() for p in folder.glob("*.csv")})
    assert files[0] == files[1] and files[0]
    assert "planted" in capsys.readouterr().out
