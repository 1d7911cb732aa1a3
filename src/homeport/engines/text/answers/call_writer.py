"""Writes tool calls as a model would, in one answer format: the reverse of `answer_parser`, for checks of a format.

Knows nothing of templates, tokens or schemas.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from homeport.engines.text.answers.answer_format import (
    CALL_ID,
    CALL_INDEX,
    ArgumentsFormat,
    CallFormat,
    PythonArguments,
    TaggedArguments,
)

_ID = "abcdefghi"


def write_calls(format: CallFormat, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return calls, each a name and its arguments, as text. Strings must not contain the format's marks."""
    texts = [
        f"{format.begin}{name}{format.name_end}{_arguments(format.arguments, arguments)}{format.end}".replace(
            CALL_INDEX, str(at)
        ).replace(CALL_ID, _ID)
        for at, (name, arguments) in enumerate(calls)
    ]
    return format.section_begin + format.separator.join(texts) + format.section_end


def _arguments(format: ArgumentsFormat, arguments: Mapping[str, Any]) -> str:
    if isinstance(format, TaggedArguments):
        return format.separator.join(
            f"{format.begin}{key}{format.key_end}{_tagged(value, format.string_mark)}{format.end}"
            for key, value in arguments.items()
        )
    if isinstance(format, PythonArguments):
        return ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return json.dumps(arguments, ensure_ascii=False)


def _tagged(value: Any, string_mark: str) -> str:
    """Return a tagged argument's value: strings without quotes, or all strings between marks."""
    if string_mark:
        return _marked(value, string_mark)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _marked(value: Any, mark: str) -> str:
    if isinstance(value, str):
        return f"{mark}{value}{mark}"
    if isinstance(value, list):
        return f"[{','.join(_marked(each, mark) for each in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_marked(each, mark)}" for key, each in value.items()) + "}"
    return json.dumps(value)
