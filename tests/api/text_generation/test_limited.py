"""Answers that a limit of the key has ended."""

from typing import Any

import msgspec
import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    TextDelta,
    Usage,
)
from homeport.domain.keys import Key, KeyLimits
from homeport.domain.text import TextRequest
from homeport.serving.rate_limits import RateLimiter
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, Script, services
from tests.api.text_generation.calls import PATHS, PLAIN, events

LIMITED = Key(id="key_1", project="p", name="bot", hint="sk-1***xx", created_at=0, limits=KeyLimits(tokens_per_day=100))
CUT: Script = [[Admitted(5, (10,))], [TextDelta(0, "Once")], [ChoiceFinished(0, "length", True)], [Done(Usage(5, 95))]]


class OneKey:
    """A key cache with one key."""

    requires_key = True

    def find(self, secret: str) -> Key | None:
        """Return the key for any secret."""
        return LIMITED

    def find_by_id(self, key_id: str) -> Key | None:
        """Return the key for any id."""
        return LIMITED

    async def refresh(self) -> None:
        """Do nothing."""


async def post(
    endpoint: str, serving: FakeServing, rate_limiter: RateLimiter | None = None, **changes: Any
) -> AsgiResponse:
    server = services(
        serving, access=AccessPolicy.from_keys(key_cache=OneKey()), rate_limiter=rate_limiter or RateLimiter()
    )
    body = msgspec.json.encode({**PLAIN[endpoint], **changes})
    return await call(build_application(server), "POST", PATHS[endpoint], body, {"authorization": "Bearer sk-any"})


class Exhausting(FakeServing):
    """Uses the whole quota before it answers."""

    async def open(self, *given: Any, **more: Any) -> Any:
        """Ask for more tokens until there are none."""
        stream = await super().open(*given, **more)
        used, grant = 100, self.more
        assert grant is not None
        while n := grant(used, 10_000):
            assert isinstance(n, int)
            used += n
        return stream


@pytest.mark.parametrize("endpoint", ["chat", "completions", "edits"])
async def test_a_whole_answer_names_the_limit_that_ended_it(endpoint: str) -> None:
    """A whole answer names the limit in a header and in the body, so that a batch's line has it too."""
    response = await post(endpoint, Exhausting(lambda _: CUT))
    assert response.status == 200
    assert response.headers["x-homeport-limited-by"] == "tokens_per_day"
    assert response.json["limited_by"] == "tokens_per_day"
    whole = await post(endpoint, FakeServing())
    assert "x-homeport-limited-by" not in whole.headers
    assert "limited_by" not in whole.json


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
async def test_a_stream_names_the_limit_in_the_last_chunk_of_a_choice(endpoint: str) -> None:
    """In a stream only the chunk with `finish_reason: length` names the limit."""
    response = await post(endpoint, Exhausting(lambda _: CUT), stream=True)
    chunks = [each for each in events(response) if each != "[DONE]"]
    assert [chunk.get("limited_by") for chunk in chunks if chunk["choices"][0]["finish_reason"]] == ["tokens_per_day"]
    assert not any("limited_by" in chunk for chunk in chunks if not chunk["choices"][0]["finish_reason"])


async def test_what_is_left_goes_with_the_request() -> None:
    """The request carries the number of tokens that it may use at first; without such limits it carries none."""
    serving = FakeServing()
    assert (await post("chat", serving)).status == 200
    request = serving.requests[0][1]
    assert isinstance(request, TextRequest)
    assert request.quota == 100
    assert serving.holders == ["key_1"]
    free = FakeServing()
    body = msgspec.json.encode(PLAIN["chat"])
    await call(build_application(services(free)), "POST", PATHS["chat"], body, {"host": "localhost"})
    request = free.requests[0][1]
    assert isinstance(request, TextRequest)
    assert request.quota is None
    assert free.holders == [""]


async def test_a_prompt_longer_than_what_is_left_is_refused_before_its_answer() -> None:
    """The counted prompt decides, even if the estimate was lower; a refused prompt costs nothing."""
    rate_limiter = RateLimiter()
    long: Script = [[Admitted(101, (10,))], [TextDelta(0, "Once")], [Done(Usage(101, 1))]]
    serving = FakeServing(lambda _: long)
    response = await post("chat", serving, rate_limiter)
    assert (response.status, response.error["code"]) == (429, "insufficient_quota")
    assert serving.streams[0].closed.is_set()
    assert (await post("chat", FakeServing(lambda _: CUT), rate_limiter)).status == 200
    assert (await post("chat", FakeServing(lambda _: CUT), rate_limiter)).status == 429
