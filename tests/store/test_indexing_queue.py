"""The queue of files to index: ownership, restarts, and what a server that lost a file may not do."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.vector_stores import IndexedFile, IndexingError, SearchQuery, TextChunk
from homeport.store.database import Database
from homeport.store.project_storage import SqlProjectStorage
from tests.store.vector_stores import LEASE_S, PROJECT, VectorStores, vector


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> VectorStores:
    return VectorStores(database, tmp_path)


def claim(kept: VectorStores, owner: str) -> int:
    (claimed,) = kept.queue.claim(owner, LEASE_S)
    return claimed[0].seq


def complete(kept: VectorStores, owner: str, seq: int, texts: Sequence[str], window: int | None = None) -> None:
    chunks = [TextChunk(number=at, text=text, vector=vector(1, at)) for at, text in enumerate(texts)]
    (error,) = kept.queue.add_complete(owner, [IndexedFile(seq=seq, chunks=chunks, window=window)])
    if error is not None:
        raise error


def test_the_oldest_file_is_claimed_once(kept: VectorStores) -> None:
    """A file that one server owns is not claimed by another until the lease expires, unless it is renewed."""
    kept.create(files=["file-a"])
    seq = claim(kept, "one")
    assert kept.queue.claim("two", LEASE_S) == []
    kept.clock.now += LEASE_S - 1
    assert kept.queue.renew("one", LEASE_S) == [seq]
    kept.clock.now += LEASE_S - 1
    assert kept.queue.claim("two", LEASE_S) == []
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
        lambda: complete(kept, "one", seq, [""]),
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
    (claimed,) = kept.queue.claim("two", LEASE_S)
    assert (claimed[0].n_chunks, claimed[0].window) == (3, 510)
    assert [each.number for each in kept.queue.chunks_without_vector(seq, 10)] == [0, 2]
    assert [each.text for each in kept.queue.chunks_without_vector(seq, 10, after=0)] == ["third"]


def test_a_short_file_is_stored_at_once(kept: VectorStores) -> None:
    """All chunks of a file with their vectors, and its end, are one change: then it can be found."""
    store_id = kept.create(files=["file-a"])
    seq = claim(kept, "one")
    complete(kept, "one", seq, ["first", "second"], 510)
    file = kept.files.get(PROJECT, store_id, "file-a")
    assert (file.status, file.n_chunks, file.window) == ("completed", 2, 510)
    assert kept.files.texts(PROJECT, store_id, "file-a") == ["first", "second"]
    assert kept.queue.chunks_without_vector(seq, 10) == []
    found = kept.search(store_id, SearchQuery(texts=("second",), vectors=(vector(1, 1),), limit=1))
    assert [each.text for each in found] == ["second"]
    # As many bytes as a file whose chunks and vectors are stored one after the other.
    other_id = kept.create(files=["file-b"])
    kept.index({text: vector(1, at) for at, text in enumerate(("first", "second"))})
    assert file.bytes == kept.files.get(PROJECT, other_id, "file-b").bytes
    assert kept.stores.get(PROJECT, store_id).revision == kept.stores.get(PROJECT, other_id).revision
    assert kept.queue.claim("two", LEASE_S) == []


def test_files_that_are_stored_together_are_refused_alone(kept: VectorStores) -> None:
    """Of several completed files, one that was lost or exceeds the storage limit is not stored, and the others are."""
    store_id = kept.create(files=["file-a", "file-b", "file-c", "file-d"])
    seqs = [file.seq for file, _ in kept.queue.claim("one", LEASE_S, 4)]
    kept.queue.release("one", seqs[1])
    kept.queue._storage = SqlProjectStorage(kept.database, 200)
    texts = ["first", "second", "third" * 100, "last"]
    indexed = [
        IndexedFile(seq=seq, chunks=[TextChunk(number=0, text=text, vector=vector(1, 0))])
        for seq, text in zip(seqs, texts, strict=True)
    ]
    outcomes = kept.queue.add_complete("one", indexed)
    assert [type(each) for each in outcomes] == [type(None), NotFound, InvalidRequest, type(None)]
    assert kept.files.texts(PROJECT, store_id, "file-a") == ["first"]
    assert kept.files.texts(PROJECT, store_id, "file-d") == ["last"]
    counts = kept.stores.get(PROJECT, store_id).counts
    assert (counts.completed, counts.in_progress) == (2, 2)
    assert kept.stores.get(PROJECT, store_id).revision == 1


def test_several_files_are_claimed_together(kept: VectorStores) -> None:
    """The oldest files are claimed, of several stores, no more than asked for; each is claimed once."""
    first, second = kept.create(files=["file-a", "file-b"]), kept.create(files=["file-c", "file-d"])
    claimed = kept.queue.claim("one", LEASE_S, 3)
    assert [(file.id, store.id) for file, store in claimed] == [
        ("file-a", first),
        ("file-b", first),
        ("file-c", second),
    ]
    assert [file.id for file, _ in kept.queue.claim("two", LEASE_S, 3)] == ["file-d"]


def test_a_short_file_replaces_what_a_former_owner_stored(kept: VectorStores) -> None:
    """Chunks that another owner stored before are not added to."""
    store_id = kept.create(files=["file-a"])
    kept.queue.add_chunks("one", claim(kept, "one"), ["old", "older"], None)
    kept.clock.now += LEASE_S
    complete(kept, "two", claim(kept, "two"), ["new"])
    assert kept.files.texts(PROJECT, store_id, "file-a") == ["new"]


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
