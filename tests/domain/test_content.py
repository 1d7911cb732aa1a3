"""Messages, their parts, and data that requests refer to."""

from pathlib import Path

import msgspec
import pytest

from homeport.domain.content import (
    Attachment,
    AudioPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    check_text_only,
    text_message,
)
from homeport.domain.errors import InvalidRequest, Unavailable


def test_a_file_is_local() -> None:
    """The path of a file is its local path."""
    assert Attachment(Path("/a/b.png")).local_path == Path("/a/b.png")


def test_a_blob_is_refused_by_its_id() -> None:
    """A worker cannot fetch blobs, and names the one that it was given."""
    with pytest.raises(Unavailable, match="blob-1 is not a file"):
        _ = Attachment(blob="blob-1").local_path


@pytest.mark.parametrize("given", [(None, None), ("/a", "blob-1")])
def test_exactly_one_is_set(given: tuple[str | None, str | None]) -> None:
    """Neither nor both is invalid, also in a message."""
    path, blob = given
    with pytest.raises(ValueError, match="either a path or a blob"):
        Attachment(None if path is None else Path(path), blob)
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(given), type=Attachment, dec_hook=lambda kind, value: kind(value))


def test_the_text_of_a_message_joins_its_text_parts() -> None:
    """Parts of other kinds are not part of the text."""
    parts = (TextPart("a"), ReasoningPart("because"), TextPart("b"))
    assert Message("assistant", parts).text == "ab"
    assert text_message("user", "a", "Ann") == Message("user", (TextPart("a"),), "Ann")


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (ImagePart(Attachment(Path("/a.png"))), "image"),
        (AudioPart(Attachment(blob="blob-1")), "audio"),
    ],
)
def test_parts_that_are_not_text_are_refused_by_name(part: Part, kind: str) -> None:
    """Where only text is read, the error names the message and the kind of image or audio part; calls are text."""
    with pytest.raises(InvalidRequest, match=kind) as raised:
        check_text_only([text_message("user", "a"), Message("user", (TextPart("b"), part))])
    assert raised.value.param == "messages[1]"
    calls = (ReasoningPart("because"), ToolCallPart("1", "clock", "{}"), ToolResultPart("1", "noon"))
    check_text_only([text_message("user", "a"), Message("assistant", calls)])
