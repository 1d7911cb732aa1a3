"""Invalid values in every field of every JSON endpoint: a 400 or an answer, and no effect on others."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from homeport.api.application import build_application
from homeport.domain.errors import HomeportError, InvalidRequest, error_from_info
from homeport.domain.events import Done, Event, Failed
from homeport.domain.text import StoppingCriteria, TextPrompt, TextRequest
from homeport.domain.worker_messages import EngineRequest, OpenRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import TEXT, FakeRegistry, FakeServing, Script, installed, services
from tests.engines.text.engine_runner import PLENTY, TextEngineRunner

TEXTS: dict[str, tuple[str, str]] = {
    "/v1/completions": ('"prompt": "Hello", "max_tokens": 3', "prompt"),
    "/v1/chat/completions": ('"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3', "messages"),
    "/v1/edits": ('"input": "a", "instruction": "b"', "input"),
    "/v1/responses": ('"input": "Hi", "max_output_tokens": 3', "input"),
    "/v1/messages": ('"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3', "messages"),
}
OTHERS: dict[str, str] = {
    "/v1/embeddings": '"input": "a"',
    "/v1/moderations": '"input": "a"',
    "/v1/audio/speech": '"input": "a", "voice": "alloy"',
    "/v1/audio/music": '"prompt": "a"',
    "/v1/images/generations": '"prompt": "a"',
}
FIELDS: dict[str, Sequence[str]] = {
    "/v1/completions": (
        *(
            "prompt",
            "suffix",
            "max_tokens",
            "temperature",
            "top_p",
            "n",
            "stream",
            "stream_options",
            "logprobs",
            "echo",
        ),
        *("stop", "presence_penalty", "frequency_penalty", "best_of", "logit_bias", "user", "seed", "top_k", "min_p"),
        *("repetition_penalty", "ignore_eos", "min_tokens", "stop_token_ids", "model"),
    ),
    "/v1/chat/completions": ("messages", "max_completion_tokens", "top_logprobs", "logprobs", "metadata", "n", "seed"),
    "/v1/edits": ("input", "instruction", "n", "temperature", "top_p"),
    "/v1/responses": (
        *("input", "max_output_tokens", "temperature", "metadata", "include", "text", "reasoning", "tools", "stream"),
        *("tool_choice", "previous_response_id", "conversation", "top_logprobs", "instructions", "store", "background"),
    ),
    "/v1/messages": (
        *("messages", "system", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "stream", "tools"),
        *("tool_choice", "thinking", "output_config", "metadata", "context_management", "cache_control", "diagnostics"),
    ),
    "/v1/embeddings": ("input", "messages", "dimensions", "encoding_format", "user"),
    "/v1/moderations": ("input", "model"),
    "/v1/audio/speech": ("input", "voice", "speed", "response_format"),
    "/v1/audio/music": (
        *(
            "prompt",
            "genre",
            "lyrics",
            "seconds",
            "bpm",
            "key",
            "instrumental",
            "voice",
            "seed",
            "n",
            "response_format",
        ),
        "stream_format",
    ),
    "/v1/images/generations": (
        *("prompt", "n", "size", "seed", "steps", "guidance", "output_compression", "partial_images", "stream"),
        *("negative_prompt", "quality"),
    ),
}
NUMBERS = (
    *("0", "1", "-1", "-0", "-0.0", "0.1", "1.5", "1e-300", "5e-324", "1e-31", "1e300", "-1e300", "1e400", "-1e400"),
    *("2147483647", "2147483648", "9223372036854775807", "-9223372036854775808", "9223372036854775808"),
    *("18446744073709551616", "1" + "0" * 40, "-1" + "0" * 400, "9" * 5000, "NaN", "Infinity", "-Infinity"),
)
VALUES = (
    *NUMBERS,
    *(
        "true",
        "false",
        "null",
        '""',
        '"1"',
        r'"\ud800"',
        r'"a\ud800\udc00\u0000"',
        r'"\udfff"',
        "[]",
        "{}",
        "[[]]",
        "[1e400]",
    ),
    *("[-1]", "[9223372036854775808]", '[""]', "[null]", '{"0": -100, "1": 100}', '{"1": 1e300}', '{"\\ud800": 1}'),
    *('{"99999999999": 1}', '{"-1": 1}', '{"٣": 1}', '{"²": 1}'),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[TextEngineRunner]:
    """A text engine on the fake executor."""
    with TextEngineRunner(window=64) as running:
        yield running


def application(engine: TextEngineRunner) -> Any:
    """The application with this engine: requests cross the link as they do to a worker."""

    def script(request: EngineRequest) -> Script:
        sent = msgspec.msgpack.decode(
            msgspec.msgpack.encode(OpenRequest(1, request, 1), enc_hook=str), type=OpenRequest, dec_hook=_path
        )
        if not isinstance(sent.request, TextRequest):
            return [InvalidRequest("Nothing answers here.")]
        id = engine.open(sent.request, PLENTY)
        events: list[Event] = engine.wait(
            id, lambda response: bool(response) and isinstance(response[-1], Done | Failed)
        )
        last = events[-1]
        if isinstance(last, Failed):
            error: HomeportError = error_from_info(last.fault)
            return [[event] for event in events[:-1]] + [error]
        return [[event] for event in events]

    models = [installed("tiny", (*TEXT, "infill", "embeddings", "moderations", "speech", "music", "images"))]
    return build_application(services(FakeServing(script), registry=FakeRegistry(models)))


def _path(kind: type, value: Any) -> Any:
    return kind(value)


def is_well(response: AsgiResponse) -> bool:
    """Return whether a response is an answer, or blames the request."""
    has_error = any(kind in response.body for kind in (b'"server_error"', b'"api_error"'))
    return (response.status == 200 and not has_error) or 400 <= response.status < 500


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, fields in FIELDS.items() for field in fields])
async def test_no_value_is_the_servers_fault(engine: TextEngineRunner, path: str, field: str) -> None:
    """Numbers of any size, half characters and wrong types are refused or served, never a 500."""
    app = application(engine)
    plain, _ = TEXTS.get(path, (OTHERS.get(path, ""), ""))
    for value in VALUES:
        body = f'{{"model": "tiny", {plain}, "{field}": {value}}}'.encode()
        response = await call(app, "POST", path, body)
        assert is_well(response), (value[:60], response.status, response.body[:300])


MISTAKES: list[dict[str, Any]] = [
    {"logit_bias": {str(id): -100 for id in range(263)}},
    {"logit_bias": {str(id): -100 for id in range(262)}, "stop_token_ids": [262], "min_tokens": 2},
    {"repetition_penalty": 1e-300, "prompt": "a a a a"},
    {"temperature": 5e-324, "top_p": 5e-324, "min_p": 1, "top_k": 2147483647},
    {"top_p": 0, "min_p": 5e-324, "temperature": 2, "seed": -(2**63)},
    {"logit_bias": {"97": 100, "98": -100}, "presence_penalty": -2, "frequency_penalty": -2, "temperature": 1e-6},
    {"logit_bias": {str(id): 99.999999999 for id in range(263)}, "temperature": 0},
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[",".join(mistake) for mistake in MISTAKES])
async def test_settings_that_fight_are_the_callers(engine: TextEngineRunner, mistake: dict[str, Any]) -> None:
    """Settings that leave no token to sample are a 400, others are served, and no other request ends."""
    app = application(engine)
    beside = engine.open(TextRequest((TextPrompt("b"),), stopping=StoppingCriteria(max_tokens=40)), PLENTY)
    response = await call(
        app, "POST", "/v1/completions", msgspec.json.encode({"model": "tiny", "prompt": "a", **mistake})
    )
    assert is_well(response), response.body
    assert engine.end(beside).error is None
