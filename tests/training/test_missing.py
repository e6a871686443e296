"""A Python without the packages that training needs: one that does not see its site-packages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["training.classification", "training.publish.publish"])
def test_a_missing_package_is_one_line(module):
    command = [sys.executable, "-S", "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: this Python has no ")
    assert done.stderr.count("\n") == 1 and "activate" in done.stderr
