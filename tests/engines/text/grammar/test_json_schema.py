"""A JSON Schema is enforced entirely or refused by path and keyword."""

import json
from typing import Any

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.text.grammar.compiler import LlguidanceCompiler
from homeport.engines.text.grammar.json_schema import to_lark
from homeport.engines.text.grammar.schema_walk import field_path, pointer

PARAM = "response_format.json_schema.schema"
OBJECT = {"type": "object"}
DRAFT_4, DRAFT_7 = ("http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#")


def accepts(compiler: LlguidanceCompiler, schema: Any, text: str, *, compact: bool = False) -> bool:
    """Return whether a schema's grammar accepts a text."""
    term = compiler.json_schema(json.dumps(schema), param=PARAM, compact=compact)
    constraint = compiler.compile(f"start: {term}", param=PARAM).start()
    for token in text.encode():
        if not constraint.allows(token):
            return False
        constraint.accept(token)
    return constraint.allows(257)


def refusal(compiler: LlguidanceCompiler, schema: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        compiler.json_schema(json.dumps(schema), param=PARAM, compact=False)
    return caught.value


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("if", {"if": {"minimum": 5}, "then": {"multipleOf": 5}}),
        ("dependentRequired", {**OBJECT, "dependentRequired": {"a": ["b"]}}),
        ("dependentSchemas", {**OBJECT, "dependentSchemas": {"a": {"required": ["b"]}}}),
        ("dependencies", {**OBJECT, "dependencies": {"a": ["b"]}}),
        ("propertyNames", {**OBJECT, "propertyNames": {"pattern": "^b"}}),
        ("contains", {"type": "array", "contains": {"const": 3}, "minContains": 2}),
        ("uniqueItems", {"type": "array", "uniqueItems": True}),
        ("unevaluatedProperties", {**OBJECT, "unevaluatedProperties": False}),
        ("unevaluatedItems", {"type": "array", "unevaluatedItems": False}),
        ("not", {"not": {"type": "integer"}}),
        ("$dynamicRef", {"$dynamicRef": "#a"}),
        ("$recursiveRef", {"$recursiveRef": "#"}),
        ("disallow", {"disallow": "string"}),
        ("extends", {"extends": {"minLength": 3}}),
        ("divisibleBy", {"type": "integer", "divisibleBy": 2}),
        ("formatMinimum", {"type": "string", "format": "date", "formatMinimum": "2020-01-01"}),
        ("format", {"type": "string", "format": "no-such-format"}),
        ("oneOf", {"oneOf": [{"type": "number"}, {"type": "integer"}]}),
        ("pattern", {"type": "string", "pattern": "(?=a)b"}),
        ("type", {"type": "text"}),
        ("$ref", {"$ref": "#/$defs/missing"}),
        ("$ref", {"$ref": "https://example.com/schema"}),
        ("minLength", {"type": "string", "minLength": -2}),
        ("multipleOf", {"type": "number", "multipleOf": 0}),
        ("minProperties", {**OBJECT, "properties": {"a": {}, "b": {}}, "minProperties": 2}),
    ],
)
def test_what_is_not_enforced_is_refused_by_path(
    compiler: LlguidanceCompiler, keyword: str, schema: dict[str, Any]
) -> None:
    """The error's `param` and message name the subschema, and the message its keyword, wherever it is."""
    harmless = {"type": "string", "format": "date", "pattern": "^2", "enum": ["2020-01-01"]}
    deep = {"anyOf": [harmless, {"type": "array", "items": schema}]}
    error = refusal(compiler, {**OBJECT, "properties": {"first": harmless, "a/b c": deep}})
    assert error.param == f"{PARAM}.properties['a/b c'].anyOf[1].items"
    assert f"'{keyword}' at #/properties/a~1b c/anyOf/1/items " in error.message
    assert refusal(compiler, schema).param == PARAM


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("enum", {"enum": []}),
        ("required", {**OBJECT, "properties": {"a": False}, "required": ["a"]}),
        ("const", {"type": "string", "const": 1}),
    ],
)
def test_what_no_value_satisfies_is_refused(compiler: LlguidanceCompiler, keyword: str, schema: dict[str, Any]) -> None:
    """A schema without a value is refused where a value is needed, and else counts as one alternative less."""
    error = refusal(compiler, {**OBJECT, "properties": {"a": schema}, "required": ["a"]})
    assert error.param in (PARAM, f"{PARAM}.properties.a")
    assert f"'{keyword}' at #" in refusal(compiler, schema).message
    assert accepts(compiler, {"type": "array", "items": schema}, "[]")
    assert not accepts(compiler, {"type": "array", "items": schema}, "[1]")


def test_definitions_are_refused_where_they_are_used(compiler: LlguidanceCompiler) -> None:
    """A definition is refused at its own path if it is used, and ignored if not."""
    definitions = {"a": {"not": {}}, "b": {"type": "string"}}
    unused = {"$ref": "#/$defs/b", "$defs": definitions}
    assert accepts(compiler, unused, '"x"')
    assert refusal(compiler, {"$ref": "#/$defs/a", "$defs": definitions}).param == f"{PARAM}.$defs.a"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "array", "uniqueItems": False}, "[1, 1]"),
        ({"type": "integer", "then": {"minimum": 5}, "else": {}}, "3"),
        ({"type": "integer", "if": {"minimum": 5}}, "3"),
        ({**OBJECT, "dependencies": {}, "propertyNames": True, "unevaluatedProperties": {}}, '{"a": 1}'),
        ({"type": "array", "minContains": 2, "not": False}, "[]"),
        ({"type": "string", "title": "t", "description": "d", "default": 1, "examples": [], "nullable": True}, '"x"'),
        ({"type": "string", "discriminator": {"propertyName": "a"}, "x-order": 3, "contentEncoding": "base64"}, '"~"'),
        ({**OBJECT, "properties": {"not": {"type": "string"}, "if": {"const": 1}}}, '{"not": "x", "if": 1}'),
        ({"enum": [{"not": 1}, {"uniqueItems": True}]}, '{"not": 1}'),
        (True, '{"anything": [1, null]}'),
    ],
)
def test_what_constrains_nothing_is_accepted(compiler: LlguidanceCompiler, schema: Any, text: str) -> None:
    """Annotations, keywords without effect, and properties and values named like keywords are no reason to refuse."""
    assert accepts(compiler, schema, text)


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"$schema": DRAFT_4, "const": 3}, "3", "4"),
        ({"$schema": DRAFT_7, "type": "array", "prefixItems": [{"type": "string"}]}, '["a"]', "[1]"),
        ({"type": "integer", "maximum": 5, "exclusiveMaximum": True}, "4", "5"),
        ({**OBJECT, "properties": {"a": {"type": "integer"}}}, '{"a": 1, "b": "x"}', '{"a": "x"}'),
        ({**OBJECT, "properties": {"a": {"type": "integer"}}}, '{"a": 1}', '{"\\u0061": "x"}'),
        ({**OBJECT, "properties": {"x/y": {"type": "integer"}}}, '{"x/y": 1}', '{"x\\/y": "s"}'),
        ({"minLength": 3}, '"abc"', '"ab"'),
        ({"type": "string", "pattern": "b", "minLength": 3}, '"abc"', '"b"'),
        ({"$ref": "#/$defs/a", "minLength": 3, "$defs": {"a": {"maxLength": 4}}}, '"abcd"', '"abcde"'),
    ],
)
def test_keywords_bind_whatever_the_draft(
    compiler: LlguidanceCompiler, schema: dict[str, Any], valid: str, invalid: str
) -> None:
    """Keywords are enforced even if the named draft does not know them, and names have one spelling."""
    assert accepts(compiler, schema, valid)
    assert not accepts(compiler, schema, invalid)


def test_callers_cannot_set_the_compilers_options(compiler: LlguidanceCompiler) -> None:
    """A schema's own `x-guidance` has no effect, at the root and below."""
    options = {"x-guidance": {"lenient": True, "coerce_one_of": True, "whitespace_flexible": True, "unknown": 1}}
    assert refusal(compiler, {**options, "oneOf": [{"type": "number"}, {"type": "integer"}]}).param == PARAM
    schema = {**OBJECT, **options, "properties": {"a": {**options, "type": "integer"}}}
    assert accepts(compiler, schema, '{"a": 1}', compact=True)
    assert not accepts(compiler, schema, '{"a":  1}', compact=True)


def test_white_space_is_bounded(compiler: LlguidanceCompiler) -> None:
    """Flexible white space has at most 8 characters; compact JSON is exactly that of `json.dumps`."""
    schema = {**OBJECT, "properties": {"a": {"type": "array"}}}
    for indent in (None, 1, 2, 3):
        text = json.dumps({"a": [1, 2], "b": {}}, indent=indent)
        assert accepts(compiler, schema, text)
        assert accepts(compiler, schema, text, compact=True) == (indent is None)
    assert accepts(compiler, schema, "{" + 8 * " " + "}")
    for text in ("{" + 9 * " " + "}", " {}", "{} ", '{"a":' + 9 * "\n" + "[]}"):
        assert not accepts(compiler, schema, text)
    assert not accepts(compiler, schema, '{"a":[]}', compact=True)


@pytest.mark.parametrize("schema", ["", "{", "[]", "3", '"x"', '{"a": NaN}', "[" * 100_000, '{"minimum": 1e999}'])
def test_other_values_are_refused(compiler: LlguidanceCompiler, schema: str) -> None:
    """Only a JSON object or true is a schema."""
    with pytest.raises(InvalidRequest) as caught:
        compiler.json_schema(schema, param=PARAM, compact=True)
    assert caught.value.param == PARAM


def test_no_error_repeats_a_schema() -> None:
    """Names and values of any length are shortened in messages and in `param`."""
    name = "n" * 5_000
    with pytest.raises(InvalidRequest) as caught:
        to_lark(json.dumps({**OBJECT, "properties": {name: {"not": {}}}}), param=PARAM, compact=True)
    assert len(caught.value.message) < 400
    assert len(str(caught.value.param)) <= 200


def test_paths_are_pointers_and_fields() -> None:
    """Keys that are no identifiers are quoted in fields and escaped in pointers."""
    path = ("properties", "a/b", "anyOf", 3, "$defs", "it's")
    assert pointer(path) == "#/properties/a~1b/anyOf/3/$defs/it's"
    assert field_path(path) == ".properties['a/b'].anyOf[3].$defs[\"it's\"]"


@pytest.mark.parametrize(("keyword", "least", "most"), [("minLength", 5, 3), ("minItems", 5, 3)])
def test_contradictory_bounds_are_named(compiler: LlguidanceCompiler, keyword: str, least: int, most: int) -> None:
    """A schema that its own bounds make empty is refused by the name of one of them."""
    kind = "string" if keyword == "minLength" else "array"
    schema = {"type": kind, keyword: least, keyword.replace("min", "max"): most}
    assert repr(keyword) in refusal(compiler, schema).message


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize(
    ("keyword", "bound", "accepted", "refused"),
    [
        ("minimum", 2**53 + 1, 2**53 + 2, 2**53),
        ("exclusiveMinimum", 10**17, 10**17 + 1600, 10**17),
        ("maximum", -(2**53) - 1, -(2**53) - 2, -(2**53)),
        ("exclusiveMaximum", 10**16, 10**16 - 20, 10**16),
        ("maximum", 2**62 + 1, 2**62 - 3000, 2**62 + 2),
        ("maximum", 2**63 - 1, 10**18, 2**63),
        ("minimum", -(2**63), -(10**18), -(2**63) - 1),
        ("maximum", 10**22, 5, "five"),
    ],
)
def test_large_bounds_are_never_exceeded(
    compiler: LlguidanceCompiler, kind: str, keyword: str, bound: int, accepted: int, refused: int | str
) -> None:
    """A bound beyond the integers that doubles hold allows numbers within it, and none beyond it."""
    schema = {"type": kind, keyword: bound}
    assert accepts(compiler, schema, str(accepted))
    assert not accepts(compiler, schema, str(refused))


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("minimum", {"minimum": 10**40, "maximum": 10**40 + 5}),
        ("exclusiveMaximum", {"exclusiveMaximum": -(10**30), "minimum": -(10**31)}),
    ],
)
def test_bounds_beyond_all_numbers_that_can_be_enforced_are_refused(
    compiler: LlguidanceCompiler, keyword: str, schema: dict[str, int]
) -> None:
    """A bound that leaves only numbers of more than 64 bits is refused by name."""
    assert repr(keyword) in refusal(compiler, {"type": "integer", **schema}).message
