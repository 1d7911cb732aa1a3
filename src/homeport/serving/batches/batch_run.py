"""One batch, run from its current state to its end. Knows nothing of which batch is next.

However the process ends, the next owner of the batch resumes from what is stored: first results of lines, then files.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from homeport.domain.batches import Batch, BatchError, LineResult
from homeport.domain.errors import HomeportError, InvalidRequest, NotFound
from homeport.domain.ports.batches import RequestDispatcher
from homeport.domain.ports.serving import IdleGate
from homeport.domain.ports.store import BatchRepository, FileRepository
from homeport.serving.batches import input_file, result_lines
from homeport.serving.batches.input_file import BatchInput, BatchLine, InvalidInputFile

P = ParamSpec("P")
T = TypeVar("T")

_CONCURRENT_LINES = 8  # of one batch; `BatchDeps.permits` bounds those of all batches
LEASE_S, RENEW_INTERVAL_S = 6.0, 1.0
_RETRY_INTERVAL_S = 5.0
_CODE = "file_not_found"
_FULL_CODE, _FULL = "storage_limit_exceeded", "The project has reached its storage limit."
_CHECK_BYTES = 1_000_000

_log = logging.getLogger("homeport.batches")


@dataclass(frozen=True)
class BatchDeps:
    """What running a batch needs. `now` is the wall clock in seconds, `spool` a folder for copies of input files."""

    batches: BatchRepository
    files: FileRepository
    dispatch: RequestDispatcher
    idle_gate: IdleGate
    permits: asyncio.Semaphore
    spool: Path
    now: Callable[[], float]


class BatchRun:
    """One run of an owned batch. Used once."""

    def __init__(self, deps: BatchDeps, owner: str, batch: Batch) -> None:
        self._deps = deps
        self._batches = deps.batches
        self._owner = owner
        self._batch = batch
        self._latest = batch  # its latest state, as `renew` read it
        self._file = deps.spool / f"{batch.id}.jsonl"
        self._ended = asyncio.Event()  # set by `renew` when no more lines may run
        self.lines_left = 0
        self._result_bytes = 0
        self._checked_bytes = 0  # `_result_bytes` at the last check of the storage limit
        self._is_full = False

    async def renew(self) -> None:
        """Extend the ownership of the batch, and read its state. Raises NotFound if it is lost; then all lines end."""
        try:
            self._latest = await asyncio.to_thread(self._batches.renew, self._owner, self._batch.id, LEASE_S)
        except NotFound:
            self._ended.set()  # the next change of the batch raises NotFound too, and ends the run
            raise
        if self._latest.status != "in_progress" or self._left_s <= 0:
            self._ended.set()

    async def run(self) -> None:
        """Run what is left. Raises NotFound if another process has taken the batch over."""
        try:
            if self._batch.status in ("validating", "in_progress"):
                await self._run_lines()
            if self._batch.finalizing_at is None:
                await self._start_finalizing()
            for are_answers in (True, False):
                self._batch = await self._retry_forever(self._write_output, are_answers=are_answers)
            await self._retry_forever(self._batches.finish, self._owner, self._batch.id)
        finally:
            self._file.unlink(missing_ok=True)

    async def _run_lines(self) -> None:
        try:
            batch_input = await self._retry_forever(self._read)
        except InvalidInputFile as error:
            await self._start_finalizing(errors=error.errors)
            return
        total = len(batch_input.lines)
        self._batch = await self._retry_forever(
            self._batches.start, self._owner, self._batch.id, total, batch_input.model
        )
        if self._batch.status != "in_progress":
            return
        unfinished = await self._unfinished(batch_input)
        self.lines_left = len(unfinished)
        await self._record(
            [result_lines.rejected_result(line, line.error) for line in unfinished if line.error is not None]
        )
        self._latest = self._batch
        self._ended.clear()
        await self.renew()
        await self._run_until_stopped([line for line in unfinished if line.error is None])
        if self._latest.status == "in_progress":
            await self._start_finalizing(
                expired=[result_lines.expired_result(line) for line in await self._unfinished(batch_input)]
            )

    def _read(self) -> BatchInput:
        try:
            file = self._deps.files.get(self._batch.project, self._batch.input_file_id)
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._deps.files.copy(file, self._file)
        except NotFound as error:
            raise InvalidInputFile([BatchError(code=_CODE, message=error.message, param="input_file_id")]) from error
        return input_file.read_input(self._file, self._batch.endpoint)

    async def _unfinished(self, batch_input: BatchInput) -> Sequence[BatchLine]:
        done = await self._retry_forever(self._batches.finished_lines, self._batch.id)
        return [line for line in batch_input.lines if line.number not in done]

    async def _run_until_stopped(self, lines: Sequence[BatchLine]) -> None:
        """Run lines until all are done, or the batch is cancelled or expires."""
        queue = iter(lines)
        workers = {asyncio.create_task(self._consume(queue)) for _ in range(_CONCURRENT_LINES)}
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
        return self._batch.expires_at - self._deps.now()

    async def _consume(self, queue: Iterator[BatchLine]) -> None:
        for line in queue:
            await self._record([await self._dispatch_line(line)])

    async def _dispatch_line(self, line: BatchLine) -> LineResult:
        """Dispatch a line until its response is final."""
        if self._is_full:
            return result_lines.rejected_result(line, BatchError(code=_FULL_CODE, message=_FULL, line=line.number))
        body = await self._retry_forever(input_file.read_request, self._file, line)
        n_attempts = 0
        while True:
            async with self._deps.permits:
                await self._deps.idle_gate.wait_open()
                batch = self._batch
                response = await self._deps.dispatch(batch.project, batch.key, batch.endpoint, body)
            pause_s = result_lines.wait_s(response, n_attempts, self._left_s)
            if pause_s is None:
                return result_lines.response_result(line, response)
            n_attempts += result_lines.counts_as_attempt(response)
            await asyncio.sleep(pause_s)

    async def _record(self, results: Sequence[LineResult]) -> None:
        if results:
            await self._retry_forever(self._batches.add_results, self._owner, self._batch.id, results)
            self.lines_left -= len(results)
            self._result_bytes += sum(len(each.text) for each in results)
        if self._result_bytes >= self._checked_bytes + _CHECK_BYTES:
            self._checked_bytes = self._result_bytes
            self._is_full = await self._retry_forever(self._exceeds_storage)

    def _exceeds_storage(self) -> bool:
        """Return whether the results so far fill the project's storage."""
        try:
            self._deps.files.check_room(self._batch.project, self._result_bytes)
        except InvalidRequest:
            return True
        return False

    async def _start_finalizing(self, *, errors: Sequence[BatchError] = (), expired: Sequence[LineResult] = ()) -> None:
        self._batch = await self._retry_forever(
            self._batches.start_finalizing, self._owner, self._batch.id, errors=errors, expired=expired
        )
        self.lines_left = 0

    def _write_output(self, *, are_answers: bool) -> Batch:
        """Write the results to an output file, unless that is done or there are none."""
        batch = self._batch
        if (batch.output_file_id if are_answers else batch.error_file_id) is not None:
            return batch
        path = self._file.with_suffix(".outcomes")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            n_bytes = 0
            with path.open("wb") as file:
                for text in self._batches.iterate_results(batch.id, are_answers=are_answers):
                    n_bytes += file.write(text.encode() + b"\n")
            return (
                self._batches.create_output_file(self._owner, batch, path, are_answers=are_answers)
                if n_bytes
                else batch
            )
        finally:
            path.unlink(missing_ok=True)

    async def _retry_forever(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Repeat an action on disk or database, in a thread, until it succeeds. Raises NotFound if ownership ends."""
        while True:
            try:
                return await asyncio.to_thread(action, *args, **kwargs)
            except (NotFound, InvalidInputFile):
                raise
            except (HomeportError, OSError) as error:
                _log.warning("batch %s waits: %s", self._batch.id, error)
                await asyncio.sleep(_RETRY_INTERVAL_S)
