"""Chat: its fields, refusals by name, whole answers and streams."""

import json
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.chat.schema import ChatBody
from homeport.api.services import Limits
from homeport.domain.content import text_message
from homeport.domain.events import Admitted, TextDelta
from homeport.domain.text import ChatPrompt, TextRequest
from tests.api.asgi import call
from tests.api.fakes import FakeServing, Step, services
from tests.api.text_generation.calls import (
    PLAIN,
    events,
    every_choice,
    post,
    scored,
    script,
    sent_request,
)

TOOL = {"type": "function", "function": {"name": "f"}}


async def test_a_plain_request_has_openais_defaults() -> None:
    """The defaults are one choice, no logprobs, and text to the end of the window."""
    request = await sent_request("chat")
    assert request == TextRequest(prompts=(ChatPrompt((text_message("user", "Hello"),)),))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_length_has_two_names(name: str) -> None:
    """`max_tokens` and `max_completion_tokens` mean the same."""
    assert (await sent_request("chat", **{name: 7})).stopping.max_tokens == 7


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, 100), ({"max_tokens": 7}, 100), ({"min_tokens": 300}, 300), ({"max_completion_tokens": 900}, 100)],
)
async def test_an_operator_bounds_answers_that_callers_do_not(changes: dict[str, Any], expected: int) -> None:
    """A default length accompanies the caller's own, and is never below the caller's `min_tokens`."""
    serving = FakeServing(every_choice)
    app = build_application(services(serving, limits=Limits(answer_tokens=100)))
    response = await call(app, "POST", "/v1/chat/completions", json.dumps({**PLAIN["chat"], **changes}).encode())
    assert response.status == 200
    ((_, request),) = serving.requests
    assert isinstance(request, TextRequest)
    own = changes.get("max_tokens") or changes.get("max_completion_tokens")
    assert (request.stopping.default_tokens, request.stopping.max_tokens) == (expected, own)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 20}, 20),
    ],
)
async def test_logprobs_are_a_switch_and_a_count(changes: dict[str, Any], expected: int | None) -> None:
    """`logprobs` enables scores, `top_logprobs` is the number of alternatives."""
    assert (await sent_request("chat", **changes)).logprobs == expected


async def test_extensions_reach_the_worker() -> None:
    """Fields of sampling, bias and stopping reach the engine."""
    request = await sent_request(
        "chat", model="gpt-3.5-turbo", top_k=3, min_p=0.5, repetition_penalty=2, logit_bias={"7": 1}, stop="x", n=3
    )
    assert (request.sampling.top_k, request.sampling.min_p, request.sampling.repetition_penalty) == (3, 0.5, 2)
    assert (request.sampling.logit_bias, request.stopping.stop) == ({7: 1}, ("x",))
    assert (request.n, request.best_of, request.encoding) == (3, 3, "cl100k_base")


@pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "whole"])
async def test_a_header_lists_changed_messages(is_streamed: bool) -> None:
    """A header reports messages that were changed for the model's template; otherwise it is absent."""
    steps = script([TextDelta(0, "Hi")])
    changed: list[Step] = [[Admitted(5, (10,), changes=("system-folded", "roles-merged"))], *steps[1:]]
    response = await post("chat", FakeServing(lambda _: changed), stream=is_streamed)
    assert response.headers["x-homeport-messages"] == "system-folded, roles-merged"
    assert response.headers["x-homeport-model"] == "tiny"
    assert "x-homeport-messages" not in (await post("chat", FakeServing(lambda _: steps), stream=is_streamed)).headers


NOTHING_ASKED: list[dict[str, Any]] = [
    {"tools": []},
    {"functions": []},
    {"tool_choice": "none"},
    {"tool_choice": "auto", "tools": []},
    {"function_call": "none"},
    {"parallel_tool_calls": True},
    {"response_format": {"type": "text"}},
    {"modalities": ["text"]},
    {"store": False},
    {"verbosity": "medium"},
    {"service_tier": "auto"},
    {"service_tier": "default"},
    {"prompt_cache_key": "k"},
    {"prompt_cache_retention": "in_memory"},
    {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
    {"safety_identifier": "s" * 64},
    {"user": "anyone at all, 任何人"},
    {"metadata": {"k" * 64: "v" * 512}},
    {"logit_bias": {}, "n": 1},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
    dict.fromkeys(sorted(set(ChatBody.__struct_fields__) - {"model", "messages"})),
]


@pytest.mark.parametrize("changes", NOTHING_ASKED, ids=lambda changes: ",".join(changes)[:40])
async def test_values_without_effect_are_accepted(changes: dict[str, Any]) -> None:
    """A field whose value has no effect is a 200."""
    assert (await post("chat", **changes)).status == 200


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": []}, "messages", "empty array. Expected an array with minimum length 1"),
    ({"messages": ...}, "messages", "Missing required parameter: 'messages'."),
    ({"model": ...}, "model", "you must provide a model parameter"),
    ({"max_tokens": 0}, "max_tokens", ">= 1"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", ">= 1"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "at the same time is not supported"),
    ({"min_tokens": 5, "max_completion_tokens": 2}, "min_tokens", "'max_completion_tokens' (2)"),
    ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "<= 20"),
    ({"top_logprobs": 2}, "top_logprobs", "only allowed when 'logprobs' is enabled"),
    ({"logprobs": 5}, "logprobs", "expected a boolean"),
    ({"temperature": 2.5}, "temperature", "<= 2"),
    ({"tool_choice": "required"}, "tool_choice", "only allowed when 'tools' are specified"),
    ({"tool_choice": TOOL}, "tool_choice", "only allowed when 'tools' are specified"),
    ({"function_call": {"name": "f"}}, "function_call", "only allowed when 'functions' are specified"),
    ({"response_format": {}}, "response_format.type", "Missing"),
    ({"modalities": []}, "modalities", "['text']"),
    ({"prediction": {"content": "x"}}, "prediction.type", "Missing"),
    ({"prediction": {"type": "text", "content": "x"}}, "prediction.type", "'content'"),
    ({"prediction": {"type": "content"}}, "prediction.content", "Missing"),
    ({"prediction": {"type": "content", "content": []}}, "prediction.content", "empty array"),
    (
        {"prediction": {"type": "content", "content": [{"type": "file"}]}},
        "prediction.content[0]",
        "file is only allowed for messages",
    ),
    ({"web_search_options": {}}, "web_search_options", "not served"),
    ({"verbosity": "extreme"}, "verbosity", "'low', 'medium', 'high'"),
    ({"moderation": {"model": "x"}}, "moderation", "not served"),
    ({"store": True}, "store", "store no chat completions"),
    ({"service_tier": "flex"}, "service_tier", "'auto' and 'default'"),
    ({"prompt_cache_retention": "24h"}, "prompt_cache_retention", "in_memory"),
    ({"prompt_cache_options": {"mode": "explicit"}}, "prompt_cache_options", "implicit"),
    ({"safety_identifier": "s" * 65}, "safety_identifier", "maximum length 64"),
    ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "maximum length 16"),
    ({"metadata": {"k" * 65: ""}}, "metadata", "maximum length 64"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k", "maximum length 512"),
    ({"metadata": {"k": 1}}, "metadata", "expected a string"),
    ({"stream_options": {}}, "stream_options", "only allowed when 'stream' is enabled"),
    ({"prompt": "x"}, "prompt", "Unrecognized"),
    ({"best_of": 2}, "best_of", "Unrecognized"),
]


@pytest.mark.parametrize(("changes", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
async def test_what_is_wrong_or_not_here_is_refused_by_name(changes: dict[str, Any], param: str, words: str) -> None:
    """A bad value or an unsupported feature is a 400 that names the field, and no request reaches a worker."""
    serving = FakeServing()
    response = await post("chat", serving, **changes)
    assert response.status == 400
    assert (response.error["param"] or "").removesuffix("[]") == param
    assert words in response.error["message"]
    assert not serving.requests


async def test_an_answer_has_openais_shape() -> None:
    """Messages are in order, with tier, fingerprint, metadata and a detailed usage."""
    response = await post("chat", model="gpt-3.5-turbo", n=2, metadata={"a": "b"})
    body = response.json
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"], body["service_tier"]) == ("chat.completion", "gpt-3.5-turbo", "default")
    assert body["system_fingerprint"].startswith("fp_")
    assert body["metadata"] == {"a": "b"}
    message = {"content": "Hello there", "role": "assistant", "refusal": None}
    assert body["choices"] == [
        {"index": i, "message": message, "logprobs": None, "finish_reason": "stop"} for i in range(2)
    ]
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
    assert response.headers["x-homeport-model"] == "tiny"


async def test_cached_tokens_are_reported() -> None:
    """The usage reports the tokens that the prefix cache saved."""
    serving = FakeServing(lambda _: script([TextDelta(0, "x")]))
    assert (await post("chat", serving)).json["usage"]["prompt_tokens_details"]["cached_tokens"] == 3


async def test_logprobs_are_objects_with_bytes() -> None:
    """Each token has its score, bytes and alternatives; the logarithm of zero is -9999."""
    steps = script([TextDelta(0, "é", (scored("é", -0.5, 0, ("é", -0.5), ("e", float("-inf"))),))])
    response = await post("chat", FakeServing(lambda _: steps), logprobs=True, top_logprobs=2)
    assert response.json["choices"][0]["logprobs"] == {
        "content": [
            {
                "token": "é",
                "logprob": -0.5,
                "bytes": [195, 169],
                "top_logprobs": [
                    {"token": "é", "logprob": -0.5, "bytes": [195, 169]},
                    {"token": "e", "logprob": -9999.0, "bytes": [101]},
                ],
            }
        ],
        "refusal": None,
    }


async def test_a_stream_begins_with_the_role_and_ends_with_nothing_new() -> None:
    """Each choice has a chunk with the role, chunks with text, and one with the reason and an empty delta."""
    response = await post("chat", stream=True, n=2, stream_options={"include_usage": True})
    *chunks, last = events(response)
    for index in (0, 1):
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
        assert own[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
        assert [choice["delta"] for choice in own[1:-1]] == [{"content": "Hello "}, {"content": "there"}]
        assert (own[-1]["delta"], own[-1]["finish_reason"]) == ({}, "stop")
        assert all(choice["finish_reason"] is None for choice in own[:-1])
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 4)
    assert {chunk["id"] for chunk in [*chunks, last]} == {last["id"]}


TURN = {"role": "user", "content": "a"}
TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"stop": ["a" * 1_000_000] * 4, "n": 16}, "stop[0]"),
    ({"stop": "a" * 4097}, "stop"),
    ({"user": "a" * 1025}, "user"),
    ({"prompt_cache_key": "a" * 1025}, "prompt_cache_key"),
    ({"messages": [{**TURN, "name": "a" * 1025}]}, "messages[0].name"),
    ({"messages": [TURN] * 2049}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 2049}]}, "messages[0].content"),
    ({"logit_bias": {str(id): 1 for id in range(16_385)}}, "logit_bias"),
    ({"tools": [{}] * 129}, "tools"),
    ({"functions": [{}] * 129}, "functions"),
    ({"prediction": {"type": "content", "content": "a" * 1_000_001}}, "prediction.content"),
]


@pytest.mark.parametrize(("changes", "param"), TOO_MUCH, ids=[param for _, param in TOO_MUCH])
async def test_every_size_is_bounded(changes: dict[str, Any], param: str) -> None:
    """Fields whose cost grows with their size are limited, and the error names the field."""
    serving = FakeServing()
    response = await post("chat", serving, **changes)
    assert (response.status, response.error["param"]) == (400, param)
    assert not serving.requests


async def test_the_largest_of_everything_passes() -> None:
    """At its limit each field is accepted."""
    request = await sent_request(
        "chat",
        n=128,
        stop=["a" * 4096] * 4,
        user="u" * 1024,
        prompt_cache_key="k" * 1024,
        messages=[{**TURN, "name": "n" * 1024}] * 2048,
        logit_bias={str(id): 1 for id in range(16_384)},
    )
    assert (len(request.sampling.logit_bias), request.n, len(request.stopping.stop)) == (16_384, 128, 4)
