"""Walks the parts of a JSON Schema that constrain: each subschema that is reached, also through `$ref`, with its path.

Knows nothing of what a grammar can enforce.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

Schema = dict[str, Any]
Path = tuple[str | int, ...]

_OF_NAMES = ("properties", "patternProperties")
_OF_ONE = ("additionalProperties", "items", "additionalItems")
_OF_LISTS = ("items", "prefixItems", "anyOf", "oneOf", "allOf")
# Numbers of alternatives from which a step may exceed llguidance's limit of 2,000 items: measured are 4 for an optional
# property, 1 for a value, and for an alternative at least 2.
_WIDE = {"properties": 300, "enum": 1_500, "anyOf": 100, "oneOf": 100, "patternProperties": 100}
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*\Z")


class Subschema(NamedTuple):
    """A schema within a schema, at a path from the root: keys and indexes."""

    path: Path
    schema: Schema


def walk(root: Schema) -> Iterator[Subschema]:
    """Return each subschema that constrains, once, from the root down. They may be changed between two of them."""
    waiting: list[tuple[Path, Any]] = [((), root)]
    seen: set[int] = set()
    while waiting:
        path, schema = waiting.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield Subschema(path, schema)
        waiting += reversed([*_children(path, schema), *_target(root, schema)])


class EmbeddedSchema:
    """A schema as a definition within another one, so that each of its subschemas can stand alone."""

    def __init__(self, root: Schema) -> None:
        copied = copy.deepcopy(root)
        for part in list(walk(copied)):
            reference = part.schema.get("$ref")
            if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
                part.schema["$ref"] = f"#/$defs/root{reference[1:]}"
        copied.pop("$id", None)
        self._text = json.dumps(copied)

    @property
    def size(self) -> int:
        """The number of characters of each schema that `alone` returns, about."""
        return len(self._text)

    def alone(self, path: Path) -> str:
        """Return a schema (JSON text) that describes what the subschema at a path describes."""
        reference = json.dumps(f"#/$defs/root{pointer(path)[1:]}")
        return f'{{"$ref": {reference}, "$defs": {{"root": {self._text}}}}}'


def find_wide(root: Schema) -> list[tuple[Path, str]]:
    """Return the paths and keywords of subschemas, except the root, that offer very many alternatives at once."""
    found = []
    for path, schema in walk(root):
        required = schema.get("required")
        optional = len(schema.get("properties") or ()) - (len(required) if isinstance(required, list) else 0)
        sizes = {"properties": optional, **{key: len(schema.get(key) or ()) for key in _WIDE if key != "properties"}}
        keyword = next((key for key, size in sizes.items() if size > _WIDE[key]), None)
        if path and keyword:
            found.append((path, keyword))
    return found


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer in a URI fragment, e.g. `#/properties/a`."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def field_path(path: Path) -> str:
    """Return a path as it continues a field's name, e.g. `.properties.a.anyOf[0]`."""
    return "".join(_field(part) for part in path)


def _field(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _IDENTIFIER.match(part) else f"[{part!r}]"


def _children(path: Path, schema: Schema) -> Iterator[tuple[Path, Any]]:
    for key in _OF_NAMES:
        named = schema.get(key)
        if isinstance(named, dict):
            yield from (((*path, key, name), value) for name, value in named.items())
    for key in _OF_ONE:
        yield (*path, key), schema.get(key)
    for key in _OF_LISTS:
        listed = schema.get(key)
        if isinstance(listed, list):
            yield from (((*path, key, index), value) for index, value in enumerate(listed))


def _target(root: Schema, schema: Schema) -> Iterator[tuple[Path, Any]]:
    """Return the schema that `$ref` points to, if it is a JSON pointer into this document."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return
    path: list[str | int] = []
    node: Any = root
    for raw in reference[2:].split("/"):
        part: str | int = unquote(raw).replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and str(part).isdecimal() and int(part) < len(node):
            part = int(part)
        elif not isinstance(node, dict) or part not in node:
            return
        node = node[part]
        path.append(part)
    yield tuple(path), node
