"""Traces of the browser."""

import json

from bench.browser_trace import Task, tasks


def event(name: str, thread: int, **more: object) -> dict[str, object]:
    """Return an event of a thread."""
    return {"name": name, "pid": 1, "tid": thread, **more}


def test_tasks_are_those_of_the_busiest_main_thread() -> None:
    """Tasks of other threads, and of main threads that did less, are not counted; times become milliseconds."""
    events = [
        *(event("thread_name", thread, args={"name": name}) for thread, name in enumerate(("CrRendererMain",) * 2)),
        event("thread_name", 2, args={"name": "Compositor"}),
        event("ThreadControllerImpl::RunTask", 0, dur=500),
        event("ThreadControllerImpl::RunTask", 1, dur=2500, tdur=2000),
        event("ThreadControllerImpl::RunTask", 1, dur=1000),
        event("ThreadControllerImpl::RunTask", 2, dur=90_000),
        event("Paint", 1, dur=7000),
    ]
    assert tasks(json.dumps({"traceEvents": events}).encode()) == [Task(2.5, 2.0), Task(1.0, 1.0)]


def test_no_main_thread_has_no_tasks() -> None:
    """A trace without a renderer has no tasks."""
    assert tasks(b'{"traceEvents": []}') == []
