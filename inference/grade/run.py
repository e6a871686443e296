"""Runs a graded script as a grader does: elsewhere, without terminal or network, against a clock.

The working folder holds an `inference/` and a `torch.py` that fail on import, so that a script
which trusts its working folder is found out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Mapping, NamedTuple, Sequence

_DECOY = "raise ImportError('{} was imported from the working folder, which is not ours')\n"


class Run(NamedTuple):
    """How a script ended: status is None when it was stopped at the limit."""

    status: int | None
    seconds: float
    stdout: str
    stderr: str


def network_cutter() -> list[str]:
    """Find the command that runs another one without a network; empty where there is none."""
    # As root a user namespace is not needed, and where there is one, it may be forbidden.
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            probe = subprocess.run(
                [*command, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError:
            continue
        if probe.returncode == 0:
            return command
    return []


def make_elsewhere(folder: Path) -> None:
    """Make the working folder, `folder/elsewhere`."""
    elsewhere = folder / "elsewhere"
    (elsewhere / "inference").mkdir(parents=True)
    (elsewhere / "inference" / "__init__.py").write_text(_DECOY.format("inference"))
    (elsewhere / "torch.py").write_text(_DECOY.format("torch"))


def run_script(
    script: Path,
    arguments: Sequence[Path],
    folder: Path,
    limit: float,
    cutter: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run `bash SCRIPT ARGUMENTS...` and leave no process of it behind, however it ends.

    Args:
        folder: holds the working folder, and gets the captured streams.
        limit: seconds after which the script and its children are killed.
        cutter: what `network_cutter` found.
        environment: of the script; None is this process's own.
    """
    streams = folder / "stdout", folder / "stderr"  # files: a pipe may fill, or stay open
    start = time.perf_counter()
    with streams[0].open("wb") as stdout, streams[1].open("wb") as stderr:
        process = subprocess.Popen(
            [*cutter, "bash", str(script), *map(str, arguments)],
            cwd=str(folder / "elsewhere"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # no terminal, and one process group to kill
        )
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            seconds = time.perf_counter() - start
            _kill_group(process)
    texts = (path.read_bytes().decode("utf-8", "replace") for path in streams)
    return Run(status, seconds, *texts)


def _kill_group(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # all of them have ended
    process.wait()


def snapshot(repository: Path, folder: Path) -> dict[Path, tuple]:
    """Note size and time of the files that a script might write to but must not.

    They are those at the repository's top (of folders there only their being there), all of its
    `inference/` and `weights/`, the test and the working folder. Python's caches of compiled
    modules are allowed.
    """
    seen: dict[Path, tuple] = {}
    trees = [
        repository / "inference",
        repository / "weights",
        folder / "test",
        folder / "elsewhere",
    ]
    inside = (path for tree in trees for path in tree.rglob("*"))
    for path in (*repository.iterdir(), *inside):
        if "__pycache__" not in path.parts:
            try:
                status = path.stat()
            except OSError:
                continue  # a broken link, or gone since it was listed
            seen[path] = () if path.is_dir() else (status.st_size, status.st_mtime_ns)
    return seen
