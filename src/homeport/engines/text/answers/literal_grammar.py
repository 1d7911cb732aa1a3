"""The grammar of arguments written as nested literals, of Python or of Gemma 4, from a tool's JSON Schema.

What it cannot express is any literal, unless the tool is strict. Knows nothing of the marks around a call.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from homeport.domain.tools import Tool
from homeport.engines.text.answers.argument_schemas import ArgumentSchema, Schema, json_type
from homeport.engines.text.answers.lark_source import LarkSource, alternatives, pairs_in_order, quoted
from homeport.engines.text.answers.string_grammar import ANNOTATIONS, not_enforced, string_until

PYTHON_STRING = r"""/"([^"\\\n]|\\["'\\nrtbf]|\\u[0-9a-fA-F]{4})*"/ | /'([^'\\\n]|\\["'\\nrtbf]|\\u[0-9a-fA-F]{4})*'/"""
_NUMBER = r"/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/"
_PYTHON_NAMES = {"true": "True", "false": "False", "null": "None"}
_MAX_DEPTH = 24


class Literals(NamedTuple):
    """How literals are written. `string_mark` empty: as in Python, with quotes around strings and keys."""

    string_mark: str
    separator: str
    key_end: str


PYTHON = Literals("", ", ", ": ")


class LiteralGrammar:
    """Writes the literals of one tool's arguments."""

    def __init__(self, source: LarkSource, literals: Literals, tool: Tool, to_json: Callable[[Schema], str]) -> None:
        """`to_json(schema)`: an expression of the JSON that a part of the tool's schema describes."""
        self._source = source
        self._literals = literals
        self._tool = tool
        self._to_json = to_json
        self._schema = ArgumentSchema(tool.parameters)
        self._references: dict[str, str] = {}

    def arguments(self, key_end: str) -> str:
        """Return the pairs of a call, with `key_end` between key and value."""
        separator = quoted(self._literals.separator)
        properties = self._schema.properties
        if properties is None:
            if self._tool.is_strict:
                raise not_enforced(self._tool, "a schema without plain properties")
            pair = self._source.rule(f"/[a-zA-Z_][a-zA-Z0-9_]*/ {quoted(key_end)} {self._any()}")
            return self._source.rule(f'{pair} ({separator} {pair})* | ""')
        pairs = [(name, schema, required) for name, schema, required in properties]
        pairs += [(name, self._schema.additional, True) for name in self._schema.undeclared]
        written = [(f"{quoted(name + key_end)} {self.value(schema)}", required) for name, schema, required in pairs]
        return pairs_in_order(self._source, written, separator) if written else '""'

    def value(self, schema: Schema, depth: int = 0) -> str:
        """Return the literals that a schema describes. Raises InvalidRequest if the tool is strict and it cannot."""
        if not isinstance(schema, Mapping) or not set(schema) - (ANNOTATIONS - {"type"}):
            return self._any()
        if depth > _MAX_DEPTH:
            return self._unenforced("nesting this deep")
        if isinstance(reference := schema.get("$ref"), str):
            return self._referenced(reference, schema, depth)
        if "const" in schema or isinstance(schema.get("enum"), list):
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return alternatives([self._source.mark(self._written(value)) or '""' for value in values])
        for key in ("anyOf", "oneOf"):
            if isinstance(branches := schema.get(key), list) and branches:
                if set(schema) - ANNOTATIONS - {key}:
                    return self._unenforced(f"`{key}` beside other keywords")
                return alternatives([self.value(branch, depth + 1) for branch in branches])
        stated = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else None)
        names = stated if isinstance(stated, list) else [stated]
        return alternatives([self._of_type(str(name), schema, depth) for name in names])

    def _of_type(self, name: str, schema: Mapping[str, Any], depth: int) -> str:
        constants = {"null": ["null"], "boolean": ["true", "false"]}
        if name in constants:
            return alternatives([quoted(self._constant(value)) for value in constants[name]])
        if name in ("integer", "number"):
            return self._to_json({**schema, "type": name})
        if name == "string":
            return self._string(schema)
        if name == "array":
            return self._array(schema, depth)
        return self._object(schema, depth) if name == "object" else self._unenforced(f"the type {json.dumps(name)}")

    def _string(self, schema: Mapping[str, Any]) -> str:
        if mark := self._literals.string_mark:
            return f"{self._source.mark(mark)} {string_until(self._source, schema, mark, self._tool)}"
        if self._tool.is_strict and (unknown := sorted(set(schema) - ANNOTATIONS)):
            raise not_enforced(self._tool, f"`{unknown[0]}` of a string")
        return f"({PYTHON_STRING})"

    def _array(self, schema: Mapping[str, Any], depth: int) -> str:
        if unknown := sorted(set(schema) - ANNOTATIONS - {"items", "minItems", "maxItems"}):
            return self._unenforced(f"`{unknown[0]}` of an array")
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return quoted("[]")
        item = self._source.rule(self.value(schema.get("items", True), depth + 1))
        if most == 1:
            return f'"[" {item} "]"' if least else f'"[" ({item})? "]"'
        bounds = f"{{{max(least - 1, 0)},{'' if most is None else most - 1}}}"
        items = f"{item} ({quoted(self._literals.separator)} {item}){bounds}"
        return f'"[" {items} "]"' if least else f'"[" ({items})? "]"'

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        properties, additional = schema.get("properties"), schema.get("additionalProperties", True)
        if unknown := sorted(set(schema) - ANNOTATIONS - {"properties", "required", "additionalProperties"}):
            return self._unenforced(f"`{unknown[0]}` of an object")
        required = set(schema.get("required", ()))
        if not properties:
            if required:
                return self._unenforced("`required` without properties")
            if additional is False:
                return quoted("{}")
            return self._map(self.value(additional, depth + 1))
        if unknown := sorted(required - set(properties)):
            return self._unenforced(f"the required {json.dumps(unknown[0])} without a schema")
        pairs = [
            (f"{quoted(self._key(name) + self._literals.key_end)} {self.value(value, depth + 1)}", name in required)
            for name, value in properties.items()
        ]
        return f'"{{" {pairs_in_order(self._source, pairs, quoted(self._literals.separator))} "}}"'

    def _map(self, value: str) -> str:
        key = r"/[^{}\[\],:\"'<>\s]+/" if self._literals.string_mark else f"({PYTHON_STRING})"
        pair = self._source.rule(f"{key} {quoted(self._literals.key_end)} {value}")
        return f'"{{" ({pair} ({quoted(self._literals.separator)} {pair})*)? "}}"'

    def _referenced(self, reference: str, schema: Mapping[str, Any], depth: int) -> str:
        if reference not in self._references:
            target = self._schema.resolve(schema)
            if target is schema:
                return self._unenforced(f"the reference {json.dumps(reference)}")
            self._references[reference] = self._source.reserve()
            self._source.define(self._references[reference], self.value(target, depth + 1))
        return self._references[reference]

    def _any(self) -> str:
        """Return any literal."""
        if "" not in self._references:
            self._references[""] = name = self._source.reserve()
            strings = self._string({})
            constants = alternatives([quoted(self._constant(value)) for value in ("true", "false", "null")])
            items = f'"[" ({name} ({quoted(self._literals.separator)} {name})*)? "]"'
            self._source.define(name, f"{strings} | {_NUMBER} | {constants} | {items} | {self._map(name)}")
        return self._references[""]

    def _unenforced(self, what: str) -> str:
        if self._tool.is_strict:
            raise not_enforced(self._tool, what)
        return self._any()

    def _constant(self, name: str) -> str:
        return name if self._literals.string_mark else _PYTHON_NAMES[name]

    def _key(self, name: str) -> str:
        return name if self._literals.string_mark else json.dumps(name, ensure_ascii=False)

    def _written(self, value: object) -> str:
        """Return a value as a literal."""
        literals = self._literals
        if isinstance(value, str):
            mark = literals.string_mark
            return f"{mark}{value}{mark}" if mark else json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            return f"[{literals.separator.join(map(self._written, value))}]"
        if isinstance(value, dict):
            pairs = (f"{self._key(key)}{literals.key_end}{self._written(item)}" for key, item in value.items())
            return f"{{{literals.separator.join(pairs)}}}"
        text = json.dumps(value)
        return text if json_type(value) in ("integer", "number") else self._constant(text)
