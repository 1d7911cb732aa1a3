"""The tasks of a page's main thread, out of a trace of Chromium's. Pure."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

_TASK = "ThreadControllerImpl::RunTask"
_MAIN_THREAD = "CrRendererMain"
CATEGORIES = ["toplevel", "__metadata"]


class Task(NamedTuple):
    """One task: how long it took, and how long it computed. On a busy machine the latter is less."""

    wall_ms: float
    cpu_ms: float


def tasks(trace: bytes) -> Sequence[Task]:
    """Return the tasks of the renderer's main thread that was busiest."""
    events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    names = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"]["name"] == _MAIN_THREAD
    }
    found: dict[tuple[int, int], list[Task]] = {thread: [] for thread in names}
    for event in events:
        thread = (event["pid"], event["tid"])
        if event["name"] == _TASK and thread in found:
            wall = event.get("dur", 0)
            found[thread].append(Task(wall / 1000, event.get("tdur", wall) / 1000))
    return max(found.values(), key=lambda each: sum(task.cpu_ms for task in each), default=[])
