"""Background loops: each repeats one step, and continues whatever exception a step raises.

A failure is logged with its traceback, counted, and followed by a pause that grows up to a limit. Knows nothing of what
the steps do.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from homeport.serving.backoff import Backoff

Step = Callable[[], Awaitable[object]]

PATIENCE_S = 60.0
"""A loop that has failed for so long is more than a hiccup of what it needs."""
_FIRST_S, _LIMIT_S = 1.0, 10.0

_log = logging.getLogger("homeport.loops")


class BackgroundLoop:
    """The state of one loop. `failing_since`: the first of the failures since its last success, by `time.monotonic`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failing_since: float | None = None
        self.reason = ""


class BackgroundLoops:
    """The background loops of one process, on one event loop. `first_s`, `limit_s`: the pauses after failures."""

    def __init__(self, first_s: float = _FIRST_S, limit_s: float = _LIMIT_S) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._loops: list[BackgroundLoop] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: Counter[str] = Counter()

    def start(self, name: str, step: Step, pause_s: float) -> asyncio.Task[None]:
        """Run a loop in a task of its own, until that is cancelled or `stop`."""
        task = asyncio.create_task(self.run(name, step, pause_s), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, name: str, step: Step, pause_s: float, most_s: float | None = None) -> None:
        """Take a step, rest for `pause_s`, again and again, until cancelled. Loops may share a name.

        `most_s`: the longest pause behind failures, where something is lost if it is longer.
        """
        loop = BackgroundLoop(name)
        backoff = Backoff(self._first_s, self._limit_s if most_s is None else most_s)
        self._loops.append(loop)
        self._failures.setdefault(name, 0)
        try:
            while True:
                error = await _failure(step)
                if error is None:
                    loop.failing_since = None
                    backoff.reset()
                    await asyncio.sleep(pause_s)
                else:
                    rest_s = max(pause_s, backoff.record_failure())
                    self._note(loop, error, rest_s)
                    await asyncio.sleep(rest_s)
        finally:
            self._loops.remove(loop)

    async def stop(self) -> None:
        """End every loop that was started here. Safe to call twice."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def failing(self, for_s: float = 0.0) -> Sequence[str]:
        """Name the loops whose last step failed, and each one before it for at least `for_s`."""
        now = time.monotonic()
        since = ((loop.name, loop.failing_since) for loop in self._loops)
        return sorted({name for name, began in since if began is not None and now - began >= for_s})

    def failures(self) -> Mapping[str, int]:
        """How often a step has failed, by the loop's name; of every loop that ever ran."""
        return dict(self._failures)

    def _note(self, loop: BackgroundLoop, error: BaseException, rest_s: float) -> None:
        self._failures[loop.name] += 1
        if loop.failing_since is None:
            loop.failing_since = time.monotonic()
            loop.reason = ""
        # A database that is away for an hour is one trace and a line for each try.
        reason = f"{type(error).__name__}: {error}"
        trace = error if reason != loop.reason else None
        loop.reason = reason
        _log.error("the loop `%s` failed and continues in %g s: %s", loop.name, rest_s, reason, exc_info=trace)


async def _failure(step: Step) -> BaseException | None:
    """Take a step; give what it raised."""
    try:
        await step()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error  # what the step waited for was cancelled, not the loop
    except Exception as error:
        return error
    return None
