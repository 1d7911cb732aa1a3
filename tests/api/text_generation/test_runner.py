"""Requests over real sockets: whoever leaves frees the worker at once, and every cost is written down."""

import asyncio
from typing import Any

import openai
import pytest

from homeport.api.application import build_application
from homeport.api.services import Limits
from homeport.domain.errors import ContextOverflow, EngineFailed
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    TextDelta,
    Usage,
)
from homeport.domain.models import InstalledModel
from homeport.domain.ports.serving import More
from homeport.domain.worker_messages import EngineRequest
from tests.api.fakes import FakeServing, FakeStream, Script, services
from tests.api.text_generation.calls import PATHS, PLAIN, failing
from tests.api.text_generation.loop_server import Checkpoint, RawConnection, on_loop

ADMITTED = [Admitted(5, (10,))]
PHASES = ("loading", "queued", "prefill", "decode")


class CountedStream(FakeStream):
    """Counts how often it is closed."""

    closes = 0

    async def aclose(self) -> None:
        """Count."""
        self.closes += 1
        await super().aclose()


class PatientServing(FakeServing):
    """Waits at `gate` before it opens anything, if it has one; notes when it was cancelled there."""

    def __init__(self, script: Script, gate: Checkpoint | None = None) -> None:
        super().__init__(lambda _: script)
        self.gate = gate
        self.cancelled = asyncio.Event()

    async def open(
        self,
        model: InstalledModel,
        request: EngineRequest,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> FakeStream:
        """Open, after the gate."""
        if self.gate:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        self.in_background.append(is_background)
        self.holders.append(holder)
        self.more = more
        stream = CountedStream(model.facts.name, self.script(request))
        self.streams.append(stream)
        return stream


def _held(phase: str, gate: Checkpoint) -> PatientServing:
    """A request that stops in this phase until the gate opens, which it never does."""
    if phase == "loading":
        return PatientServing([], gate)
    before: dict[str, Script] = {
        "queued": [gate, ADMITTED],
        "prefill": [ADMITTED, gate],
        "decode": [ADMITTED, [TextDelta(0, "Once ")], [TextDelta(0, "upon ")], gate],
    }
    return PatientServing([*before[phase], [TextDelta(0, "a time")], [ChoiceFinished(0, "stop")], [Done(Usage(5, 3))]])


def _client(port: int) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0)


@pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("endpoint", ["completions", "chat"])
async def test_a_caller_who_leaves_frees_the_worker_at_once(endpoint: str, phase: str, is_streamed: bool) -> None:
    """In every phase, streamed or not, a cut connection closes the request exactly once, unfinished."""
    gate = Checkpoint()
    serving = _held(phase, gate)
    async with on_loop(build_application(services(serving))) as port:
        line = await RawConnection.post(port, PATHS[endpoint], {**PLAIN[endpoint], "stream": is_streamed})
        await asyncio.wait_for(gate.reached.wait(), 10)
        await line.leave()
        left = serving.cancelled if phase == "loading" else serving.streams[0].closed
        await asyncio.wait_for(left.wait(), 10)
    if phase != "loading":
        (stream,) = serving.streams
        assert isinstance(stream, CountedStream)
        assert (stream.closes, stream.finished) == (1, False)


async def test_what_a_caller_who_left_has_cost_is_counted() -> None:
    """Prompt and generated tokens of a cancelled request stand in the metrics."""
    gate = Checkpoint()
    serving = _held("decode", gate)
    given = services(serving)
    async with on_loop(build_application(given)) as port:
        line = await RawConnection.post(port, "/v1/completions", {**PLAIN["completions"], "stream": True})
        await asyncio.wait_for(gate.reached.wait(), 10)
        await line.leave()
        await asyncio.wait_for(serving.streams[0].closed.wait(), 10)
    shown = given.metrics.render().decode()
    assert 'vllm:prompt_tokens_total{model_name="tiny"} 5.0' in shown
    assert 'vllm:generation_tokens_total{model_name="tiny"} 2.0' in shown


async def test_headers_go_out_at_admission_and_pings_during_a_long_prefill() -> None:
    """A slow first token does not look like a dead connection, and the answer comes whole behind the comments."""
    gate = Checkpoint()
    serving = _held("prefill", gate)
    async with on_loop(build_application(services(serving, limits=Limits(ping_s=0.02)))) as port:
        line = await RawConnection.post(port, "/v1/chat/completions", {**PLAIN["chat"], "stream": True})
        head = await line.until(b"\r\n\r\n")
        assert b"200 OK" in head
        assert b"content-type: text/event-stream; charset=utf-8" in head
        assert b"x-homeport-model: tiny" in head
        assert b"x-request-id: " in head
        await line.until(b": ping\n\n")
        await line.until(b": ping\n\n")
        gate.set()
        assert b"a time" in await line.rest()
    assert serving.streams[0].finished


async def test_an_error_before_admission_is_an_ordinary_answer() -> None:
    """A streamed request whose prompt does not fit is a 400 in JSON, however long the checks took."""
    gate = Checkpoint()
    serving = PatientServing([gate, ContextOverflow("Too long.", param="prompt")])
    async with on_loop(build_application(services(serving, limits=Limits(ping_s=0.01)))) as port:
        line = await RawConnection.post(port, "/v1/completions", {**PLAIN["completions"], "stream": True})
        await asyncio.wait_for(gate.reached.wait(), 10)
        gate.set()
        said = await line.rest()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"context_length_exceeded"' in said
    assert b": ping" not in said


async def test_a_reader_who_does_not_read_is_given_up() -> None:
    """Once the socket is full and stays so, the worker's request is closed before it is through."""
    steps: Script = [ADMITTED, *([TextDelta(0, "x" * 100_000)] for _ in range(1000)), [Done(Usage(5, 1000))]]
    serving = PatientServing(steps)
    async with on_loop(build_application(services(serving, limits=Limits(stall_s=0.2)))) as port:
        line = await RawConnection.post(port, "/v1/completions", {**PLAIN["completions"], "stream": True})
        await line.until(b"\r\n\r\n")
        # The reader's own buffer fills, its transport stops reading, and the server's writes wait.
        await asyncio.wait_for(serving.streams[0].closed.wait(), 10)
        assert not serving.streams[0].finished
        await line.leave()


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
async def test_the_official_client_raises_what_breaks_in_the_middle(endpoint: str) -> None:
    """An error behind the first chunk reaches the program as an exception with the server's words."""
    serving = FakeServing(lambda _: failing(EngineFailed("The worker died.")))
    async with on_loop(build_application(services(serving))) as port, _client(port) as client:
        given: dict[str, Any] = {**PLAIN[endpoint], "stream": True}
        create: Any = client.completions.create if endpoint == "completions" else client.chat.completions.create
        stream = await create(**given)
        with pytest.raises(openai.APIError, match="The worker died"):
            async for _ in stream:
                pass


async def test_a_whole_answer_that_breaks_is_an_error_and_no_half_answer() -> None:
    """Not streamed, what was generated before the failure is not given out."""
    serving = PatientServing(failing(EngineFailed("The worker died.")))
    async with on_loop(build_application(services(serving))) as port:
        line = await RawConnection.post(port, "/v1/completions", PLAIN["completions"])
        said = await line.rest()
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"Hello" not in said
    assert serving.streams[0].closed.is_set()


async def test_the_official_client_reads_streams_with_every_character() -> None:
    """Line ends of Unicode, quotes and emoji come through the client as the model wrote them."""
    text = 'a\u2028b\u0085c "d" \\ 👩‍👩‍👧 模型 \x00'
    serving = FakeServing(
        lambda _: [ADMITTED, *([TextDelta(0, each)] for each in text), [ChoiceFinished(0, "stop")], [Done(Usage())]]
    )
    async with on_loop(build_application(services(serving))) as port, _client(port) as client:
        chat = await client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "x"}], stream=True
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in chat]) == text
        plain = await client.completions.create(model="tiny", prompt="x", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in plain]) == text
