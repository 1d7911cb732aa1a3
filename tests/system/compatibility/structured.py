"""For every field of tools, formats and reasoning: a value that changes the answer, and the change to check."""

import json
from collections.abc import Mapping
from typing import Any

from tests.system import reasoning_model
from tests.system.compatibility.field_trials import Effect, EndpointTrial

_WEATHER = {
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]},
}
TOOLS = [{"type": "function", "function": _WEATHER}, {"type": "function", "function": {"name": "get_time"}}]
_ASK = {"role": "user", "content": "What is the weather in Paris?"}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
_NAMED = {"type": "function", "function": {"name": "get_weather"}}
_SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
_ENOUGH = 96
_TRIES = 20


def _message(trial: EndpointTrial, **changed: Any) -> dict[str, Any]:
    """Return the message of a chat that has enough room to end."""
    choice = trial.ask(messages=[_ASK], **{"max_tokens": _ENOUGH, **changed})["choices"][0]
    assert choice["finish_reason"] != "length", choice
    message: dict[str, Any] = choice["message"]
    return message


def _prompt_tokens(trial: EndpointTrial, **changed: Any) -> int:
    count: int = trial.ask(**changed)["usage"]["prompt_tokens"]
    return count


def _text(trial: EndpointTrial, **changed: Any) -> str:
    """Return the text of a completion or a chat that has enough room to end."""
    choice = trial.ask(**{"max_tokens": _ENOUGH, **changed})["choices"][0]
    assert choice["finish_reason"] == "stop", choice
    text: str = choice["message"]["content"] if "message" in choice else choice["text"]
    return text


def _tools(trial: EndpointTrial) -> None:
    assert _prompt_tokens(trial, tools=TOOLS) > _prompt_tokens(trial)


def _tool_choice(trial: EndpointTrial) -> None:
    (call,) = _message(trial, tools=TOOLS, tool_choice=_NAMED)["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"])["city"] in ("Paris", "Rome")
    assert "tool_calls" not in _message(trial, tools=TOOLS, tool_choice="none", stop=["\n", "."])


def _parallel_tool_calls(trial: EndpointTrial) -> None:
    assert len(_message(trial, tools=TOOLS, tool_choice="required", parallel_tool_calls=False)["tool_calls"]) == 1


def _functions(trial: EndpointTrial) -> None:
    assert _prompt_tokens(trial, functions=[_WEATHER]) > _prompt_tokens(trial)


def _function_call(trial: EndpointTrial) -> None:
    message = _message(trial, functions=[_WEATHER], function_call={"name": "get_weather"})
    assert message["function_call"]["name"] == "get_weather"


def _history(answer: Mapping[str, Any], *results: Mapping[str, Any]) -> Effect:
    """Make the effect of messages that add tokens to the prompt."""

    def effect(trial: EndpointTrial) -> None:
        plain = [_ASK, {"role": "assistant", "content": ""}, _ASK]
        told = [_ASK, {"role": "assistant", "content": None, **answer}, *results, _ASK]
        assert _prompt_tokens(trial, messages=told) > _prompt_tokens(trial, messages=plain)

    return effect


def _binds_json(field: str, value: Any) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        assert isinstance(json.loads(_text(trial, **{field: value}))["ok"], bool)

    return effect


def _binds_text(field: str, value: Any) -> Effect:
    """Make the effect of a value that allows only the text `blue`."""

    def effect(trial: EndpointTrial) -> None:
        assert _text(trial, **{field: value}) == "blue"

    return effect


def _is_object(trial: EndpointTrial) -> None:
    # A model this small may never end an object by itself.
    answer = trial.ask(structured_outputs={"json_object": True}, max_tokens=_ENOUGH)["choices"][0]
    text = answer["message"]["content"] if "message" in answer else answer["text"]
    assert text.lstrip().startswith("{")


def _verbosity(trial: EndpointTrial) -> None:
    messages = [{"role": "system", "content": "Be kind."}, _ASK]
    assert _prompt_tokens(trial, messages=messages, verbosity="low") > _prompt_tokens(trial, messages=messages)


def _prediction(trial: EndpointTrial) -> None:
    text = trial.ask(max_tokens=40)["choices"][0]["message"]["content"]
    # A draft is only computed where it was measured to pay. While other programs compute, one bad measurement can stop
    # drafts for some steps.
    for _ in range(_TRIES):
        predicted = trial.ask(max_tokens=40, prediction={"type": "content", "content": text})
        assert predicted["choices"][0]["message"]["content"] == text
        details = predicted["usage"]["completion_tokens_details"]
        if details["accepted_prediction_tokens"] + details["rejected_prediction_tokens"] > 0:
            return
    raise AssertionError("no predicted token was computed ahead")


def _no_reasoning(field: str, value: Any) -> Effect:
    """Make the effect of a value that turns reasoning off."""

    def effect(trial: EndpointTrial) -> None:
        wish = {"model": reasoning_model.NAME, "max_tokens": 24}
        thinking, not_thinking = trial.ask(**wish), trial.ask(**wish, **{field: value})
        assert thinking["choices"][0]["message"]["reasoning"]
        assert "reasoning" not in not_thinking["choices"][0]["message"]
        assert not_thinking["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0

    return effect


def _thinking_token_budget(trial: EndpointTrial) -> None:
    answer = trial.ask(model=reasoning_model.NAME, max_tokens=60, thinking_token_budget=4)
    assert 0 < answer["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 12
    assert answer["choices"][0]["message"]["content"]


def _earlier_reasoning(field: str) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        told = [_ASK, {"role": "assistant", "content": "Sunny.", field: "The question is about the weather."}, _ASK]
        plain = [_ASK, {"role": "assistant", "content": "Sunny."}, _ASK]
        model = reasoning_model.NAME
        assert _prompt_tokens(trial, model=model, messages=told) > _prompt_tokens(trial, model=model, messages=plain)

    return effect


REASONING: Mapping[str, Effect] = {
    "messages.reasoning_content": _earlier_reasoning("reasoning_content"),
    "messages.reasoning": _earlier_reasoning("reasoning"),
    "reasoning_effort": _no_reasoning("reasoning_effort", "none"),
    "thinking_token_budget": _thinking_token_budget,
    "chat_template_kwargs": _no_reasoning("chat_template_kwargs", {"enable_thinking": False}),
}
"""The effects that need the server of the reasoning model."""

FORMATS: Mapping[str, Effect] = {
    "grammar": _binds_text("grammar", {"type": "lark", "definition": 'start: "blue"'}),
    "grammar.type": _binds_text("grammar", {"type": "regex", "definition": "blue"}),
    "grammar.definition": _binds_text("grammar", {"type": "lark", "definition": 'start: "blue"'}),
    "structured_outputs": _binds_text("structured_outputs", {"choice": ["blue"]}),
    "structured_outputs.json": _binds_json("structured_outputs", {"json": _SCHEMA}),
    "structured_outputs.regex": _binds_text("structured_outputs", {"regex": "bl[u]e"}),
    "structured_outputs.choice": _binds_text("structured_outputs", {"choice": ["blue"]}),
    "structured_outputs.grammar": _binds_text("structured_outputs", {"grammar": 'start: "bl" "ue"'}),
    "structured_outputs.json_object": _is_object,
    "guided_json": _binds_json("guided_json", _SCHEMA),
    "guided_regex": _binds_text("guided_regex", "bl[u]e"),
    "guided_choice": _binds_text("guided_choice", ["blue"]),
    "guided_grammar": _binds_text("guided_grammar", 'start: "blue"'),
}
"""The effects of the extensions that completions and chats share."""

_RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."}

CHAT: Mapping[str, Effect] = {
    **FORMATS,
    **REASONING,
    "messages.tool_calls": _history({"tool_calls": [_CALL]}, _RESULT),
    "messages.tool_call_id": _history({"tool_calls": [_CALL]}, _RESULT),
    "messages.function_call": _history({"function_call": _CALL["function"]}),
    "response_format": _binds_json(
        "response_format", {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}}
    ),
    "verbosity": _verbosity,
    "prediction": _prediction,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel_tool_calls,
    "functions": _functions,
    "function_call": _function_call,
}
"""The effects that only chats have."""
