"""Checks that a file fits its purpose: JSON Lines in the right format, or an image. Reads line by line.

Knows nothing of jobs. The requests of a batch's lines are checked when the batch runs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.api.image_inputs.headers import is_image
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.history import AnswerFields
from homeport.domain.history_reader import HistoryReader
from homeport.domain.json_text import foreign_encoding, strip_bom
from homeport.domain.tool_fields import FunctionFields, ToolFields, to_functions, to_tools

MAX_LINE_BYTES = 20_000_000
_MEDIA_KINDS = ("image_url", "input_audio", "file")
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class _ExampleMessage(AnswerFields, kw_only=True):
    """A message of an example; training checks its other fields."""

    role: str
    content: Any = None
    name: str | None = None
    tool_call_id: str | None = None
    weight: int | None = None


class _ChatExample(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An example of today's API: a conversation."""

    messages: list[_ExampleMessage]
    tools: list[ToolFields] | None = None
    functions: list[FunctionFields] | None = None
    parallel_tool_calls: bool | None = None


class _Pair(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An example of 2023's API."""

    prompt: str
    completion: str


class _Input(msgspec.Struct, kw_only=True):
    messages: list[_ExampleMessage]


class _PreferenceExample(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An example of a preference between two answers."""

    input: _Input
    preferred_output: list[_ExampleMessage]
    non_preferred_output: list[_ExampleMessage]


_FORMATS: Mapping[str, type[msgspec.Struct]] = {"messages": _ChatExample, "prompt": _Pair, "input": _PreferenceExample}
"""By the field that identifies the format."""


def check(path: Path, purpose: str) -> None:
    """Check a file by its purpose. Raises InvalidRequest that names the first bad line."""
    if purpose == "vision":
        _check_image(path)
    elif purpose in ("batch", "evals"):
        _check_lines(path, _check_object)
    elif purpose == "fine-tune":
        _check_lines(path, _ExampleChecker())


def _check_lines(path: Path, check_line: Callable[[bytes], None]) -> None:
    n_lines = 0
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(line) > MAX_LINE_BYTES:
                raise _wrong(number, f"it is longer than {MAX_LINE_BYTES} bytes")
            line = strip_bom(line)
            if not line.strip():
                continue
            n_lines += 1
            try:
                check_line(line)
            except UnicodeDecodeError as error:
                raise _wrong(number, foreign_encoding(line) or "it is not valid UTF-8") from error
            except (msgspec.DecodeError, ValueError, RecursionError, InvalidRequest) as error:
                raise _wrong(number, foreign_encoding(line) or str(error)) from error
    if not n_lines:
        raise InvalidRequest("Invalid file format. The file has no line.", param="file", code="invalid_file_format")


def _check_object(line: bytes) -> None:
    if not isinstance(msgspec.json.decode(line.decode()), dict):
        raise ValueError("it is not a JSON object")


class _ExampleChecker:
    """Checks examples, which must all have one format."""

    def __init__(self) -> None:
        self._key_field: str | None = None

    def __call__(self, line: bytes) -> None:
        """Check one example. Raises ValueError, InvalidRequest or a decoding error."""
        value = msgspec.json.decode(line.decode())
        if not isinstance(value, dict):
            raise ValueError("it is not a JSON object")
        key_field = next((name for name in _FORMATS if name in value), None)
        if key_field is None:
            raise ValueError("it has neither 'messages', nor 'prompt' and 'completion', nor 'input' and two outputs")
        if self._key_field not in (None, key_field):
            raise ValueError(f"it has '{key_field}' where lines before it have '{self._key_field}'")
        self._key_field = key_field
        example = msgspec.convert(value, _FORMATS[key_field])
        if isinstance(example, _ChatExample):
            to_tools(example.tools or ())
            to_functions(example.functions or ())
            _check_turns(example.messages, "messages")
            if not any(turn.role == "assistant" for turn in example.messages):
                raise ValueError("no message has the role 'assistant'")
        elif isinstance(example, _PreferenceExample):
            _check_turns(example.input.messages, "input.messages")
            _check_turns(example.preferred_output, "preferred_output")
            _check_turns(example.non_preferred_output, "non_preferred_output")


def _check_turns(turns: list[_ExampleMessage], name: str) -> None:
    if not turns:
        raise ValueError(f"'{name}' is empty")
    reader = HistoryReader(name)
    for at, turn in enumerate(turns):
        if turn.role not in _ROLES:
            raise ValueError(f"{name}[{at}].role '{turn.role[:50]}' is none of {', '.join(_ROLES)}")
        if not isinstance(turn.content, str | list | None):
            raise ValueError(f"{name}[{at}].content is neither text nor parts")
        _check_parts(turn.content, f"{name}[{at}].content")
        if turn.weight not in (None, 0, 1):
            raise ValueError(f"{name}[{at}].weight is neither 0 nor 1")
        reader.read(turn, None)


def _check_parts(content: str | list[Any] | None, place: str) -> None:
    """Refuse what no model is trained on: images, sound and files."""
    for at, part in enumerate(content if isinstance(content, list) else ()):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _MEDIA_KINDS:
            raise ValueError(f"{place}[{at}] has the type '{kind}': models are fine-tuned on text only")


def _check_image(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(16)
    if not is_image(start):
        raise InvalidRequest(
            "Invalid file format. Expected a PNG, JPEG, GIF or WebP image.", param="file", code="invalid_file_format"
        )


def _wrong(number: int, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid file format. Line {number}: {excerpt(why).rstrip('.')}.", param="file", code="invalid_file_format"
    )
