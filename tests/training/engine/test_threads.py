"""A training's threads follow the cores that are free: fewer when it waits, more when it can."""

import math

import pytest
import torch

from inference import threads as counting
from inference.threads import Usage
from training.engine import threads
from training.engine.threads import Threads


class Machine:
    """Cores, others' work on them, a training's steps, and a clock that only they move."""

    def __init__(self, monkeypatch, cores=2):
        self.clock = self.busy = self.own = 0.0
        self.others, self.count, self.lines = 0.0, cores, []
        for name in counting.NUMBERS:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(counting, "cores", lambda: list(range(cores)))
        monkeypatch.setattr(counting, "quota", lambda: math.inf)
        monkeypatch.setattr(counting, "usage", lambda: self.usage())
        monkeypatch.setattr(torch, "get_num_threads", lambda: self.count)
        monkeypatch.setattr(torch, "set_num_threads", lambda count: setattr(self, "count", count))
        monkeypatch.setattr(threads.time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(threads.time, "sleep", lambda seconds: self.go_on(seconds, 0))

    def go_on(self, seconds, own):
        self.clock += seconds
        self.own += own * seconds
        self.busy += (own + self.others) * seconds

    def usage(self):
        return Usage(self.clock, self.busy, self.own)

    def train(self, exact=False, follow=True):
        self.trained = Threads(exact, follow, self.lines.append)
        return self.trained

    def steps(self, seconds, each):
        for _ in range(round(seconds / each)):
            self.go_on(each, min(self.count, 2 - self.others / 2))
            self.trained.after_step(each)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def test_on_an_idle_machine_nothing_changes(machine):
    machine.train()
    machine.steps(120, 0.2)
    assert (machine.count, machine.lines) == (2, [])


@pytest.mark.parametrize("others, count", [(0.3, 2), (1, 1), (2, 1)])
def test_the_first_count(machine, others, count):
    machine.others = others
    machine.train()
    assert machine.count == count
    line = "note: 1 of 2 cores is busy: training with 1 thread"
    assert machine.lines == ([line] if count == 1 else [])


def test_fewer_within_seconds_and_more_when_there_is_room_again(machine):
    machine.train()
    machine.steps(20, 0.2)
    machine.others = 1
    machine.steps(2, 2)
    assert machine.count == 2  # a hiccup
    machine.steps(4, 2)
    assert machine.count == 1
    machine.steps(60, 0.4)
    assert machine.count == 1
    machine.others = 0
    machine.steps(15, 0.4)
    assert machine.count == 1  # once is no count
    machine.steps(20, 0.4)
    assert machine.count == 2
    assert machine.lines == [
        "note: 1 of 2 cores is busy: training with 1 thread",
        "note: 2 of 2 cores are free: training with 2 threads",
    ]


def test_what_takes_one_core_in_bursts_is_tried_less_and_less_often(machine):
    machine.train()
    for _ in range(40):
        machine.steps(30, 0.2)
        if machine.count == 2:
            machine.others = 1
            machine.steps(6, 2)
            assert machine.count == 1
            machine.others = 0
    assert 2 < len(machine.lines) < 20


def test_slow_steps_on_an_idle_machine_are_the_trainings_own(machine):
    """Larger images, a disk that is slow: fewer threads would not help."""
    machine.train()
    machine.steps(20, 0.2)
    machine.steps(60, 2)
    assert (machine.count, machine.lines) == (2, [])


def test_others_are_seen_that_came_before_a_step_was_usual(machine):
    machine.train()
    machine.others = 1
    machine.steps(60, 2)
    assert machine.count == 1


def test_in_fp32_the_number_stays_and_it_is_said_once(machine):
    machine.others = 1
    machine.train(exact=True)
    machine.steps(20, 0.2)
    machine.steps(60, 2)
    assert machine.count == 2
    assert machine.lines == [
        "note: others use 1.0 of 2 cores, and training waits for them: OMP_NUM_THREADS=1 is faster "
        "now; precision=fp32 keeps its number"
    ]


@pytest.mark.parametrize("exact", [False, True])
def test_a_quota_counts_always(machine, monkeypatch, exact):
    monkeypatch.setattr(counting, "quota", lambda: 1)
    machine.train(exact)
    machine.others = 2
    machine.steps(60, 0.5)
    assert (machine.count, machine.lines) == (1, [])


@pytest.mark.parametrize("name", counting.NUMBERS)
def test_what_the_user_has_chosen_stays(machine, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    monkeypatch.setattr(counting, "quota", lambda: 1)
    machine.others = 2
    machine.train()
    machine.steps(20, 0.2)
    machine.steps(60, 2)
    assert (machine.count, machine.lines) == (2, [])


def test_on_a_gpu_or_among_processes_nothing_is_counted(machine):
    machine.others = 2
    machine.train(follow=False)
    machine.steps(20, 0.2)
    machine.steps(60, 2)
    assert (machine.count, machine.lines) == (2, [])


def test_a_system_that_does_not_say_how_busy_it_is(machine):
    machine.usage = lambda: None
    machine.train()
    machine.steps(60, 2)
    assert (machine.count, machine.lines) == (2, [])


def test_many_cores(monkeypatch):
    machine = Machine(monkeypatch, 16)
    machine.others = 3
    machine.train()
    assert machine.count == 13
    machine.others = 30
    machine.steps(60, 1)
    assert machine.count == 8
    assert machine.lines[-1] == "note: 8 of 16 cores are busy: training with 8 threads"
