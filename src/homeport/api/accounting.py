"""What a request used, counted while it runs and recorded when it ends."""

import logging
from collections.abc import Sequence

from starlette.requests import Request

from homeport.api.metrics import RequestMetrics
from homeport.api.request_context import RequestContext, context_of
from homeport.api.services import services
from homeport.domain import worker_messages
from homeport.domain.errors import StorageFull
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    RecordingInfo,
    Usage,
)
from homeport.domain.models import ResolvedModel
from homeport.domain.speech import SpeechRequest
from homeport.domain.usage import UsageRecord

_log = logging.getLogger("homeport.usage")


class UsageCounter:
    """Counts what a request costs: until the worker says it, what was admitted. `seconds`: of a recording.

    `is_cut`: a limit of the key ended an answer.
    """

    def __init__(self, meter: RequestMetrics) -> None:
        self.meter = meter
        self.usage = Usage()
        self.seconds = 0.0
        self.is_cut = False

    def admitted(self, admitted: Admitted) -> None:
        """The worker took the request."""
        self.usage = Usage(admitted.prompt_tokens)
        self.meter.on_admitted(admitted.prompt_tokens)

    def count(self, events: Sequence[Event]) -> None:
        """Look through what has just arrived."""
        for event in events:
            if isinstance(event, Done):
                self.usage = event.usage
            elif isinstance(event, RecordingInfo):
                self.seconds = event.seconds

    def close(self) -> None:
        """The request is over, whole or not."""
        self.meter.close(self.usage)


class RequestAccounting:
    """Writes down once what a request cost, for meters, limits and the ledger, whatever came of it."""

    def __init__(
        self, request: Request, resolved: ResolvedModel, asked: worker_messages.EngineRequest, tally: UsageCounter
    ) -> None:
        self.counter = tally
        self._exchange = context_of(request.scope)
        self._house = services(request)
        self._model = resolved.served_model.facts.name
        self._characters = len(asked.text) if isinstance(asked, SpeechRequest) else 0
        self._is_settled = False

    def record(self, status: str = "ok") -> None:
        """Write it down, if it is not yet. Raises StorageFull where the ledger finds no room."""
        if self._is_settled:
            return
        self._is_settled = True
        tally, exchange = self.counter, self._exchange
        tally.close()
        exchange.rate_ticket.settle(tally.usage.prompt_tokens + tally.usage.completion_tokens)
        caller = exchange.caller
        self._house.metrics.count_usage(caller.project, caller.key_id, tally.usage)
        if self._house.ledger is None:
            return
        try:
            self._house.ledger.write(self._usage_record(exchange, status))
        except StorageFull:
            if status == "ok":
                raise
            _log.exception("usage of request_id=%s is not written down", exchange.id)

    async def kept(self) -> None:
        """Wait, for a moment at most, until what was written down would survive a power cut."""
        if self._house.ledger is not None:
            await self._house.ledger.kept()

    def _usage_record(self, exchange: RequestContext, status: str) -> UsageRecord:
        meter, usage = self.counter.meter, self.counter.usage
        return UsageRecord(
            at=int(self._house.now()),
            request=exchange.id,
            project=exchange.caller.project,
            model=self._model,
            endpoint=meter.endpoint,
            key=exchange.caller.key_id,
            user=exchange.user,
            status=status,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            amount=self._characters or self.counter.seconds,
            first_ms=meter.first_ms,
            whole_ms=meter.elapsed_ms,
            is_batch=exchange.is_background,
        )
