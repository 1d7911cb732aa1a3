"""Turns a JSON Schema into a term of a Lark grammar that accepts exactly the JSON texts which the schema describes.

What llguidance does not enforce is refused by name, never ignored. A few keywords that constrain nothing in the form
they have are removed. Nothing is compiled here; `schema_errors` finds where a schema that does not compile is at fault.
Source: JSON Schema 2020-12, with the older keywords that constrain; llguidance's docs/json_schema.md.
"""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.engines.text.grammar import number_bounds
from homeport.engines.text.grammar.schema_walk import Path, Schema, field_path, pointer, walk

MAX_SOURCE_BYTES = 512 << 10
_OPTIONS = "x-guidance"
# Escapes of other characters are not needed, and `\u0061` in a key would be another spelling of a declared name. For
# the same reason a slash is never escaped.
_ESCAPES = '"\\bfnrt'
_FLEXIBLE = {"whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,8}", "json_allowed_escapes": _ESCAPES}
_COMPACT = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allowed_escapes": _ESCAPES,
}


def _is_nothing(value: object) -> bool:
    """Return whether a subschema, or an object of requirements, allows everything."""
    return value is True or value == {}


def _never(_: object) -> bool:
    return False


# Keywords that constrain and that llguidance refuses or, because it does not know them, ignores. Each with the test
# whether a value constrains nothing.
_REFUSED: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), _is_nothing),
    **dict.fromkeys(("propertyNames", "unevaluatedProperties", "unevaluatedItems"), _is_nothing),
    "uniqueItems": lambda value: value is False,
    "not": lambda value: value is False,
    **dict.fromkeys(("if", "contains", "$dynamicRef", "$recursiveRef", "extends", "disallow", "divisibleBy"), _never),
    **dict.fromkeys(("formatMinimum", "formatMaximum", "formatExclusiveMinimum", "formatExclusiveMaximum"), _never),
}
# Keywords that constrain nothing without the one they belong to.
_DEPENDENT = {"then": "if", "else": "if", "minContains": "contains", "maxContains": "contains"}
# With a `$schema` of an old draft, llguidance ignores the keywords of later ones.
_REMOVED = (_OPTIONS, "$schema")


def to_lark(schema: str, *, param: str, compact: bool) -> str:
    """Return the term for a schema (JSON text), to be used in a rule of a Lark grammar.

    `compact`: written as Python's `json.dumps` does; else with up to 8 characters of white space where JSON allows it.
    No white space precedes or follows the value. Raises InvalidRequest, whose `param` is the given one and the path of
    the subschema that is refused; its message names the path and the keyword.
    """
    root = read(schema, param)
    root[_OPTIONS] = _COMPACT if compact else _FLEXIBLE
    try:
        return f"%json {json.dumps(root)}"
    except RecursionError:
        refuse(param, (), None, "is nested too deeply")


def read(schema: str, param: str) -> Schema:
    """Return a schema without what constrains nothing. Raises InvalidRequest if a part of it cannot be enforced."""
    root = _decode(schema, param)
    for path, part in walk(root):
        for key in _REMOVED:
            part.pop(key, None)
        if "if" in part and not {"then", "else"} & part.keys():
            del part["if"]
        for key, needed in _DEPENDENT.items():
            if needed not in part:
                part.pop(key, None)
        for key in _REFUSED.keys() & part.keys():
            if _REFUSED[key](part[key]):
                del part[key]
        refused = next((key for key in part if key in _REFUSED), None)
        if refused is not None:
            refuse(param, path, refused, "is not supported")
        if (bound := number_bounds.narrow(part)) is not None:
            refuse(param, path, bound, "is not supported (the numbers are too large)")
    return root


def refuse(param: str, path: Path, keyword: str | None, reason: str) -> NoReturn:
    """Raise InvalidRequest for a keyword (None: not known which) at a path of the schema in the field `param`."""
    place = excerpt(pointer(path))
    subject = f"{keyword!r} at {place}" if keyword else f"the schema at {place}"
    raise InvalidRequest(
        f"The schema cannot be enforced: {subject} {reason}.",
        param=f"{param}{field_path(path)}",
        code="invalid_json_schema",
    )


def _decode(schema: str, param: str) -> Schema:
    if len(schema) > MAX_SOURCE_BYTES or len(schema.encode(errors="replace")) > MAX_SOURCE_BYTES:
        raise InvalidRequest(f"The schema is larger than {MAX_SOURCE_BYTES} bytes.", param=param)
    try:
        root = json.loads(schema, parse_constant=_refuse_constant)
    except RecursionError:
        refuse(param, (), None, "is nested too deeply")
    except ValueError as error:
        raise InvalidRequest(f"The schema is not valid JSON: {excerpt(str(error))}.", param=param) from error
    if root is True:
        return {}
    if root is False:
        refuse(param, (), None, "accepts nothing")
    if not isinstance(root, dict):
        raise InvalidRequest("A schema must be a JSON object or true.", param=param)
    return root


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
