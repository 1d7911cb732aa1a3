"""What is sent for every field of the text endpoints, and the verdict on what came back.

The verdict is seen, not declared: `changes the answer`, `taken, changes nothing`, or `400 that names it`. Its
agreement with `api.text.fields` is what the test checks.
"""

from collections.abc import Mapping
from typing import Any

from homeport.api.text.fields import FIELDS, Field, Status
from tests.system.compatibility.effects import EFFECTS, Desk

ACCEPTED: Mapping[str, Any] = {
    "user": "someone",
    "service_tier": "auto",
    "safety_identifier": "someone",
    "prompt_cache_key": "a key",
    "prompt_cache_retention": "in_memory",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "parallel_tool_calls": True,
}
_ASK = {"role": "user", "content": "hi"}
_FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
REFUSED: Mapping[str, Mapping[str, Any]] = {
    "stream_options.include_obfuscation": {"stream": True, "stream_options": {"include_obfuscation": True}},
    "messages.audio": {"messages": [_ASK, {"role": "assistant", "audio": {"id": "audio_1"}}]},
    "messages.tool_calls": {"messages": [_ASK, {"role": "assistant", "content": None, "tool_calls": [_CALL]}]},
    "messages.tool_call_id": {"messages": [_ASK, {"role": "tool", "content": "x", "tool_call_id": "call_1"}]},
    "messages.function_call": {
        "messages": [_ASK, {"role": "assistant", "content": None, "function_call": _CALL["function"]}]
    },
    "modalities": {"modalities": ["text", "audio"]},
    "response_format": {"response_format": {"type": "json_object"}},
    "store": {"store": True},
    "verbosity": {"verbosity": "low"},
    "tools": {"tools": [{"type": "function", "function": _FUNCTION}]},
    "tool_choice": {"tool_choice": "required"},
    "functions": {"functions": [_FUNCTION]},
    "function_call": {"function_call": {"name": "f"}},
    "audio": {"audio": {"voice": "alloy", "format": "mp3"}},
    "moderation": {"moderation": {"model": "omni-moderation-latest"}},
    "prediction": {"prediction": {"type": "content", "content": "x"}},
    "reasoning_effort": {"reasoning_effort": "high"},
    "web_search_options": {"web_search_options": {}},
}


def judge(desk: Desk, field: Field) -> str:
    """Try one field on a real server; give what was seen, or raise AssertionError with what was not."""
    if field.status is Status.SERVED:
        EFFECTS[desk.endpoint][field.name](desk)
        return "changes the answer"
    if field.status is Status.ACCEPTED:
        answer = desk.raw(**{field.name: ACCEPTED[field.name]})
        assert answer.status == 200, answer.body
        return "taken, changes nothing"
    answer = desk.raw(**REFUSED[field.name])
    assert answer.status == 400, answer.body
    top = field.name.split(".")[0]
    assert (answer.error["param"] or "").split("[")[0].split(".")[0] == top, answer.body
    return "400 that names it"


def every_field() -> list[tuple[str, Field]]:
    """Endpoint and field, for all of them."""
    return [(endpoint, field) for endpoint, fields in FIELDS.items() for field in fields]
