"""Commands in processes of their own, that can be killed; what they import is imported once.

A server that has imported what training needs forks a process for each command, which then runs
the module as `python -m` does.
"""

import multiprocessing
import os
import resource
import runpy
import sys
import time
from pathlib import Path

import torch

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["training.engine.run", "training.problems", "torch.utils.tensorboard"]
)


def start(module, *arguments, cwd, environment=None, largest=None):
    """Start `python -m MODULE ARGUMENTS...`; its streams go to a file in `cwd`.

    `largest` is what a file may have of bytes: writing more fails as on a full disk.
    """
    words = [str(argument) for argument in arguments]
    given = (module, words, str(cwd), environment or {}, largest)
    process = _CONTEXT.Process(target=_main, args=given)
    process.start()
    return process


def run(module, *arguments, cwd, **environment):
    """Run a command to its end; return its exit status and what it has written."""
    process = start(module, *arguments, cwd=cwd, environment=environment)
    process.join(120)
    return process.exitcode, (Path(cwd) / f"{process.pid}.log").read_text()


def wait_until(condition, process):
    """Wait until something holds, while a process runs."""
    until = time.monotonic() + 100
    while not condition():
        assert process.is_alive() and time.monotonic() < until
        time.sleep(0.002)


def _main(module, words, cwd, environment, largest):
    os.chdir(cwd)
    os.environ.update(environment)
    log = os.open(f"{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    torch.set_num_threads(1)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
