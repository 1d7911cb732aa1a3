"""A batch's input file, checked line by line."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from homeport.serving.batches import input_file
from homeport.serving.batches.input_file import BatchInput, InvalidInputFile

URL = "/v1/completions"
GOOD: dict[str, Any] = {"custom_id": "good", "method": "POST", "url": URL, "body": {"model": "m", "prompt": "é\n"}}


def look(tmp_path: Path, *lines: object, between: str = "\n") -> tuple[BatchInput, Path]:
    path = tmp_path / "input.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text(between.join(texts), encoding="utf-8")
    return input_file.read_input(path, URL), path


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\n  \n"])
def test_lines_are_found_at_their_position(tmp_path: Path, between: str) -> None:
    """Each line is read again by its position, whatever the line ends, and its number counts empty ones too."""
    lines = [{**GOOD, "custom_id": f"r{at}", "body": {"model": "m", "prompt": "é" * at}} for at in range(1, 6)]
    found, path = look(tmp_path, *lines, between=between)
    assert [line.custom_id for line in found.lines] == [line["custom_id"] for line in lines]
    assert [json.loads(input_file.read_request(path, line)) for line in found.lines] == [line["body"] for line in lines]
    step = between.count("\n")
    assert [line.number for line in found.lines] == [1 + at * step for at in range(5)]
    assert found.model == "m"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        (without("custom_id"), "missing_required_parameter", "custom_id"),
        (without("method"), "missing_required_parameter", "method"),
        (without("url"), "missing_required_parameter", "url"),
        (without("body"), "missing_required_parameter", "body"),
        ({**GOOD, "custom_id": "good"}, "duplicate_custom_id", "custom_id"),
        ({**GOOD, "custom_id": 7}, "invalid_type", "custom_id"),
        ({**GOOD, "custom_id": ""}, "invalid_type", "custom_id"),
        ({**GOOD, "custom_id": "b", "method": "GET"}, "invalid_method", "method"),
        ({**GOOD, "custom_id": "b", "url": "/v1/edits"}, "mismatched_url", "url"),
        ({**GOOD, "custom_id": "b", "body": []}, "invalid_type", "body"),
        ({**GOOD, "custom_id": "b", "body": {"stream": True}}, "unsupported_parameter", "body.stream"),
        ({**GOOD, "custom_id": "b", "body": {"background": True}}, "unsupported_parameter", "body.background"),
        ({**GOOD, "custom_id": "b", "priority": 1}, "unknown_parameter", "priority"),
        ("{", "invalid_json_line", None),
        ("[1]", "invalid_json_line", None),
    ],
)
def test_an_invalid_line_is_reported_and_skipped(tmp_path: Path, bad: object, code: str, param: str | None) -> None:
    """An invalid line is reported with its number; the others run."""
    found, _ = look(tmp_path, GOOD, bad, {**GOOD, "custom_id": "last"})
    first, second, third = found.lines
    assert first.error is None
    assert third.error is None
    assert second.error is not None
    assert (second.error.code, second.error.param, second.error.line) == (code, param, 2)


def test_an_invalid_line_does_not_use_up_its_custom_id(tmp_path: Path) -> None:
    """A custom_id counts as used only if its line is valid."""
    found, _ = look(tmp_path, {**GOOD, "url": "/v1/edits"}, GOOD)
    assert [line.error is None for line in found.lines] == [False, True]


def test_a_file_without_valid_lines_fails(tmp_path: Path) -> None:
    """All invalid, none at all, or too many: the batch as a whole fails."""
    with pytest.raises(InvalidInputFile) as refused:
        look(tmp_path, *[{**GOOD, "url": "/v1/edits"}] * 150)
    assert [error.line for error in refused.value.errors] == list(range(1, 101))
    with pytest.raises(InvalidInputFile) as refused:
        look(tmp_path, "\n\n")
    assert refused.value.errors[0].code == "empty_file"
    with pytest.raises(InvalidInputFile) as refused:
        look(tmp_path, *["{}"] * (input_file.MAX_LINES + 1))
    assert refused.value.errors[0].code == "too_many_requests"


def test_the_model_is_known_if_all_lines_name_it(tmp_path: Path) -> None:
    """If lines name several models, or none, the batch has no model."""
    other = {**GOOD, "custom_id": "o", "body": {"model": "other"}}
    assert look(tmp_path, GOOD, other)[0].model is None
    assert look(tmp_path, GOOD, {**other, "body": {}})[0].model is None


def test_byte_order_marks_are_not_part_of_a_request(tmp_path: Path) -> None:
    """A file that begins with a byte order mark, or was joined from such files, runs like any other."""
    mark = codecs.BOM_UTF8.decode()
    found, path = look(tmp_path, *(mark + json.dumps({**GOOD, "custom_id": name}) for name in "ab"), mark)
    assert [(line.custom_id, line.error) for line in found.lines] == [("a", None), ("b", None)]
    assert [json.loads(input_file.read_request(path, line)) for line in found.lines] == [GOOD["body"]] * 2
