"""The process of one model job: `python -m homeport.app.model_task`.

It reads the job and the settings from its first line of input and writes its state as lines of JSON. It ends with all
processes that it started when its input ends, because then the server is gone. It does what the CLI does, with the same
locks and errors. Knows nothing of the server.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from homeport.app import model_changes
from homeport.domain import child_environment
from homeport.domain.errors import EngineFailed, HomeportError
from homeport.domain.model_jobs import ModelJob, TaskEnd, TaskEvent, TaskProgress
from homeport.domain.operations import ProgressReporter
from homeport.domain.ports.model_library import ModelTaskLauncher
from homeport.domain.weight_layouts import ORIGINAL, OptimizeOptions
from homeport.models.model_store import ModelStore
from homeport.serving.model_jobs.child_process import run_child
from homeport.settings import Settings

_SETTINGS = (
    *("home", "layout", "offline", "hub_order", "hf_endpoint", "hf_token", "ms_endpoint", "ms_token"),
    *("llama_lib", "threads", "gpu_layers"),
)
"""The settings that a job depends on; the process receives no others."""
_INTERVAL_S = 0.1
_SILENCE_S = 1.0
_PRESENT_BYTES = 8 << 20
"""More at once than any transfer reports: these bytes were present already."""

_log = logging.getLogger("homeport.models")


def model_task_launcher(settings: Settings) -> ModelTaskLauncher:
    """What starts the processes of model jobs. They inherit the environment variables that package tools need."""
    values = {name: getattr(settings, name) for name in _SETTINGS}

    def launch(job: ModelJob) -> AbstractAsyncContextManager[AsyncIterator[TaskEvent]]:
        line = msgspec.json.encode({"settings": values, "job": job}, enc_hook=str)
        environment = child_environment.environment_without_settings()
        return run_child([sys.executable, "-m", __name__], line, environment)

    return launch


class _Order(msgspec.Struct, frozen=True):
    settings: dict[str, Any]
    job: ModelJob


class _LineWriter:
    """A `ProgressReporter` that writes its state as lines from a thread of its own: after changes, at most ten per
    second, and once a second without any, because a rate falls in silence.
    """

    def __init__(self) -> None:
        self._state = TaskProgress()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write_changes, daemon=True)

    def __enter__(self) -> Self:
        """Start to write."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last state."""
        self._is_over.set()
        self._thread.join()

    def total(self, size: int) -> None:
        """Report the total, which begins a new count."""
        self._change(total_bytes=size, done_bytes=0)

    def advance(self, size: int) -> None:
        """Report progress."""
        state = self._state
        received = size if 0 < size <= _PRESENT_BYTES else 0
        self._change(done_bytes=state.done_bytes + size, received_bytes=state.received_bytes + received)

    def message(self, text: str) -> None:
        """Report a line for the user."""
        self._change(message=text)

    def begin_files(self, name: str) -> None:
        """Report whose files are fetched now: see `ModelJob.files_of`."""
        self._change(files_of=name)

    def _change(self, **changes: Any) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)

    def _write_changes(self) -> None:
        is_over, written, written_at = False, TaskProgress(), time.monotonic()
        while not is_over:
            is_over = self._is_over.wait(_INTERVAL_S)
            state, now = self._state, time.monotonic()
            if state != written or now - written_at >= _SILENCE_S:
                written, written_at = state, now
                _write(state)


class _ReportingStore(ModelStore):
    """The model store, which reports the model whose folder is locked."""

    def __init__(self, home: Path, layout: str | None, writer: _LineWriter) -> None:
        super().__init__(home, layout)
        self._writer = writer

    @contextmanager
    def lock_model(self, name: str, progress: ProgressReporter | None = None) -> Iterator[Path]:
        """Lock the model's folder and report its name."""
        with super().lock_model(name, progress) as folder:
            self._writer.begin_files(name)
            yield folder


def run(order: bytes) -> TaskEnd:
    """Run the job of one line and return its end, whatever happens."""
    try:
        decoded = msgspec.json.decode(order, type=_Order)
        settings = msgspec.convert(decoded.settings, Settings, dec_hook=lambda kind, value: kind(value))
        with _LineWriter() as writer:
            store = _ReportingStore(settings.home, None if settings.layout == "auto" else ORIGINAL, writer)
            return _work(decoded.job, settings, store, writer)
    except HomeportError as error:
        return TaskEnd(error=error.info)
    except Exception as error:
        _log.exception("the job failed")
        return TaskEnd(error=EngineFailed(f"{type(error).__name__}: {error}").info)


def _work(job: ModelJob, settings: Settings, store: ModelStore, writer: _LineWriter) -> TaskEnd:
    if job.task == "optimize":
        options = OptimizeOptions(layout=job.layout, is_dry=job.is_dry)
        result = model_changes.optimize_model(settings, job.reference, options, writer, store)
        return TaskEnd(model=result.model, result=result)
    model = model_changes.pull_model(
        settings, job.reference, writer, job.projector, accepts_licence=job.accepts_licence, store=store
    )
    return TaskEnd(model=model.facts.name)


def _write(event: TaskEvent) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_input() -> None:
    """End this process and those that it started when its input ends."""
    while sys.stdin.buffer.read(1):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run one job. The server that started it may end this process at any time."""
    order = sys.stdin.buffer.readline()
    if os.getpgrp() == os.getpid():
        threading.Thread(target=_end_with_input, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        _write(run(order))


if __name__ == "__main__":
    main()
