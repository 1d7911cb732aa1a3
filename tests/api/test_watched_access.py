"""Event streams that end when their caller loses access."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import Request
from starlette.types import Message

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.log_lines import LogLine, LogLines
from homeport.api.page.sessions import PageSessions
from homeport.api.watched_access import stream_while_allowed
from homeport.domain.keys import Key
from tests.api.asgi import call
from tests.api.event_reader import reading
from tests.api.fakes import services


def _line(message: str) -> LogLine:
    return LogLine(1.5, "info", "homeport.x", message, "")


@pytest.mark.parametrize("is_signed_out", [True, False])
async def test_a_stream_ends_with_its_session(is_signed_out: bool) -> None:
    """Once a session has ended or expired, its open stream tells nothing more, but why, and ends."""
    now = [0.0]
    sessions, lines = PageSessions(lambda: now[0]), LogLines()
    access = dataclasses.replace(AccessPolicy.from_keys(["key"]), is_session=sessions.is_valid)
    app = build_application(services(access=access, page_sessions=sessions, log_lines=lines))
    issued = sessions.begin(sessions.create_link().token)
    headers = {"authorization": f"Bearer {issued.token}"}
    async with reading(app, "/admin/v1/logs/events", headers) as (reader, task):
        lines.append(_line("seen"))
        assert (await reader.take())["message"] == "seen"
        if is_signed_out:
            sessions.end(issued.token)
        else:
            now[0] += issued.expires_in_s
        lines.append(_line("unseen"))
        assert (await reader.take())["error"]["code"] == "invalid_api_key"
        async with asyncio.timeout(10):
            await task
    assert (await call(app, "GET", "/admin/v1/logs", headers=headers)).status == 404


class Keys:
    """One stored key, which a test revokes."""

    requires_key = True
    is_revoked = False

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret."""
        return None if self.is_revoked else Key(id="key_1", project="p", name="n", hint="", created_at=0)

    def find_by_id(self, key_id: str) -> Key | None:
        """Return the key with this id."""
        return self.find(key_id)

    async def refresh(self) -> None:
        """Have nothing to load."""


async def test_a_stream_ends_with_its_key() -> None:
    """Once a caller's key is revoked, its open stream has no more of the source's events, and closes the source."""
    keys, sent, closed = Keys(), list[bytes](), asyncio.Event()
    app = build_application(services(access=AccessPolicy(key_cache=keys)))

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: 1\n\n"
            keys.is_revoked = True
            yield b"data: 2\n\n"
        finally:
            closed.set()

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    scope = {"type": "http", "path": "/v1/fine-tunes/ft-1/events", "headers": [(b"api-key", b"sk")], "app": app}
    await stream_while_allowed(Request(scope), source())(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    assert b"data: 1" in b"".join(sent)
    assert b"data: 2" not in b"".join(sent)
    assert b"invalid_api_key" in b"".join(sent)
    assert closed.is_set()
