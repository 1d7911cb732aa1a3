"""Splits a schema of values that may be strings: which arrays and objects it allows, and whether it binds others.

Where strings have no quotes, text that begins like an array or object is one; all other text is a string, number or
constant. Knows nothing of grammars.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from homeport.engines.text.answers.argument_schemas import ArgumentSchema, Schema
from homeport.engines.text.answers.string_grammar import ANNOTATIONS

_STRUCTURED = frozenset({"array", "object"})
_OF_STRUCTURED = frozenset(
    ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "maxProperties")
) | {"items", "prefixItems", "minItems", "maxItems"}
"""Keywords that bind only arrays and objects."""


class SplitSchema(NamedTuple):
    """`structured`: the schema of arrays and objects; None: there are none. `is_exact`: nothing else is bound."""

    structured: Schema | None
    is_exact: bool


def split(whole: ArgumentSchema, schema: Mapping[str, Any], depth: int = 0) -> SplitSchema:
    """Return the parts of a schema, whose references are to `whole`."""
    schema = whole.resolve(schema)
    keywords = set(schema) - ANNOTATIONS
    for key in ("anyOf", "oneOf"):
        if key in schema and depth < 8:
            parts = [split(whole, branch, depth + 1) for branch in schema[key] if isinstance(branch, Mapping)]
            found = [part.structured for part in parts if part.structured is not None]
            is_exact = keywords == {key} and len(parts) == len(schema[key]) and all(part.is_exact for part in parts)
            return SplitSchema((found[0] if len(found) == 1 else {key: found}) if found else None, is_exact)
    types = whole.types_of(schema)
    allowed = sorted(types & _STRUCTURED) if types else sorted(_STRUCTURED)
    if types and types <= _STRUCTURED:
        return SplitSchema(schema, True)
    return SplitSchema({**schema, "type": allowed} if allowed else None, keywords <= _OF_STRUCTURED)
