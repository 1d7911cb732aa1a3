"""The number of threads follows the processors that other programs leave, on a simulated machine."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from homeport.engines.processors import (
    FEW_BARRIERS,
    INTERVAL_S,
    MANY_BARRIERS,
    ProcessorMonitor,
    ProcessorReading,
    ThreadCount,
    Tolerance,
    cores,
    cpu_quota,
)

Load = Callable[[float], float]
any_tolerance = pytest.mark.parametrize("tolerance", [MANY_BARRIERS, FEW_BARRIERS])


class Machine:
    """Processors shared fairly among programs; each engine's threads compute all the time, spinning or not.

    `load`: processors that other programs need at a time, of which `niced` ones have low priority.
    """

    def __init__(
        self,
        processors: int,
        load: Load,
        tolerance: Tolerance = MANY_BARRIERS,
        *,
        engines: int = 1,
        maximum: int | None = None,
    ) -> None:
        self.processors, self.load, self.niced = processors, load, 0.0
        self.is_computing = True
        self.now_s = 100.0
        self.readings = [ProcessorReading(self.now_s, 0.0, 0.0)] * engines
        self.counts = [ThreadCount(maximum or processors, self.readings[0], tolerance) for _ in range(engines)]

    @property
    def threads(self) -> list[int]:
        """Return the current number of threads of each engine."""
        return [each.count for each in self.counts]

    def step(self, seconds: float = INTERVAL_S) -> None:
        """Let time pass and take a reading for every engine."""
        ours = [count if self.is_computing else 0 for count in self.threads]
        others = self.load(self.now_s - 100.0)
        share = min(1.0, self.processors / max(sum(ours) + others, 1e-9))
        left = max(0.0, self.processors - share * (sum(ours) + others))
        niced = min(self.niced, left)
        self.now_s += seconds
        for index, (count, last) in enumerate(zip(ours, self.readings, strict=True)):
            taken = (left - niced, share * count, niced)
            sums = (last.idle_s, last.own_s, last.niced_s)
            self.readings[index] = ProcessorReading(
                self.now_s, *(a + b * seconds for a, b in zip(sums, taken, strict=True))
            )
            self.counts[index].observe(self.readings[index])

    def run(self, seconds: float) -> list[list[int]]:
        """Let time pass; return the numbers of threads after each reading."""
        found = []
        for _ in range(round(seconds / INTERVAL_S)):
            self.step()
            found.append(self.threads)
        return found


@any_tolerance
@pytest.mark.parametrize("processors", [1, 2, 3, 4, 8, 16])
def test_quiet_machines_are_used_whole(processors: int, tolerance: Tolerance) -> None:
    """If others use next to nothing, all threads always compute."""
    machine = Machine(processors, lambda _: 0.1, tolerance)
    assert machine.run(60) == [[processors]] * 240


@any_tolerance
@pytest.mark.parametrize("processors", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("loops", [1, 2, 3, 6, 40])
def test_busy_programs_are_left_their_processors(processors: int, loops: int, tolerance: Tolerance) -> None:
    """If others compute all the time, there are as many threads as free processors, at least one, without change."""
    machine = Machine(processors, lambda _: loops, tolerance)
    machine.run(2)
    assert machine.run(60) == [[max(1, processors - loops)]] * 240


@any_tolerance
@pytest.mark.parametrize("processors", [2, 3, 4, 8])
@pytest.mark.parametrize("loops", [1, 2])
def test_one_reading_is_enough_to_reduce_the_number(processors: int, loops: int, tolerance: Tolerance) -> None:
    """The first reading with a busy program reduces the number."""
    machine = Machine(processors, lambda _: loops, tolerance)
    machine.step()
    assert machine.threads[0] < processors


@any_tolerance
@pytest.mark.parametrize("processors", [2, 3, 4, 8])
def test_programs_that_compute_in_part_do_not_make_the_number_alternate(processors: int, tolerance: Tolerance) -> None:
    """Whatever part of a processor others use, the number stays as it is, both from above and from below."""
    for hundredths in range(0, 300, 5):
        for earlier in (0.0, 2.0 * processors):
            loads = {False: earlier, True: hundredths / 100}
            machine = Machine(processors, lambda at_s, loads=loads: loads[at_s >= 2], tolerance)  # type: ignore[misc]
            machine.run(14)
            assert len({tuple(each) for each in machine.run(30)}) == 1


@pytest.mark.parametrize(("tolerance", "most"), [(MANY_BARRIERS, 0.34), (FEW_BARRIERS, 0.48)])
def test_programs_that_compute_little_take_no_thread(tolerance: Tolerance, most: float) -> None:
    """Two threads compute while others want less than what one thread fewer costs, and one while they want more."""
    for wanted, threads in ((most, 2), (most + 0.05, 1)):
        machine = Machine(2, lambda _, wanted=wanted: wanted, tolerance)  # type: ignore[misc]
        assert machine.run(10)[-1] == [threads]


@pytest.mark.parametrize(("tolerance", "most"), [(MANY_BARRIERS, 0.15), (FEW_BARRIERS, 0.25)])
def test_a_thread_is_added_although_others_compute_a_little(tolerance: Tolerance, most: float) -> None:
    """After a busy program has ended, the second thread computes again beside others that want a little."""
    for wanted, threads in ((most, 2), (most + 0.05, 1)):
        machine = Machine(2, lambda at_s, wanted=wanted: wanted if at_s >= 2 else 2, tolerance)  # type: ignore[misc]
        machine.run(4)
        assert machine.run(20) == [[threads]] * 80


def test_a_server_that_works_more_for_two_threads_does_not_take_one_of_them() -> None:
    """Two threads of an encoder stay although the server, which stores what they compute, computes more then, too."""
    machine = Machine(2, lambda at_s: 2.0 if at_s < 1 else 0.22 * machine.threads[0], FEW_BARRIERS)
    machine.run(4)
    assert machine.run(60) == [[2]] * 240


@pytest.mark.parametrize("loops", [1, 2, 6])
def test_processors_that_become_free_are_used_again(loops: int) -> None:
    """A second after other programs have ended, all threads compute."""
    machine = Machine(2, lambda at_s: loops if at_s < 10 else 0)
    machine.run(11)
    assert machine.threads == [2]


def test_the_number_rises_ever_less_often_with_intermittent_programs() -> None:
    """With a program that computes every other second, the number rises ever less often."""
    machine = Machine(2, lambda at_s: at_s % 2 < 1)
    before, after = machine.run(8), machine.run(60)
    assert [2] in before
    raised = sum(now > then for then, now in pairwise(after))
    assert raised <= 4


def test_patience_is_forgotten() -> None:
    """After the machine has been quiet for a while, the next pause of others is used as soon as the first."""
    machine = Machine(2, lambda at_s: at_s % 2 < 1 if at_s < 20 else 30 <= at_s < 32)
    machine.run(32)
    assert machine.threads == [1]
    machine.run(1)
    assert machine.threads == [2]


@any_tolerance
@pytest.mark.parametrize(("processors", "engines"), [(2, 2), (4, 2), (8, 2), (4, 4), (9, 3), (2, 5)])
def test_engines_share_processors(processors: int, engines: int, tolerance: Tolerance) -> None:
    """Engines that compute at the same time get one share each, and keep it."""
    machine = Machine(processors, lambda _: 0, tolerance, engines=engines)
    machine.run(2)
    assert machine.run(20) == [[max(1, processors // engines)] * engines] * 80


def test_programs_of_low_priority_are_displaced() -> None:
    """Programs that use only idle time cost no thread."""
    machine = Machine(4, lambda _: 0)
    machine.niced, machine.is_computing = 4.0, False
    assert machine.run(5) == [[4]] * 20
    machine.is_computing = True
    assert machine.run(5) == [[4]] * 20


def test_programs_that_rest_between_requests_are_seen() -> None:
    """The number is right for a request's first step, because it is updated while nothing is computed."""
    machine = Machine(2, lambda at_s: 2 if at_s > 5 else 0)
    machine.is_computing = False
    machine.run(8)
    assert machine.threads == [1]


def test_fewer_threads_than_processors_are_left_alone_where_they_fit() -> None:
    """Threads for half the processors stay while the other half has room for others."""
    machine = Machine(8, lambda _: 3, maximum=4)
    assert machine.run(10) == [[4]] * 40


def test_a_suspended_machine_does_not_count() -> None:
    """Time in which this process was stopped does not count, nor does an interval of zero."""
    machine = Machine(2, lambda _: 0)
    machine.step()
    count, last = machine.counts[0], machine.readings[0]
    for later in (
        ProcessorReading(last.wall_s + 60, last.idle_s, last.own_s),
        ProcessorReading(last.wall_s + 60, last.idle_s, 1e9),
    ):
        count.observe(later)
        assert count.count == 2


def test_the_real_machine_is_read() -> None:
    """A monitor reports fewer threads if programs use every processor, and its thread ends with it."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processors)]
    monitor = ProcessorMonitor(processors)
    try:
        end = time.monotonic() + 30
        while monitor.count > max(1, processors // 2) and time.monotonic() < end:
            os.sched_yield()
        assert monitor.count <= max(1, processors // 2)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
        monitor.close()
    monitor.close()


@pytest.mark.parametrize("is_broken", [False, True])
def test_unread_machines_keep_all_threads(monkeypatch: pytest.MonkeyPatch, is_broken: bool) -> None:
    """If the system does not report its processors, as in some sandboxes, the number is the configured one."""

    def times(**_: bool) -> list[_Times]:
        if is_broken:
            raise OSError
        return [_Times((0.0, 0.0))] * 2

    monkeypatch.setattr(psutil, "cpu_times", times)
    monitor = ProcessorMonitor(2)
    assert monitor.count == 2
    monitor.close()


def test_processors_may_have_gaps_in_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system reports fewer processors than the numbers suggest, all reported ones are read."""
    monkeypatch.setattr("homeport.engines.processors._allowed", lambda: [1, 3])
    monkeypatch.setattr(psutil, "cpu_times", lambda **_: [_Times((1.0, 1.0))] * 3)
    monitor = ProcessorMonitor(2)
    assert monitor.count == 2
    monitor.close()


def test_a_reading_that_fails_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment without file descriptors does not end the monitor: later readings count."""
    real, failed, read = psutil.cpu_times, threading.Event(), threading.Event()
    monitor = ProcessorMonitor(2)

    def times(**_: bool) -> object:
        if not failed.is_set():
            failed.set()
            raise OSError
        read.set()
        return real(percpu=True)

    monkeypatch.setattr(psutil, "cpu_times", times)
    assert read.wait(30)
    monitor.close()


class _Times(tuple[float, ...]):
    idle = user = system = 0.0


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "max 100000\n"}, sys.maxsize),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "175000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "nonsense"}, sys.maxsize),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, sys.maxsize),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "0\n"}, sys.maxsize),
        ({}, sys.maxsize),
    ],
)
def test_a_containers_limit_bounds_the_default(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    """A container's CPU limit is read from both versions of control groups."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_quota(tmp_path) == expected
    assert 1 <= cores() <= (os.cpu_count() or 1)
