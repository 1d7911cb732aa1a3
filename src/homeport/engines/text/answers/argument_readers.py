"""Reads a call's arguments while they are generated, and returns them as pieces of JSON.

One reader per call and format. JSON is returned as it was written; other formats are rewritten, each value once it is
complete, but strings as they come. Of a custom tool only the text of its only argument is returned. Knows nothing of
the marks around a call.
"""

import json
import re
from typing import Protocol

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import (
    ArgumentsFormat,
    JsonArguments,
    PythonArguments,
    TaggedArguments,
)
from homeport.engines.text.answers.argument_schemas import STRING, ArgumentSchema, as_json
from homeport.engines.text.answers.json_input import JsonInput
from homeport.engines.text.answers.literal_reader import GEMMA, PYTHON, LiteralReader
from homeport.engines.text.answers.marks import ABSENT, CONTROL, PARTIAL, Mark, MarkFinder, written

_JSON_OUTSIDE = re.compile(r'["{}\[\]]')
_JSON_INSIDE = re.compile(r'["\\]')
_JSON_SPACE = " \t\r\n"


class ArgumentReader(Protocol):
    """Reads one call's arguments. `is_done`: they are complete; the text after them was not read."""

    is_done: bool

    def read(self, text: str, position: int) -> tuple[int, str]:
        """Read `text` from a position on; return up to where, and what is to be returned.

        What is not read must be passed again, with the text that follows it.
        """
        ...

    def close(self, is_complete: bool) -> str:
        """End arguments that are not done; return the rest. `is_complete`: the model ended the answer itself.

        They are done if then only marks are missing.
        """
        ...


def argument_reader(format: ArgumentsFormat, tool: Tool, controls: frozenset[str]) -> ArgumentReader:
    """Return a new reader for one call of a tool."""
    if isinstance(format, JsonArguments):
        return JsonReader(is_input=tool.is_custom)
    if isinstance(format, PythonArguments):
        return LiteralReader(PYTHON, is_input=tool.is_custom)
    if format.string_mark:
        return LiteralReader(GEMMA.with_mark(written(format.string_mark, controls)), is_input=tool.is_custom)
    return TaggedReader(format, tool, controls)


class JsonReader:
    """One JSON object, returned as it is written. `is_input`: only the decoded text of its string is returned."""

    def __init__(self, *, is_input: bool) -> None:
        self.is_done = False
        self._depth = 0
        self._in_string = self._escaped = False
        self._input = JsonInput() if is_input else None

    def read(self, text: str, position: int) -> tuple[int, str]:
        """Read up to the object's end. What does not begin with an object is `{}`."""
        start = position
        if not self._depth:
            while start < len(text) and text[start] in _JSON_SPACE:
                start += 1
            if start == len(text):
                return start, ""
            if text[start] != "{":
                self.is_done = True
                return start, self._returned("{}")
        end = self._scan(text, start)
        return end, self._returned(text[start:end].replace(CONTROL, ""))

    def close(self, is_complete: bool) -> str:
        """Return nothing, or `{}` if the model ended its answer before the object."""
        self.is_done = is_complete and not self._depth
        return self._returned("{}") if self.is_done else ""

    def _scan(self, text: str, at: int) -> int:
        if self._escaped and at < len(text):
            at, self._escaped = at + 1, False
        while match := (_JSON_INSIDE if self._in_string else _JSON_OUTSIDE).search(text, at):
            at = match.end()
            if match[0] == '"':
                self._in_string = not self._in_string
            elif match[0] == "\\":
                self._escaped = at == len(text)
                at += 1
            else:
                self._depth += 1 if match[0] in "{[" else -1
                if not self._depth:
                    self.is_done = True
                    return at
        return len(text)

    def _returned(self, text: str) -> str:
        return text if self._input is None else self._input.feed(text)


class TaggedReader:
    """Arguments between marks, strings without quotes."""

    def __init__(self, format: TaggedArguments, tool: Tool, controls: frozenset[str]) -> None:
        self.is_done = False
        self._schema = ArgumentSchema(tool.parameters)
        self._is_input = tool.is_custom
        self._first = Mark(format.begin, controls)
        self._next = Mark(format.separator + format.begin, controls)
        self._key_end = MarkFinder([written(format.key_end, controls)])
        self._end = MarkFinder([written(format.end, controls)])
        self._count = 0
        self._key: list[str] | None = None
        self._types: frozenset[str] | None = None
        self._value: list[str] = []

    def read(self, text: str, position: int) -> tuple[int, str]:
        """Read up to where no further argument begins."""
        returned: list[str] = []
        while not self.is_done:
            if self._types is not None:
                after = self._read_value(text, position, returned)
            elif self._key is not None:
                after = self._read_key(text, position, returned)
            else:
                after = self._read_begin(text, position, returned)
            if after < 0:
                break
            position = after
            if position == len(text):
                break
        return position, "".join(returned)

    def close(self, is_complete: bool) -> str:
        """Return the object's end if the model ended its answer between two arguments."""
        self.is_done = is_complete and self._types is None and self._key is None
        if self._is_input or not self.is_done:
            return ""
        return "}" if self._count else "{}"

    def _read_begin(self, text: str, position: int, returned: list[str]) -> int:
        after = (self._next if self._count else self._first).at(text, position)
        if after == ABSENT:
            self.is_done = True
            if not self._is_input:
                returned.append("}" if self._count else "{}")
            return position
        if after != PARTIAL:
            self._key = []
        return after

    def _read_key(self, text: str, position: int, returned: list[str]) -> int:
        key = self._key = self._key or []
        found = self._key_end.find(text, position)
        if found is None:
            end = self._key_end.held(text, position)
            key.append(text[position:end])
            return end if end > position else PARTIAL
        name = ("".join(key) + text[position : found[0]]).replace(CONTROL, "")
        self._key = None
        self._types = STRING if self._is_input else self._schema.types(name)
        if not self._is_input:
            returned.append((", " if self._count else "{") + json.dumps(name, ensure_ascii=False) + ": ")
            returned.append('"' if self._types == STRING else "")
        self._count += 1
        return found[1]

    def _read_value(self, text: str, position: int, returned: list[str]) -> int:
        found = self._end.find(text, position)
        end = self._end.held(text, position) if found is None else found[0]
        piece = text[position:end].replace(CONTROL, "")
        if self._is_input:
            returned.append(piece)
        elif self._types == STRING:
            returned.append(json.dumps(piece, ensure_ascii=False)[1:-1])
        else:
            self._value.append(piece)
        if found is None:
            return end if end > position else PARTIAL
        if self._types == STRING:
            returned.append("" if self._is_input else '"')
        else:
            returned.append(as_json("".join(self._value), self._types or frozenset()))
        self._types, self._value = None, []
        return found[1]
