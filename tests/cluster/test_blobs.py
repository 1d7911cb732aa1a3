"""Sending files ahead of requests, and receiving them, without a link in between."""

import asyncio
import hashlib
from pathlib import Path

import msgspec
import pytest

from homeport.cluster.attached_files import list_files
from homeport.cluster.blob_folder import BlobFolder, SpoolSpace
from homeport.cluster.blobs import BlobSender
from homeport.cluster.messages import CHUNK_BYTES, BeginBlob, BlobChunk, DropBlob
from homeport.domain.content import Attachment
from homeport.domain.errors import EngineFailed, InvalidRequest, StorageFull, Unavailable
from homeport.domain.models import Adapter
from homeport.domain.text import TextPrompt, TextRequest
from homeport.domain.transcription import TranscriptionRequest
from tests.serving.conftest import until


class Wire:
    """A link to a folder. `sent`: the messages by type, in order; `gate`: while cleared, `drain` waits."""

    def __init__(self, folder: BlobFolder) -> None:
        self.folder = folder
        self.sent: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def send(self, message: msgspec.Struct) -> None:
        """Deliver a message at once."""
        self.sent.append(type(message).__name__)
        if isinstance(message, BeginBlob):
            self.folder.begin(message)
        elif isinstance(message, BlobChunk):
            assert len(message.data) <= CHUNK_BYTES
            self.folder.write(message)
        elif isinstance(message, DropBlob):
            self.folder.drop(message.blob)

    async def drain(self) -> None:
        """Wait for the gate."""
        await self.gate.wait()


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    """Return a link to a folder of 10 MB."""
    return Wire(BlobFolder(tmp_path / "blobs", SpoolSpace(10_000_000)))


def recording(tmp_path: Path, size: int) -> TranscriptionRequest:
    """Return a request with a file of a size."""
    path = tmp_path / "recording"
    path.write_bytes(b"r" * size)
    return TranscriptionRequest(Attachment(path))


def tuned(tmp_path: Path, name: str) -> TextRequest:
    """Return a request with an adapter."""
    path = tmp_path / name
    path.write_text(name)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return TextRequest((TextPrompt("x"),), adapter=Adapter(name, Attachment(path), digest))


async def test_a_file_crosses_in_chunks(wire: Wire, tmp_path: Path) -> None:
    """A file arrives whole, in pieces of bounded size, and is removed when its request ends."""
    size = 2 * CHUNK_BYTES + 1
    async with BlobSender(wire).sent(recording(tmp_path, size)) as named:
        assert wire.sent == ["BeginBlob", "BlobChunk", "BlobChunk", "BlobChunk"]
        wire.folder.hold(names := wire.folder.names(named))
        local = wire.folder.localize(named)
    assert isinstance(local, TranscriptionRequest)
    assert local.audio.local_path.read_bytes() == b"r" * size
    wire.folder.release(names)
    assert not local.audio.local_path.exists()
    with pytest.raises(InvalidRequest, match="did not come"):
        wire.folder.localize(named)


async def test_an_empty_file_crosses(wire: Wire, tmp_path: Path) -> None:
    """A file without bytes is a file."""
    async with BlobSender(wire).sent(recording(tmp_path, 0)) as named:
        local = wire.folder.localize(named)
    assert isinstance(local, TranscriptionRequest)
    assert local.audio.local_path.read_bytes() == b""


async def test_a_request_that_is_not_sent_drops_its_files(wire: Wire, tmp_path: Path) -> None:
    """If sending the request fails or is cancelled, its files are removed on the other side."""
    with pytest.raises(RuntimeError):
        async with BlobSender(wire).sent(recording(tmp_path, 10)):
            raise RuntimeError
    wire.gate.clear()
    sending = asyncio.create_task(BlobSender(wire).sent(recording(tmp_path, 10)).__aenter__())
    await until(lambda: wire.sent[-1] == "BlobChunk")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert wire.sent[-1] == "DropBlob"
    assert not list((tmp_path / "blobs").iterdir())


async def test_an_adapter_is_kept_until_others_displace_it(wire: Wire, tmp_path: Path) -> None:
    """An adapter is sent for its first request only; of too many the least recently used one is dropped."""
    sender = BlobSender(wire, max_adapters=2)
    first, second, third = (tuned(tmp_path, name) for name in "abc")
    for request in (first, second, first):
        async with sender.sent(request):
            pass
    assert wire.sent.count("BeginBlob") == 2
    async with sender.sent(third), sender.sent(first) as named:
        wire.folder.localize(named)
    assert wire.sent.count("BeginBlob") == 3
    async with sender.sent(second):
        pass
    assert wire.sent.count("BeginBlob") == 4
    assert len(list((tmp_path / "blobs").iterdir())) == 2


async def test_a_dropped_adapter_stays_while_it_is_used(wire: Wire, tmp_path: Path) -> None:
    """A blob that is dropped is removed when the last request that names it has ended."""
    async with BlobSender(wire, max_adapters=0).sent(tuned(tmp_path, "a")) as named:
        wire.folder.hold(names := wire.folder.names(named))
    (path,) = (tmp_path / "blobs").iterdir()
    wire.folder.release(names)
    assert not path.exists()


async def test_a_failed_adapter_is_sent_again(wire: Wire, tmp_path: Path) -> None:
    """An adapter that could not be read is sent with the next request."""
    sender, request = BlobSender(wire), tuned(tmp_path, "a")
    (tmp_path / "a").unlink()
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be read"):
            await sender.sent(request).__aenter__()
    (tmp_path / "a").write_text("a")
    async with sender.sent(request) as named:
        wire.folder.localize(named)


@pytest.mark.parametrize(
    ("begin", "data", "error"),
    [
        (BeginBlob("1", 3), b"four", EngineFailed),
        (BeginBlob("1", 3), b"to", InvalidRequest),
        (BeginBlob("1", 3, "0" * 64), b"abc", EngineFailed),
        (BeginBlob("1", 20_000_000), b"abc", StorageFull),
        (BeginBlob("1", -3), b"abc", InvalidRequest),
    ],
)
def test_wrong_blobs_fail_their_request(wire: Wire, begin: BeginBlob, data: bytes, error: type[Exception]) -> None:
    """A blob that is too long, incomplete, damaged or too large is named in an error of the request, not used."""
    wire.folder.begin(begin)
    wire.folder.write(BlobChunk("1", data))
    with pytest.raises(error):
        wire.folder.localize(TranscriptionRequest(Attachment(blob="1")))
    wire.folder.drop("1")
    assert wire.folder._space.used_bytes == 0


def test_paths_of_a_gateway_are_refused(wire: Wire) -> None:
    """A request cannot name a file of the replica's machine."""
    with pytest.raises(InvalidRequest, match="did not come"):
        wire.folder.localize(TranscriptionRequest(Attachment(Path("/etc/passwd"))))


def test_a_full_disk_fails_the_request(wire: Wire, tmp_path: Path) -> None:
    """If a file cannot be created, the request that names it gets the reason."""
    wire.folder.begin(BeginBlob("1", 1))
    wire.folder.write(BlobChunk("1", b"x"))
    (tmp_path / "blobs" / "2").touch()
    wire.folder.begin(BeginBlob("2", 1))
    with pytest.raises(StorageFull, match="cannot be stored"):
        wire.folder.localize(TranscriptionRequest(Attachment(blob="2")))
    assert len(list_files(wire.folder.localize(TranscriptionRequest(Attachment(blob="1"))))) == 1
    wire.folder.close()
    assert not (tmp_path / "blobs").exists()
