"""What a request costs: counted while it runs, recorded once when it ends."""

import logging
from collections.abc import Sequence

from starlette.requests import Request

from homeport.api.metrics import RequestMetrics
from homeport.api.request_context import context_of
from homeport.api.services import services
from homeport.domain.errors import StorageFull
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    EmbeddingVectors,
    Event,
    ModerationVerdict,
    MusicFinished,
    ReasoningDelta,
    RecordingInfo,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from homeport.domain.models import ResolvedModel
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import TextRequest
from homeport.domain.usage import UsageRecord
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.request_tickets import RequestTicket

_USER_CHARS = 256

_log = logging.getLogger("homeport.usage")


class UsageCounter:
    """Counts the cost of a request from its events.

    `usage`: what the worker reported with `Done`; until then the admitted prompt and the tokens of the deltas.
    `seconds`: the length of a recording, or of the music that is complete. `is_cut`: a limit of the key ended a choice.
    """

    def __init__(self, metrics: RequestMetrics, choices: int = 1) -> None:
        self.metrics = metrics
        self.usage = Usage()
        self.seconds = 0.0
        self.is_cut = False
        self._choice_tokens = [0] * choices if choices > 1 else []
        self._is_single_result = False

    def on_admitted(self, admitted: Admitted) -> None:
        """Count the prompt."""
        self.usage = Usage(admitted.prompt_tokens)
        self.metrics.on_admitted(admitted.prompt_tokens)

    def count(self, events: Sequence[Event]) -> None:
        """Count a batch of events."""
        tokens = thought = 0
        total: Usage | None = None
        for event in events:
            if isinstance(event, TextDelta):
                tokens += event.tokens
                if self._choice_tokens:
                    self._choice_tokens[event.choice] += event.tokens
            elif isinstance(event, ReasoningDelta | ToolCallDelta):
                tokens += event.tokens
                thought += self._count_structured(event)
            elif isinstance(event, ChoiceFinished):
                self.metrics.on_finished(event.reason)
                self.is_cut = self.is_cut or event.is_cut
            elif isinstance(event, EmbeddingVectors | ModerationVerdict):
                self._is_single_result = True
            elif isinstance(event, RecordingInfo):
                self.seconds = event.seconds
            elif isinstance(event, MusicFinished):
                self.seconds += event.seconds
            elif isinstance(event, Done):
                total = event.usage
                if self._is_single_result:
                    self.metrics.on_finished("stop")
        if tokens:
            self.metrics.count_tokens(tokens)
        if tokens or total:
            so_far = self.usage
            completion = so_far.completion_tokens + tokens
            self.usage = total or Usage(so_far.prompt_tokens, completion, 0, so_far.reasoning_tokens + thought)

    def _count_structured(self, event: ReasoningDelta | ToolCallDelta) -> int:
        """Count a delta that is not text; return how many of its tokens are reasoning."""
        if self._choice_tokens:
            self._choice_tokens[event.choice] += event.tokens
        if isinstance(event, ReasoningDelta):
            return event.tokens
        if event.id:
            self.metrics.count_tool_call()
        return 0

    def close(self) -> None:
        """End the measurements, whether or not the answer is complete."""
        self.metrics.close(self.usage, max(self._choice_tokens) if self._choice_tokens else None)


class RequestAccounting:
    """Records once what a request cost: in the metrics, the key's limits and the usage ledger.

    `user`: the caller's own name of the end user. `ticket`: counts the tokens; None: that of the request.
    """

    def __init__(
        self,
        request: Request,
        resolved: ResolvedModel,
        engine_request: EngineRequest,
        endpoint: str,
        user: str | None,
        ticket: RequestTicket | None = None,
    ) -> None:
        self._services = services(request)
        self._context = context_of(request.scope)
        self._ticket = ticket or self._context.rate_ticket
        self._model = resolved.served_model.facts.name
        self._user = (user or "")[:_USER_CHARS]
        self._characters = len(engine_request.text) if isinstance(engine_request, SpeechRequest) else 0
        self._is_recorded = False
        metrics = self._services.metrics.start_request(self._model, endpoint, is_background=self._context.is_background)
        choices = len(engine_request.prompts) * engine_request.n if isinstance(engine_request, TextRequest) else 1
        self.counter = UsageCounter(metrics, choices)

    def record(self, status: str = "ok") -> None:
        """Record the cost, unless that is done. Raises StorageFull if the ledger has no room for a complete answer."""
        if self._is_recorded:
            return
        self._is_recorded = True
        self.counter.close()
        self.counter.metrics.on_ended(status)
        usage, caller = self.counter.usage, self._context.caller
        self._ticket.settle(usage.prompt_tokens + usage.completion_tokens)
        self._services.metrics.count_usage(caller.project, caller.key_id, usage)
        if self._services.ledger is None:
            return
        try:
            self._services.ledger.write(self._usage_record(status))
        except StorageFull:
            if status == "ok":
                raise
            _log.exception("cannot record the usage of request_id=%s", self._context.id)

    async def wait_until_durable(self) -> None:
        """Wait, for a limited time, until the record would survive a power cut."""
        if self._services.ledger is not None:
            await self._services.ledger.wait_synced()

    def _usage_record(self, status: str) -> UsageRecord:
        metrics, usage, context = self.counter.metrics, self.counter.usage, self._context
        return UsageRecord(
            at=int(self._services.now()),
            request=context.id,
            project=context.caller.project,
            model=self._model,
            endpoint=metrics.endpoint,
            key=context.caller.key_id,
            user=self._user,
            status=status,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            amount=self._characters or self.counter.seconds,
            first_ms=metrics.first_ms,
            whole_ms=metrics.elapsed_ms,
            is_batch=context.is_background,
        )
