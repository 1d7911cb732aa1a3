"""A form's text as typed fields, however clients spell lists, numbers, booleans and empty fields."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.form_values import Form, UploadedFile
from homeport.domain.errors import InvalidRequest

FILE = UploadedFile(Path("0"), "a.wav", 3)


class Inner(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An object in a form."""

    seconds: int


class Fields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A field of every type that forms have."""

    text: str
    choice: str | None = None
    count: int | None = None
    share: float | None = None
    flag: bool | None = None
    many: list[str] | None = None
    inner: Inner | None = None
    either: str | dict[str, Any] | None = None


def read(**values: object) -> Fields:
    """Convert the fields of a form with these values."""
    return Form({"text": "t", **values}, {"file": (FILE,)}).fields(Fields, "file")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ({"0": "a", "1": "b"}, ["a", "b"]),
        ({"10": "b", "2": "a"}, ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("[a", ["[a"]),
        ("a,b", ["a,b"]),
        ("", None),
        ([""], None),
        (["", "a"], ["a"]),
    ],
)
def test_a_list_is_one_in_every_spelling(given: object, found: object) -> None:
    """One value, several, numbered ones and JSON are lists; only empty entries mean that the field is not set."""
    assert read(many=given).many == found


@pytest.mark.parametrize(("given", "found"), [("True", True), ("False", False), ("1", True), ("0", False), ("", None)])
def test_booleans_are_read_in_pythons_and_digits_spelling(given: str, found: object) -> None:
    """True, False, 1 and 0 are booleans, with spaces around or not; an empty one is not set."""
    assert read(flag=given).flag is found
    assert read(flag=f" {given}\n").flag is found


def test_blanks_around_numbers_do_not_count() -> None:
    """A number may have spaces and line ends around it; a blank one is not set."""
    assert (read(count=" 3 ").count, read(share="0.5\r\n").share) == (3, 0.5)
    assert (read(count=" ").count, read(share="").share) == (None, None)


def test_empty_optional_fields_are_not_set() -> None:
    """An optional field that is empty is not set; a required one is as sent."""
    made = read(choice="", inner="", either="", text="")
    assert (made.choice, made.inner, made.either, made.text) == (None, None, None, "")


def test_text_stays_as_it_was_sent() -> None:
    """Spaces and brackets in text are the caller's."""
    assert (read(text=" [1] ").text, read(choice=' {"a": 1} ').choice) == (" [1] ", ' {"a": 1} ')


def test_an_object_is_json_text_or_has_bracketed_keys() -> None:
    """`inner[seconds]=5` and `inner={"seconds": 5}` are the same."""
    assert read(inner={"seconds": "5"}).inner == read(inner='{"seconds": 5}').inner == Inner(seconds=5)


@pytest.mark.parametrize(
    ("values", "param", "said"),
    [
        ({"file": "RIFF"}, "file", "its part of the form has no filename"),
        ({"count": "x"}, "count", "expected an integer"),
        ({"inner": "{"}, "inner", "expected an object"),
        ({"many": {"key": "a"}}, "many[0]", "expected a string"),
        ({"other": "a"}, "other", "Unrecognized"),
        ({"text": ["a", "b"]}, "text", "expected a string"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], param: str, said: str) -> None:
    """A field that cannot be read is refused by name, with the reason."""
    with pytest.raises(InvalidRequest, match=said) as refused:
        read(**values)
    assert refused.value.param == param


@pytest.mark.parametrize(("name", "said"), [("text", "is a file"), ("audio", "Unrecognized")])
def test_a_file_in_a_wrong_place_is_named(name: str, said: str) -> None:
    """A file in place of text, or under an unknown name, is refused by name."""
    with pytest.raises(InvalidRequest, match=said) as refused:
        Form({} if name == "text" else {"text": "t"}, {name: (FILE,)}).fields(Fields, "file")
    assert refused.value.param == name
