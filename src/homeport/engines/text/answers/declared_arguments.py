"""Closes a tool's JSON Schema: objects whose schemas list properties, but say nothing of others, get no others.

JSON Schema allows undeclared properties where nothing is said. Tools do not expect them, and small models write them
without end. Knows nothing of grammars.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_COMBINING = frozenset({"allOf", "anyOf", "oneOf", "if", "not", "$ref", "$dynamicRef", "$recursiveRef"})
"""Keywords with further schemas of the same value."""
_OF_PROPERTIES = frozenset({"properties", "required", "additionalProperties"})
_OF_OTHERS = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties", "minProperties"})
"""Keywords that say something of undeclared properties."""
_DEFINITIONS = ("$defs", "definitions")


def only_declared(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of a tool's arguments that allows declared properties only; what it allows, `schema` allows too.

    An object within the arguments without any declared property remains open: it is a map. So does each object whose
    properties are declared in several places, and all below it.
    """
    combines = _combines(schema)
    if schema.keys() & _COMBINING or (combines and _refers_to_parts(schema)):
        return schema
    closed = _closed(schema)
    if schema.get("properties") == {} and _may_close(schema):
        closed["additionalProperties"] = False
    for key in _DEFINITIONS:
        if isinstance(schema.get(key), dict) and not combines:
            closed[key] = {name: _closed_part(part) for name, part in schema[key].items()}
    return closed


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return one subschema, closed."""
    if schema.keys() & _COMBINING:
        return schema
    closed = {**schema}
    if isinstance(properties := schema.get("properties"), dict):
        closed["properties"] = {name: _closed_part(part) for name, part in properties.items()}
        if properties and _may_close(schema):
            closed["additionalProperties"] = False
    if "items" in schema:
        closed["items"] = _closed_part(schema["items"])
    return closed


def _closed_part(schema: object) -> object:
    return _closed(schema) if isinstance(schema, dict) else schema


def _may_close(schema: Mapping[str, Any]) -> bool:
    """Return whether nothing in an object's schema needs or describes properties that are not declared."""
    required, properties = schema.get("required", []), schema["properties"]
    is_declared = isinstance(required, list) and all(isinstance(name, str) and name in properties for name in required)
    return is_declared and not schema.keys() & _OF_OTHERS


def _combines(schema: object) -> bool:
    """Return whether a part may be combined with another so that closing it could forbid all, or allow more."""
    for part in _parts(schema):
        keys = part.keys() & _COMBINING
        if keys - {"anyOf", "$ref"} or len(keys) > 1 or (keys and part.keys() & _OF_PROPERTIES):
            return True
    return False


def _refers_to_parts(schema: object) -> bool:
    """Return whether a reference is to another part of the schema than a definition."""
    prefixes = tuple(f"#/{key}/" for key in _DEFINITIONS)
    return any(not str(part["$ref"]).startswith(prefixes) for part in _parts(schema) if "$ref" in part)


def _parts(schema: object) -> Iterator[dict[str, Any]]:
    """Return every JSON object in a JSON value."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
