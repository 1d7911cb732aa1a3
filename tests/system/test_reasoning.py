"""Reasoning with the current official client, on real weights: a switch, a limit, and formats that bind after it."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from tests.conftest import Scale
from tests.system.reasoning_model import NAME
from tests.system.server import ServerProcess

ASK = [{"role": "user", "content": "How many legs have three cats?"}]
END_TOKENS = 8
"""The tokens that may be reasoning beyond its limit: those of its end mark."""
SCHEMA = {
    "type": "object",
    "properties": {"legs": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["legs"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "count_legs", "parameters": SCHEMA}}


@pytest.fixture
def thinker(reasoning_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client, connected to a model that reasons."""
    with openai.OpenAI(base_url=reasoning_server.base, api_key="x", max_retries=0, timeout=120) as made:
        yield made


def ask(client: openai.OpenAI, **changes: Any) -> ChatCompletion:
    body = {"model": NAME, "messages": ASK, "max_tokens": 120, **changes}
    return client.post("/chat/completions", body=body, cast_to=ChatCompletion)


def thought_of(choice: Choice) -> str:
    """Return a choice's reasoning, which has the same text under both names."""
    thought = getattr(choice.message, "reasoning_content", None)
    assert thought == getattr(choice.message, "reasoning", None)
    return thought or ""


def reasoning_tokens(answer: ChatCompletion) -> int:
    """Return the number of tokens of reasoning in the usage."""
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    found = answer.usage.completion_tokens_details.reasoning_tokens
    assert found is not None
    assert found <= answer.usage.completion_tokens
    return found


@pytest.mark.parametrize(
    "switch",
    [{"reasoning_effort": "none"}, {"thinking_token_budget": 0}, {"chat_template_kwargs": {"enable_thinking": False}}],
)
def test_reasoning_can_be_turned_off(thinker: openai.OpenAI, switch: dict[str, Any]) -> None:
    """Without reasoning, no token of the answer is any, and the answer has content."""
    answer = ask(thinker, max_tokens=20, seed=1, **switch)
    assert reasoning_tokens(answer) == 0
    assert not thought_of(answer.choices[0])
    assert answer.choices[0].message.content


@pytest.mark.parametrize("limit", [1, 5, 24])
def test_reasoning_ends_at_its_limit(thinker: openai.OpenAI, scale: Scale, limit: int) -> None:
    """Reasoning has at most the tokens of its limit, and content follows if the model does not end the answer."""
    for seed in range(scale(3, 20)):
        answer = ask(thinker, thinking_token_budget=limit, min_tokens=60, seed=seed)
        assert 0 < reasoning_tokens(answer) <= limit + END_TOKENS
        assert answer.choices[0].message.content
        assert not answer.choices[0].message.content.startswith("</think>")


def test_an_answer_may_be_cut_within_reasoning(thinker: openai.OpenAI) -> None:
    """If `max_tokens` is used up by reasoning, the answer has no content, and the reason is `length`."""
    answer = ask(thinker, thinking_token_budget=100, max_tokens=5, seed=1)
    assert answer.choices[0].finish_reason == "length"
    assert not answer.choices[0].message.content
    assert thought_of(answer.choices[0])
    assert reasoning_tokens(answer) == 5


def test_a_schema_binds_after_reasoning(thinker: openai.OpenAI, scale: Scale) -> None:
    """Reasoning is free text; the content after it is what the schema describes."""
    for seed in range(scale(5, 50)):
        answer = ask(thinker, response_format=FORMAT, thinking_token_budget=12, seed=seed)
        assert reasoning_tokens(answer) > 0
        assert answer.choices[0].finish_reason == "stop"
        value = json.loads(answer.choices[0].message.content or "")
        assert list(value) == ["legs"]
        assert 0 <= value["legs"] <= 99


def test_a_required_call_follows_reasoning(thinker: openai.OpenAI, scale: Scale) -> None:
    """With `required` the call comes after the thought, and there is no content."""
    choices = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
    for seed in range(scale(5, 50)):
        answer = ask(thinker, **choices, thinking_token_budget=12, seed=seed)
        choice = answer.choices[0]
        assert reasoning_tokens(answer) > 0
        assert thought_of(choice)
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert choice.message.tool_calls is not None
        [call] = choice.message.tool_calls
        assert call.type == "function"
        assert 0 <= json.loads(call.function.arguments)["legs"] <= 99


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"reasoning_effort": "none"},
        {"response_format": FORMAT},
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    ],
)
def test_streamed_and_whole_answers_are_equal(thinker: openai.OpenAI, changes: dict[str, Any]) -> None:
    """At temperature 0, deltas of reasoning, content and calls add up to the whole answer, thoughts first."""
    body = {
        "temperature": 0,
        "max_tokens": 60,
        **({} if "reasoning_effort" in changes else {"thinking_token_budget": 9}),
    }
    whole = ask(thinker, **body, **changes)
    made: dict[str, Any] = {"model": NAME, "messages": ASK, "extra_body": {**body, **changes}}
    thought, content, arguments, counted = "", "", "", 0
    for chunk in thinker.chat.completions.create(stream=True, stream_options={"include_usage": True}, **made):
        if chunk.usage is not None and chunk.usage.completion_tokens_details is not None:
            counted = chunk.usage.completion_tokens_details.reasoning_tokens or 0
        for choice in chunk.choices:
            part = getattr(choice.delta, "reasoning_content", None) or ""
            assert part == (getattr(choice.delta, "reasoning", None) or "")
            assert not (part and (content or arguments))
            thought += part
            content += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                arguments += (call.function.arguments or "") if call.function else ""
    message = whole.choices[0].message
    assert thought == thought_of(whole.choices[0])
    assert content == (message.content or "")
    functions = [call.function.arguments for call in message.tool_calls or [] if call.type == "function"]
    assert arguments == "".join(functions)
    assert counted == reasoning_tokens(whole)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_accepted_back(thinker: openai.OpenAI, name: str) -> None:
    """A thought of an earlier turn may be sent back under either name."""
    history = [*ASK, {"role": "assistant", "content": "12", name: "Three times four."}]
    history.append({"role": "user", "content": "Sure?"})
    assert ask(thinker, messages=history, reasoning_effort="none", max_tokens=3).choices


def test_stop_strings_do_not_end_reasoning(thinker: openai.OpenAI) -> None:
    """A stop string counts in content only."""
    answer = ask(thinker, thinking_token_budget=12, min_tokens=40, stop=["e", "a"], seed=3)
    assert reasoning_tokens(answer) >= 12
    assert "e" not in (answer.choices[0].message.content or "")
