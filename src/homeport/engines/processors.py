"""Chooses the number of computing threads from the processors that other programs leave free.

The kernels' threads synchronize hundreds of times per token. If another program has displaced one of them, the others
wait, some by spinning, which occupies a processor that the displaced thread needs. So one thread more than there are
free processors makes the computation many times slower. One thread fewer makes it slower too, so programs that compute
little, such as the server itself, are tolerated; how much of them depends on the engine. Knows nothing of kernels or
models.
"""

import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

INTERVAL_S = 0.25
"""Between two readings: long enough that rounding to the system's ticks (10 ms) does not matter."""

_MAX_GAP_S = 2.0  # readings further apart than this are ignored: the process or the machine was suspended
_MIN_TOLERANCE = 0.2  # in processors: readings are no more exact
_QUOTA_TOLERANCE = 0.3  # in processors
_RAISE_DELAY_S, _MAX_RAISE_DELAY_S = 0.5, 8.0  # how long processors must be free before a thread is added
_EARLY_DROP_S = 4.0  # if an added thread is removed sooner than this, the next one is added after twice the delay

logger = logging.getLogger("homeport.llama")


class Tolerance(NamedTuple):
    """How much processor time may be missing before one thread fewer is faster.

    `work`: as a part of one thread's work. All threads wait for what is missing, so the more threads there are, the
    less of a processor that is. `raise_factor`: how much of it may be missing when a thread is added, so that the
    number does not alternate.
    """

    work: float
    raise_factor: float

    def in_processors(self, threads: int) -> float:
        """Return the processor time that may be missing while this many threads compute."""
        return min(max(self.work / threads, _MIN_TOLERANCE), self.work / 2)


MANY_BARRIERS = Tolerance(0.6, 0.5)
"""For steps of few tokens: hundreds of barriers, and a second thread gains a quarter."""
FEW_BARRIERS = Tolerance(0.8, 0.65)
"""For steps of whole texts: long products between barriers, and a second thread gains two thirds."""


class ProcessorReading(msgspec.Struct, frozen=True):
    """Seconds since a fixed moment: wall-clock time, and processor time of three kinds.

    `idle_s`: unused; `own_s`: used by this process; `niced_s`: used by processes of lower priority than this one.
    """

    wall_s: float
    idle_s: float
    own_s: float
    niced_s: float = 0.0


class ThreadCount:
    """The number of threads, from readings: `maximum` at first, at least 1.

    It drops immediately, and rises after processors were free for a while. Pure: its clock is that of the readings.
    """

    def __init__(self, maximum: int, first: ProcessorReading, tolerance: Tolerance = MANY_BARRIERS) -> None:
        self.count = maximum
        self._tolerance = tolerance
        self._maximum = maximum
        self._last = first
        self._free_s = 0.0  # how long there has been room for more
        self._raise_delay_s = _RAISE_DELAY_S
        self._raised_s = first.wall_s - _EARLY_DROP_S

    def observe(self, now: ProcessorReading) -> None:
        """Update the number with the next reading."""
        before, self._last = self._last, now
        elapsed = now.wall_s - before.wall_s
        if not 0 < elapsed <= _MAX_GAP_S:
            return
        own, niced = (now.own_s - before.own_s) / elapsed, (now.niced_s - before.niced_s) / elapsed
        free = own + (now.idle_s - before.idle_s) / elapsed
        # Programs of lower priority yield once this process computes; time that they still get counts as missing.
        is_computing = own > 0.5
        self._lower(now.wall_s, self._count_threads(free + (0.0 if is_computing else niced), 1.0))
        self._raise(now.wall_s, elapsed, self._count_threads(free + niced, self._tolerance.raise_factor))

    def _count_threads(self, processors: float, factor: float) -> int:
        """Return the number of threads that these processors can run; `factor`: of the tolerance."""
        whole = int(processors)
        missing, tolerated = whole + 1 - processors, self._tolerance.in_processors(whole + 1)
        return max(1, min(self._maximum, whole + (missing <= factor * tolerated)))

    def _lower(self, now_s: float, count: int) -> None:
        if count < self.count:
            is_early = now_s - self._raised_s < _EARLY_DROP_S
            self._raise_delay_s = min(2 * self._raise_delay_s, _MAX_RAISE_DELAY_S) if is_early else _RAISE_DELAY_S
            self.count = count

    def _raise(self, now_s: float, elapsed: float, count: int) -> None:
        self._free_s = self._free_s + elapsed if count > self.count else 0.0
        if self._free_s >= self._raise_delay_s:
            self.count, self._free_s, self._raised_s = count, 0.0, now_s


class ProcessorMonitor:
    """Updates a thread count in a thread of its own, so that it is also right for the first step after a pause.

    If the system does not report the use of its processors, the count does not change.
    """

    def __init__(self, maximum: int, tolerance: Tolerance = MANY_BARRIERS) -> None:
        self._processors = _allowed()
        self._is_niced = psutil.Process().nice() > 0
        first = self._read()
        self._threads = ThreadCount(maximum, first or ProcessorReading(0.0, 0.0, 0.0), tolerance)
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="processors", daemon=True)
        if maximum > 1 and first is not None:
            self._thread.start()

    @property
    def count(self) -> int:
        """The number of threads that should compute now."""
        return self._threads.count

    def close(self) -> None:
        """End the thread. May be called twice."""
        self._has_ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._has_ended.wait(INTERVAL_S):
            before = self._threads.count
            reading = self._read()
            if reading is not None:
                self._threads.observe(reading)
            if self._threads.count != before:
                logger.debug("%d threads compute now, not %d", self._threads.count, before)

    def _read(self) -> ProcessorReading | None:
        """Return the processors' use so far; None if the system does not report it, as in some sandboxes."""
        try:
            every = psutil.cpu_times(percpu=True)
        except (OSError, psutil.Error):  # too many open files, for one
            return None
        # If some are offline, or a container lists only its own, an index in this list is not a processor's number.
        is_numbered = max(self._processors) < len(every)
        own = [every[number] for number in self._processors] if is_numbered else every
        idle = sum(times.idle + getattr(times, "iowait", 0.0) for times in own)
        # If this process has low priority, the niced time includes that of its equals.
        niced = 0.0 if self._is_niced else sum(getattr(times, "nice", 0.0) for times in own)
        return ProcessorReading(time.monotonic(), idle, time.process_time(), niced) if any(map(any, own)) else None


def cores() -> int:
    """Return the number of physical cores this process may use: two threads on one core slow each other down."""
    allowed = min(len(_allowed()), cpu_quota())
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors' time Linux' control groups allow this container; `sys.maxsize` without a limit.

    More threads would be paused, in the middle of their work, until the next scheduling period.
    """
    try:
        limit, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            limit = (root / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return sys.maxsize
    if not (limit.isdecimal() and period.isdecimal() and int(period)):
        return sys.maxsize
    return max(1, int(int(limit) / int(period) + _QUOTA_TOLERANCE))


def _allowed() -> list[int]:
    """Return the numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
