"""Calls that are JSON as a whole, as one schema: for answers that are either a call or other JSON.

There a grammar cannot tell the two apart by a mark. Knows nothing of grammars.
"""

import json
from typing import Any

from homeport.engines.text.answers.answer_format import CallFormat, JsonArguments

_NAME = "\0"


def call_schema(calls: CallFormat, name: str, arguments: str) -> str | None:
    """Return the schema of calls of one tool; None if the format's calls are not JSON.

    `arguments`: the JSON Schema of its arguments, whose references may only be to its definitions.
    """
    if not isinstance(calls.arguments, JsonArguments):
        return None
    marks = (calls.section_begin, calls.begin, _NAME, calls.name_end, "{}", calls.end, calls.section_end)
    try:
        example = json.loads("".join(marks), strict=False)
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    if not isinstance(example, dict) or not isinstance(parsed, dict):
        return None
    definitions = {key: parsed.pop(key) for key in ("$defs", "definitions") if key in parsed}
    values: dict[Any, Any] = {_NAME: {"const": name}}
    properties = {key: parsed if value == {} else values.get(value, {"const": value}) for key, value in example.items()}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return json.dumps(schema | definitions)
