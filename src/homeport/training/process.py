"""Runs one training run in a child process, and receives its events. Imports no torch.

Knows nothing of fine-tuning jobs, model names or callers. `TrainingProcess.run` blocks; `stop` may be called from any
other thread.
"""

import importlib.util
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import filelock
import msgspec

from homeport.domain.errors import (
    EngineFailed,
    ExtraNotInstalled,
    Unavailable,
    error_from_info,
)
from homeport.domain.training import (
    StepMetrics,
    TrainingEvent,
    TrainingFailed,
    TrainingFinished,
    TrainingSpec,
)
from homeport.training.worker import EXIT_STOPPED, MISSING

OnEvent = Callable[[TrainingEvent], None]
_CHILD = "homeport.training.worker"
_LOCK = "lock"
_LAST_OUTPUT_CHARS = 2000
_STOP_TIMEOUT_S = 60.0

_log = logging.getLogger("homeport.training")


def require_torch() -> None:
    """Raise ExtraNotInstalled, naming the install command, if this installation cannot train."""
    if importlib.util.find_spec("torch") is None:
        raise ExtraNotInstalled(MISSING)


class TrainingProcess:
    """One training run. Started again on the same folder, it resumes where it was interrupted."""

    def __init__(self, spec: TrainingSpec, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: the child's environment variables; None: those of this process."""
        self._spec = spec
        self._environment = environment
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._reached = 0

    @property
    def folder(self) -> Path:
        """The folder that it writes to."""
        return self._spec.folder

    def run(self, on_event: OnEvent) -> TrainingFinished | None:
        """Train; None if it was stopped. Raises the training's error, or Unavailable while another process runs it."""
        require_torch()
        self._spec.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self._spec.folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as busy:
            raise Unavailable("This training run is already active in another process.") from busy
        try:
            return self._run(on_event)
        finally:
            lock.release()

    def _run(self, on_event: OnEvent) -> TrainingFinished | None:
        """Run a child, and another one if it was killed from outside after it had made progress."""
        while True:
            before = self._reached
            try:
                return self._run_child(on_event)
            except _ProcessKilled as killed:
                if self._reached <= before:
                    raise EngineFailed(str(killed)) from killed
                _log.warning("%s It is restarted.", killed)

    def stop(self) -> None:
        """End the run after the current step; its progress is saved."""
        self._is_stopped = True
        if self._child is not None:
            self._child.terminate()

    def discard(self) -> None:
        """Delete everything that it wrote. Not while it runs."""
        shutil.rmtree(self._spec.folder, ignore_errors=True)

    def _run_child(self, on_event: OnEvent) -> TrainingFinished | None:
        command = [sys.executable, "-m", _CHILD, msgspec.json.encode(self._spec, enc_hook=str).decode()]
        # Its error output goes to a file: a full pipe without a reader would block it.
        with (
            tempfile.TemporaryFile() as error_output,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=error_output, env=self._environment
            ) as child,
        ):
            self._child = child
            if self._is_stopped:
                child.terminate()
            try:
                result = self._read_events(child, on_event)
                code = child.wait()
            except KeyboardInterrupt:  # it ends after its step; one that takes longer loses work
                child.terminate()
                child.wait(_STOP_TIMEOUT_S)
                raise
            finally:
                child.kill()
            if result is not None:
                return result
            if code == EXIT_STOPPED or self._is_stopped:
                return None
            failed = _ProcessKilled if code < 0 else EngineFailed
            reason = _last_output_line(error_output)
            raise failed(f"Training ended without a result ({_exit_text(code)}). {reason}".strip())

    def _read_events(self, child: subprocess.Popen[bytes], on_event: OnEvent) -> TrainingFinished | None:
        result = None
        for line in child.stdout or ():
            event: TrainingEvent = msgspec.json.decode(line, type=TrainingEvent)
            if isinstance(event, TrainingFailed):
                child.wait()
                raise error_from_info(event.fault)
            on_event(event)
            if isinstance(event, StepMetrics):
                self._reached = max(self._reached, event.step)
            if isinstance(event, TrainingFinished):
                result = event
        return result


class _ProcessKilled(Exception):
    """The child was killed by a signal: by the system because memory ran out, or by a person."""


def _exit_text(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _last_output_line(error_output: IO[bytes]) -> str:
    error_output.seek(0)
    output = error_output.read().decode("utf-8", "replace").strip()
    _log.error("training failed: %s", output)
    return output[-_LAST_OUTPUT_CHARS:].splitlines()[-1] if output else ""
