"""What stands behind the question mark of a URL, read as typed values. Knows nothing of any endpoint."""

import re
from typing import Any, TypeVar, get_origin

import msgspec
from starlette.requests import Request

from homeport.api import json_codec

T = TypeVar("T", bound=msgspec.Struct)


def read_query(request: Request, kind: type[T], passed_over: re.Pattern[str] | None = None) -> T:
    """Read a query as `kind`. A field that is a tuple may be repeated, with `[]` behind its name or not.

    `passed_over`: names that somebody else reads. Raises InvalidRequest for unknown names, if `kind` forbids them, and
    for wrong values.
    """
    lists = {field.name for field in msgspec.structs.fields(kind) if get_origin(field.type) is tuple}
    values: dict[str, Any] = {}
    for written, value in request.query_params.multi_items():
        if passed_over is not None and passed_over.fullmatch(written):
            continue
        name = written.removesuffix("[]")
        if name in lists:
            values.setdefault(name, []).append(value)
        else:
            values[written] = value
    return json_codec.decode_form(values, kind)
