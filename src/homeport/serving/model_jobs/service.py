"""The model jobs of one server: accepts them, runs a few at a time, pauses, resumes and cancels them.

A job runs in a process of its own and survives the request that made it. Its record survives the server: a job that was
not finished is then `interrupted`. Knows nothing of HTTP, of hubs, nor of what the process does.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from homeport.domain.errors import (
    Conflict,
    EngineFailed,
    HomeportError,
    InvalidRequest,
    NotFound,
    Overloaded,
    Unavailable,
    excerpt,
)
from homeport.domain.model_jobs import (
    ACTIVE_STATUSES,
    ENDED_STATUSES,
    RESUMABLE_STATUSES,
    UNFINISHED_STATUSES,
    ModelJob,
    ModelJobStatus,
    ModelTask,
    NewModelJob,
    TaskEnd,
    TaskProgress,
)
from homeport.domain.ports.model_library import ModelJobRecords, ModelTaskLauncher
from homeport.serving.model_jobs.transfer_rate import TransferRate

MAX_RUNNING: dict[ModelTask, int] = {"pull": 2, "optimize": 1}
"""How many jobs run at a time. Optimizing measures speed, so that two at once would disturb each other."""
MAX_UNFINISHED = 32
MAX_ENDED = 50
"""How many jobs that have ended are remembered."""
_RECORD_INTERVAL_S = 5.0
_RETRY_AFTER_S = 60.0

_log = logging.getLogger("homeport.models")


class ModelJobService:
    """The jobs of one server. `discard` deletes the partial files of a model; it blocks.

    `is_shutting_down`: the server is ending, so event streams of jobs must end too.
    """

    def __init__(
        self,
        launch: ModelTaskLauncher,
        records: ModelJobRecords,
        discard: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._launch = launch
        self._records = records
        self._discard = discard
        self._now = now
        self._jobs = {job.id: _interrupt(job) for job in records.load()}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._record_lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._last_ms = 0
        self.version = 0
        self.is_shutting_down = False

    def list_jobs(self, task: ModelTask) -> Sequence[ModelJob]:
        """Return the jobs of a task, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.task == task]

    def find(self, task: ModelTask, job_id: str) -> ModelJob:
        """Return a job. Raises NotFound."""
        job = self._jobs.get(job_id)
        if job is None or job.task != task:
            raise NotFound(f"There is no {_NOUNS[task]} `{excerpt(job_id)}`.", code="job_not_found")
        return job

    def active_on(self, model: str) -> ModelJob | None:
        """Return a job that works on the files of this model now, or will."""
        active = (job for job in self._jobs.values() if job.status in ACTIVE_STATUSES)
        return next((job for job in active if model in (job.model, job.files_of)), None)

    async def submit(self, new: NewModelJob) -> ModelJob:
        """Start or queue a job. If there is an unfinished one that does the same, it is resumed and returned.

        Raises Conflict if one on the same reference differs, Overloaded if there are too many, and Unavailable.
        """
        if self.is_shutting_down:
            raise Unavailable("The server is shutting down.", retry_after_s=5.0)
        unfinished = [job for job in self._jobs.values() if job.status in UNFINISHED_STATUSES]
        for job in unfinished:
            if (job.task, job.reference) == (new.task, new.reference):
                return await self._join(job, new)
        if len(unfinished) >= MAX_UNFINISHED:
            raise Overloaded(
                f"{MAX_UNFINISHED} jobs on models are unfinished: cancel some, or wait for one to end.",
                retry_after_s=_RETRY_AFTER_S,
            )
        job = ModelJob(**msgspec.structs.asdict(new), id=self._new_id(new.task), created_at=int(self._now()))
        self._jobs[job.id] = job
        try:
            await asyncio.to_thread(self._records.save, job)
        except OSError:
            del self._jobs[job.id]  # a job that is confirmed is recorded
            raise
        await self._forget_oldest()
        self._start_next()
        return self._jobs[job.id]

    async def pause(self, task: ModelTask, job_id: str) -> ModelJob:
        """Stop a job so that it can be resumed. Raises NotFound, or InvalidRequest if it is not active."""
        job = self.find(task, job_id)
        if job.status == "paused":
            return job
        self._require(job, ACTIVE_STATUSES, "paused")
        return await self._halt(job_id, "paused")

    async def resume(self, task: ModelTask, job_id: str) -> ModelJob:
        """Continue a job where it stopped. Raises NotFound, or InvalidRequest if it has ended otherwise."""
        job = self.find(task, job_id)
        if job.status in ACTIVE_STATUSES:
            return job
        self._require(job, RESUMABLE_STATUSES, "resumed")
        self._update(job_id, status="queued", ended_at=None, error=None, message="")
        await self._record(job_id)
        self._start_next()
        return self._jobs[job_id]

    async def cancel(self, task: ModelTask, job_id: str) -> ModelJob:
        """End a job, and delete what a pull has fetched. Raises NotFound, or InvalidRequest if it is completed."""
        job = self.find(task, job_id)
        if job.status == "cancelled":
            return job
        self._require(job, (*UNFINISHED_STATUSES, "failed"), "cancelled")
        job = await self._halt(job_id, "cancelled")
        files_of = job.files_of or job.model
        if job.status == "cancelled" and files_of is not None:
            await asyncio.to_thread(self._discard, files_of)
        return job

    async def forget(self, task: ModelTask, job_id: str) -> None:
        """Delete the record of a job that has ended. Raises NotFound, or InvalidRequest if it has not ended."""
        self._require(self.find(task, job_id), ENDED_STATUSES, "deleted")
        del self._jobs[job_id]
        async with self._record_lock:
            await asyncio.to_thread(self._records.remove, job_id)
        self._notify()

    async def wait_for_change(self, version: int) -> None:
        """Wait until a job has changed since `self.version` was `version`."""
        while self.version == version:
            await self._changed.wait()

    async def shut_down(self) -> None:
        """Interrupt all jobs, so that the next server lists them, and end all waits. Safe to call twice."""
        self.is_shutting_down = True
        for job in list(self._jobs.values()):
            if job.status in ACTIVE_STATUSES:
                await self._halt(job.id, "interrupted")
        self._notify()

    async def _join(self, job: ModelJob, new: NewModelJob) -> ModelJob:
        if job.wish != new.wish:
            raise Conflict(
                f"The {_NOUNS[job.task]} `{job.id}` of `{excerpt(job.reference)}` is unfinished and has other options: "
                "cancel it first, or wait for its end.",
                code="job_exists",
            )
        return await self.resume(job.task, job.id)

    async def _halt(self, job_id: str, status: ModelJobStatus) -> ModelJob:
        """End a job's process and give the job a status, unless it has ended by itself meanwhile."""
        while run := self._runs.get(job_id):  # it may be resumed meanwhile
            run.cancel()
            await asyncio.wait((run,))
        reached = self._jobs[job_id].status
        if reached in ACTIVE_STATUSES or (reached in RESUMABLE_STATUSES and status == "cancelled"):
            ended_at = int(self._now()) if status in ENDED_STATUSES else None
            self._update(job_id, status=status, bytes_per_s=0.0, ended_at=ended_at)
            await self._record(job_id)
        self._start_next()
        return self._jobs[job_id]

    def _new_id(self, task: ModelTask) -> str:
        """Return an id that sorts after all earlier ones."""
        self._last_ms = max(int(self._now() * 1000), self._last_ms + 1)
        return f"{task}_{self._last_ms:012x}{secrets.token_hex(6)}"

    def _start_next(self) -> None:
        """Start queued jobs, the oldest first, while there is room."""
        if self.is_shutting_down:
            return
        for job in list(self._jobs.values()):
            running = sum(each.task == job.task and each.status == "running" for each in self._jobs.values())
            if job.status == "queued" and running < MAX_RUNNING[job.task]:
                self._update(job.id, status="running", started_at=int(self._now()))
                self._runs[job.id] = run = asyncio.create_task(self._run(job.id), name=job.id)
                run.add_done_callback(partial(self._on_run_end, job.id))

    def _on_run_end(self, job_id: str, _: asyncio.Task[None]) -> None:
        self._runs.pop(job_id, None)
        self._start_next()

    async def _run(self, job_id: str) -> None:
        """Run a job's process to its end. Cancelling it kills the process and leaves the status to the canceller."""
        changes: dict[str, Any]
        try:
            end = await self._follow(job_id)
            if end.error is not None:
                changes = {"status": "failed", "error": end.error}
            else:
                next_job = await self._optimize_pulled(self._jobs[job_id], end.model)
                changes = {"status": "completed", "model": end.model, "result": end.result, "next_job": next_job}
        except HomeportError as error:
            changes = {"status": "failed", "error": error.info}
        except Exception as error:
            _log.exception("the job %s failed", job_id)
            failure = EngineFailed(f"The job failed: {type(error).__name__}.")
            changes = {"status": "failed", "error": failure.info}
        self._update(job_id, **changes, ended_at=int(self._now()), bytes_per_s=0.0)
        await self._record(job_id)

    async def _follow(self, job_id: str) -> TaskEnd:
        """Start a job's process and take over its events until the last one, which is returned."""
        rate, recorded_at = TransferRate(), self._now()
        async with self._launch(self._jobs[job_id]) as events:
            async for event in events:
                if isinstance(event, TaskEnd):
                    return event
                rate.add(event.received_bytes, time.monotonic())
                is_other = event.files_of != self._jobs[job_id].files_of
                self._take_progress(job_id, event, rate.bytes_per_s)
                if is_other or self._now() - recorded_at >= _RECORD_INTERVAL_S:
                    recorded_at = self._now()
                    await self._record(job_id)
        raise EngineFailed("The process of this job ended without a result: resume it.")

    def _take_progress(self, job_id: str, progress: TaskProgress, bytes_per_s: float) -> None:
        self._update(
            job_id,
            total_bytes=progress.total_bytes,
            done_bytes=progress.done_bytes,
            files_of=progress.files_of or self._jobs[job_id].files_of,
            message=progress.message,
            bytes_per_s=bytes_per_s,
        )

    async def _optimize_pulled(self, job: ModelJob, model: str | None) -> str | None:
        """Let an optimization follow a pull of `model`, if that was asked for; return its id."""
        if not job.optimize or model is None:
            return None
        try:
            return (await self.submit(NewModelJob(task="optimize", reference=model, model=model))).id
        except HomeportError as error:  # the model works without it
            _log.warning("%s keeps its original layout: %s", model, error)
            return None

    async def _forget_oldest(self) -> None:
        ended = [job for job in self._jobs.values() if job.status in ENDED_STATUSES]
        for job in ended[: max(0, len(ended) - MAX_ENDED)]:
            await self.forget(job.task, job.id)

    def _require(self, job: ModelJob, statuses: Sequence[ModelJobStatus], verb: str) -> None:
        if job.status not in statuses:
            raise InvalidRequest(
                f"The {_NOUNS[job.task]} `{job.id}` is {job.status}, so it cannot be {verb}.",
                code="invalid_job_status",
            )

    async def _record(self, job_id: str) -> None:
        """Record a job's latest state. A full disk does not end it: the job is then recorded as it was before."""
        async with self._record_lock:
            job = self._jobs.get(job_id)
            if job is None:
                return
            try:
                await asyncio.to_thread(self._records.save, job)
            except OSError as error:
                _log.warning("the state of the job %s is not recorded: %s", job_id, error)

    def _update(self, job_id: str, **changes: Any) -> None:
        self._jobs[job_id] = msgspec.structs.replace(self._jobs[job_id], **changes)
        self._notify()

    def _notify(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed.clear()


_NOUNS: dict[ModelTask, str] = {"pull": "pull", "optimize": "optimization"}


def _interrupt(job: ModelJob) -> ModelJob:
    """Return a recorded job as it is after a restart."""
    if job.status not in ACTIVE_STATUSES:
        return job
    return msgspec.structs.replace(job, status="interrupted", bytes_per_s=0.0)
