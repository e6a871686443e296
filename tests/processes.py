"""What tests ask of other processes."""

import os
import time
from pathlib import Path

import pytest


def has_ended(pid):
    """Whether a process is gone or a zombie, within a moment."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here to see processes in")
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (OSError, IndexError):
            return True
        time.sleep(0.02)
    return False
