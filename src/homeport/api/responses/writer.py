"""Writers of responses: a stream of events, or one body. Both end with the same response.

Knows nothing of HTTP, admission or accounting.
"""

import logging
from collections.abc import Mapping, Sequence

from homeport.api import json_codec
from homeport.api.request_context import RequestContext
from homeport.api.responses.event_frames import EventFrames
from homeport.api.responses.events import ErrorReported, ResponseChanged
from homeport.api.responses.output import ResponseOutput
from homeport.api.responses.plan import FinishedResponse, ResponsePlan
from homeport.api.responses.render import encode, to_failed, to_finished, with_output
from homeport.api.responses.response_object import ResponseObject
from homeport.api.text_generation.writers import changes_header
from homeport.api.writer import AnswerMetadata, CollectingWriter, Delivery, Writer
from homeport.domain.errors import HomeportError
from homeport.domain.events import Event

_log = logging.getLogger("homeport.responses")


def response_writer(plan: ResponsePlan, context: RequestContext) -> Writer:
    """Make the writer that a response asks for."""
    return ResponseStreamWriter(plan, context) if plan.is_streamed else ResponseAnswerWriter(plan, context)


class ResponseAnswerWriter(CollectingWriter):
    """Collects a response and writes one body."""

    def __init__(self, plan: ResponsePlan, context: RequestContext) -> None:
        self._plan = plan
        self._context = context
        self._output = ResponseOutput(plan)

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        return {**super().on_admitted(answer), **changes_header(answer)}

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the items."""
        self._output.add(events)

    async def finish(self) -> bytes:
        """Store the response, and return its body."""
        plan, output = self._plan, self._output
        finished = to_finished(plan.base, output.reason, self.usage, plan.now(), self._context.limited_by)
        await _store(plan, finished, output)
        return json_codec.encode(with_output(finished, output.items))


class ResponseStreamWriter(Writer):
    """Writes the events of a response."""

    delivery = Delivery.SSE

    def __init__(self, plan: ResponsePlan, context: RequestContext) -> None:
        self._plan = plan
        self._context = context
        self._frames = EventFrames(is_padded=plan.is_padded)
        self._output = ResponseOutput(plan, self._frames)

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        return {**super().on_admitted(answer), **changes_header(answer)}

    def opening(self) -> bytes:
        """Return the events with which the response begins."""
        for name in ("created", "in_progress"):
            self._frames.add(ResponseChanged(type=f"response.{name}", response=self._plan.base))
        return self._frames.take()

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        self._output.add(events)
        return self._frames.take()

    async def finish(self) -> bytes:
        """Store the response, and return the event that it has ended."""
        plan, output = self._plan, self._output
        finished = to_finished(plan.base, output.reason, self.usage, plan.now(), self._context.limited_by)
        await _store(plan, finished, output)
        return self._end(finished)

    async def render_error(self, error: HomeportError) -> bytes:
        """Store the response as failed, and return the events that say why, also if it cannot be stored."""
        self._frames.add(ErrorReported(type="error", code=error.code, message=error.message, param=error.param))
        failed = to_failed(self._plan.base, error, self.usage)
        try:
            await _store(self._plan, failed, self._output)
        except Exception:  # often the error itself: a full disk, a deleted conversation
            _log.warning("the failed response %s is not stored", failed.id, exc_info=True)
        return self._end(failed)

    def _end(self, finished: ResponseObject) -> bytes:
        whole = with_output(finished, self._output.items)
        self._frames.add(ResponseChanged(type=f"response.{finished.status}", response=whole))
        return self._frames.take()


async def _store(plan: ResponsePlan, finished: ResponseObject, output: ResponseOutput) -> None:
    if plan.on_end is not None:
        await plan.on_end(FinishedResponse(finished.status, encode(finished), tuple(output.items)))
