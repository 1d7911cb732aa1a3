"""The queue of files to index: ownership, restarts, and what a server that lost a file may not do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.domain.errors import NotFound
from homeport.domain.vector_stores import IndexingError, TextChunk
from homeport.store.database import Database
from tests.store.vector_stores import LEASE_S, PROJECT, VectorStores, vector


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> VectorStores:
    return VectorStores(database, tmp_path)


def claim(kept: VectorStores, owner: str) -> int:
    claimed = kept.queue.claim(owner, LEASE_S)
    assert claimed is not None
    return claimed[0].seq


def test_the_oldest_file_is_claimed_once(kept: VectorStores) -> None:
    """A file that one server owns is not claimed by another until the lease expires, unless it is renewed."""
    kept.create(files=["file-a"])
    seq = claim(kept, "one")
    assert kept.queue.claim("two", LEASE_S) is None
    kept.clock.now += LEASE_S - 1
    assert kept.queue.renew("one", LEASE_S) == [seq]
    kept.clock.now += LEASE_S - 1
    assert kept.queue.claim("two", LEASE_S) is None
    kept.clock.now += LEASE_S
    assert claim(kept, "two") == seq


def test_a_server_that_lost_a_file_changes_nothing_of_it(kept: VectorStores) -> None:
    """After another server took a file over, every write of the first one raises NotFound."""
    kept.create(files=["file-a"])
    seq = claim(kept, "one")
    kept.queue.release("one", seq)
    assert claim(kept, "two") == seq
    writes: tuple[Callable[[], None], ...] = (
        lambda: kept.queue.add_chunks("one", seq, ["text"], None),
        lambda: kept.queue.add_vectors("one", seq, [TextChunk(number=0, text="", vector=vector(1, 0))]),
        lambda: kept.queue.finish("one", seq),
    )
    for write in writes:
        with pytest.raises(NotFound):
            write()


def test_a_new_owner_continues_where_the_last_one_ended(kept: VectorStores) -> None:
    """Chunks and vectors that are stored stay; only chunks without a vector are left to do."""
    kept.create(files=["file-a"])
    seq = claim(kept, "one")
    kept.queue.add_chunks("one", seq, ["first", "second", "third"], 510)
    kept.queue.add_vectors("one", seq, [TextChunk(number=1, text="", vector=vector(1, 0))])
    kept.clock.now += LEASE_S
    claimed = kept.queue.claim("two", LEASE_S)
    assert claimed is not None
    assert (claimed[0].n_chunks, claimed[0].window) == (3, 510)
    assert [each.number for each in kept.queue.chunks_without_vector(seq, 10)] == [0, 2]
    assert [each.text for each in kept.queue.chunks_without_vector(seq, 10, after=0)] == ["third"]


def test_a_failed_file_says_why_and_keeps_nothing(kept: VectorStores) -> None:
    """The error is stored, and the chunks are deleted."""
    store_id = kept.create(files=["file-a"])
    seq = claim(kept, "one")
    kept.queue.add_chunks("one", seq, ["text"], None)
    kept.queue.finish("one", seq, IndexingError("invalid_file", "It is encrypted."))
    file = kept.files.get(PROJECT, store_id, "file-a")
    assert (file.status, file.error) == ("failed", IndexingError("invalid_file", "It is encrypted."))
    assert (file.bytes, kept.files.texts(PROJECT, store_id, "file-a")) == (0, [])


def test_a_removed_file_is_not_indexed(kept: VectorStores) -> None:
    """While a file is indexed it may be removed; then its owner's next write raises NotFound."""
    store_id = kept.create(files=["file-a"])
    seq = claim(kept, "one")
    kept.files.delete(PROJECT, store_id, "file-a")
    assert kept.queue.renew("one", LEASE_S) == []
    with pytest.raises(NotFound):
        kept.queue.add_chunks("one", seq, ["text"], None)
