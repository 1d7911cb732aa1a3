"""Compatibility notes: annotations that say of each request field whether it is served, accepted or refused.

The compatibility page and its tests read the notes from the request structs. Knows no endpoint. msgspec ignores the
annotations when it decodes.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec

_SUPPORT, _NOTE = "support", "note"
_MAX_DEPTH = 3
"""Fields nested deeper than `a.b.c` are not listed: the note of the field that contains them describes them."""


class FieldSupport(StrEnum):
    """How the server treats a field.

    A served field changes the answer. An accepted one is checked and changes nothing. A refused one is a 400 that
    names it, unless its value has no effect.
    """

    SERVED = "served"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class FieldNote(NamedTuple):
    """The compatibility note of one field. A dotted name is a field of a nested object."""

    name: str
    support: FieldSupport
    note: str


def _meta(support: FieldSupport, note: str) -> msgspec.Meta:
    return msgspec.Meta(extra={_SUPPORT: support, _NOTE: note})


def served(note: str) -> msgspec.Meta:
    """Annotate a field that changes the answer."""
    return _meta(FieldSupport.SERVED, note)


def accepted(note: str) -> msgspec.Meta:
    """Annotate a field that is checked and changes nothing."""
    return _meta(FieldSupport.ACCEPTED, note)


def refused(note: str) -> msgspec.Meta:
    """Annotate a field that is a 400 that names it, unless its value has no effect."""
    return _meta(FieldSupport.REFUSED, note)


MODEL = served("A model's own name, or an OpenAI name that stands for one.")
"""The note of `model` in most endpoints."""


def field_notes(body: type[msgspec.Struct], files: Mapping[str, msgspec.Meta] | None = None) -> tuple[FieldNote, ...]:
    """List the notes of a body or form: those of `files`, then those of the struct's fields with their nested fields.

    `files` annotates the file fields of a form, which its struct does not hold. A struct field of the same name is not
    listed again. Nested structs without any note are not listed. Raises TypeError for a field without a note.
    """
    first = [_to_note(name, meta) for name, meta in (files or {}).items()]
    names = {note.name for note in first}
    return (*first, *(note for note in _list_notes(body) if note.name not in names))


def without_notes(kind: Any) -> Any:
    """Strip the annotations of a field's type."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _to_note(name: str, meta: msgspec.Meta) -> FieldNote:
    extra = meta.extra or {}
    return FieldNote(name, extra[_SUPPORT], extra[_NOTE])


def _list_notes(body: type[msgspec.Struct], prefix: str = "", depth: int = 1) -> Iterator[FieldNote]:
    for field in msgspec.structs.fields(body):
        meta = _find_meta(field.type)
        if meta is None:
            raise TypeError(f"{body.__name__}.{field.name} has no compatibility note: annotate it.")
        yield _to_note(f"{prefix}{field.name}", meta)
        if depth < _MAX_DEPTH:
            for inner in _nested_structs(field.type):
                if any(_find_meta(each.type) for each in msgspec.structs.fields(inner)):
                    yield from _list_notes(inner, f"{prefix}{field.name}.", depth + 1)


def _find_meta(kind: Any) -> msgspec.Meta | None:
    annotations = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next(
        (each for each in annotations if isinstance(each, msgspec.Meta) and _SUPPORT in (each.extra or {})), None
    )


def _nested_structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Find the structs in a field's type: `Inner | None`, `list[Inner]`."""
    kind = without_notes(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for each in get_args(kind):
        yield from _nested_structs(each)
