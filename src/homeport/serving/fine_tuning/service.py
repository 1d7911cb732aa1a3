"""Fine-tuning jobs of one server: accepts them, queues them, trains one at a time, resumes interrupted ones.

The database is authoritative: its rows are read after every change and once a second, so that another server may cancel
a job, and a killed server finds its jobs again. Knows nothing of HTTP.
"""

import asyncio
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import filelock

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.files import File
from homeport.domain.fine_tuning import FineTuningJob, NewFineTuningJob
from homeport.domain.ports.store import FineTuningRepository
from homeport.formats import atomic
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.fine_tuning.attempt import (
    FineTuningDeps,
    JobStoreUnavailable,
    TrainingAttempt,
    clean_up,
)

FILE_PURPOSE = "fine-tune"
_POLL_INTERVAL_S = 1.0
_HEARTBEAT_INTERVAL_S = 20.0
_RETRY_INTERVAL_S = 5.0
_STOP_TIMEOUT_S = 30.0
_CLEAN_UP_RETRY_S = 60.0
_LOCK, _SERVER, _INCOMING = "lock", "server", "incoming"
_IDENTITY_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789"
_IDENTITY_LENGTH = 8

_log = logging.getLogger("homeport.training")


class FineTuningService:
    """Accepts jobs and trains them. `max_waiting`: the number of jobs that may wait.

    `is_shutting_down`: the server is ending, so event streams of jobs must end too.
    """

    def __init__(self, deps: FineTuningDeps, max_waiting: int) -> None:
        self._deps = deps
        self._max_waiting = max_waiting
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attempt: TrainingAttempt | None = None
        self._counts: Mapping[str, int] = {}
        self._name: str | None = None
        self._lock = filelock.FileLock(deps.folder / _LOCK, thread_local=False)
        self._heartbeat_at: float | None = None
        self._retry_at: dict[str, float] = {}  # jobs whose files could not be deleted, and the time of the next attempt
        self.is_shutting_down = False

    @property
    def jobs(self) -> FineTuningRepository:
        """The jobs as callers see them."""
        return self._deps.jobs

    def counts(self) -> Mapping[str, int]:
        """Return the number of jobs by status, as of the last read. Never blocks."""
        return self._counts

    def create_job(self, new_job: NewFineTuningJob) -> FineTuningJob:
        """Create a job. Blocks: call it in a thread.

        Raises Unavailable if this server cannot train, InvalidRequest for invalid files or models, and Overloaded.
        """
        training = self._deps.training
        digest = training.check_model(new_job.model)
        name = training.model_name(new_job.model, new_job.suffix, _random_identity())
        self._check(new_job, new_job.training_file, "training_file")
        if new_job.validation_file is not None:
            self._check(new_job, new_job.validation_file, "validation_file")
        job = FineTuningJob(
            id=f"{new_job.id_prefix}{secrets.token_hex(12)}",
            project=new_job.project,
            server=self._server_name(),
            asked=new_job.requested_model,
            model=new_job.model,
            digest=digest,
            name=name,
            training_file=new_job.training_file,
            validation_file=new_job.validation_file,
            hyperparameters=new_job.hyperparameters,
            metadata=new_job.metadata,
        )
        stored = self._deps.jobs.create(job, self._max_waiting)
        self.notify()
        return stored

    def notify(self) -> None:
        """Wake up everything that waits for a change of a job. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set_changed)

    async def wait_for_change(self, limit_s: float = _POLL_INTERVAL_S) -> None:
        """Wait for a change on this server, for at most `limit_s`: changes by other servers are not noticed."""
        try:
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def shut_down(self) -> None:
        """End the event streams of jobs, because the server ends."""
        self.is_shutting_down = True
        self._set_changed()

    async def run(self, loops: BackgroundLoops) -> None:
        """Train queued jobs until cancelled; of the processes that share a folder, only one does."""
        self._loop = asyncio.get_running_loop()
        try:
            await loops.run("fine_tuning", self._step, 0.0)
        finally:
            await self._stop_attempt()
            self._lock.release()

    async def _step(self) -> None:
        """Do one round: delete files of ended jobs, start or stop an attempt, or wait for a change."""
        self._counts = await asyncio.to_thread(self._deps.queue.counts)
        if not self._owns_folder():
            await self.wait_for_change()
            return
        await self._send_heartbeat()
        attempt = self._attempt  # it may end meanwhile
        if attempt is None:
            await asyncio.to_thread(self._clean_up)
            job = await asyncio.to_thread(lambda: self._deps.queue.next_job(self._server_name()))
            if job is not None:
                self._start_attempt(job)
                return
        elif not await asyncio.to_thread(self._is_wanted, attempt):
            attempt.stop()
        await self.wait_for_change()

    def _owns_folder(self) -> bool:
        """Return whether no other process trains in this folder."""
        if self._lock.is_locked:
            return True
        self._deps.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        return True

    async def _send_heartbeat(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._heartbeat_at is None or now - self._heartbeat_at >= _HEARTBEAT_INTERVAL_S:
            await asyncio.to_thread(lambda: self._deps.queue.heartbeat(self._server_name()))
            self._heartbeat_at = now

    def _start_attempt(self, job: FineTuningJob) -> None:
        attempt = self._attempt = TrainingAttempt(job, self._deps, self.notify)
        loop = asyncio.get_running_loop()

        def on_end(pause_s: float) -> None:
            loop.call_later(pause_s, self._attempt_ended)

        def work() -> None:
            pause_s = 0.0
            try:
                attempt.run()
            except JobStoreUnavailable as error:
                _log.warning("fine-tuning job %s waits: %s", job.id, error)
                pause_s = _RETRY_INTERVAL_S
            except BaseException:
                _log.exception("fine-tuning job %s waits", job.id)
                pause_s = _RETRY_INTERVAL_S
            if not loop.is_closed():
                loop.call_soon_threadsafe(on_end, pause_s)

        # Not in the event loop's executor: a long training must neither occupy its threads nor delay the server's exit.
        thread = threading.Thread(target=work, name=f"tune-{job.id}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread available: nothing would ever report the end of the attempt
            self._attempt = None
            raise

    def _attempt_ended(self) -> None:
        self._attempt = None
        self._set_changed()

    def _is_wanted(self, attempt: TrainingAttempt) -> bool:
        return not attempt.has_begun or self._deps.queue.is_wanted(attempt.job.server, attempt.job.id)

    def _clean_up(self) -> None:
        for job in self._deps.queue.list_uncleaned(self._server_name()):
            if self._retry_at.get(job.id, 0.0) > time.monotonic():
                continue
            try:
                clean_up(job, self._deps)
            except Exception:  # a failure with one job's files does not block the others
                _log.exception("the files of fine-tuning job %s could not be removed", job.id)
                self._retry_at[job.id] = time.monotonic() + _CLEAN_UP_RETRY_S

    async def _stop_attempt(self) -> None:
        """Stop the current run and keep its checkpoint; it resumes at the next start."""
        if self._attempt is None:
            return
        self._attempt.stop()
        end = asyncio.get_running_loop().time() + _STOP_TIMEOUT_S
        while self._attempt is not None and (left_s := end - asyncio.get_running_loop().time()) > 0:
            await self.wait_for_change(left_s)

    def _set_changed(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _server_name(self) -> str:
        """Return this server's name in the database; the same after every restart."""
        if self._name is None:
            self._name = _read_or_create_name(self._deps.folder)
        return self._name

    def _check(self, new_job: NewFineTuningJob, file_id: str, param: str) -> None:
        """Check that a file holds examples. Raises InvalidRequest that names the field."""
        files = self._deps.files
        try:
            file: File = files.get(new_job.project, file_id)
        except NotFound as error:
            raise InvalidRequest(
                f"File '{file_id[:100]}' does not exist.", param=param, code="file_not_found"
            ) from error
        if file.purpose != FILE_PURPOSE:
            raise InvalidRequest(
                f"File '{file_id}' has the purpose '{file.purpose}': it must be '{FILE_PURPOSE}'.", param=param
            )
        target = self._deps.folder / _INCOMING / uuid.uuid4().hex
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            files.copy(file, target)
            self._deps.training.check_file(target, new_job.hyperparameters.method, param)
        finally:
            target.unlink(missing_ok=True)


def _random_identity() -> str:
    return "".join(secrets.choice(_IDENTITY_CHARS) for _ in range(_IDENTITY_LENGTH))


def _read_or_create_name(folder: Path) -> str:
    """Return the name stored in a folder; create it once if there is none, even with concurrent calls."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _SERVER
    if not path.exists():
        atomic.create_file(path, f"server-{secrets.token_hex(8)}".encode())
    return path.read_text(encoding="utf-8")
