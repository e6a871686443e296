"""As many threads as cores are free: counted at the start of a training, and while it runs.

oneDNN's kernels wait for each other at barriers of their own, which no policy of OpenMP reaches.
With a thread more than there are free cores a step takes ten times as long; with one less, half as
long again.

The number of threads decides the order of sums, so equality to the bit holds at equal numbers of
threads. With precision=fp32, which promises it, the number depends on the machine and not on its
load: all cores that the process may use, or OMP_NUM_THREADS, from the first step to the last. Every
other precision follows the load, unless OMP_NUM_THREADS is set; then a run that is repeated, or was
stopped, may differ in the last digits where the load did.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable

import torch

from inference import threads
from inference.threads import Usage

SLOW = 2.5  # multiple of the median step's time above which a step is slow
PATIENCE = 3.0  # seconds of slow steps in a row until the free cores are counted
EVERY = 10.0  # seconds between two counts otherwise
SELDOM = 320.0  # at most so many: they double each time when a raise is soon taken back
FIRST = 0.5  # seconds that the first count takes
KNOWN = 5  # steps that the median is taken over at least


class Threads:
    """The number of torch's threads during a training: `count`, or `most` where no core is busy.

    Args:
        exact: keep the number, whatever the load (precision=fp32).
        follow: whether to choose at all: for one process on a CPU.
        log: takes a line when the number changes.
    """

    def __init__(self, exact: bool, follow: bool, log: Callable[[str], None]) -> None:
        self.log = log
        self.count = self.most = torch.get_num_threads()
        self.exact = exact
        self.active = follow and not threads.are_chosen()
        self.times: deque[float] = deque(maxlen=50)  # of steps that were not slow
        self.lost, self.every, self.leaning, self.raised = 0.0, EVERY, 0, -SELDOM
        if self.active:
            self.most = min(self.most, threads.most_threads())
            self._set(self.most)
        self.active = self.active and self.most > 1
        self.mark = self.counted = threads.usage() if self.active else None
        if self.mark is None:
            self.active = False
        elif not exact:
            time.sleep(FIRST)  # with this process at rest others show all that they want
            self._count(self.mark, at_once=True)

    def after_step(self, seconds: float) -> None:
        """Note how long a step took; set another number of threads if need be."""
        if not self.active:
            return
        if len(self.times) >= KNOWN and seconds > SLOW * statistics.median(self.times):
            self.lost += seconds
            if self.lost >= PATIENCE:
                self.lost = 0.0
                self._count(self.mark, at_once=True)
            return
        self.times.append(seconds)
        self.lost = 0.0
        now = time.monotonic()
        if self.mark and now - self.mark.clock >= 1:
            self.mark = threads.usage()
            if self.counted and now - self.counted.clock >= self.every and not self.exact:
                self._count(self.counted, at_once=False)

    def _count(self, since: Usage | None, at_once: bool) -> None:
        """Count the free cores, and use as many threads as they allow.

        A change needs two counts in the same direction, except a decrease with `at_once`. With
        `exact` the number stays: that too many threads are in use is noted once.
        """
        now = threads.usage()
        busy = threads.others(since, now)
        self.counted = self.mark = now
        wanted = threads.choose_threads(self.most, busy)
        if self.exact:
            if wanted < self.count:
                self.active = False
                self.log(
                    f"note: others use {busy:.1f} of {self.most} cores, and training waits for "
                    "them: OMP_NUM_THREADS=1 is faster now; precision=fp32 keeps its number"
                )
            return
        direction = (wanted > self.count) - (wanted < self.count)
        decided = direction and (direction == self.leaning or (at_once and direction < 0))
        self.leaning = 0 if decided else direction
        if not decided:
            return
        clock = time.monotonic()
        if direction > 0:
            self.raised = clock
            self.log(
                f"note: {wanted} of {self.most} cores are free: training with {wanted} threads"
            )
        else:
            # That raise was a mistake: wait twice as long for the next count.
            soon = clock - self.raised < 6 * self.every
            self.every = min(2 * self.every, SELDOM) if soon else EVERY
            self.log(threads.note(self.most, wanted, "training"))
        self._set(wanted)

    def _set(self, count: int) -> None:
        self.times.clear()
        self.count = count
        if count != torch.get_num_threads():
            torch.set_num_threads(count)
