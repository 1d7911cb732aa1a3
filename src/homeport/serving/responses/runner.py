"""Claims and runs background responses: the oldest first, several at a time, each owned while it runs.

Knows nothing of their events. Another process with the same database takes over what this one leaves.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence

from homeport.domain.errors import NotFound
from homeport.domain.ports.responses import ConversationRepository, ResponseDispatcher, ResponseRepository
from homeport.domain.responses import StoredResponse
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.responses.run import ResponseRun, RunDeps
from homeport.serving.responses.signals import ResponseSignals, wait_for

LEASE_S, RENEW_INTERVAL_S = 6.0, 1.0
MAX_RUNNING = 8
"""Requests at once: enough to fill one engine's batches, and few enough to leave room for other callers."""
_MAX_OWNED = 64
"""Responses at once, with those whose requests are refused for now."""
_POLL_INTERVAL_S = 1.0
_FINISH_S = 2.0
"""How long a response whose answer has ended may take to be stored when the server stops."""

_log = logging.getLogger("homeport.responses")


class ResponseRunner:
    """The background responses that run in this process. `run` it next to the server."""

    def __init__(
        self,
        responses: ResponseRepository,
        conversations: ConversationRepository,
        dispatch: ResponseDispatcher,
        signals: ResponseSignals,
        loops: BackgroundLoops,
    ) -> None:
        self._responses = responses
        self._signals = signals
        self._loops = loops
        self._deps = RunDeps(responses, conversations, dispatch, signals, asyncio.Semaphore(MAX_RUNNING))
        self._owner = uuid.uuid4().hex
        self._runs: dict[asyncio.Task[None], ResponseRun] = {}
        self._claims = True

    @property
    def running(self) -> int:
        """Responses that run here, without those whose requests are refused for now."""
        return sum(not run.is_waiting for run in self._runs.values())

    async def run(self) -> None:
        """Claim and run responses until cancelled; unfinished ones are left to the next owner."""
        loops = (
            asyncio.create_task(self._loops.run("background_responses", self._claim_all, 0.0)),
            asyncio.create_task(
                self._loops.run("response_leases", self._renew, RENEW_INTERVAL_S, max_pause_s=RENEW_INTERVAL_S)
            ),
        )
        try:
            await asyncio.gather(*loops)
        finally:
            tasks = (*loops, *self._runs)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop_claiming(self) -> None:
        """Claim nothing more; what runs continues."""
        self._claims = False

    async def finish_ended(self) -> None:
        """Wait a short time for the responses whose answers have ended to be stored. Call it when all have."""
        ending = [task for task, run in self._runs.items() if not run.is_waiting]
        if ending:
            await asyncio.wait(ending, timeout=_FINISH_S)

    async def _claim_all(self) -> None:
        """Claim all that there is room for, then wait for more."""
        self._signals.queued.clear()
        while self._claims and self.running < MAX_RUNNING and len(self._runs) < _MAX_OWNED:
            response, cancelled = await asyncio.to_thread(self._claim)
            self._cancel(cancelled)
            if response is None:
                break
            if not self._signals.is_running(response.id):  # else it was not renewed in time, and still runs here
                self._start(response, is_cancelled=response.id in cancelled)
        await wait_for(self._signals.queued, _POLL_INTERVAL_S)

    def _claim(self) -> tuple[StoredResponse | None, Sequence[str]]:
        """Claim a response; also return those that are to be cancelled: it may be one of them."""
        response = self._responses.claim(self._owner, LEASE_S)
        return response, self._responses.renew(self._owner, LEASE_S) if response is not None else ()

    def _start(self, response: StoredResponse, *, is_cancelled: bool) -> None:
        run = ResponseRun(self._deps, self._owner, response)
        if is_cancelled:
            run.cancel()
        task = asyncio.create_task(self._run(run, response.id))
        self._runs[task] = run
        task.add_done_callback(self._remove)

    async def _run(self, run: ResponseRun, response_id: str) -> None:
        with self._signals.running(response_id, run.cancel):
            try:
                await run.run()
            except NotFound as error:
                _log.info("the response %s is deleted, or runs in another process: %s", response_id, error)
            except Exception:
                _log.exception("the response %s failed and is run again when its lease expires", response_id)
        self._signals.notify(response_id)

    def _remove(self, task: "asyncio.Task[None]") -> None:
        del self._runs[task]
        self._signals.queued.set()  # there is room for another one

    async def _renew(self) -> None:
        """Extend the ownership of all that runs here, and end what other processes were asked to cancel."""
        if self._runs:
            self._cancel(await asyncio.to_thread(self._responses.renew, self._owner, LEASE_S))

    def _cancel(self, response_ids: Sequence[str]) -> None:
        for response_id in response_ids:
            self._signals.cancel(response_id)
