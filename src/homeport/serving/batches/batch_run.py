"""One batch, worked on from where it stands to its end. Knows nothing of which batch is next.

Whenever the process ends, the next one to own the batch goes on from what is kept: outcomes of lines first, then files.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from homeport.domain.batches import Batch, BatchError, LineResult
from homeport.domain.errors import HomeportError, InvalidRequest, NotFound
from homeport.domain.ports.batches import IdleGate, RequestDispatcher
from homeport.domain.ports.store import BatchRepository, FileRepository
from homeport.serving.batches import input_file, results
from homeport.serving.batches.input_file import BatchInput, BatchLine, InvalidInputFile

P = ParamSpec("P")
T = TypeVar("T")

MAX_CONCURRENT_LINES = 8
"""Of one batch; `BatchDeps.permits` bounds those of all."""
LEASE_S, RENEW_INTERVAL_S = 6.0, 1.0
_RETRY_INTERVAL_S = 5.0
_CODE = "file_not_found"
_FULL_CODE, _FULL = "storage_limit_exceeded", "The project has reached its storage limit."
_LOOK_BYTES = 1_000_000

_log = logging.getLogger("homeport.batches")


@dataclass(frozen=True)
class BatchDeps:
    """What is needed to work on any batch. `now` is the wall clock in seconds, `spool` a folder for what is read."""

    batches: BatchRepository
    files: FileRepository
    dispatch: RequestDispatcher
    idle_gate: IdleGate
    permits: asyncio.Semaphore
    spool: Path
    now: Callable[[], float]


class BatchRun:
    """One owned batch under way. Used once."""

    def __init__(self, means: BatchDeps, owner: str, batch: Batch) -> None:
        self._means = means
        self._book = means.batches
        self._owner = owner
        self._batch = batch
        self._seen = batch  # as it last stood, by `renew`
        self._file = means.spool / f"{batch.id}.jsonl"
        self._ended = asyncio.Event()  # no more lines are to be done, as seen by `renew`
        self.lines_left = 0
        self._kept = self._checked = 0  # bytes of outcomes, and how many there were when room was looked for last
        self._is_full = False

    async def renew(self) -> None:
        """Own the batch for longer, and see how it stands. Raises NotFound where it is lost."""
        self._seen = await asyncio.to_thread(self._book.renew, self._owner, self._batch.id, LEASE_S)
        if self._seen.status != "in_progress" or self._left_s <= 0:
            self._ended.set()

    async def run(self) -> None:
        """Do what is left to do. Raises NotFound where another process has taken the batch over."""
        try:
            if self._batch.status in ("validating", "in_progress"):
                await self._run_lines()
            if self._batch.finalizing_at is None:
                await self._start_finalizing()
            for are_answers in (True, False):
                self._batch = await self._retry_forever(self._write_output, are_answers=are_answers)
            await self._retry_forever(self._book.finish, self._owner, self._batch.id)
        finally:
            self._file.unlink(missing_ok=True)

    async def _run_lines(self) -> None:
        try:
            found = await self._retry_forever(self._read)
        except InvalidInputFile as unworkable:
            await self._start_finalizing(errors=unworkable.errors)
            return
        total = len(found.lines)
        self._batch = await self._retry_forever(self._book.start, self._owner, self._batch.id, total, found.model)
        if self._batch.status != "in_progress":
            return
        left = await self._undone(found)
        self.lines_left = len(left)
        await self._record([results.rejected_result(line, line.error) for line in left if line.error is not None])
        self._seen = self._batch
        self._ended.clear()
        await self.renew()
        await self._run_until_stopped([line for line in left if line.error is None])
        if self._seen.status == "in_progress":
            await self._start_finalizing(expired=[results.expired_result(line) for line in await self._undone(found)])

    def _read(self) -> BatchInput:
        try:
            file = self._means.files.get(self._batch.project, self._batch.input_file_id)
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._means.files.copy(file, self._file)
        except NotFound as error:
            raise InvalidInputFile([BatchError(code=_CODE, message=error.message, param="input_file_id")]) from error
        return input_file.read_input(self._file, self._batch.endpoint)

    async def _undone(self, found: BatchInput) -> Sequence[BatchLine]:
        done = await self._retry_forever(self._book.finished_lines, self._batch.id)
        return [line for line in found.lines if line.number not in done]

    async def _run_until_stopped(self, lines: Sequence[BatchLine]) -> None:
        """Do lines until all are done, the batch is cancelled, or its time is over."""
        queue = iter(lines)
        workers = {asyncio.create_task(self._consume(queue)) for _ in range(MAX_CONCURRENT_LINES)}
        watch = asyncio.create_task(self._ended.wait())
        tasks: set[asyncio.Task[Any]] = {*workers, watch}
        try:
            while not watch.done() and any(not task.done() for task in workers):
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                tasks -= done
        finally:
            for task in (*workers, watch):
                task.cancel()
            await asyncio.gather(*workers, watch, return_exceptions=True)

    @property
    def _left_s(self) -> float:
        return self._batch.expires_at - self._means.now()

    async def _consume(self, queue: Iterator[BatchLine]) -> None:
        for line in queue:
            await self._record([await self._done(line)])

    async def _done(self, line: BatchLine) -> LineResult:
        """Ask until there is an answer that counts."""
        if self._is_full:
            return results.rejected_result(line, BatchError(code=_FULL_CODE, message=_FULL, line=line.number))
        body = await self._retry_forever(input_file.read_request, self._file, line)
        n_tries = 0
        while True:
            async with self._means.permits:
                await self._means.idle_gate.wait_open()
                batch = self._batch
                reply = await self._means.dispatch(batch.project, batch.key, batch.endpoint, body)
            pause_s = results.wait_s(reply, n_tries, self._left_s)
            if pause_s is None:
                return results.response_result(line, reply)
            n_tries += results.counts_as_attempt(reply)
            await asyncio.sleep(pause_s)

    async def _record(self, found: Sequence[LineResult]) -> None:
        if found:
            await self._retry_forever(self._book.add_results, self._owner, self._batch.id, found)
            self.lines_left -= len(found)
            self._kept += sum(len(each.text) for each in found)
        if self._kept >= self._checked + _LOOK_BYTES:
            self._checked = self._kept
            self._is_full = await self._retry_forever(self._has_no_room)

    def _has_no_room(self) -> bool:
        """Whether the project may keep no more than the outcomes so far."""
        try:
            self._means.files.check_room(self._batch.project, self._kept)
        except InvalidRequest:
            return True
        return False

    async def _start_finalizing(self, *, errors: Sequence[BatchError] = (), expired: Sequence[LineResult] = ()) -> None:
        self._batch = await self._retry_forever(
            self._book.start_finalizing, self._owner, self._batch.id, errors=errors, expired=expired
        )
        self.lines_left = 0

    def _write_output(self, *, are_answers: bool) -> Batch:
        """Write the outcomes down and keep them as a file, if that is not done; none where there are none."""
        batch = self._batch
        if (batch.output_file_id if are_answers else batch.error_file_id) is not None:
            return batch
        path = self._file.with_suffix(".outcomes")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            n_bytes = 0
            with path.open("wb") as file:
                for text in self._book.iterate_results(batch.id, are_answers=are_answers):
                    n_bytes += file.write(text.encode() + b"\n")
            return (
                self._book.create_output_file(self._owner, batch, path, are_answers=are_answers) if n_bytes else batch
            )
        finally:
            path.unlink(missing_ok=True)

    async def _retry_forever(self, act: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """Do what needs the disk or the database, in a thread, until it succeeds. Raises NotFound where it is lost."""
        while True:
            try:
                return await asyncio.to_thread(act, *args, **more)
            except (NotFound, InvalidInputFile):
                raise
            except (HomeportError, OSError) as error:
                _log.warning("batch %s waits: %s", self._batch.id, error)
                await asyncio.sleep(_RETRY_INTERVAL_S)
