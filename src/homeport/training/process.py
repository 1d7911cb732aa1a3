"""Runs one training in a child process, and hears what it tells. Imports no torch.

Knows nothing of job records, model names or callers. `TrainingProcess.run` blocks; `stop` may be called from
any other thread.
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

Hear = Callable[[TrainingEvent], None]
_CHILD = "homeport.training.worker"
_LOCK = "lock"
_LAST_WORDS = 2000
_STOP_TIMEOUT_S = 60.0

log = logging.getLogger("homeport.training")


def require_torch() -> None:
    """Raise ExtraNotInstalled, saying what to install, where this installation cannot train."""
    if importlib.util.find_spec("torch") is None:
        raise ExtraNotInstalled(MISSING)


class TrainingProcess:
    """One training. Started again on the same folder, it goes on where it was cut off."""

    def __init__(self, job: TrainingSpec, environment: Mapping[str, str] | None = None) -> None:
        """`environment`: the child's, where it is not to be this process's."""
        self._job = job
        self._environment = environment
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._reached = 0

    @property
    def folder(self) -> Path:
        """Where it writes."""
        return self._job.folder

    def run(self, on_event: Hear) -> TrainingFinished | None:
        """Train; None where it was stopped. Raises what the training failed of, and Unavailable while another runs."""
        require_torch()
        self._job.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self._job.folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as busy:
            raise Unavailable("This very training is under way in another process.") from busy
        try:
            return self._run(on_event)
        finally:
            lock.release()

    def _run(self, hear: Hear) -> TrainingFinished | None:
        """Run a child, and another where one was killed from outside after it had brought the training on."""
        while True:
            before = self._reached
            try:
                return self._run_child(hear)
            except _ProcessKilled as killed:
                if self._reached <= before:
                    raise EngineFailed(str(killed)) from killed
                log.warning("%s It goes on.", killed)

    def stop(self) -> None:
        """End it after the step under way; what was done is kept."""
        self._is_stopped = True
        if self._child is not None:
            self._child.terminate()

    def discard(self) -> None:
        """Remove everything that it wrote. Not while it runs."""
        shutil.rmtree(self._job.folder, ignore_errors=True)

    def _run_child(self, hear: Hear) -> TrainingFinished | None:
        command = [sys.executable, "-m", _CHILD, msgspec.json.encode(self._job, enc_hook=str).decode()]
        # What it complains of goes to a file: a pipe that nobody reads would stop it when full.
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, env=self._environment
            ) as child,
        ):
            self._child = child
            if self._is_stopped:
                child.terminate()
            try:
                done = self._listen(child, hear)
                code = child.wait()
            except KeyboardInterrupt:  # one that waits for more than a step has worse to fear than lost work
                child.terminate()
                child.wait(_STOP_TIMEOUT_S)
                raise
            finally:
                child.kill()
            if done is not None:
                return done
            if code == EXIT_STOPPED or self._is_stopped:
                return None
            failed = _ProcessKilled if code < 0 else EngineFailed
            raise failed(f"Training ended without a result ({_ending(code)}). {_last_words(complaints)}".strip())

    def _listen(self, child: subprocess.Popen[bytes], hear: Hear) -> TrainingFinished | None:
        done = None
        for line in child.stdout or ():
            told: TrainingEvent = msgspec.json.decode(line, type=TrainingEvent)
            if isinstance(told, TrainingFailed):
                child.wait()
                raise error_from_info(told.fault)
            hear(told)
            if isinstance(told, StepMetrics):
                self._reached = max(self._reached, told.step)
            if isinstance(told, TrainingFinished):
                done = told
        return done


class _ProcessKilled(Exception):
    """The child was ended by a signal: by the system for want of memory, or by a person."""


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _last_words(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    said = complaints.read().decode("utf-8", "replace").strip()
    log.error("training failed: %s", said)
    return said[-_LAST_WORDS:].splitlines()[-1] if said else ""
