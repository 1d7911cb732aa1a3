"""The grammar of a call's arguments, in each format, from the tool's JSON Schema or its own grammar.

A schema that cannot be enforced is an error for a strict tool; for others as much of it is enforced as possible.
Knows nothing of the marks around a call, or how a schema becomes a grammar of JSON.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import GrammarFormat, Tool
from homeport.engines.text.answers.answer_format import (
    ArgumentsFormat,
    CallFormat,
    JsonArguments,
    PythonArguments,
    TaggedArguments,
)
from homeport.engines.text.answers.argument_schemas import STRING, ArgumentSchema, Schema
from homeport.engines.text.answers.declared_arguments import only_declared
from homeport.engines.text.answers.json_calls import call_schema
from homeport.engines.text.answers.lark_source import (
    LarkSource,
    alternatives,
    joined,
    pairs_in_order,
    quoted,
    terminal,
)
from homeport.engines.text.answers.literal_grammar import PYTHON, PYTHON_STRING, LiteralGrammar, Literals
from homeport.engines.text.answers.regular_lark import to_regex
from homeport.engines.text.answers.string_grammar import ANNOTATIONS, not_enforced, string_until
from homeport.engines.text.answers.union_schemas import split

INPUT = "input"
"""The name of a custom tool's only argument, where the format needs one."""

_ANY_OBJECT = '{"type": "object"}'
_NO_ARGUMENTS = '{"type": "object", "properties": {}, "additionalProperties": false}'


class JsonGrammar(Protocol):
    """Turns a JSON Schema into an expression of a Lark grammar."""

    def __call__(self, schema: str, *, param: str, compact: bool) -> str:
        """Return `%json {...}`. `compact`: white space only after commas and colons.

        Raises InvalidRequest (`param`) for a schema that cannot be enforced.
        """
        ...


class ArgumentGrammar:
    """Writes the arguments of calls. `is_compact`: JSON has white space only after commas and colons."""

    def __init__(
        self, source: LarkSource, format: ArgumentsFormat, to_lark: JsonGrammar, *, is_compact: bool = True
    ) -> None:
        self._is_compact = is_compact
        self._source = source
        self._format = format
        self._to_lark = to_lark

    def of(self, tool: Tool) -> str:
        """Return the expression of a tool's arguments. Raises InvalidRequest, see the module."""
        if isinstance(self._format, JsonArguments):
            return self._json(tool)
        if isinstance(self._format, PythonArguments):
            if tool.is_custom:
                if tool.input is not None:
                    raise InvalidRequest(
                        f"The format of the custom tool `{tool.name}` cannot be enforced for this model.",
                        param=tool.input.param,
                    )
                return f"{quoted(INPUT + '=')} ({PYTHON_STRING})"
            return LiteralGrammar(self._source, PYTHON, tool, self._to_json(tool)).arguments("=")
        return self._tagged(tool, self._format)

    def json_call(self, calls: CallFormat, tool: Tool) -> str | None:
        """Return a whole call as JSON; None if the format's calls are not JSON."""
        arguments, param = self._json_schema(tool)
        otherwise = call_schema(calls, tool.name, _ANY_OBJECT)
        schema = call_schema(calls, tool.name, arguments)
        if otherwise is None:
            return None
        if tool.is_strict:
            self._to_lark(arguments, param=param, compact=True)  # an error names the path in the caller's schema
        if schema is None or not _refers_to_definitions(json.loads(arguments)):
            if tool.is_strict:
                raise not_enforced(tool, "a reference to another part than `$defs`")
            schema = otherwise
        return self._enforced(tool, schema, otherwise, param=param)

    def _json(self, tool: Tool) -> str:
        if tool.parameters is None and not tool.is_custom:
            return quoted("{}")
        schema, param = self._json_schema(tool)
        return self._enforced(tool, schema, _ANY_OBJECT, param=param)

    def _json_schema(self, tool: Tool) -> tuple[str, str]:
        """Return the schema of a tool's arguments where they are a JSON object, and the field it came from."""
        if not tool.is_custom:
            schema = _NO_ARGUMENTS if tool.parameters is None else _of_arguments(tool.parameters)
            return schema, f"{tool.param}.parameters"
        text: dict[str, Any] = {"type": "string"}
        if tool.input is not None:
            text["pattern"] = f"^(?:{self._input_regex(tool, tool.input)})$"
        whole = {"type": "object", "properties": {INPUT: text}, "required": [INPUT], "additionalProperties": False}
        return json.dumps(whole), tool.param if tool.input is None else tool.input.param

    def _enforced(self, tool: Tool, schema: str, otherwise: str, *, param: str | None = None) -> str:
        """Return the JSON of a schema; if that cannot be enforced and nothing demands it, that of another."""
        param = f"{tool.param}.parameters" if param is None else param
        try:
            lark = self._to_lark(schema, param=param, compact=self._is_compact)
        except InvalidRequest as error:
            if tool.input is not None:
                raise InvalidRequest(error.message, param=param, code=error.code) from error
            if tool.is_strict:
                raise
            lark = self._to_lark(otherwise, param=param, compact=self._is_compact)
        return self._source.rule(lark)

    def _to_json(self, tool: Tool) -> "_PartialSchema":
        return _PartialSchema(self, tool)

    def part(self, tool: Tool, schema: Schema, *, name: str | None = None) -> str:
        """Return the JSON of a part of a tool's schema, which may refer to the root's definitions.

        `name`: of the property whose schema it is.
        """
        param = f"{tool.param}.parameters" + ("" if name is None else f".properties.{name}")
        whole = ArgumentSchema(tool.parameters)
        types = whole.types_of(schema)
        otherwise = json.dumps({"type": sorted(types)} if types else {})
        if not isinstance(schema, Mapping):
            return self._enforced(tool, json.dumps(schema), otherwise, param=param)
        if not _refers_to_definitions(schema) or not _refers_to_definitions(whole.definitions):
            if tool.is_strict:
                raise not_enforced(tool, "a reference to another part than `$defs`")
            return self._enforced(tool, otherwise, otherwise)
        return self._enforced(tool, json.dumps({**whole.definitions, **schema}), otherwise, param=param)

    def _tagged(self, tool: Tool, format: TaggedArguments) -> str:
        if tool.is_custom:
            return joined([self._key(format, INPUT), self._input(tool, format)])
        if format.string_mark:
            literals = Literals(format.string_mark, format.separator, format.key_end)
            return LiteralGrammar(self._source, literals, tool, self._to_json(tool)).arguments(format.key_end)
        schema = ArgumentSchema(tool.parameters)
        properties = schema.properties
        if properties is None:
            if tool.is_strict:
                raise not_enforced(tool, "a schema without plain properties")
            return self._free_pairs(format)
        pairs = [
            (joined([self._key(format, name), self._value(tool, schema, (name, value), format.end)]), is_required)
            for name, value, is_required in properties
        ]
        for name in schema.undeclared:
            value = self._value(tool, schema, (name, schema.additional), format.end)
            pairs.append((joined([self._key(format, name), value]), True))
        return pairs_in_order(self._source, pairs, quoted(format.separator) if format.separator else "")

    def _key(self, format: TaggedArguments, name: str) -> str:
        return self._source.mark(format.begin + name + format.key_end)

    def _free_pairs(self, format: TaggedArguments) -> str:
        begin, key, value = (
            self._source.mark(format.begin),
            self._source.until(format.key_end, excluded=["[^a-zA-Z_](?s:.*)"]),
            self._source.until(format.end),
        )
        pair = self._source.rule(joined([begin, key, value]))
        if not format.separator:
            return f"{pair}*"
        return f"({pair} ({self._source.mark(format.separator)} {pair})*)?"

    def _value(self, tool: Tool, whole: ArgumentSchema, argument: tuple[str, Schema], end: str) -> str:
        """Return a value and its end mark: strings without quotes, everything else as JSON."""
        name, schema = argument
        types = whole.types_of(schema)
        resolved = whole.resolve(schema) if isinstance(schema, Mapping) else {}
        if types == STRING:
            return string_until(self._source, resolved, end, tool)
        if types and "string" not in types:
            return joined([self.part(tool, schema, name=name), self._source.mark(end)])
        allowed = [resolved["const"]] if "const" in resolved else resolved.get("enum")
        if isinstance(allowed, list) and allowed:
            words = [value if isinstance(value, str) else json.dumps(value) for value in allowed]
            return alternatives([self._source.then(word, end) for word in words])
        if not types and not set(resolved) - ANNOTATIONS:
            return self._source.until(end)
        structured, is_exact = split(whole, resolved)
        if tool.is_strict and not is_exact:
            raise not_enforced(tool, f"the union of types in {json.dumps(name)}")
        if structured is None:
            return self._source.until(end)
        text = self._source.matching_until([r"~/\s*[\[{](?s:.*)/"], end)
        return alternatives([text, joined([self.part(tool, structured, name=name), self._source.mark(end)])])

    def _input(self, tool: Tool, format: TaggedArguments) -> str:
        """Return a custom tool's input and the end mark."""
        end = format.string_mark + format.end
        begin = self._source.mark(format.string_mark)
        if tool.input is None:
            return joined([begin, self._source.until(end)])
        if tool.input.syntax == "lark":
            return joined([begin, self._source.grammar(tool.input.definition), self._source.mark(end)])
        return joined([begin, self._source.matching_until([terminal(tool.input.definition)], end)])

    @staticmethod
    def _input_regex(tool: Tool, form: GrammarFormat) -> str:
        """Return the regular expression of a custom tool's input, for a model that writes it as a JSON string."""
        expression = form.definition if form.syntax == "regex" else to_regex(form.definition)
        if expression is None:
            raise InvalidRequest(
                f"The grammar of the custom tool `{tool.name}` cannot be enforced for this model, which writes the "
                "input as a JSON string: use a grammar without recursion and without %ignore, or a regular expression.",
                param=form.param,
            )
        return expression


class _PartialSchema:
    """Writes parts of one tool's schema as JSON."""

    def __init__(self, grammar: ArgumentGrammar, tool: Tool) -> None:
        self._grammar = grammar
        self._tool = tool

    def __call__(self, schema: Schema) -> str:
        return self._grammar.part(self._tool, schema)


def _of_arguments(schema: str) -> str:
    """Return a schema that allows only objects of what a schema allows, and of these only declared arguments."""
    try:
        parsed = json.loads(schema)
        if parsed is True:
            return _ANY_OBJECT
        return json.dumps(only_declared({"type": "object", **parsed})) if isinstance(parsed, dict) else schema
    except (ValueError, RecursionError):
        return schema


def _refers_to_definitions(schema: object) -> bool:
    """Return whether all references in a schema are to the root's definitions."""
    if isinstance(schema, list):
        return all(map(_refers_to_definitions, schema))
    if not isinstance(schema, Mapping):
        return True
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith(("#/$defs/", "#/definitions/")):
        return False
    return all(map(_refers_to_definitions, schema.values()))
