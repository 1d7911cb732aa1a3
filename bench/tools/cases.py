"""Cases of the Berkeley Function-Calling Leaderboard as requests of OpenAI's chat completions.

Its functions are described in words of Python; `tool` turns them into JSON Schema, the same for every server. Knows
nothing of servers, or of what answers are right.
"""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

Schema = dict[str, Any]
Values = Mapping[str, Sequence[Any]]

_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
_CHECKS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
_NOT_JSON_SCHEMA = ("optional",)


class Function(msgspec.Struct, frozen=True):
    """A function as the case describes it. `parameters`: its arguments, with types in words of Python."""

    name: str
    description: str
    parameters: Schema


class Case(msgspec.Struct, frozen=True):
    """A conversation, the functions a model may call, and the calls that are right.

    `answers`: for each call its function's name, and for each argument the accepted values, of which an empty string
    means that the argument may be absent. No answers: no call is right.
    """

    id: str
    messages: list[dict[str, str]]
    functions: list[Function]
    answers: list[dict[str, Values]]

    @property
    def category(self) -> str:
        """Its kind, such as `parallel_multiple`."""
        return self.id.rstrip("-0123456789").rstrip("_")

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Its functions as OpenAI's `tools`."""
        return [tool(function) for function in self.functions]


def load(path: Path) -> list[Case]:
    """Read cases from JSON lines, which may be compressed with gzip."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [msgspec.json.decode(line, type=Case) for line in content.splitlines() if line.strip()]


def tool(function: Function) -> dict[str, Any]:
    """One of OpenAI's `tools`."""
    described = {
        "name": name(function.name),
        "description": function.description,
        "parameters": schema(function.parameters),
    }
    return {"type": "function", "function": described}


def name(of: str) -> str:
    """The function's name in the characters that OpenAI accepts."""
    return of.replace(".", "_")


def schema(described: Schema) -> Schema:
    """The JSON Schema of a described value: `dict` is an object, `float` a number, `tuple` an array, `any` any value.

    Values of `enum` that are not of the type are left out, because no JSON value could match both.
    """
    found = {key: value for key, value in described.items() if key not in _NOT_JSON_SCHEMA}
    kind = found.pop("type", "any")
    if kind != "any":
        found = {"type": _TYPES.get(kind, kind), **found}
    if "properties" in found:
        found["properties"] = {each: schema(value) for each, value in found["properties"].items()}
    if "items" in found:
        found["items"] = schema(found["items"])
    if "enum" in found:
        found["enum"] = [value for value in found["enum"] if _has_type(value, found.get("type"))]
        if not found["enum"]:
            del found["enum"]
    return found


def _has_type(value: object, kind: str | None) -> bool:
    if kind is None:
        return True
    return isinstance(value, _CHECKS[kind]) and (kind == "boolean" or not isinstance(value, bool))
