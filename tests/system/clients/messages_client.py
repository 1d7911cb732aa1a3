"""Drives `/v1/messages` with Anthropic's client, which checks every answer and event with its own types.

Run as `python messages_client.py ADDRESS KEY MODEL`. Prints one JSON object: scenario → result.
"""

import base64
import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

anthropic: Any = importlib.import_module("anthropic")
pydantic: Any = importlib.import_module("pydantic")
ADDRESS, KEY, MODEL = sys.argv[1:]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
ASK = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"capital": {"enum": ["Paris", "Rome"]}},
    "required": ["capital"],
    "additionalProperties": False,
}


def _client(**wish: Any) -> Any:
    return anthropic.Anthropic(
        **{"base_url": ADDRESS, "api_key": KEY, "max_retries": 0, "timeout": 120, **wish},
        _strict_response_validation=True,
    )


client = _client()


def _body(**wish: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": ASK, "max_tokens": 16, "extra_body": {"temperature": 0}, **wish}


def _create(**wish: Any) -> Any:
    return client.messages.create(**_body(**wish)).model_dump(mode="json", exclude_none=True)


def _events(**wish: Any) -> list[Any]:
    """Return the events of a stream as they are sent, each checked with the client's own type of it."""
    check = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)
    events = []
    with client.messages.with_streaming_response.create(**_body(stream=True, **wish)) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
                if events[-1]["type"] != "ping":
                    check.validate_python(events[-1], strict=False)
    return events


def _added_up(**wish: Any) -> Any:
    """Return the message to which the client adds up a stream."""
    with client.messages.stream(**_body(**wish)) as stream:
        return stream.get_final_message().model_dump(mode="json", exclude_none=True)


def _tool_round() -> Any:
    """Call a tool, return its result, and read the answer."""
    question = [{"role": "user", "content": "What is the weather in Paris in celsius?"}]
    tools: dict[str, Any] = {"tools": [WEATHER], "max_tokens": 100}
    with client.messages.stream(
        **_body(messages=question, tool_choice={"type": "tool", "name": "get_weather"}, **tools)
    ) as stream:
        called = stream.get_final_message()
    (use,) = [block for block in called.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "12 degrees, rain"}]}
    messages = [*question, called.to_param(), {"role": "user", "content": [result, {"type": "text", "text": "Well?"}]}]
    body = _body(messages=messages, tool_choice={"type": "none"}, **tools)
    answer = client.messages.create(**body)
    counted = client.messages.count_tokens(
        model=MODEL, messages=messages, tools=[WEATHER], tool_choice={"type": "none"}
    )
    return {
        "reason": called.stop_reason,
        "input": use.input,
        "answer": answer.model_dump(mode="json", exclude_none=True),
        "counted": counted.input_tokens,
    }


def _count() -> Any:
    given: dict[str, Any] = {"system": "Be brief.", "messages": ASK}
    counted = client.messages.count_tokens(model=MODEL, **given).input_tokens
    usage = client.messages.create(**_body(**given)).usage
    return [counted, usage.input_tokens + usage.cache_read_input_tokens]


def _stop() -> Any:
    """Stop at the middle of what the model would write."""
    text = _create()["content"][0]["text"]
    sequence = text[len(text) // 2 :][:4]
    return [text.partition(sequence)[0], sequence, _create(stop_sequences=["zzz", sequence])]


def _error(call: Callable[[], Any]) -> Any:
    try:
        call()
    except anthropic.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "type": error.body["error"]["type"],
            "message": error.body["error"]["message"],
            "has_id": error.request_id == error.body["request_id"],
        }
    return None


def _image() -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert base64.b64decode(PIXEL)
    return _create(messages=[{"role": "user", "content": [{"type": "image", "source": source}]}])


SCENARIOS: dict[str, Callable[[], Any]] = {
    "whole": _create,
    "events": _events,
    "added_up": _added_up,
    "alias": lambda: _create(model="claude-sonnet-4-5", max_tokens=2),
    "bearer": lambda: _client(api_key=None, auth_token=KEY).messages.create(**_body()).stop_reason,
    "beta": lambda: client.beta.messages.create(**_body(betas=["context-management-2025-06-27"])).stop_reason,
    "models": lambda: [each.id for each in client.models.list()],
    "count": _count,
    "stop": _stop,
    "schema": lambda: _create(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}, max_tokens=40),
    "tools": _tool_round,
    "image": lambda: _error(_image),
    "wrong_key": lambda: _error(lambda: _client(api_key="sk-wrong").messages.create(**_body())),
    "unknown_model": lambda: _error(lambda: _create(model="nobody")),
    "too_long": lambda: _error(lambda: _create(messages=[{"role": "user", "content": "word " * 60_000}])),
    "bad_value": lambda: _error(lambda: _create(max_tokens=0)),
    "unknown_path": lambda: _error(lambda: client.messages.batches.list()),
}

print(json.dumps({name: scenario() for name, scenario in SCENARIOS.items()}))  # noqa: T201 - the caller reads it
