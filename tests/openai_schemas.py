"""Checks values against OpenAI's published schemas (`data/openai_responses.json`)."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_DATA = Path(__file__).parent / "data" / "openai_responses.json"


@functools.cache
def _definitions() -> Mapping[str, Any]:
    definitions: Mapping[str, Any] = json.loads(_DATA.read_text())["$defs"]
    return definitions


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _definitions()})


@functools.cache
def _events() -> Mapping[str, str]:
    """The names of the events' schemas, by the events' types."""
    names = [each["$ref"].rpartition("/")[2] for each in _definitions()["ResponseStreamEvent"]["anyOf"]]
    return {_definitions()[name]["properties"]["type"]["enum"][0]: name for name in names}


def check(name: str, value: Any) -> None:
    """Fail if a value does not meet the schema of this name."""
    faults = sorted(_validator(name).iter_errors(value), key=lambda fault: list(map(str, fault.absolute_path)))
    assert not faults, f"{name}: {faults[0].json_path}: {faults[0].message[:500]}"


def check_event(value: Mapping[str, Any]) -> None:
    """Fail if an event of a stream does not meet the schema of its type."""
    check(_events()[value["type"]], value)
