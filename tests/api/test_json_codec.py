"""Bytes to structs, with every error in OpenAI's words."""

import codecs
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.api import json_codec
from homeport.domain.errors import InvalidRequest


class Turn(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "system"]
    content: str | list[dict[str, str]] | None = None


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1)] = []
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] = 1
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    bias: dict[int, float] = {}
    prompt: str | list[str | int | list[int]] | None = None
    step: Annotated[int, msgspec.Meta(multiple_of=8)] = 8


def refused(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        json_codec.decode(body, Ask)
    return caught.value


CASES = [
    ("{}", "you must provide a model parameter", "model", "missing_required_parameter"),
    (
        '{"model":"a","messages":[{"role":"user"},{}]}',
        "Missing required parameter: 'messages[1].role'.",
        "messages[1].role",
        "missing_required_parameter",
    ),
    ('{"model":"a","foo":1}', "Unrecognized request argument supplied: foo", "foo", "unknown_parameter"),
    (
        '{"model":"a","messages":[{"role":"user","x":5}]}',
        "Unrecognized request argument supplied: messages[0].x",
        "messages[0].x",
        "unknown_parameter",
    ),
    (
        '{"model":1}',
        "Invalid type for 'model': expected a string, but got an integer instead.",
        "model",
        "invalid_type",
    ),
    ('{"model":"a","n":1.5}', "Invalid type for 'n': expected an integer, but got a number instead.", "n", None),
    ('{"model":"a","n":true}', "Invalid type for 'n': expected an integer, but got a boolean instead.", "n", None),
    ('{"model":"a","n":null}', "Invalid type for 'n': expected an integer, but got null instead.", "n", None),
    ('{"model":"a","n":0}', "Invalid 'n': expected an integer >= 1.", "n", "integer_below_min_value"),
    ('{"model":"a","n":129}', "Invalid 'n': expected an integer <= 128.", "n", "integer_above_max_value"),
    ('{"model":"a","step":7}', "Invalid value for 'step': Expected `int` that's a multiple of 8.", "step", None),
    (
        '{"model":"a","temperature":3}',
        "Invalid 'temperature': expected a number <= 2.0.",
        "temperature",
        "decimal_above_max_value",
    ),
    (
        '{"model":"a","temperature":1e999}',
        "Invalid value for 'temperature': Number out of range.",
        "temperature",
        "invalid_value",
    ),
    (
        '{"model":"a","messages":[]}',
        "Invalid 'messages': expected an array of length >= 1.",
        "messages",
        "invalid_length",
    ),
    (
        '{"model":"a","messages":[{"role":"user"},{"role":"x"}]}',
        "Invalid value for 'messages[1].role': 'x'.",
        "messages[1].role",
        "invalid_value",
    ),
    (
        '{"model":"a","messages":[{"role":"user","content":5}]}',
        "Invalid type for 'messages[0].content': expected a string or an array or null, but got an integer instead.",
        "messages[0].content",
        "invalid_type",
    ),
    (
        '{"model":"a","messages":[{"role":"user","content":[{"a":1}]}]}',
        "Invalid type for 'messages[0].content[0]': expected a string, but got an integer instead.",
        "messages[0].content[0]",
        "invalid_type",
    ),
    (
        '{"model":"a","bias":{"x":1}}',
        "Invalid key in 'bias': Expected `int`, got `str`.",
        "bias",
        "invalid_type",
    ),
    (
        '{"model":"a","bias":{"1":"x"}}',
        "Invalid type for 'bias': expected a number, but got a string instead.",
        "bias",
        "invalid_type",
    ),
    (
        '{"model":"a","prompt":[[1],["x"]]}',
        "Invalid type for 'prompt[1][0]': expected an integer, but got a string instead.",
        "prompt[1][0]",
        "invalid_type",
    ),
    ("[1]", "Invalid request body: expected an object, but got an array instead.", None, "invalid_type"),
    ('{"model":"a","n":' + "9" * 5000 + "}", "Invalid value for 'n': Integer value out of range.", "n", None),
    (
        '{"model":"a","a`b\\n":1}',
        "Unrecognized request argument supplied: a`b\n",
        "a`b\n",
        "unknown_parameter",
    ),
]


@pytest.mark.parametrize(("body", "message", "param", "code"), CASES, ids=[case[0][:40] for case in CASES])
def test_complaint_names_the_field(body: str, message: str, param: str | None, code: str | None) -> None:
    """The error of a body is in OpenAI's words, with the field's path in `param`."""
    error = refused(body.encode())
    assert (error.message, error.param) == (message, param)
    assert code is None or error.code == code


BROKEN = [
    b"",
    b"{",
    b'{"model":"a"} x',
    b'{"model":"a","n":NaN}',
    b'{"model":"\xff"}',
    b'{"model":"\xed\xa0\x80"}',
    b'{"model":"\\ud800"}',
    b'{"model":"\\udc00 and more text"}',
    b'{"model":"a\x00"}',
    b"model=a",
]


@pytest.mark.parametrize("body", BROKEN)
def test_invalid_json_is_refused(body: bytes) -> None:
    """Bytes that are no JSON, or no UTF-8, are refused with OpenAI's sentence and no field."""
    error = refused(body)
    assert error.message.startswith("We could not parse the JSON body of your request.")
    assert error.param is None


def test_deep_nesting_is_refused() -> None:
    """A body with too much nesting is refused like any other, wherever the parser stops."""
    deep = b"[" * 200_000 + b"]" * 200_000
    assert refused(b'{"model":"a","prompt":' + deep + b"}").param is not None
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        json_codec.decode(deep, object)


def test_the_last_duplicate_key_is_used() -> None:
    """The last of two values of one field is used, as in Python's own parser."""
    assert json_codec.decode(b'{"model":"a","model":"b"}', Ask).model == "b"


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    """Whatever bytes arrive, nothing but InvalidRequest is raised."""
    try:
        json_codec.decode(body, Ask)
    except InvalidRequest as error:
        json_codec.encode(error.message)


def test_encode_writes_strict_json() -> None:
    """NaN and infinity become null, because JSON has neither."""
    assert json_codec.encode({"a": float("nan"), "b": float("-inf")}) == b'{"a":null,"b":null}'


def test_a_byte_order_mark_before_a_body_is_passed_over() -> None:
    """A byte order mark, as editors of Windows write it, is ignored."""
    assert json_codec.decode(codecs.BOM_UTF8 + b'{"model":"a"}', Ask).model == "a"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_another_encoding_is_named_as_such(encoding: str) -> None:
    """A body of UTF-16 or UTF-32 is refused by that name, not only as invalid JSON."""
    assert f"it is written in {encoding[:6].upper()}" in refused('{"model":"a"}'.encode(encoding)).message


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * json_codec.MAX_VALUES + b"1]",
        b'{"a":{' + b'"1":1,' * (json_codec.MAX_VALUES // 2) + b'"1":1}}',
        b"[" + b"{}," * (json_codec.MAX_VALUES // 2 + 1) + b"{}]",
        b'["' + b"\\\\" * 300_000 + b'",' + b"1," * json_codec.MAX_VALUES + b"1]",
    ],
    ids=["numbers", "names", "objects", "behind a string"],
)
def test_a_body_of_too_many_values_is_refused(body: bytes) -> None:
    """Numbers, names and objects are counted before decoding."""
    with pytest.raises(InvalidRequest) as caught:
        json_codec.check_values(body)
    assert caught.value.code == "too_many_values"


@pytest.mark.parametrize(
    "text", ["," * 3_000_000, '\\",' * 700_000, "\\\\" * 700_001, 'a"' * 1_000_000], ids=["commas", "mixed", "odd", "q"]
)
def test_values_inside_strings_do_not_count(text: str) -> None:
    """A long text is accepted, whatever signs and escapes it has and wherever a piece ends."""
    json_codec.check_values(msgspec.json.encode({"a": text, "b": [1, 2]}))


@pytest.mark.parametrize("name", [" - at `$.n`" * 100_000, "a" * 19_000_000, "`" * 1_000_000])
def test_a_long_name_is_explained_at_once(name: str) -> None:
    """Input that looks like a path or is as long as a body is shortened, in constant time."""
    error = refused(msgspec.json.encode({"model": "a", name: 1}))
    assert (error.code, len(error.param or "")) == ("unknown_parameter", 200)


@pytest.mark.parametrize(
    ("part", "param", "words"),
    [
        ("[]", "messages[3]", "expected an object"),
        ("{}", "messages[3].role", "Missing"),
        ('{"role":"user","content":[{"text":1}]}', "messages[3].content[0]", "expected a string"),
        ('{"role":"user","x":1}', "messages[3].x", "Unrecognized"),
    ],
)
def test_a_part_of_a_body_is_named_by_its_place(part: str, param: str, words: str) -> None:
    """The errors of a value inside a body name its place in the body."""
    for source in (part, msgspec.Raw(part.encode())):
        with pytest.raises(InvalidRequest) as caught:
            json_codec.decode_part(source, Turn, "messages[3]")
        assert caught.value.param == param
        assert words in caught.value.message
