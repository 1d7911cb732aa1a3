"""Images as blobs, which several gateways find."""

from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageFormat
from homeport.store.blob_images import BlobImages
from homeport.store.blobs import BlobStore
from tests.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_800_000_000.0)


def images(folder: Path, clock: FakeClock) -> BlobImages:
    return BlobImages(BlobStore(str(folder)), 100, clock)


def test_an_image_is_found_by_every_gateway(tmp_path: Path, clock: FakeClock) -> None:
    """An image that one gateway stored is found by another one until it expires, and by its own name alone."""
    name = images(tmp_path, clock).save(b"data", ImageFormat.PNG, "team")
    other = images(tmp_path, clock)
    assert other.find(name) == b"data"
    assert other.find(f"{name[:8]}-{'a' * 43}.png") is None
    assert other.find("../store-id") is None
    clock.now += 100
    assert other.find(name) is None


def test_sizes_are_summed_by_project(tmp_path: Path, clock: FakeClock) -> None:
    """Each project's bytes are those of all gateways, as of a few seconds ago, with its own new ones at once."""
    one, two = images(tmp_path, clock), images(tmp_path, clock)
    one.save(b"12345", ImageFormat.PNG, "a")
    assert one.sizes() == {"a": 5}
    two.save(b"123", ImageFormat.PNG, "b")
    one.save(b"1", ImageFormat.PNG, "a")
    assert one.sizes() == {"a": 6}
    clock.now += 10
    assert one.sizes() == {"a": 6, "b": 3}


def test_expired_images_are_deleted(tmp_path: Path, clock: FakeClock) -> None:
    """A sweep deletes what has expired, of all gateways, and nothing else."""
    one = images(tmp_path, clock)
    one.save(b"old", ImageFormat.PNG)
    clock.now += 60
    kept = one.save(b"young", ImageFormat.PNG)
    clock.now += 50
    images(tmp_path, clock).sweep()
    assert one.find(kept) == b"young"
    assert one.sizes() == {"local": 5}


def test_a_full_project_stores_none(tmp_path: Path, clock: FakeClock) -> None:
    """What the limit of a project refuses is not stored."""

    def refuse(project: str, n_bytes: int) -> None:
        raise InvalidRequest(f"{project} is full by {n_bytes}")

    one = images(tmp_path, clock)
    one.check = refuse
    with pytest.raises(InvalidRequest, match="a is full by 4"):
        one.save(b"data", ImageFormat.PNG, "a")
    assert one.sizes() == {}


def test_a_place_has_one_identity(tmp_path: Path) -> None:
    """Every store of the same folder has the same identity, and another folder has another one."""
    first = BlobStore(str(tmp_path / "a")).identity()
    assert BlobStore(str(tmp_path / "a")).identity() == first
    assert BlobStore(str(tmp_path / "b")).identity() != first
