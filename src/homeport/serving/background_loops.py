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
"""A loop that fails for this long is reported as failing: this is no longer a short outage."""
_FIRST_S, _LIMIT_S = 1.0, 10.0

_log = logging.getLogger("homeport.loops")


class BackgroundLoop:
    """The state of one loop. `failing_since`: the first failure since its last success, by `time.monotonic`."""

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

    def start(self, name: str, step: Step, pause_s: float, max_pause_s: float | None = None) -> asyncio.Task[None]:
        """Run a loop in a task of its own, as `run` does, until the task is cancelled or `stop` is called."""
        task = asyncio.create_task(self.run(name, step, pause_s, max_pause_s), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, name: str, step: Step, pause_s: float, max_pause_s: float | None = None) -> None:
        """Repeat a step, with a pause of `pause_s` in between, until cancelled. Loops may share a name.

        `max_pause_s`: the longest pause after failures, for a loop that must not pause longer.
        """
        loop = BackgroundLoop(name)
        backoff = Backoff(self._first_s, self._limit_s if max_pause_s is None else max_pause_s)
        self._loops.append(loop)
        self._failures.setdefault(name, 0)
        try:
            while True:
                error = await _run_step(step)
                if error is None:
                    loop.failing_since = None
                    backoff.reset()
                    await asyncio.sleep(pause_s)
                else:
                    retry_s = max(pause_s, backoff.record_failure())
                    self._record_failure(loop, error, retry_s)
                    await asyncio.sleep(retry_s)
        finally:
            self._loops.remove(loop)

    async def stop(self) -> None:
        """Stop every loop that was started here. Safe to call twice."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def failing(self, for_s: float = 0.0) -> Sequence[str]:
        """Return the names of the loops that have been failing for at least `for_s`."""
        now = time.monotonic()
        since = ((loop.name, loop.failing_since) for loop in self._loops)
        return sorted({name for name, began in since if began is not None and now - began >= for_s})

    def failures(self) -> Mapping[str, int]:
        """Return the number of failed steps by the loop's name, of every loop that ever ran."""
        return dict(self._failures)

    def _record_failure(self, loop: BackgroundLoop, error: BaseException, retry_s: float) -> None:
        self._failures[loop.name] += 1
        if loop.failing_since is None:
            loop.failing_since = time.monotonic()
            loop.reason = ""
        # A database that is down for an hour is logged with one traceback, and with one line per attempt.
        reason = f"{type(error).__name__}: {error}"
        traceback = error if reason != loop.reason else None
        loop.reason = reason
        _log.error("the loop `%s` failed and continues in %g s: %s", loop.name, retry_s, reason, exc_info=traceback)


async def _run_step(step: Step) -> BaseException | None:
    """Run a step; return the exception that it raised."""
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
