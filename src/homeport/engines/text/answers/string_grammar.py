"""The grammar of strings that are written without quotes, up to a mark, from their JSON Schema.

Knows nothing of what surrounds a string.
"""

import json
from collections.abc import Mapping
from typing import Any

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.tools import Tool
from homeport.engines.text.answers.lark_source import (
    LarkSource,
    alternatives,
    terminal,
)
from homeport.engines.text.answers.schema_patterns import whole_pattern

ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}) | {
    *("nullable", "$comment", "$schema", "$id", "$defs", "definitions", "type")
}
"""Keywords of JSON Schema that allow and forbid nothing, or that are looked at elsewhere."""

_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[-+]([01][0-9]|2[0-3]):[0-5][0-9])"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}[Tt]{_TIME}",
    "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
}
_ENFORCED = ANNOTATIONS | {"enum", "const", "pattern", "format", "minLength", "maxLength"}


def not_enforced(tool: Tool, what: str) -> InvalidRequest:
    """Return the error for a strict tool whose schema has something that this model's format cannot enforce."""
    return InvalidRequest(
        f"The tool `{tool.name}` is strict, but {excerpt(what)} in its parameters cannot be enforced for this model. "
        "Remove it or set `strict` to false.",
        param=f"{tool.param}.parameters",
    )


def string_until(source: LarkSource, schema: Mapping[str, Any], mark: str, tool: Tool) -> str:
    """Return a string that a schema describes, without quotes, and then a mark.

    Raises InvalidRequest for what cannot be enforced if the tool is strict; otherwise that is left out.
    """
    allowed = [schema["const"]] if "const" in schema else schema.get("enum", ())
    if words := [value for value in allowed if isinstance(value, str)]:
        return alternatives([source.then(word, mark) for word in words])
    if tool.is_strict and (unknown := sorted(set(schema) - _ENFORCED)):
        raise not_enforced(tool, f"`{unknown[0]}` of a string")
    conditions = _conditions(schema, tool)
    return source.matching_until(conditions, mark) if conditions else source.until(mark)


def _conditions(schema: Mapping[str, Any], tool: Tool) -> list[str]:
    """Return a schema's conditions for a string, each as a terminal."""
    conditions = []
    if isinstance(pattern := schema.get("pattern"), str):
        if (whole := whole_pattern(pattern)) is not None:
            conditions.append(terminal(whole))
        elif tool.is_strict:
            raise not_enforced(tool, f"the pattern {json.dumps(pattern)}")
    if isinstance(name := schema.get("format"), str):
        if name in _FORMATS:
            conditions.append(terminal(_FORMATS[name]))
        elif tool.is_strict:
            raise not_enforced(tool, f"the format {json.dumps(name)}")
    least, most = schema.get("minLength", 0), schema.get("maxLength", "")
    if (least or most != "") and isinstance(least, int) and (most == "" or isinstance(most, int)):
        conditions.append(f"/(?s:.{{{least},{most}}})/")
    return conditions
