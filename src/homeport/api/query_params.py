"""Reads the query string of a URL as typed values. Knows nothing of endpoints."""

import re
from typing import Any, TypeVar, get_origin

import msgspec
from starlette.requests import Request

from homeport.api import json_codec

T = TypeVar("T", bound=msgspec.Struct)

METADATA_FILTER = re.compile(r"metadata\[([^\[\]]*)\]")
"""The names of query parameters that select objects by their metadata."""


def read_query(request: Request, kind: type[T], ignore: re.Pattern[str] | None = None) -> T:
    """Read a query string as `kind`. A field that is a tuple may be repeated, with or without `[]` after its name.

    Names that match `ignore` are skipped. Raises InvalidRequest for unknown names, if `kind` forbids them, and for
    invalid values.
    """
    lists = {field.name for field in msgspec.structs.fields(kind) if get_origin(field.type) is tuple}
    values: dict[str, Any] = {}
    for written, value in request.query_params.multi_items():
        if ignore is not None and ignore.fullmatch(written):
            continue
        name = written.removesuffix("[]")
        if name in lists:
            values.setdefault(name, []).append(value)
        else:
            values[written] = value
    return json_codec.decode_form(values, kind)


def read_metadata_filter(request: Request) -> dict[str, str]:
    """Return the pairs of all parameters `metadata[key]=value`; of a key that is repeated, the last value."""
    parameters = request.query_params.multi_items()
    return {match[1]: value for name, value in parameters if (match := METADATA_FILTER.fullmatch(name))}
