"""One checked request of a text endpoint, run: its events written as a stream of chunks or as one answer.

Knows nothing of the fields of any endpoint. Whatever happens, the worker's stream is closed and the cost counted.
"""

import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.request_context import context_of
from homeport.api.runner import (
    AdmittedRequest,
    admit,
    model_header,
    respond_whole,
)
from homeport.api.services import services
from homeport.api.streaming import EventStream
from homeport.api.text_generation.choices import AnswerMetadata, ChoicesCollector, limited
from homeport.api.text_generation.stream import ChunkRenderer, TextStreamWriter
from homeport.domain.events import Admitted, Usage
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TextRequest

CHANGED = "x-homeport-messages"
"""The header that says what was done to a conversation."""


class AnswerRenderer(Protocol):
    """How one endpoint writes a whole answer."""

    def answer(self, collected: ChoicesCollector, usage: Usage) -> msgspec.Struct:
        """Make the answer, ready to be encoded as JSON."""
        ...


@dataclass(frozen=True)
class TextCall:
    """What is to be run. `prefix` begins the answer's id. `chunks` is None where one answer is wanted, no stream.

    `is_padded`: chunks are padded, so that their sizes tell little.
    """

    endpoint: str
    prefix: str
    resolved: ResolvedModel
    request: TextRequest
    whole: Callable[[AnswerMetadata, Admitted], AnswerRenderer]
    chunks: Callable[[AnswerMetadata, Admitted], ChunkRenderer] | None = None
    is_padded: bool = False

    @property
    def choices(self) -> int:
        """How many choices the answer has."""
        return len(self.request.prompts) * self.request.n


async def run_text_call(request: Request, call: TextCall) -> Response:
    """Run a call and answer it. Raises what the model or the server says against it; Departed if the caller left."""
    headers = dict(model_header(call.resolved))
    run = _TextRun(request, call, headers)
    if call.chunks is None:
        return await respond_whole(request, call.resolved, run.answer(), headers=headers)
    limits = services(request).limits
    return EventStream(run.frames(call.chunks), headers, ping_s=limits.ping_s, stall_s=limits.stall_s)


class _TextRun:
    """One call under way. Used once. `headers` are filled in when it is admitted."""

    def __init__(self, request: Request, call: TextCall, headers: dict[str, str]) -> None:
        self._request = request
        self._call = call
        self._headers = headers

    async def frames(self, shape: Callable[[AnswerMetadata, Admitted], ChunkRenderer]) -> AsyncGenerator[bytes, None]:
        """Give the frames of each wake-up; first, when the request is admitted, nothing."""
        async with self._admit() as under_way:
            self._tell(under_way.admitted)
            frames = TextStreamWriter(
                shape(self._head(), under_way.admitted),
                lambda: under_way.limited_by,
                is_padded=self._call.is_padded,
            )
            yield b""
            async for batch in under_way:
                yield frames.write(batch)

    async def answer(self) -> bytes:
        """Collect the whole answer."""
        async with self._admit() as under_way:
            self._tell(under_way.admitted)
            answerer = self._call.whole(self._head(), under_way.admitted)
            collected = ChoicesCollector(self._call.choices)
            async for batch in under_way:
                collected.add(batch)
            answer = answerer.answer(collected, under_way.usage)
            return json_codec.encode(limited(answer, under_way.limited_by))

    def _admit(self) -> AbstractAsyncContextManager[AdmittedRequest]:
        resolved = self._call.resolved
        # Token ids in a request are those of the name it was sent to.
        asked = msgspec.structs.replace(
            self._call.request,
            encoding=resolved.encoding,
            adapter=resolved.adapter,
            is_background=context_of(self._request.scope).is_background,
        )
        return admit(self._request, resolved, asked, self._call.endpoint)

    def _tell(self, admitted: Admitted) -> None:
        """Say in a header what the messages became, where the model's template does not take them as they are."""
        if admitted.changes:
            self._headers[CHANGED] = ", ".join(admitted.changes)

    def _head(self) -> AnswerMetadata:
        """Make the answer's head. Not before admission: the fingerprint is of the loaded model."""
        resolved, house = self._call.resolved, services(self._request)
        fingerprint = house.fingerprint(resolved)
        return AnswerMetadata(
            f"{self._call.prefix}{uuid.uuid4().hex}", int(house.now()), resolved.requested_name, fingerprint
        )
