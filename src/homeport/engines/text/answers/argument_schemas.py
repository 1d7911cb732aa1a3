"""What a tool's JSON Schema says about its arguments: which there are, and which JSON types each may have.

For formats that write arguments one by one and strings without quotes. Knows nothing of grammars or marks.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any] | bool

ANY: frozenset[str] = frozenset()
"""The types of a value that may be anything."""
STRING = frozenset({"string"})

_MAX_DEPTH = 32


_KEYWORD_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("properties", "$defs", "definitions"), dict),
    **dict.fromkeys(("required", "enum", "anyOf", "oneOf", "allOf"), list),
    **dict.fromkeys(("items", "additionalProperties"), (dict, bool)),
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), int),
    **dict.fromkeys(("$ref", "pattern", "format"), str),
    "type": (str, list),
}


class Property(NamedTuple):
    """One declared argument."""

    name: str
    schema: Schema
    is_required: bool


class ArgumentSchema:
    """The schema of one tool's arguments."""

    def __init__(self, text: str | None) -> None:
        """`text`: the schema as JSON; None: no arguments. Raises nothing: an unusable schema allows any arguments."""
        try:
            parsed = {"properties": {}, "additionalProperties": False} if text is None else json.loads(text)
        except (ValueError, RecursionError):
            parsed = {}
        self._root: Mapping[str, Any] = parsed if isinstance(parsed, dict) and is_well_formed(parsed) else {}
        self._object = self.resolve(self._root)

    @property
    def definitions(self) -> dict[str, Any]:
        """The root's definitions, which the schemas of its properties may refer to."""
        return {key: self._root[key] for key in ("$defs", "definitions") if key in self._root}

    @property
    def properties(self) -> tuple[Property, ...] | None:
        """The declared arguments in the schema's order; None: any keys, with values of `additional`."""
        schema = self._object
        declared, required = schema.get("properties"), schema.get("required", ())
        if not isinstance(declared, dict) or any(key in schema for key in ("anyOf", "oneOf", "allOf")):
            return None
        if not declared and (schema.get("additionalProperties", False) is not False or "patternProperties" in schema):
            return None
        names = set(required) if isinstance(required, list) and all(isinstance(name, str) for name in required) else ()
        return tuple(Property(name, value, name in names) for name, value in declared.items())

    @property
    def additional(self) -> Schema:
        """The schema of arguments that are not declared."""
        value = self._object.get("additionalProperties", True)
        return value if isinstance(value, dict | bool) else True

    @property
    def undeclared(self) -> tuple[str, ...]:
        """The required arguments that have no schema."""
        required, declared = self._object.get("required", ()), self._object.get("properties")
        if not isinstance(required, list) or not isinstance(declared, dict):
            return ()
        return tuple(name for name in required if isinstance(name, str) and name not in declared)

    def types(self, name: str) -> frozenset[str]:
        """Return the JSON types that the schema allows for one argument; ANY if it does not say."""
        declared = self._object.get("properties")
        schema = declared.get(name, self.additional) if isinstance(declared, dict) else self.additional
        return self.types_of(schema)

    def types_of(self, schema: object, depth: int = 0) -> frozenset[str]:
        """Return the JSON types that a schema allows; ANY if it does not say."""
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            return ANY
        schema = self.resolve(schema)
        if (stated := schema.get("type")) is not None:
            names = stated if isinstance(stated, list) else [stated]
            return frozenset(map(str, names))
        if "const" in schema:
            return frozenset({json_type(schema["const"])})
        if isinstance(schema.get("enum"), list):
            return frozenset(map(json_type, schema["enum"]))
        for key in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(key), list):
                found = [self.types_of(branch, depth + 1) for branch in branches]
                return ANY if ANY in found else frozenset().union(*found)
        if isinstance(branches := schema.get("allOf"), list):
            known = [types for branch in branches if (types := self.types_of(branch, depth + 1))]
            return frozenset.intersection(*known) if known else ANY
        return ANY

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the schema that a schema's local `$ref` names, or itself if it has none."""
        for _ in range(_MAX_DEPTH):
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#"):
                return schema
            target: object = self._root
            for step in reference[1:].split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                target = target.get(key) if isinstance(target, dict) else None
            if not isinstance(target, dict):
                return schema
            schema = target
        return {}


def is_well_formed(schema: object, depth: int = 0) -> bool:
    """Return whether the values of the keywords that are read here have the right types, at every depth."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or depth > 4 * _MAX_DEPTH:
        return False
    if any(not isinstance(schema[key], kind) for key, kind in _KEYWORD_TYPES.items() if key in schema):
        return False
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        return False
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key, ())]
    branches += [branch for key in ("properties", "$defs", "definitions") for branch in schema.get(key, {}).values()]
    branches += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    return all(is_well_formed(branch, depth + 1) for branch in branches)


def json_type(value: object) -> str:
    """Return the JSON type of a value: `integer` or `number` for numbers."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def as_json(text: str, types: frozenset[str]) -> str:
    """Return a value that a model wrote without quotes around strings as JSON, of one of `types` (ANY: of any).

    What is JSON of another type than a string is itself, if its type is allowed; everything else is a string.
    """
    if types != STRING:
        try:
            kind = json_type(json.loads(text, parse_constant=_refuse))
        except (ValueError, RecursionError):
            kind = "string"
        if kind != "string" and (not types or kind in types or (kind == "integer" and "number" in types)):
            return text.strip()
        if kind == "string" and "string" not in types and types and text.strip()[:1] == '"':
            return text.strip()
    return json.dumps(text, ensure_ascii=False)


def _refuse(name: str) -> None:
    raise ValueError(name)
