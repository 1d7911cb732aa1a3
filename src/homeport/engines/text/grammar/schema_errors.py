"""Finds the subschema and the keyword because of which a schema does not compile, from llguidance's message.

Knows llguidance's messages, and nothing of how grammars are compiled.
"""

import re
from collections.abc import Callable, Sequence

from homeport.domain.errors import excerpt
from homeport.engines.text.grammar.json_schema import read, refuse
from homeport.engines.text.grammar.schema_walk import EmbeddedSchema, Schema, Subschema, walk

FindFailing = Callable[[Sequence[str]], int | None]

_TOO_COMPLEX = "too long|too complex"
_PREFIX = re.compile(r"^(at \d+\(\d+\): )?(failed to compile JSON schema: )?")
_UNSATISFIABLE = ("const", "enum", "required", "allOf", "anyOf", "type", "minimum", "minLength")
# Parts of llguidance's messages, each with the keywords one of which is then at fault.
_CAUSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"Unknown format", ("format",)),
    (r"Invalid type", ("type",)),
    (r"oneOf constraints", ("oneOf",)),
    (r"patternProperty", ("patternProperties",)),
    (r"regex|lookaround", ("pattern", "patternProperties", "multipleOf", "minimum", "maximum")),
    (r"min/maxProperties|Properties only supported", ("minProperties", "maxProperties")),
    (r"Resource|Pointer|circular references|resolve", ("$ref",)),
    (r"required property", ("required",)),
    (r"anyOf is empty", ("anyOf", "enum")),
    (r"multiple of", ("multipleOf",)),
    (r"Unsatisfiable|incompatible", _UNSATISFIABLE),
    (_TOO_COMPLEX, ("multipleOf", "allOf", "oneOf", "anyOf", "patternProperties", "enum", "properties")),
    (r"too large|too big|fuel|limit", ("multipleOf", "allOf", "enum", "properties")),
)
_NAMED = re.compile(r"for '([^']+)'|^'?(\w+)'? must be")
_MAX_TRIED = 64
_MAX_TRIED_BYTES = 4 << 20


def explain(schema: str, message: str, *, param: str, find_failing: FindFailing) -> None:
    """Raise InvalidRequest for a schema that llguidance refused with a message.

    `find_failing` returns the index of the first of some grammars that does not compile; None if all do, or if the time
    for that is up.
    """
    root = read(schema, param)
    reason = excerpt(_PREFIX.sub("", message.splitlines()[0] if message else "").strip().rstrip("."), 160)
    keywords = _keywords(reason)
    parts = list(walk(root))
    suspects = [part for part in parts if part.schema.keys() & set(keywords)] or parts
    if "recursion limit" in reason:
        refuse(param, (), None, "is nested too deeply")
    if re.search(_TOO_COMPLEX, reason):  # no single part is at fault; a keyword is named if it often is the cause
        likely = next((key for key in keywords if key in suspects[0].schema), None)
        refuse(param, suspects[0].path, likely, "is too complex to compile")
    part = _first_failing(root, suspects[::-1], find_failing)
    part = part or Subschema((), root)
    keyword = next((key for key in keywords if key in part.schema), None)
    if keywords == _UNSATISFIABLE:
        keyword = next((word for word in re.findall(r"[a-zA-Z]+", reason) if word in part.schema), keyword)
    if keyword is None and len(keywords) == 1:
        keyword = keywords[0]
    keyword = keyword or next((key for key in part.schema if key in _CONSTRAINING), None)
    refuse(param, part.path, keyword, f"is not supported ({reason})")


_CONSTRAINING = frozenset(key for _, keys in _CAUSES for key in keys)


def _keywords(reason: str) -> tuple[str, ...]:
    named = _NAMED.search(reason)
    if named is not None:
        return (named.group(1) or named.group(2),)
    return next((keys for part, keys in _CAUSES if re.search(part, reason)), ())


def _first_failing(root: Schema, suspects: Sequence[Subschema], find_failing: FindFailing) -> Subschema | None:
    """Return the first of the suspects, the deepest ones first, that does not compile by itself."""
    if len(suspects) == 1:
        return suspects[0]
    embedded = EmbeddedSchema(root)
    tried = suspects[: max(1, min(_MAX_TRIED, _MAX_TRIED_BYTES // embedded.size))]
    sources = [f"start: %json {embedded.alone(part.path)}" for part in tried]
    index = find_failing(sources)
    return None if index is None else tried[index]
