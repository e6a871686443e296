"""The scripts that a newcomer starts with, where they cannot install."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("script", ["quickstart.sh", "test.sh"])
def test_a_failed_installation_says_what_it_needs_and_leaves_the_next_run_to_try_again(
    tmp_path, script
):
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/install.sh", f"scripts/{script}", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    pip = tmp_path / ".venv" / "bin" / "python3"  # stands for one that finds the disk full
    pip.parent.mkdir(parents=True)
    pip.write_text(
        '#!/bin/sh\n[ "$3" = --version ] && exit\necho "$@" >> pip\n'
        "echo 'ERROR: No space left on device' >&2\nexit 1\n"
    )
    pip.chmod(0o755)
    for attempt in (1, 2):
        done = subprocess.run(
            ["bash", f"scripts/{script}"],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        said = done.stderr.splitlines()
        assert said[0] == "ERROR: No space left on device" and len(said) == 2
        assert said[1].startswith("error: pip could not install") and "are free here" in said[1]
        assert f"run scripts/{script} again" in said[1]
        assert len((tmp_path / "pip").read_text().splitlines()) == attempt


@pytest.mark.parametrize(
    "command",
    [
        ["gpu.sh", "--help"],
        ["gpu.sh", "out", "--dry"],
        ["quickstart.sh", "big"],
        ["quickstart.sh", "small", "full"],
    ],
)
def test_words_that_a_script_does_not_know_are_one_line(tmp_path, command):
    name, *words = command
    done = subprocess.run(
        ["bash", ROOT / "scripts" / name, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: bash scripts/{name} [")
