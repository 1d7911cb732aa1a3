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
from homeport.domain import validation
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
    """A form. `values`: by field; `name[]`, or a repeated name, is a list, and `name[key]` a mapping."""

    values: Mapping[str, Any]
    files: Mapping[str, tuple[UploadedFile, ...]]

    def fields(self, kind: type[T], *files: str) -> T:
        """Return the text fields as `kind`; `files`: the file fields. Raises InvalidRequest naming the field."""
        fields_by_name = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in files:
            if name in self.values:
                message = f"Invalid type for '{name}': expected a file, but its part of the form has no filename."
                raise InvalidRequest(message, param=name, code="invalid_type")
        values: dict[str, Any] = {}
        for name, value in self.values.items():
            field = fields_by_name.get(name)
            converted = value if field is None else _convert(value, without_notes(field.type))
            if field is None or field.required or converted not in ("", []):
                values[name] = converted
        for name in self.files:
            if name in fields_by_name:
                message = f"Invalid type for '{name}': expected text, but its part of the form is a file."
                raise InvalidRequest(message, param=name, code="invalid_type")
            if name not in files:
                values[name] = ""  # refused below as an unknown field
        return json_codec.decode_form(values, kind)

    def file(self, name: str) -> UploadedFile:
        """Return the file of a field. Raises InvalidRequest if there is none, more than one, or an empty one."""
        files = self.files.get(name, ())
        if not files:
            raise validation.missing(name)
        if len(files) > 1:
            raise InvalidRequest(f"Invalid '{name}': expected one file, but got {len(files)}.", param=name)
        if not files[0].size:
            raise InvalidRequest(f"Invalid '{name}': the file is empty.", param=name, code="empty_file")
        return files[0]


def _convert(value: Any, kind: Any) -> Any:
    """Convert a value to the type of its field; an empty value becomes "" or []."""
    choices = get_args(kind) if get_origin(kind) is types.UnionType else (kind,)
    if any(get_origin(each) is list for each in choices):
        return _to_list(value)
    if not isinstance(value, str) or str in choices:
        return value
    value = value.strip()
    if any(isinstance(each, type) and issubclass(each, msgspec.Struct) for each in choices):
        return _parse_json(value, dict)
    return value


def _to_list(value: Any) -> list[Any]:
    """Convert one value, several, a JSON array, or `name[0]`, `name[1]` to a list without empty entries."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and key.isdecimal() for key in value):
            value = [value[key] for key in sorted(value, key=int)]
        else:
            return [value]  # refused later, because it is not text
    if isinstance(value, str):
        parsed = _parse_json(value, list)
        value = parsed if isinstance(parsed, list) else [value]
    return [each for each in value if each != ""]


def _parse_json(text: str, kind: type[Any]) -> Any:
    """Return the JSON value of this kind in a text; the text itself if there is none."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, RecursionError):
            pass
    return text
