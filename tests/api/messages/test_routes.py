"""`/v1/messages`: what a body becomes, and the headers and usage of its answer."""

import json
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.batches.convert import ENDPOINTS
from homeport.api.in_process_dispatcher import InProcessDispatcher
from homeport.domain.content import text_message
from homeport.domain.events import Admitted, Done, TokenizeResult, Usage
from homeport.domain.text import ChatPrompt, SamplingParams, StoppingCriteria, TextRequest, TokenRequest
from homeport.domain.tools import JsonFormat, Reasoning
from tests.api.fakes import FakeServing, services
from tests.api.messages.calls import PATH, PLAIN, error_of, events, post, sent_prompt, sent_request

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


async def test_a_plain_request_is_a_chat_without_reasoning() -> None:
    """The default is one conversation, sampled as the model is, up to `max_tokens` or the end of the window."""
    assert await sent_request() == TextRequest(
        prompts=(ChatPrompt((text_message("user", "Hello"),), reasoning=Reasoning("none")),),
        stopping=StoppingCriteria(default_tokens=50),
    )


async def test_sampling_and_stopping_reach_the_engine() -> None:
    """Temperature, truncation and stop sequences are those of the body."""
    request = await sent_request(temperature=0.5, top_p=0.25, top_k=3, stop_sequences=["a", "b"])
    assert request.sampling == SamplingParams(temperature=0.5, top_p=0.25, top_k=3)
    assert request.stopping.stop == ("a", "b")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Reasoning("none")),
        ({"output_config": {"effort": "low"}}, Reasoning("none")),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        ({"thinking": {"type": "adaptive"}}, Reasoning("high")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, Reasoning("low")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Reasoning("xhigh")),
        ({"thinking": {"type": "enabled", "budget_tokens": 20}}, Reasoning("high", 20)),
    ],
)
async def test_a_model_thinks_only_if_it_is_asked_to(changes: dict[str, Any], expected: Reasoning) -> None:
    """`thinking` turns it on, with its own limit or that of the effort."""
    assert (await sent_prompt(**changes)).reasoning == expected


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "output_config.format.schema"),
        ({"output_format": {"type": "json_schema", "schema": SCHEMA}}, "output_format.schema"),
    ],
)
async def test_an_answer_can_be_bound_to_a_schema(changes: dict[str, Any], param: str) -> None:
    """The form of the answer has two names."""
    output = (await sent_request(**changes)).output_format
    assert isinstance(output, JsonFormat)
    assert output.param == param


ACCEPTED: list[dict[str, Any]] = [
    {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
    {"service_tier": "standard_only"},
    {"inference_geo": "us"},
    {"diagnostics": {"previous_message_id": None}},
    {"metadata": {"user_id": "u" * 1024}},
    {"speed": "standard"},
    {"mcp_servers": [], "tools": [], "container": None, "stop_sequences": []},
    {"tool_choice": {"type": "none"}},
    {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=lambda changes: next(iter(changes)))
async def test_fields_that_change_nothing_are_accepted(changes: dict[str, Any]) -> None:
    """What clients send for Anthropic's servers alone is a 200."""
    assert (await post(**changes)).status == 200


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": ...}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": ...}, "messages"),
    ({"messages": []}, "messages"),
    ({"model": ...}, "model"),
    ({"temperature": 3}, "temperature"),
    ({"top_p": -1}, "top_p"),
    ({"top_k": -2}, "top_k"),
    ({"stop_sequences": [""]}, "stop_sequences[0]"),
    ({"stop_sequences": ["a"] * 65}, "stop_sequences"),
    ({"n": 2}, "n"),
    ({"speed": "fast"}, "speed"),
    ({"service_tier": "priority"}, "Supported values"),
    ({"container": "c"}, "container"),
    ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
    ({"fallbacks": [{"model": "x"}]}, "fallbacks"),
    ({"compaction": {"type": "auto"}}, "compaction"),
    ({"thread": {"id": "t"}}, "thread"),
    ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management.edits[0].type"),
    ({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": {}}]}}, ".keep"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 50}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "adaptive", "budget_tokens": 5}}, "budget_tokens"),
    ({"thinking": {"type": "between_tools"}}, "thinking.type"),
    ({"thinking": {"type": "x"}}, "thinking.type"),
    ({"thinking": {"type": "adaptive", "display": "x"}}, "thinking.display"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
    ({"output_config": {"task_budget": {"total": 1}}}, "task_budget"),
    (
        {
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
            "output_format": {"type": "json_schema", "schema": SCHEMA},
        },
        "output_format",
    ),
    ({"system": [{"type": "image"}]}, "system[0].type"),
    ({"system": [{"type": "text"}]}, "system[0].text"),
    ({"metadata": {"user_id": "u" * 1025}}, "metadata.user_id"),
]


@pytest.mark.parametrize(("changes", "named"), REFUSED, ids=[named for _, named in REFUSED])
async def test_what_is_not_served_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    """A field that is missing, out of range or not served is a 400 whose text names it."""
    response = await post(**changes)
    assert response.status == 400
    error = error_of(response)
    assert error["type"] == "invalid_request_error"
    assert named in error["message"]


async def test_the_billing_block_of_claude_code_is_left_out() -> None:
    """A block for Anthropic's accounting is no instruction, and would change with each version of the client."""
    prompt = await sent_prompt(
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1;"},
            {"type": "text", "text": "Be brief."},
            {"type": "text", "text": "Be kind."},
        ]
    )
    assert prompt.messages[0] == text_message("system", "Be brief.\n\nBe kind.")


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_the_answer_has_the_headers_of_both_apis(is_streamed: bool) -> None:
    """The request's id is in Anthropic's header and in OpenAI's; another header names the model."""
    response = await post(stream=is_streamed)
    assert response.status == 200
    assert response.headers["request-id"] == response.headers["x-request-id"]
    assert response.headers["x-homeport-model"] == "tiny"


async def test_tokens_are_counted_as_the_same_prompt() -> None:
    """The count is that of the prompt that the same fields become as a message."""
    serving = FakeServing(lambda _: [[Admitted(3)], [TokenizeResult((1, 2, 3))], [Done(Usage(3))]])
    fields = {"system": "Be brief.", "thinking": {"type": "adaptive"}}
    response = await post(serving, path=f"{PATH}/count_tokens", max_tokens=..., **fields)
    assert response.json == {"input_tokens": 3}
    ((_, request),) = serving.requests
    assert isinstance(request, TokenRequest)
    assert request.prompts == (await sent_request(**fields)).prompts


async def test_only_the_fields_of_a_prompt_are_counted() -> None:
    """A field that says how the answer is sampled is refused by the count."""
    response = await post(path=f"{PATH}/count_tokens", max_tokens=..., temperature=1)
    assert response.status == 400
    assert "temperature" in error_of(response)["message"]


async def test_the_query_of_beta_clients_is_ignored() -> None:
    """`?beta=true`, which names no other format here, is the same request."""
    assert (await post(path=f"{PATH}?beta=true")).status == 200


async def test_a_stream_and_a_whole_answer_are_one_message() -> None:
    """The blocks, the reason and the usage of a stream are those of the body."""
    whole = (await post()).json
    stream = events(await post(stream=True))
    assert "".join(each["delta"]["text"] for each in stream if each["type"] == "content_block_delta") == "Hello there"
    assert whole["content"] == [{"type": "text", "text": "Hello there", "citations": None}]
    assert stream[-2]["delta"] == {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    assert stream[-2]["usage"] == whole["usage"]


async def test_a_line_of_a_batch_can_be_a_message() -> None:
    """The path is one of the endpoints of batches, and the server's own requests are answered in its format."""
    assert PATH in ENDPOINTS
    send = InProcessDispatcher(build_application(services()), lambda: "localhost:8080")
    done = await send("local", "", PATH, json.dumps(PLAIN).encode())
    assert json.loads(done.body)["type"] == "message"
    unknown = await send("local", "", PATH, json.dumps({**PLAIN, "model": "nobody"}).encode())
    assert (unknown.status, unknown.code) == (404, "model_not_found")
