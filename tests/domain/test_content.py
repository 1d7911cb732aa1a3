"""Data that requests refer to."""

from pathlib import Path

import msgspec
import pytest

from homeport.domain.content import Attachment
from homeport.domain.errors import Unavailable


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
