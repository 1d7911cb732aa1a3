"""The process that reads documents: started when needed, limited in time and memory, ended without a trace."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.serving.vector_stores.extraction import DocumentProcess
from tests.conftest import NewChildren


@pytest.fixture
async def reader() -> AsyncIterator[DocumentProcess]:
    made = DocumentProcess()
    yield made
    await made.close()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


async def test_documents_are_read_in_one_process(
    reader: DocumentProcess, tmp_path: Path, new_children: NewChildren
) -> None:
    """One process reads all documents, and a document that cannot be read does not end it."""
    path = write(tmp_path, "猫 cat".encode())
    assert await reader.extract(path, "a.txt") == "猫 cat"
    (child,) = new_children()
    with pytest.raises(InvalidRequest) as error:
        await reader.extract(write(tmp_path, b"\x00\x01"), "a.bin")
    assert error.value.code == "unsupported_file"
    assert await reader.extract(write(tmp_path, b"text"), "a.txt") == "text"
    assert [each.pid for each in new_children()] == [child.pid]
    await reader.close()
    assert not psutil.pid_exists(child.pid)


async def test_a_process_that_ended_is_started_again(
    reader: DocumentProcess, tmp_path: Path, new_children: NewChildren
) -> None:
    """If the process was killed between two documents, the next one is read by a new process."""
    path = write(tmp_path, b"text")
    await reader.extract(path, "a.txt")
    (child,) = new_children()
    os.kill(child.pid, signal.SIGKILL)
    assert await reader.extract(path, "a.txt") == "text"


async def test_a_document_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """A process that does not reply in time is killed, and its document fails as invalid."""
    reader = DocumentProcess("tests.serving.vector_stores.silent_reader", wait_s=0.5)
    with pytest.raises(InvalidRequest, match="too long") as error:
        await reader.extract(write(tmp_path, b"text"), "a.txt")
    assert error.value.code == "invalid_file"
    await reader.close()


async def test_a_document_that_needs_too_much_fails_by_itself(tmp_path: Path) -> None:
    """A process that ends instead of replying fails its document only."""
    reader = DocumentProcess("tests.serving.vector_stores.ending_reader")
    with pytest.raises(InvalidRequest, match="time or memory"):
        await reader.extract(write(tmp_path, b"text"), "a.txt")
    await reader.close()
