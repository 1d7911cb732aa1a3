"""Contents of files in a folder and in a bucket of an S3 service, which moto emulates on loopback."""

import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import obstore
import pytest
from moto.server import ThreadedMotoServer

from homeport.domain.errors import (
    InvalidRequest,
    NotFound,
    StorageFull,
    Unavailable,
)
from homeport.store.blobs import BlobStore


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The URL of an S3 service."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    """A place without blobs."""
    if request.param == "folder":
        return BlobStore(str(tmp_path / "blobs"))
    address, bucket = request.getfixturevalue("s3"), f"b-{uuid.uuid4().hex}"
    for name, value in (
        ("AWS_ENDPOINT_URL", address),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket=bucket)
    client.close()
    return BlobStore(f"s3://{bucket}/inside")


def content(folder: Path, data: bytes) -> Path:
    path = folder / uuid.uuid4().hex
    path.write_bytes(data)
    return path


async def whole(blobs: BlobStore, name: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(name)])


@pytest.mark.parametrize("size", [0, 1, 700_000, 12_000_000])
async def test_a_content_comes_back(blobs: BlobStore, tmp_path: Path, size: int) -> None:
    """A stored content is read in chunks, and appended to a file, byte by byte."""
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    blobs.put("files/a", content(tmp_path, data))
    assert await whole(blobs, "files/a") == data
    target = content(tmp_path, b"before")
    assert blobs.copy("files/a", target) == size
    assert target.read_bytes() == b"before" + data


async def test_what_is_deleted_is_missing(blobs: BlobStore, tmp_path: Path) -> None:
    """A deleted content is NotFound; deleting it again changes nothing."""
    blobs.put("files/a", content(tmp_path, b"x"))
    blobs.delete("files/a")
    blobs.delete("files/a")
    with pytest.raises(NotFound):
        await whole(blobs, "files/a")
    with pytest.raises(NotFound):
        blobs.copy("files/a", tmp_path / "target")


def test_old_contents_are_named(blobs: BlobStore, tmp_path: Path) -> None:
    """Only contents that are older than the given age and in the folder are named."""
    for name in ("files/a", "files/b", "uploads/c"):
        blobs.put(name, content(tmp_path, b"x"))
    assert sorted(blobs.list_older("files", -5)) == ["files/a", "files/b"]
    assert list(blobs.list_older("files", 3600)) == []


def test_contents_are_this_users_alone(tmp_path: Path) -> None:
    """Other users have no access to the folder of contents."""
    BlobStore(str(tmp_path / "blobs"))
    assert stat.S_IMODE((tmp_path / "blobs").stat().st_mode) == 0o700


@pytest.mark.parametrize(("place", "kind"), [("ftp://host/x", InvalidRequest), ("/dev/null/x", Unavailable)])
def test_a_place_that_is_none_is_said(place: str, kind: type[Exception]) -> None:
    """An unsupported place, or one that cannot be created, stops the start and names the setting."""
    with pytest.raises(kind, match="blobs"):
        BlobStore(place)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, storing a content raises StorageFull."""
    made = BlobStore(str(tmp_path / "blobs"))

    def full(*_: object, **__: object) -> None:
        raise OSError("Generic LocalFileSystem error: No space left on device (os error 28)")

    monkeypatch.setattr(obstore, "put", full)
    with pytest.raises(StorageFull):
        made.put("files/a", content(tmp_path, b"x"))


async def test_a_service_that_is_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a bucket cannot be reached, reading raises Unavailable before the first chunk."""

    async def away(*_: object) -> None:
        raise OSError("error sending request")

    made = BlobStore(str(tmp_path / "blobs"))
    monkeypatch.setattr(obstore, "get_async", away)
    with pytest.raises(Unavailable, match="error sending request"):
        await whole(made, "files/a")
