"""The lines of a batch's file, looked through before any is done. Knows nothing of how they are done.

A line that asks for something that cannot be is left out and told of; the others are done all the same. Only where no
line can be done, or there are too many, nothing is.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from homeport.domain.batches import BatchError
from homeport.domain.json_text import strip_bom

MAX_LINES = 50_000
_MAX_REPORTED_ERRORS = 100
_FIELDS = ("custom_id", "method", "url", "body")


class BatchLine(NamedTuple):
    """One request: where it stands in the file, in bytes. `fault`: why it cannot be done."""

    number: int
    start: int
    size: int
    custom_id: str | None
    error: BatchError | None = None


class BatchInput(NamedTuple):
    """All lines that are not empty. `model`: what they all ask, None where they ask several."""

    lines: Sequence[BatchLine]
    model: str | None


class _LineBody(msgspec.Struct):
    body: msgspec.Raw


class InvalidInputFile(Exception):
    """Nothing of a file can be done; `errors` say why."""

    def __init__(self, errors: Sequence[BatchError]) -> None:
        super().__init__(errors[0].message)
        self.errors = tuple(errors)


def read_input(path: Path, endpoint: str) -> BatchInput:
    """Look a file through. Raises InvalidInputFile."""
    found: list[BatchLine] = []
    known: set[str] = set()
    models: set[object] = set()
    with path.open("rb") as file:
        for number, start, text in _lines(file):
            if len(found) == MAX_LINES:
                said = f"This batch has more than {MAX_LINES} requests."
                raise InvalidInputFile([BatchError(code="too_many_requests", message=said)])
            values = _decode_line(text)
            named = values.get("custom_id")
            custom_id = named if isinstance(named, str) else None
            fault = _fault(number, values, endpoint, known)
            found.append(BatchLine(number, start, len(text), custom_id, fault))
            if fault is None:
                known.add(str(custom_id))
                models.add(_model(values))
    faults = [line.error for line in found if line.error is not None]
    if not found:
        raise InvalidInputFile([BatchError(code="empty_file", message="The file has no request.")])
    if len(faults) == len(found):
        raise InvalidInputFile(faults[:_MAX_REPORTED_ERRORS])
    return BatchInput(found, str(models.pop()) if len(models) == 1 and None not in models else None)


def read_request(path: Path, line: BatchLine) -> bytes:
    """The JSON body that a line asks to be sent."""
    with path.open("rb") as file:
        file.seek(line.start)
        return bytes(msgspec.json.decode(strip_bom(file.read(line.size)), type=_LineBody).body)


def _lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    start = 0
    for number, text in enumerate(file, 1):
        if strip_bom(text).strip():
            yield number, start, text
        start += len(text)


def _decode_line(text: bytes) -> Mapping[str, Any]:
    try:
        values = msgspec.json.decode(strip_bom(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _model(values: Mapping[str, Any]) -> str | None:
    model = values["body"].get("model")
    return model if isinstance(model, str) else None


def _fault(number: int, values: Mapping[str, Any], endpoint: str, known: set[str]) -> BatchError | None:
    """What is wrong with a line, by OpenAI's codes; what is wrong with its body is found when it is done."""

    def wrong(code: str, message: str, param: str) -> BatchError:
        return BatchError(code=code, message=message, param=param, line=number)

    if not values:
        return BatchError(code="invalid_json_line", message="This line is not parseable as a JSON object.", line=number)
    for name in _FIELDS:
        if values.get(name) is None:
            return wrong("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    if unknown := next((name for name in values if name not in _FIELDS), None):
        return wrong("unknown_parameter", f"Unrecognized request argument supplied: {unknown[:100]}", unknown[:100])
    custom_id, method, url, body = (values[name] for name in _FIELDS)
    if not isinstance(custom_id, str) or not custom_id:
        return wrong("invalid_type", "Invalid 'custom_id': expected a string that is not empty.", "custom_id")
    if custom_id in known:
        said = f"The custom_id '{custom_id[:100]}' for this request is a duplicate of another request's."
        return wrong("duplicate_custom_id", said, "custom_id")
    if method != "POST":
        return wrong("invalid_method", "Invalid 'method': a batch's requests are all POST.", "method")
    if url not in (endpoint, endpoint.removeprefix("/v1")):  # Azure's batches name neither with `/v1`
        said = f"The URL provided for this request does not match the batch's endpoint, {endpoint}."
        return wrong("mismatched_url", said, "url")
    if not isinstance(body, dict):
        return wrong("invalid_type", "Invalid type for 'body': expected an object.", "body")
    if body.get("stream"):
        return wrong(
            "unsupported_parameter", "Unsupported parameter: 'stream'. A batch does not stream.", "body.stream"
        )
    return None
