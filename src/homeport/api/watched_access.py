"""Event streams that may last for hours, and end when their caller loses access: its key is revoked or expires, or its
session of the page ends.

Knows nothing of the events.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request

from homeport.api.access_policy import is_administrative
from homeport.api.request_context import internal_caller_of
from homeport.api.services import services
from homeport.api.streaming import EventStream
from homeport.domain.errors import Unauthenticated


def stream_while_allowed(request: Request, source: AsyncGenerator[bytes, None]) -> EventStream:
    """Return the stream of `source`. Access is checked before each event; without it, the last event is an error."""
    limits = services(request).limits
    return EventStream(_allowed(request, source), {}, ping_s=limits.ping_s, stall_s=limits.stall_s)


async def _allowed(request: Request, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(source):
        async for frames in source:
            _check(request)
            yield frames


def _check(request: Request) -> None:
    """Raise Unauthenticated if the request would be refused now."""
    access, internal_caller = services(request).access, internal_caller_of(request.scope)
    if internal_caller is not None:
        access.authenticate_internal(internal_caller)
    elif not is_administrative(request.scope["path"]):
        access.authenticate(request.headers)
    elif not access.is_admin(request.headers):
        raise Unauthenticated("The admin key or the session of this stream is no longer valid.")
