"""How many threads compute, and how they wait: as the machine's other work leaves room.

A layer is done when its slowest thread is. A thread that shares its core with another process is
late at every layer, and OpenMP's others meanwhile spin, which takes the core from the one that they
wait for. So they are made to sleep, and a training has no more of them than cores are free (see
`training/engine/threads.py`).

Linux says how busy its cores are; on other systems only their number counts.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Iterable, NamedTuple, Optional

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
NUMBERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Usage(NamedTuple):
    """CPU seconds on the cores that this process may use, up to a moment.

    Attributes:
        clock: the moment, seconds.
        busy: of all processes, hypervisors' included; without those that yield to this one (nice).
        own: of this process.
    """

    clock: float
    busy: float
    own: float


def wait_passively() -> None:
    """Make OpenMP's threads sleep while they wait, unless the user has said how they shall.

    To be called before torch is loaded, which reads the environment once.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def are_chosen() -> bool:
    """Tell whether the user has said how many threads there shall be."""
    return any(os.environ.get(name) for name in NUMBERS)


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    try:
        return sorted(os.sched_getaffinity(0))  # type: ignore[attr-defined]
    except (AttributeError, OSError):  # macOS
        return list(range(os.cpu_count() or 1))


def most_threads() -> int:
    """Return for how many threads there are cores: of the affinity, and of the cgroups' quotas."""
    return max(1, math.ceil(min(len(cores()), quota())))


def usage(stat: Path = Path("/proc/stat")) -> Optional[Usage]:
    """Return the cores' use up to now; None where the system does not say."""
    mine, niced = set(cores()), _niceness() > 0
    try:
        tick = 1 / os.sysconf("SC_CLK_TCK")
        ticks = 0
        for line in stat.read_text().splitlines():
            name, _, numbers = line.partition(" ")
            if name[:3] == "cpu" and name[3:].isdecimal() and int(name[3:]) in mine:
                user, nice, system, _, _, irq, softirq, steal = map(int, numbers.split()[:8])
                ticks += user + system + irq + softirq + steal + nice * niced
    except (OSError, ValueError, AttributeError):
        return None
    return Usage(time.monotonic(), ticks * tick, time.process_time())


def _niceness() -> int:
    try:
        return os.getpriority(os.PRIO_PROCESS, 0)
    except (AttributeError, OSError):
        return 0


def others(before: Optional[Usage], now: Optional[Usage]) -> float:
    """Return how many cores others have used on average between two moments, 0 if unknown."""
    if before is None or now is None or now.clock <= before.clock:
        return 0.0
    foreign = (now.busy - before.busy) - (now.own - before.own)
    return max(0.0, foreign / (now.clock - before.clock))


def choose_threads(most: int, busy: float) -> int:
    """Return how many threads shall compute: as many as cores are free, but half at least.

    At least half, because the others may be processes like this one, which make room for it in
    turn: each of two such processes is to keep its share of the cores.

    Args:
        most: threads if no core is busy.
        busy: cores that others use, on average.
    """
    free = len(cores()) - busy
    return max(1, math.ceil(most / 2), min(most, math.floor(free + 0.5)))


def limit() -> None:
    """Give torch no more threads than there are cores for; what the user has chosen stays.

    The machine's load does not count here. Where others keep it busy, networks of large layers
    predict faster with all threads, each of which gets its share, as long as waiting costs nothing;
    those of many small layers with one. On two cores beside six to nine processes that compute,
    ConvNet took 1.03 to 1.4 times as long with one thread as with two, LRASPP .80 to .86 times.
    """
    import torch

    most = most_threads()
    if not are_chosen() and most < torch.get_num_threads():
        torch.set_num_threads(most)


def note(most: int, count: int, doing: str) -> str:
    """Return the line that says why there are fewer threads than cores."""
    busy = most - count
    threads = "1 thread" if count == 1 else f"{count} threads"
    return (
        f"note: {busy} of {most} cores {'is' if busy == 1 else 'are'} busy: {doing} with {threads}"
    )


def quota(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> float:
    """Return how many cores' time the cgroups of this process grant it; infinity without limit."""
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return math.inf
    found = [math.inf]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:  # version 2
            found += _limits(mounted, path, ("cpu.max",))
        elif "cpu" in controllers.split(","):
            for name in ("cpu", controllers):
                found += _limits(mounted / name, path, ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return min(found)


def _limits(root: Path, path: str, names: Iterable[str]) -> list[float]:
    """Return the limits of a group and of those that it is in; a container sees the last alone."""
    found = []
    group = root / path.strip("/")
    for folder in [group, *group.parents]:
        try:
            texts = [(folder / name).read_text() for name in names]
            limit, period = map(int, " ".join(texts).split())  # "max" of none: no number
            if limit > 0 and period > 0:
                found.append(limit / period)
        except (OSError, ValueError):
            pass
        if folder == root:
            break
    return found
