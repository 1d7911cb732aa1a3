"""Tool calls with the current official client, on real weights: always well-formed, streamed as whole."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice

from tests.conftest import Scale
from tests.system.cluster import running_cluster
from tests.system.server import ServerProcess, Tokenise

SMALL, CODER = "smollm2-135m", "qwen2.5-coder-0.5b"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Get the time in a time zone.",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    },
}
QUESTION = [{"role": "user", "content": "What is the weather in Paris in celsius? Use a tool."}]


@pytest.fixture
def coder(default_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client, connected to the default model."""
    with openai.OpenAI(base_url=default_server.base, api_key="x", max_retries=0, timeout=120) as made:
        yield made


def ask(client: openai.OpenAI, **changes: Any) -> ChatCompletion:
    body = {"model": SMALL, "messages": QUESTION, "tools": [WEATHER, CLOCK], "max_tokens": 200, **changes}
    return client.post("/chat/completions", body=body, cast_to=ChatCompletion)


def streamed(client: openai.OpenAI, **body: Any) -> dict[str, Any]:
    """Return a streamed choice as the message that its deltas add up to, checking each delta."""
    message: dict[str, Any] = {"content": None, "tool_calls": [], "finish_reason": None, "reasoning": ""}
    body = {"model": SMALL, "messages": QUESTION, "tools": [WEATHER, CLOCK], "max_tokens": 200, **body}
    for chunk in client.chat.completions.create(stream=True, **body):
        for choice in chunk.choices:
            delta = choice.delta
            if delta.content:
                message["content"] = (message["content"] or "") + delta.content
            message["reasoning"] += getattr(delta, "reasoning_content", None) or ""
            for call in delta.tool_calls or []:
                if call.index == len(message["tool_calls"]):
                    assert call.id
                    assert call.function is not None
                    assert call.function.name
                    message["tool_calls"].append([call.function.name, ""])
                assert call.function is not None
                message["tool_calls"][call.index][1] += call.function.arguments or ""
            message["finish_reason"] = choice.finish_reason or message["finish_reason"]
    return message


def calls_of(choice: Choice) -> list[tuple[str, str]]:
    """Return the names and arguments of a choice's calls."""
    calls = choice.message.tool_calls or []
    return [(call.function.name, call.function.arguments) for call in calls if call.type == "function"]


def check_call(answer: ChatCompletion, names: set[str]) -> None:
    """Check that every call that is not cut names a declared tool and has arguments as its schema describes."""
    for choice in answer.choices:
        for call in (choice.message.tool_calls or [])[: -1 if choice.finish_reason == "length" else None]:
            assert call.type == "function"
            assert call.function.name in names
            arguments = json.loads(call.function.arguments)
            if call.function.name == "get_weather":
                assert set(arguments) == {"city", "unit"}
                assert arguments["unit"] in ("celsius", "fahrenheit")
            else:
                assert isinstance(arguments["zone"], str)


def test_a_named_tool_is_always_called(client: openai.OpenAI, scale: Scale) -> None:
    """A model that knows no tools calls the named one, with valid arguments, unless it is cut; the reason is `stop`."""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    for seed in range(scale(10, 100)):
        answer = ask(client, tool_choice=choice, seed=seed)
        if answer.choices[0].finish_reason == "length":
            continue
        assert answer.choices[0].finish_reason == "stop"
        assert len(answer.choices[0].message.tool_calls or []) == 1
        assert answer.choices[0].message.content is None
        check_call(answer, {"get_weather"})


def test_a_required_call_is_always_made(client: openai.OpenAI, scale: Scale) -> None:
    """With `required`, a call of some declared tool comes first; without parallel calls there is exactly one."""
    for seed in range(scale(10, 100)):
        answer = ask(client, tool_choice="required", parallel_tool_calls=False, seed=seed)
        if answer.choices[0].finish_reason == "length":
            continue
        assert answer.choices[0].finish_reason == "tool_calls"
        assert len(answer.choices[0].message.tool_calls or []) == 1
        check_call(answer, {"get_weather", "get_time"})


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_streamed_and_whole_answers_are_equal(client: openai.OpenAI, choice: str) -> None:
    """At temperature 0 the deltas of a stream add up to the whole answer, calls included."""
    whole = ask(client, tool_choice=choice, temperature=0).choices[0]
    stream = streamed(client, tool_choice=choice, temperature=0)
    calls = [list(call) for call in calls_of(whole)]
    assert stream["content"] == whole.message.content
    assert stream["tool_calls"] == calls
    assert stream["finish_reason"] == whole.finish_reason
    if choice == "none":
        assert not calls
        assert "<tool_call>" not in (whole.message.content or "")


def test_a_cut_call_is_reported_as_cut(client: openai.OpenAI) -> None:
    """An answer that `max_tokens` cuts within a call ends with `length`."""
    answer = ask(client, tool_choice="required", max_tokens=12).choices[0]
    assert answer.finish_reason == "length"


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 5, 8])
def test_the_beginning_of_a_cut_call_is_no_content(client: openai.OpenAI, max_tokens: int) -> None:
    """An answer that must be a call, and is cut before the name, has no content."""
    answer = ask(client, tool_choice="required", max_tokens=max_tokens).choices[0]
    assert answer.finish_reason == "length"
    assert not answer.message.content


def test_what_ends_content_does_not_end_a_call(client: openai.OpenAI, tokenise: Tokenise) -> None:
    """Stop strings and stop tokens that are part of a call leave it whole."""
    parameters = {"type": "object", "properties": {"a": {"const": "x stop y"}}, "required": ["a"]}
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {**parameters, "additionalProperties": False}}}
    ]
    stops = {"stop": ["tool_call", "{", "stop"], "stop_token_ids": tokenise(" stop")}
    answer = ask(client, tools=tools, tool_choice="required", parallel_tool_calls=False, **stops).choices[0]
    assert answer.finish_reason == "tool_calls"
    assert [(name, json.loads(arguments)) for name, arguments in calls_of(answer)] == [("f", {"a": "x stop y"})]


def test_a_model_calls_a_tool_and_reads_its_result(coder: openai.OpenAI) -> None:
    """The model calls the right tool by itself, and the call and its result are part of the next prompt."""
    messages: list[Any] = list(QUESTION)
    call = ask(coder, model=CODER, messages=messages, temperature=0, parallel_tool_calls=False)
    assert call.choices[0].finish_reason == "tool_calls"
    [(name, arguments)] = calls_of(call.choices[0])
    assert (name, json.loads(arguments)) == ("get_weather", {"city": "Paris", "unit": "celsius"})
    assert call.choices[0].message.tool_calls is not None
    messages.append(call.choices[0].message.model_dump())
    result = {"role": "tool", "tool_call_id": call.choices[0].message.tool_calls[0].id, "content": "It is 31 degrees."}
    answer = ask(coder, model=CODER, messages=[*messages, result], temperature=0, tool_choice="none")
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls
    assert answer.usage is not None
    assert call.usage is not None
    assert answer.usage.prompt_tokens > call.usage.prompt_tokens + 25
    assert answer.usage.prompt_tokens_details is not None
    if not running_cluster():  # its nodes keep no prefixes
        assert (answer.usage.prompt_tokens_details.cached_tokens or 0) >= call.usage.prompt_tokens - 1


def test_functions_of_2023_are_served(client: openai.OpenAI) -> None:
    """`functions` with a named `function_call` answers with a `function_call`, and its result can be sent back."""
    functions, choice = [WEATHER["function"]], {"name": "get_weather"}
    answer = ask(client, tools=None, functions=functions, function_call=choice, temperature=0).choices[0]
    assert answer.message.function_call is not None
    assert answer.message.function_call.name == "get_weather"
    assert answer.message.tool_calls is None
    history = [
        *QUESTION,
        {"role": "assistant", "content": None, "function_call": answer.message.function_call.model_dump()},
        {"role": "function", "name": "get_weather", "content": "Sunny."},
    ]
    assert ask(client, tools=None, functions=functions, messages=history, max_tokens=5).choices


def test_candidates_have_their_own_calls(client: openai.OpenAI) -> None:
    """With `n`, every choice has its own calls and ids, and log-probabilities are only those of content."""
    answer = ask(client, tool_choice="required", n=3, logprobs=True, top_logprobs=2)
    check_call(answer, {"get_weather", "get_time"})
    ids = [call.id for choice in answer.choices for call in choice.message.tool_calls or []]
    assert len(ids) == len(set(ids)) >= 3
    assert all(not (choice.logprobs and choice.logprobs.content) for choice in answer.choices)


def test_a_forbidden_token_stays_forbidden(client: openai.OpenAI) -> None:
    """A bias cannot make the model leave the grammar."""
    answer = ask(client, tool_choice="required", logit_bias={"504": 100}, max_tokens=60, seed=1)
    check_call(answer, {"get_weather", "get_time"}) if answer.choices[0].finish_reason != "length" else None
    assert not answer.choices[0].message.content
