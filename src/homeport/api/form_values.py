"""The fields of a form, and their conversion from text to the types that an endpoint expects.

Handles the differences between browsers, form builders and SDKs: spellings of list names, empty optional fields, spaces
around numbers, objects as JSON text. Knows nothing of what a field means.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from homeport.api import json_codec
from homeport.api.compatibility import without_notes
from homeport.domain.errors import InvalidRequest

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True)
class UploadedFile:
    """A file in a form: its path on disk, its name as sent, its size in bytes."""

    path: Path
    name: str
    size: int


@dataclass(frozen=True)
class Form:
    """A form, read. `values`: by field; `name[]`, or a repeated name, is a list and `name[key]` a mapping."""

    values: Mapping[str, Any]
    files: Mapping[str, tuple[UploadedFile, ...]]

    def fields(self, kind: type[T], *files: str) -> T:
        """The text fields as `kind`; `files` are the fields that are files. Raises InvalidRequest naming the field."""
        types_by_name = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in files:
            if name in self.values:
                said = f"Invalid type for '{name}': expected a file, but its part of the form has no filename."
                raise InvalidRequest(said, param=name, code="invalid_type")
        values: dict[str, Any] = {}
        for name, value in self.values.items():
            field = types_by_name.get(name)
            found = value if field is None else _shaped(value, without_notes(field.type))
            if field is None or field.required or found not in ("", []):
                values[name] = found
        for name in self.files:
            if name in types_by_name:
                said = f"Invalid type for '{name}': expected text, but its part of the form is a file."
                raise InvalidRequest(said, param=name, code="invalid_type")
            if name not in files:
                values[name] = ""  # refused below, as a field that nobody knows
        return json_codec.decode_form(values, kind)

    def file(self, name: str) -> UploadedFile:
        """The one file of a field. Raises InvalidRequest where there is none, more than one, or nothing in it."""
        found = self.files.get(name, ())
        if not found:
            raise InvalidRequest(
                f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
            )
        if len(found) > 1:
            raise InvalidRequest(f"Invalid '{name}': expected one file, but got {len(found)}.", param=name)
        if not found[0].size:
            raise InvalidRequest(f"Invalid '{name}': the file is empty.", param=name, code="empty_file")
        return found[0]


def _shaped(value: Any, kind: Any) -> Any:
    """A form's value in the type of the field; an empty value becomes "" or []."""
    choices = get_args(kind) if get_origin(kind) is types.UnionType else (kind,)
    if any(get_origin(each) is list for each in choices):
        return _listed(value)
    if not isinstance(value, str) or str in choices:
        return value
    value = value.strip()
    if any(isinstance(each, type) and issubclass(each, msgspec.Struct) for each in choices):
        return _parsed(value, dict)
    return value


def _listed(value: Any) -> list[Any]:
    """One value, several, JSON text of an array, or `name[0]`, `name[1]`: always a list, without empty entries."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and key.isdecimal() for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        else:
            return [value]  # refused as what is no text
    if isinstance(value, str):
        parsed = _parsed(value, list)
        value = parsed if isinstance(parsed, list) else [value]
    return [each for each in value if each != ""]


def _parsed(text: str, kind: type[Any]) -> Any:
    """The JSON value in a text where it is one of this kind; else the text."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, RecursionError):
            pass
    return text
