"""A Python without the packages that training needs: one that does not see its site-packages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "p1-a", "--data", "nowhere"],
        ["figures", "nowhere"],
        ["publish", "nowhere"],
        ["sample-data", "nowhere"],
        ["recipes"],
    ],
    ids=lambda words: words[0],
)
def test_a_missing_package_is_one_line(words):
    command = [sys.executable, "-S", "-m", "training", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: this Python has no ")
    assert done.stderr.count("\n") == 1 and "activate" in done.stderr
