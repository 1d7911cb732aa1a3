"""The recorded default model."""

import os
from pathlib import Path

import pytest

from homeport.models.default_model import FILE_NAME, RecordedDefault


def test_a_record_is_read_by_others_and_after_a_restart(tmp_path: Path) -> None:
    """What one process records, another one that has read before sees at its next read, and so does a new one."""
    home = tmp_path / "new" / "home"
    server = RecordedDefault(home)
    assert server.read() is None
    RecordedDefault(home).write("one")
    assert server.read() == "one"
    RecordedDefault(home).write("two")
    os.utime(home / FILE_NAME, ns=(1, 1))  # even if the clock went back
    assert (server.read(), RecordedDefault(home).read()) == ("two", "two")
    (home / FILE_NAME).unlink()
    assert server.read() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"text": 3}', b"\xff"])
def test_a_broken_record_counts_as_none(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be read is reported once, and the default is then a starter."""
    (tmp_path / FILE_NAME).write_bytes(content)
    record = RecordedDefault(tmp_path)
    assert (record.read(), record.read()) == (None, None)
    assert len(caplog.records) == 1
    record.write("small")
    assert record.read() == "small"
