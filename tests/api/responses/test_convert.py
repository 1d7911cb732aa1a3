"""The fields of a response: what reaches the model, what is returned, and what is refused by name."""

from typing import Any

import pytest

from homeport.api.responses.convert import PromptFields, to_prompt
from homeport.api.responses.schema import ReasoningBody, ResponseBody
from homeport.domain.content import Message, ReasoningPart, TextPart, ToolCallPart, text_message
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.tools import JsonFormat, Reasoning
from tests.api.responses.calls import FUNCTION, ResponseApp

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


async def test_a_plain_request_has_openais_defaults() -> None:
    """The defaults are those of a chat: one choice, no logprobs, text to the end of the window."""
    app = ResponseApp()
    await app.answer()
    assert app.last_request == TextRequest(prompts=(ChatPrompt((text_message("user", "Hello"),), param="input"),))


async def test_the_response_says_what_was_asked() -> None:
    """Every parameter of the answer is returned, completed by its defaults."""
    body = await ResponseApp().answer()
    assert body["id"].startswith("resp_")
    expected = {
        "object": "response",
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "tiny",
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "metadata": {},
    }
    assert {name: body[name] for name in expected} == expected


async def test_given_values_are_returned() -> None:
    """What a request sets is returned as it was set."""
    given: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 7,
        "max_tool_calls": 3,
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "truncation": "auto",
        "tool_choice": "required",
        "metadata": {"a": "b"},
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
    }
    body = await ResponseApp().answer(**given, tools=[FUNCTION])
    assert {name: body[name] for name in given} == given
    assert body["tools"] == [{**FUNCTION, "description": None}]


async def test_fields_reach_the_model() -> None:
    """Length, sampling, truncation, reasoning and logprobs reach the engine."""
    app = ResponseApp()
    await app.answer(
        instructions="Be kind.",
        max_output_tokens=7,
        temperature=0,
        top_p=0.5,
        seed=3,
        stop=["x"],
        truncation="auto",
        reasoning={"effort": "max", "summary": "auto"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    request = app.last_request
    assert (request.stopping.max_tokens, request.stopping.stop, request.logprobs) == (7, ("x",), 2)
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.seed) == (0, 0.5, 3)
    assert (app.last_prompt.drops_oldest, app.last_prompt.reasoning) == (True, Reasoning("xhigh"))
    assert app.last_texts == [("system", "Be kind."), ("user", "Hello")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 5}, 5),
    ],
)
async def test_logprobs_are_asked_for_by_either_field(fields: dict[str, Any], expected: int | None) -> None:
    """Logprobs are included by `include`, or by a number of alternatives."""
    app = ResponseApp()
    await app.answer(**fields)
    assert app.last_request.logprobs == expected


async def test_a_schema_is_flat() -> None:
    """The schema of `text.format` binds the answer and is returned."""
    app = ResponseApp()
    format = {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}
    body = await app.answer(text={"format": format})
    found = app.last_request.output_format
    assert isinstance(found, JsonFormat)
    assert (found.param, '"integer"' in (found.schema or "")) == ("text.format.schema", True)
    assert body["text"]["format"] == format


async def test_json_without_a_schema() -> None:
    """`json_object` binds the answer to any object."""
    app = ResponseApp()
    await app.answer(text={"format": {"type": "json_object"}})
    assert app.last_request.output_format == JsonFormat(None, "text.format")


async def test_verbosity_adds_a_sentence() -> None:
    """`text.verbosity` adds the sentence that it adds in chats."""
    app = ResponseApp()
    await app.answer(text={"verbosity": "low"})
    assert app.last_texts == [("system", "Answer as briefly as possible."), ("user", "Hello")]


NOTHING_ASKED: list[dict[str, Any]] = [
    {"tools": []},
    {"tool_choice": "auto"},
    {"max_tool_calls": 1},
    {"include": []},
    {"include": ["file_search_call.results", "reasoning.encrypted_content"]},
    {"text": {}},
    {"text": {"format": {"type": "text"}, "verbosity": None}},
    {"reasoning": {}},
    {"reasoning": {"context": "all_turns", "mode": "standard", "generate_summary": "detailed"}},
    {"truncation": "disabled"},
    {"service_tier": "auto"},
    {"service_tier": "default"},
    {"prompt_cache_key": "k", "prompt_cache_retention": "in_memory"},
    {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
    {"client_metadata": {"turn_id": "x"}},
    {"context_management": []},
    {"background": False},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
    dict.fromkeys(sorted(set(ResponseBody.__struct_fields__) - {"model", "input"})),
]


@pytest.mark.parametrize("fields", NOTHING_ASKED, ids=lambda fields: ",".join(fields)[:40])
async def test_values_without_effect_are_accepted(fields: dict[str, Any]) -> None:
    """A field whose value has no effect is a 200."""
    assert (await ResponseApp().create(**fields)).status == 200


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"model": ...}, "model", "you must provide a model parameter"),
    ({"input": ...}, "input", "Missing required parameter"),
    ({"input": []}, "input", ""),
    ({"input": 5}, "input", "expected"),
    ({"max_output_tokens": 0}, "max_output_tokens", ">= 1"),
    ({"max_tool_calls": -1}, "max_tool_calls", ">= 0"),
    ({"top_logprobs": 21}, "top_logprobs", "<= 20"),
    ({"temperature": 2.5}, "temperature", "<= 2"),
    ({"truncation": "some"}, "truncation", "'auto', 'disabled'"),
    ({"text": {"verbosity": "extreme"}}, "text.verbosity", "'low', 'medium', 'high'"),
    ({"text": {"format": {}}}, "text.format.type", "Missing"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type", "json_schema"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema", "Missing"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", "Missing"),
    ({"text": {"format": {"type": "text", "schema": {}}}}, "text.format.schema", "has no 'schema'"),
    ({"reasoning": {"effort": "total"}}, "reasoning.effort", "'minimal'"),
    ({"reasoning": {"summary": "concise"}}, "reasoning.summary", "'detailed'"),
    ({"reasoning": {"generate_summary": "concise"}}, "reasoning.generate_summary", "'detailed'"),
    (
        {"reasoning": {"summary": "auto", "generate_summary": "detailed"}},
        "reasoning.generate_summary",
        "former name",
    ),
    ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "standard"),
    ({"reasoning": {"context": "no_turn"}}, "reasoning.context", "all_turns"),
    ({"include": ["everything"]}, "include[0]", "reasoning.encrypted_content"),
    ({"stream_options": {}}, "stream_options", "only allowed when 'stream' is enabled"),
    ({"service_tier": "flex"}, "service_tier", "'auto' and 'default'"),
    ({"prompt_cache_retention": "24h"}, "prompt_cache_retention", "in_memory"),
    ({"prompt_cache_options": {"mode": "explicit"}}, "prompt_cache_options", "implicit"),
    ({"moderation": {"model": "x"}}, "moderation", "/v1/moderations"),
    ({"prompt": {"id": "x"}}, "prompt", "instructions"),
    ({"safety_identifier": "s" * 65}, "safety_identifier", "maximum length 64"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k", "maximum length 512"),
    ({"min_tokens": 5, "max_output_tokens": 2}, "min_tokens", "'max_output_tokens' (2)"),
    ({"tools": [{"type": "file_search"}]}, "tools[0].vector_store_ids", "Missing required parameter"),
    ({"store": False, "background": True}, "background", "'store'"),
    ({"store": False, "conversation": "conv_1"}, "conversation", "'store'"),
    ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id", "Mutually exclusive"),
    ({"previous_response_id": "resp_1"}, "previous_response_id", "'resp_1' not found"),
    ({"messages": []}, "messages", "Unrecognized"),
    ({"n": 2}, "n", "Unrecognized"),
]


@pytest.mark.parametrize(("fields", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
async def test_what_is_wrong_or_not_here_is_refused_by_name(fields: dict[str, Any], param: str, words: str) -> None:
    """A bad value or an unsupported feature is a 400 that names the field; nothing is computed and nothing stored."""
    app = ResponseApp()
    response = await app.create(**fields)
    assert response.status == 400, response.body
    assert (response.error["param"] or "").removesuffix("[]") == param
    assert words in response.error["message"]
    assert not app.serving.requests
    assert not app.responses.responses


def test_reasoning_before_the_last_question_can_be_left_out() -> None:
    """With `reasoning.context` current_turn, only reasoning after the user's last message is in the prompt."""
    messages = [
        text_message("user", "a"),
        Message("assistant", (ReasoningPart("old"), TextPart("b"))),
        text_message("user", "c"),
        Message("assistant", (ReasoningPart("new"), ToolCallPart("1", "f", "{}"))),
    ]
    for context, kept in (("current_turn", ["new"]), ("all_turns", ["old", "new"])):
        prompt = to_prompt(messages, None, PromptFields(reasoning=ReasoningBody(context=context)))
        parts = [part.text for message in prompt.messages for part in message.parts if isinstance(part, ReasoningPart)]
        assert parts == kept
        assert len(prompt.messages) == 4
