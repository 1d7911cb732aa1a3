"""JSON fields that hold a schema or a grammar, converted to values with all checks that need no compiler.

Errors have OpenAI's texts and name the field. Knows nothing of endpoints and tools.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import GrammarFormat, GrammarSyntax

MAX_JSON_CHARS = 1_000_000
"""The maximum size of one schema, of a call's arguments, and of all tools of a request together."""
MAX_DEPTH = 64
"""The maximum number of arrays and objects inside each other in a schema or in arguments."""
MAX_GRAMMAR_CHARS = 100_000

_SYNTAXES: Sequence[GrammarSyntax] = ("lark", "regex")


class GrammarFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A grammar and the language that it is written in."""

    syntax: str | None = None
    definition: str | None = None


def to_schema_text(schema: object, place: str) -> str:
    """Return a JSON Schema, which must be an object, as compact JSON text. Raises InvalidRequest naming `place`."""
    if not isinstance(schema, dict):
        raise InvalidRequest(
            f"Invalid type for '{place}': expected an object, but got {_type_name(schema)} instead.",
            param=place,
            code="invalid_type",
        )
    try:
        text = msgspec.json.encode(schema).decode()
    except RecursionError:
        raise _too_deep(place) from None
    if len(text) > MAX_JSON_CHARS:  # checked first: the depth takes several times as long to compute
        raise too_large(place, len(text))
    check_depth(schema, place)
    return text


def check_depth(value: Any, place: str) -> None:
    """Raise InvalidRequest naming `place` for an object or array that is nested more than `MAX_DEPTH` deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep(place)


def to_grammar(fields: GrammarFields, place: str, syntax_name: str = "syntax") -> GrammarFormat:
    """Convert a grammar, which is not compiled here. Raises InvalidRequest naming the field."""
    syntax, definition = fields.syntax, fields.definition
    if syntax is None:
        raise validation.missing(f"{place}.{syntax_name}")
    if definition is None:
        raise validation.missing(f"{place}.definition")
    validation.check_choice(f"{place}.{syntax_name}", syntax, _SYNTAXES)
    known = next(each for each in _SYNTAXES if each == syntax)
    return to_definition(known, definition, f"{place}.definition")


def to_definition(syntax: GrammarSyntax, definition: str, place: str) -> GrammarFormat:
    """Make the format of a grammar's text. Raises InvalidRequest naming `place` if it is empty or too long."""
    validation.check_length(place, definition, MAX_GRAMMAR_CHARS, 1)
    return GrammarFormat(syntax, definition, place)


def too_large(place: str, size: int) -> InvalidRequest:
    """Make the error for more than `MAX_JSON_CHARS` of JSON."""
    return InvalidRequest(
        f"Invalid '{place}': too large. Expected at most {MAX_JSON_CHARS} characters of JSON, but got {size} instead.",
        param=place,
        code="invalid_value",
    )


def _too_deep(place: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{place}': it is nested too deeply. At most {MAX_DEPTH} levels are allowed.",
        param=place,
        code="invalid_value",
    )


def _type_name(value: object) -> str:
    names = ((bool, "a boolean"), (str, "a string"), (int | float, "a number"), (list, "an array"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
