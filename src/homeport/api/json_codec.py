"""Decodes JSON and forms to typed structs, with errors in OpenAI's words, and encodes JSON.

Knows nothing of HTTP. Any input results in a value, or in `InvalidRequest` naming the field.
"""

import re
from typing import TypeVar

import msgspec

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.json_text import foreign_encoding, strip_bom

T = TypeVar("T")

MAX_VALUES = 1_000_000
"""The values and names that one body may have, such as a million token ids or 200,000 messages.

Decoding this many blocks the interpreter, and every stream, for about 50 ms."""

_PIECE_BYTES = 1 << 18

_PLACE = re.compile(r" - at (?P<key>`key` in )?`(?P<path>\$[\w.\[\]-]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_TYPE = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_LENGTH = re.compile(r"Expected `([^`]*)` of length (.*)")
_BOUND = re.compile(r"Expected `([^`]*)` ([<>]=?) (.*)")
_CHOICE = re.compile(r"Invalid enum value (.*)", re.DOTALL)

_NAMES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def encode(value: object) -> bytes:
    """Encode a value as strict JSON; NaN and infinity become null."""
    return msgspec.json.encode(value)


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a JSON body as `kind`. Raises InvalidRequest for invalid JSON, wrong types, unknown and missing fields.

    Unknown fields are refused only in structs with `forbid_unknown_fields=True`. `param` is the field's path as OpenAI
    writes it: `messages[0].content`.
    """
    return _decode(strip_bom(body), kind)


def decode_part(part: msgspec.Raw | str, kind: type[T], place: str) -> T:
    """Decode a value inside a body as `decode` does. `place`: the path of the value, with which `param` begins."""
    return _decode(part, kind, place)


def _decode(body: bytes | msgspec.Raw | str, kind: type[T], root: str = "") -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _translate_error(str(error), root) from error
    except RecursionError as error:
        raise _invalid_json("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise _invalid_json(_foreign_encoding(body) or "it is not valid UTF-8") from error
    except msgspec.DecodeError as error:
        raise _invalid_json(_foreign_encoding(body) or str(error)) from error


def _foreign_encoding(body: bytes | msgspec.Raw | str) -> str | None:
    return foreign_encoding(body) if isinstance(body, bytes) else None


def check_values(body: bytes) -> None:
    """Raise InvalidRequest for more than `MAX_VALUES`, counted by the commas, colons and brackets outside of strings.

    It works in pieces, so that other threads can run.
    """
    n_values, at, is_string = 0, 0, False
    while at < len(body):
        piece = body[at : at + _PIECE_BYTES]
        if len(piece) > 1 and (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = piece[:-1]  # do not split an escape
        at += len(piece)
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[is_string::2])
        n_values += sum(outside.count(sign) for sign in (b",", b":", b"[", b"{"))
        is_string ^= not len(parts) % 2
        if n_values > MAX_VALUES:
            raise InvalidRequest(
                f"The request body has too many JSON values: at most {MAX_VALUES} values and names are allowed.",
                code="too_many_values",
            )


def decode_form(values: object, kind: type[T]) -> T:
    """Decode a form's values, all of them text, as `kind`. Raises InvalidRequest as `decode` does."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _translate_error(str(error)) from error


def _invalid_json(why: str) -> InvalidRequest:
    return InvalidRequest(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
        "library correctly. The API expects a JSON payload, but what was sent was not valid JSON.) "
        f"Parser error: {why}."
    )


def _translate_error(message: str, root: str = "") -> InvalidRequest:
    """Translate an error of msgspec to OpenAI's words. `root`: the path of the decoded value inside the body."""
    # The message may quote the body at any length; the path is at its end and has only names of our structs.
    path_start = message.rfind(" - at ")
    place = _PLACE.fullmatch(message, path_start) if path_start >= 0 else None
    what, path = message, ""
    if place:
        what = message[:path_start]
        path = place["path"].removeprefix("$").replace("[...]", "")
    param = f"{root}{path}".removeprefix(".") or None
    if match := _UNKNOWN.fullmatch(what):
        name = excerpt(_inside(param, match[1]))
        return InvalidRequest(f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")
    if match := _MISSING.fullmatch(what):
        name = excerpt(_inside(param, match[1]))
        text = "you must provide a model parameter" if name == "model" else f"Missing required parameter: '{name}'."
        return InvalidRequest(text, param=name, code="missing_required_parameter")
    if place and place["key"]:
        return InvalidRequest(f"Invalid key in '{param}': {excerpt(what)}.", param=param, code="invalid_type")
    return _type_error(what, param)


def _type_error(what: str, param: str | None) -> InvalidRequest:
    """Return the error for a known field with an invalid value."""
    if match := _TYPE.fullmatch(what):
        where = f"Invalid type for '{param}'" if param else "Invalid request body"
        text = f"{where}: expected {_type_names(match[1])}, but got {_type_names(match[2])} instead."
        return InvalidRequest(text, param=param, code="invalid_type")
    if match := _CHOICE.fullmatch(what):
        return InvalidRequest(f"Invalid value for '{param}': {excerpt(match[1])}.", param=param, code="invalid_value")
    if match := _LENGTH.fullmatch(what):
        text = f"Invalid '{param}': expected {_type_names(match[1])} of length {match[2]}."
        return InvalidRequest(text, param=param, code="invalid_length")
    if match := _BOUND.fullmatch(what):
        side = "above_max" if match[2].startswith("<") else "below_min"
        text = f"Invalid '{param}': expected {_type_names(match[1])} {match[2]} {match[3]}."
        return InvalidRequest(text, param=param, code=f"{_noun(match[1])}_{side}_value")
    return InvalidRequest(f"Invalid value for '{param}': {excerpt(what)}.", param=param, code="invalid_value")


def _inside(parent: str | None, name: str) -> str:
    return f"{parent}.{name}" if parent else name


def _type_names(union: str) -> str:
    return " or ".join(_NAMES.get(part, part) for part in union.split(" | "))


def _noun(kind: str) -> str:
    return {"int": "integer", "float": "decimal"}.get(kind, "value")
