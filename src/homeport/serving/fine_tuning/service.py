"""Fine-tuning jobs of one server: accepted, queued, trained one at a time, gone on with after any interruption.

The books are the truth: what they say is looked at again after every change and every few seconds, so that a job may
be cancelled by another server, and a server that was killed finds its jobs. Knows nothing of HTTP.
"""

import asyncio
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import filelock

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.files import File
from homeport.domain.fine_tuning import FineTuningJob, NewFineTuningJob
from homeport.domain.ports.store import FineTuningRepository
from homeport.formats import durable_files
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
_UNTIDY_S = 60.0
_LOCK, _SERVER, _INCOMING = "lock", "server", "incoming"
_IDENTITY = "abcdefghijklmnopqrstuvwxyz0123456789"
_IDENTITY_LENGTH = 8

_log = logging.getLogger("homeport.training")


class FineTuningService:
    """Takes jobs and has them trained. `most_waiting`: how many may be queued here.

    `is_dismissed`: the server ends, and nobody is to follow a job any more.
    """

    def __init__(self, bench: FineTuningDeps, most_waiting: int) -> None:
        self._bench = bench
        self._most_waiting = most_waiting
        self._bell = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._attempt: TrainingAttempt | None = None
        self._counts: Mapping[str, int] = {}
        self._name: str | None = None
        self._lock = filelock.FileLock(bench.folder / _LOCK, thread_local=False)
        self._beaten: float | None = None
        self._left: dict[str, float] = {}  # jobs that could not be tidied up, and when it is tried again
        self.is_shutting_down = False

    @property
    def jobs(self) -> FineTuningRepository:
        """The jobs as callers see them."""
        return self._bench.jobs

    def counts(self) -> Mapping[str, int]:
        """How many jobs there were by status, when it was looked last. Never waits."""
        return self._counts

    def create_job(self, new_job: NewFineTuningJob) -> FineTuningJob:
        """Take a job. Blocks: call it in a thread.

        Raises Unavailable where this server cannot train, InvalidRequest for files or a model that do not fit, and
        Overloaded.
        """
        trainings = self._bench.training
        digest = trainings.check_model(new_job.model)
        name = trainings.model_name(new_job.model, new_job.suffix, _random_suffix())
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
        kept = self._bench.jobs.create(job, self._most_waiting)
        self.notify()
        return kept

    def notify(self) -> None:
        """Have everybody who waits look at the books. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set_changed)

    async def wait_for_change(self, limit_s: float = _POLL_INTERVAL_S) -> None:
        """Wait until something has changed here, or so long: another server's changes are not heard."""
        try:
            async with asyncio.timeout(limit_s):
                await self._bell.wait()
        except TimeoutError:
            return

    def shut_down(self) -> None:
        """Tell those who follow jobs that the server ends."""
        self.is_shutting_down = True
        self._set_changed()

    async def run(self, loops: BackgroundLoops) -> None:
        """Train what is in the queue, for ever; one process at a time, where several share the folder."""
        self._loop = asyncio.get_running_loop()
        try:
            await loops.run("fine_tuning", self._step, 0.0)
        finally:
            await self._stop_attempt()
            self._lock.release()

    async def _step(self) -> None:
        """Look once: tidy up, begin what is next, stop what is not wanted, or wait for a change."""
        self._counts = await asyncio.to_thread(self._bench.queue.counts)
        if not self._owns_folder():
            await self.wait_for_change()
            return
        await self._beat()
        attempt = self._attempt  # it may end meanwhile
        if attempt is None:
            await asyncio.to_thread(self._clean_up)
            job = await asyncio.to_thread(lambda: self._bench.queue.next_job(self._server_name()))
            if job is not None:
                self._begin(job)
                return
        elif not await asyncio.to_thread(self._is_wanted, attempt):
            attempt.stop()
        await self.wait_for_change()

    def _owns_folder(self) -> bool:
        """Whether no other process trains in this folder."""
        if self._lock.is_locked:
            return True
        self._bench.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        return True

    async def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._beaten is None or now - self._beaten >= _HEARTBEAT_INTERVAL_S:
            await asyncio.to_thread(lambda: self._bench.queue.heartbeat(self._server_name()))
            self._beaten = now

    def _begin(self, job: FineTuningJob) -> None:
        attempt = self._attempt = TrainingAttempt(job, self._bench, self.notify)
        loop = asyncio.get_running_loop()

        def ended(rest_s: float) -> None:
            loop.call_later(rest_s, self._attempt_ended)

        def work() -> None:
            rest_s = 0.0
            try:
                attempt.run()
            except JobStoreUnavailable as error:
                _log.warning("fine-tuning job %s waits: %s", job.id, error)
                rest_s = _RETRY_INTERVAL_S
            except BaseException:
                _log.exception("fine-tuning job %s waits", job.id)
                rest_s = _RETRY_INTERVAL_S
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended, rest_s)

        # No pool's thread: a training of hours takes none from the short calls, and never keeps the server from ending.
        thread = threading.Thread(target=work, name=f"tune-{job.id}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no room for one more thread: nobody would ever say that the attempt has ended
            self._attempt = None
            raise

    def _attempt_ended(self) -> None:
        self._attempt = None
        self._set_changed()

    def _is_wanted(self, attempt: TrainingAttempt) -> bool:
        return not attempt.has_begun or self._bench.queue.is_wanted(attempt.job.server, attempt.job.id)

    def _clean_up(self) -> None:
        for job in self._bench.queue.list_uncleaned(self._server_name()):
            if self._left.get(job.id, 0.0) > time.monotonic():
                continue
            try:
                clean_up(job, self._bench)
            except Exception:  # what one job has left keeps no other from its turn
                _log.exception("the files of fine-tuning job %s could not be removed", job.id)
                self._left[job.id] = time.monotonic() + _UNTIDY_S

    async def _stop_attempt(self) -> None:
        """Stop what is under way, keeping what was done; it goes on at the next start."""
        if self._attempt is None:
            return
        self._attempt.stop()
        end = asyncio.get_running_loop().time() + _STOP_TIMEOUT_S
        while self._attempt is not None and (left_s := end - asyncio.get_running_loop().time()) > 0:
            await self.wait_for_change(left_s)

    def _set_changed(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _server_name(self) -> str:
        """What this server is called in the books; the same after every restart."""
        if self._name is None:
            self._name = _read_or_create_name(self._bench.folder)
        return self._name

    def _check(self, order: NewFineTuningJob, file_id: str, param: str) -> None:
        """Read a file as examples. Raises InvalidRequest that names the field."""
        files = self._bench.files
        try:
            file: File = files.get(order.project, file_id)
        except NotFound as error:
            raise InvalidRequest(
                f"File '{file_id[:100]}' does not exist.", param=param, code="file_not_found"
            ) from error
        if file.purpose != FILE_PURPOSE:
            raise InvalidRequest(
                f"File '{file_id}' has the purpose '{file.purpose}': it must be '{FILE_PURPOSE}'.", param=param
            )
        target = self._bench.folder / _INCOMING / uuid.uuid4().hex
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            files.copy(file, target)
            self._bench.training.check_file(target, order.hyperparameters.method, param)
        finally:
            target.unlink(missing_ok=True)


def _random_suffix() -> str:
    return "".join(secrets.choice(_IDENTITY) for _ in range(_IDENTITY_LENGTH))


def _read_or_create_name(folder: Path) -> str:
    """The name in a folder; made where there is none, once however many ask."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / _SERVER
    fresh = folder / f"{_SERVER}-{uuid.uuid4().hex}"
    if not place.exists():
        durable_files.replace_file(fresh, f"server-{secrets.token_hex(8)}".encode())
        with suppress(FileExistsError):
            place.hardlink_to(fresh)
        fresh.unlink()
        durable_files.sync_path(folder)
    return place.read_text(encoding="utf-8")
