"""Writers of responses: a stream of events, or one body. Both end with the same response.

Knows nothing of HTTP, admission or accounting.
"""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from homeport.api import json_codec
from homeport.api.request_context import RequestContext
from homeport.api.responses.event_frames import EventFrames
from homeport.api.responses.events import ErrorReported, ResponseChanged
from homeport.api.responses.output import ResponseOutput
from homeport.api.responses.plan import FinishedResponse, ResponsePlan
from homeport.api.responses.render import encode, to_failed, to_finished, with_output
from homeport.api.responses.response_object import ResponseObject
from homeport.api.responses.tool_turns import ToolTurns, TurnPlan
from homeport.api.text_generation.writers import changes_header
from homeport.api.writer import AnswerMetadata, Delivery, Writer
from homeport.domain.errors import HomeportError
from homeport.domain.events import Event
from homeport.domain.worker_messages import EngineRequest

_log = logging.getLogger("homeport.responses")


def response_writer(plan: ResponsePlan, context: RequestContext, turns: TurnPlan | None = None) -> Writer:
    """Make the writer that a response asks for. `turns`: those of its hosted tools; None: it has no such tools."""
    if plan.is_streamed:
        return ResponseStreamWriter(plan, context, turns)
    return ResponseAnswerWriter(plan, context, turns)


class _ResponseWriter(Writer):
    """What the writers have in common: the output, and the turns of the hosted tools."""

    def __init__(
        self, plan: ResponsePlan, context: RequestContext, turns: TurnPlan | None, frames: EventFrames | None = None
    ) -> None:
        self._plan = plan
        self._context = context
        self._output = ResponseOutput(plan, frames)
        self._turns = None
        if turns is not None:
            self._turns = ToolTurns(turns, self._output, frames.add if frames else lambda _: None)

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        return {**super().on_admitted(answer), **changes_header(answer, self._plan.first.changes)}

    def opening(self) -> bytes:
        """Make the items with which the output begins."""
        if self._turns is not None:
            self._turns.begin()
        return b""

    @property
    def has_work(self) -> bool:
        """Whether calls of hosted tools are to be executed."""
        return self._turns is not None and self._turns.are_due

    async def work(self) -> AsyncGenerator[bytes, None]:
        """Execute the calls."""
        if self._turns is not None:
            async with aclosing(self._turns.run()) as steps:
                async for _ in steps:
                    yield self._written()

    async def next_request(self) -> EngineRequest | None:
        """Return the request of the model's next turn."""
        return None if self._turns is None else await self._turns.next_request(self.usage)

    def _written(self) -> bytes:
        """Return what is to be sent of the output since the last call."""
        return b""

    async def _finish(self) -> ResponseObject:
        """Store the response at its end, and return it without output."""
        plan, output = self._plan, self._output
        usage = plan.first.usage + self.usage
        finished = to_finished(plan.base, output.reason, usage, plan.now(), self._context.limited_by)
        await _store(plan, finished, output)
        return finished


class ResponseAnswerWriter(_ResponseWriter):
    """Collects a response and writes one body."""

    def __init__(self, plan: ResponsePlan, context: RequestContext, turns: TurnPlan | None = None) -> None:
        super().__init__(plan, context, turns)

    def write(self, events: Sequence[Event]) -> bytes:
        """Collect the items; return nothing yet."""
        self._output.add(events)
        return b""

    async def finish(self) -> bytes:
        """Store the response, and return its body."""
        return json_codec.encode(with_output(await self._finish(), self._output.returned))


class ResponseStreamWriter(_ResponseWriter):
    """Writes the events of a response."""

    delivery = Delivery.SSE

    def __init__(self, plan: ResponsePlan, context: RequestContext, turns: TurnPlan | None = None) -> None:
        self._pieces: list[bytes] = []
        self._frames = EventFrames(self._pieces, is_padded=plan.is_padded)
        super().__init__(plan, context, turns, self._frames)

    def opening(self) -> bytes:
        """Return the events with which the response begins."""
        for name in ("created", "in_progress"):
            self._frames.add(ResponseChanged(type=f"response.{name}", response=self._plan.base))
        for index, item in enumerate(self._plan.first.items):
            self._frames.add_whole(msgspec.Raw(item.body.encode()), index)
        super().opening()
        return self._written()

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        self._output.add(events)
        written = b"".join(self._pieces)
        self._pieces.clear()
        return written

    async def finish(self) -> bytes:
        """Store the response, and return the event that it has ended."""
        return self._end(await self._finish())

    async def render_error(self, error: HomeportError) -> bytes:
        """Store the response as failed, and return the events that say why, also if it cannot be stored."""
        self._frames.add(ErrorReported(type="error", code=error.code, message=error.message, param=error.param))
        failed = to_failed(self._plan.base, error, self._plan.first.usage + self.usage)
        try:
            await _store(self._plan, failed, self._output)
        except Exception:  # often the error itself: a full disk, a deleted conversation
            _log.warning("the failed response %s is not stored", failed.id, exc_info=True)
        return self._end(failed)

    def _written(self) -> bytes:
        return self.write(())

    def _end(self, finished: ResponseObject) -> bytes:
        whole = with_output(finished, self._output.returned)
        self._frames.add(ResponseChanged(type=f"response.{finished.status}", response=whole))
        return self._written()


async def _store(plan: ResponsePlan, finished: ResponseObject, output: ResponseOutput) -> None:
    if plan.on_end is not None:
        await plan.on_end(FinishedResponse(finished.status, encode(finished), tuple(output.returned)))
