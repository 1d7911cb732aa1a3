"""Requests on a model over real sockets: disconnects free the worker at once, and every cost is recorded."""

import asyncio
from typing import Any

import openai
import pytest

from homeport.api.application import build_application
from homeport.api.request_runner import require_model_name
from homeport.api.services import Limits
from homeport.domain.errors import ContextOverflow, EngineFailed, InvalidRequest
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
from tests.api.text_generation.calls import PATHS, PLAIN, failing, post
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
    """Waits at `gate`, if it has one, before it opens a stream; `cancelled` is set if that is cancelled."""

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


def _waiting(phase: str, gate: Checkpoint) -> PatientServing:
    """A request that waits in this phase until the gate opens, which never happens."""
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
async def test_a_disconnect_frees_the_worker_at_once(endpoint: str, phase: str, is_streamed: bool) -> None:
    """In every phase, streamed or not, a closed connection closes the unfinished request exactly once."""
    gate = Checkpoint()
    serving = _waiting(phase, gate)
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


async def test_the_cost_of_a_disconnected_request_is_counted() -> None:
    """The metrics count prompt and generated tokens of a cancelled request."""
    gate = Checkpoint()
    serving = _waiting("decode", gate)
    server = services(serving)
    async with on_loop(build_application(server)) as port:
        line = await RawConnection.post(port, "/v1/completions", {**PLAIN["completions"], "stream": True})
        await asyncio.wait_for(gate.reached.wait(), 10)
        await line.leave()
        await asyncio.wait_for(serving.streams[0].closed.wait(), 10)
    shown = server.metrics.render().decode()
    assert 'vllm:prompt_tokens_total{model_name="tiny"} 5.0' in shown
    assert 'vllm:generation_tokens_total{model_name="tiny"} 2.0' in shown


async def test_headers_go_out_at_admission_and_pings_during_a_long_prefill() -> None:
    """Comments precede a slow first token, and the complete answer follows them."""
    gate = Checkpoint()
    serving = _waiting("prefill", gate)
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
    """A streamed request whose prompt does not fit is a 400 in JSON, however long the checks take."""
    gate = Checkpoint()
    serving = PatientServing([gate, ContextOverflow("Too long.", param="prompt")])
    async with on_loop(build_application(services(serving, limits=Limits(ping_s=0.01)))) as port:
        line = await RawConnection.post(port, "/v1/completions", {**PLAIN["completions"], "stream": True})
        await asyncio.wait_for(gate.reached.wait(), 10)
        gate.set()
        response = await line.rest()
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"context_length_exceeded"' in response
    assert b": ping" not in response


async def test_a_client_that_does_not_read_is_disconnected() -> None:
    """If the socket stays full, the worker's request is closed before it finishes."""
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
async def test_the_official_client_raises_an_error_in_the_middle(endpoint: str) -> None:
    """An error after the first chunk is an exception with the server's message."""
    serving = FakeServing(lambda _: failing(EngineFailed("The worker died.")))
    async with on_loop(build_application(services(serving))) as port, _client(port) as client:
        given: dict[str, Any] = {**PLAIN[endpoint], "stream": True}
        create: Any = client.completions.create if endpoint == "completions" else client.chat.completions.create
        stream = await create(**given)
        with pytest.raises(openai.APIError, match="The worker died"):
            async for _ in stream:
                pass


async def test_a_failed_answer_is_an_error_without_partial_text() -> None:
    """Without streaming, text generated before the failure is not returned."""
    serving = PatientServing(failing(EngineFailed("The worker died.")))
    async with on_loop(build_application(services(serving))) as port:
        line = await RawConnection.post(port, "/v1/completions", PLAIN["completions"])
        response = await line.rest()
    assert response.startswith(b"HTTP/1.1 500 ")
    assert b"Hello" not in response
    assert serving.streams[0].closed.is_set()


async def test_the_official_client_reads_streams_with_every_character() -> None:
    """Unicode line ends, quotes and emoji arrive unchanged."""
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


def test_the_path_of_2023_names_the_model() -> None:
    """The engine in the path is the model, also if the body names the same one."""
    assert require_model_name(None, "davinci") == "davinci"
    assert require_model_name("davinci", "davinci") == "davinci"


@pytest.mark.parametrize(("body", "path"), [("ada", "davinci"), (None, None), ("", None)])
def test_a_request_without_one_clear_model_is_refused(body: str | None, path: str | None) -> None:
    """No model, or two different ones, is a 400 that names the field."""
    with pytest.raises(InvalidRequest) as refused:
        require_model_name(body, path)
    assert refused.value.param == "model"


async def test_the_model_is_resolved_before_the_fields_are_checked() -> None:
    """A request with an unknown model and an invalid field reports the model."""
    response = await post("chat", model="nobody", temperature=9)
    assert (response.status, response.error["code"]) == (404, "model_not_found")
