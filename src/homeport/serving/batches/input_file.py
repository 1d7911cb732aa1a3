"""The lines of a batch's input file, checked before any runs. Knows nothing of how they run.

An invalid line becomes an error result, and the others run. If all lines are invalid, or there are too many, the batch
fails.
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
_REFUSED = {
    "stream": "Unsupported parameter: 'stream'. A batch does not stream.",
    "background": "Unsupported parameter: 'background'. A batch's requests run in the background already.",
}


class BatchLine(NamedTuple):
    """One request: its position in the file, in bytes. `error`: why it is invalid."""

    number: int
    start: int
    size: int
    custom_id: str | None
    error: BatchError | None = None


class BatchInput(NamedTuple):
    """All lines that are not empty. `model`: the model of all lines; None if they name several."""

    lines: Sequence[BatchLine]
    model: str | None


class _LineBody(msgspec.Struct):
    body: msgspec.Raw


class InvalidInputFile(Exception):
    """Nothing of a file can run; `errors` are the reasons."""

    def __init__(self, errors: Sequence[BatchError]) -> None:
        super().__init__(errors[0].message)
        self.errors = tuple(errors)


def read_input(path: Path, endpoint: str) -> BatchInput:
    """Check the lines of a file. Raises InvalidInputFile."""
    lines: list[BatchLine] = []
    custom_ids: set[str] = set()
    models: set[object] = set()
    with path.open("rb") as file:
        for number, start, text in _lines(file):
            if len(lines) == MAX_LINES:
                message = f"This batch has more than {MAX_LINES} requests."
                raise InvalidInputFile([BatchError(code="too_many_requests", message=message)])
            values = _decode_line(text)
            given = values.get("custom_id")
            custom_id = given if isinstance(given, str) else None
            error = _find_error(number, values, endpoint, custom_ids)
            lines.append(BatchLine(number, start, len(text), custom_id, error))
            if error is None:
                custom_ids.add(str(custom_id))
                models.add(_model(values))
    errors = [line.error for line in lines if line.error is not None]
    if not lines:
        raise InvalidInputFile([BatchError(code="empty_file", message="The file has no request.")])
    if len(errors) == len(lines):
        raise InvalidInputFile(errors[:_MAX_REPORTED_ERRORS])
    return BatchInput(lines, str(models.pop()) if len(models) == 1 and None not in models else None)


def read_request(path: Path, line: BatchLine) -> bytes:
    """Return the JSON body of a line's request."""
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


def _find_error(number: int, values: Mapping[str, Any], endpoint: str, custom_ids: set[str]) -> BatchError | None:
    """Return what is wrong with a line, with OpenAI's codes. Its body is checked when it runs."""

    def error_of(code: str, message: str, param: str) -> BatchError:
        return BatchError(code=code, message=message, param=param, line=number)

    if not values:
        return BatchError(code="invalid_json_line", message="This line is not parseable as a JSON object.", line=number)
    for name in _FIELDS:
        if values.get(name) is None:
            return error_of("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    if unknown := next((name for name in values if name not in _FIELDS), None):
        return error_of("unknown_parameter", f"Unrecognized request argument supplied: {unknown[:100]}", unknown[:100])
    custom_id, method, url, body = (values[name] for name in _FIELDS)
    if not isinstance(custom_id, str) or not custom_id:
        return error_of("invalid_type", "Invalid 'custom_id': expected a string that is not empty.", "custom_id")
    if custom_id in custom_ids:
        message = f"The custom_id '{custom_id[:100]}' for this request is a duplicate of another request's."
        return error_of("duplicate_custom_id", message, "custom_id")
    if method != "POST":
        return error_of("invalid_method", "Invalid 'method': a batch's requests are all POST.", "method")
    if url not in (endpoint, endpoint.removeprefix("/v1")):  # Azure's batches omit `/v1`
        message = f"The URL provided for this request does not match the batch's endpoint, {endpoint}."
        return error_of("mismatched_url", message, "url")
    if not isinstance(body, dict):
        return error_of("invalid_type", "Invalid type for 'body': expected an object.", "body")
    if field := next((name for name in _REFUSED if body.get(name)), None):
        return error_of("unsupported_parameter", _REFUSED[field], f"body.{field}")
    return None
