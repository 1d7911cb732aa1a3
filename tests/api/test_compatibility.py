"""Compatibility notes, read from structs, and held against the published specs."""

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from homeport.api.compatibility import FieldNote, FieldSupport, accepted, field_notes, refused, served
from homeport.api.compatibility_index import FIELDS

SPECS: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "data" / "openai_fields.json").read_text("utf-8")
)
WITHOUT_EXTENSIONS = (
    "fine_tunes",
    "speech",
    "moderations",
    "files",
    "uploads",
    "batches",
    "fine_tuning_jobs",
)
NOT_OPENAIS = ("music", "shapes", "sound_generation")
"""Endpoints that no specification of OpenAI's has."""
SERVED, ACCEPTED, REFUSED = FieldSupport.SERVED, FieldSupport.ACCEPTED, FieldSupport.REFUSED


class Plain(msgspec.Struct):
    unlisted: int


class Inner(msgspec.Struct):
    deep: Annotated[Plain | None, refused("Deep.")] = None


class Body(msgspec.Struct):
    first: Annotated[str, served("First.")]
    inner: Annotated[list[Inner] | None, accepted("Inner.")] = None
    mask: Annotated[Plain | None, served("Mask.")] = None


class Nested(msgspec.Struct):
    a: Annotated[Body, served("A.")]


class Unannotated(msgspec.Struct):
    known: Annotated[str, served("Known.")]
    forgotten: int


def test_notes_are_listed_in_the_order_of_the_fields() -> None:
    """A nested field follows its parent under a dotted name; a nested struct without notes is not listed."""
    assert field_notes(Body) == (
        FieldNote("first", SERVED, "First."),
        FieldNote("inner", ACCEPTED, "Inner."),
        FieldNote("inner.deep", REFUSED, "Deep."),
        FieldNote("mask", SERVED, "Mask."),
    )


def test_fields_nested_too_deeply_are_not_listed() -> None:
    """Only three names deep, a field is described by the note of its parent."""
    assert [note.name for note in field_notes(Nested)] == ["a", "a.first", "a.inner", "a.inner.deep", "a.mask"]
    assert max(note.name.count(".") for note in FIELDS["fine_tuning_jobs"]) == 2


def test_the_files_of_a_form_come_first() -> None:
    """The file fields precede the struct's fields, and none is listed twice."""
    notes = field_notes(Body, {"image": served("Image."), "mask": served("File.")})
    assert [note.name for note in notes] == ["image", "mask", "first", "inner", "inner.deep"]
    assert notes[1].note == "File."


def test_a_field_without_a_note_is_an_error() -> None:
    """A struct that is listed has a note on every field."""
    with pytest.raises(TypeError, match=r"Unannotated\.forgotten has no compatibility note"):
        field_notes(Unannotated)


def test_notes_do_not_change_what_is_decoded() -> None:
    """msgspec reads an annotated field as it reads the bare type."""
    assert msgspec.json.decode(b'{"first": "x", "inner": [{}]}', type=Body) == Body("x", [Inner()])
    with pytest.raises(msgspec.ValidationError, match=r"Expected `str`, got `int` - at `\$.first`"):
        msgspec.json.decode(b'{"first": 1}', type=Body)


@pytest.mark.parametrize("endpoint", FIELDS)
def test_every_published_field_has_a_note(endpoint: str) -> None:
    """No property of either generation of the spec is missing, and no field is listed twice.

    Endpoints that OpenAI does not have are in no spec.
    """
    names = [note.name for note in FIELDS[endpoint]]
    published = {name for spec in SPECS.values() for name in spec.get(endpoint, {})}
    assert bool(published) == (endpoint not in NOT_OPENAIS)
    assert published <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("endpoint", WITHOUT_EXTENSIONS)
def test_most_endpoints_have_no_extensions(endpoint: str) -> None:
    """These take OpenAI's fields only."""
    published = {name for spec in SPECS.values() for name in spec.get(endpoint, {})}
    assert {note.name.split(".")[0] for note in FIELDS[endpoint]} == published
