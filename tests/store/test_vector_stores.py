"""Vector stores, their files and batches of files, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.files import NewFile
from homeport.domain.paging import PageRequest
from homeport.domain.vector_stores import DAY_S, FileCounts, IndexedFile, StoreChanges, TextChunk
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.project_storage import SqlProjectStorage
from tests.store.vector_stores import PROJECT, VectorStores, new_file, vector


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> VectorStores:
    return VectorStores(database, tmp_path)


def test_a_store_is_described_with_its_files(kept: VectorStores) -> None:
    """A new store has the files that it was created with, in progress until they are indexed."""
    store_id = kept.create(files=["file-a", "file-b"])
    assert kept.stores.get(PROJECT, store_id).counts == FileCounts(in_progress=2)
    kept.index({"one text": vector(1, 0)})
    store = kept.stores.get(PROJECT, store_id)
    assert store.counts == FileCounts(in_progress=1, completed=1)
    assert (store.name, store.model, store.bytes > 0) == ("Notes", "e5", True)


def test_other_projects_see_no_store(kept: VectorStores) -> None:
    """Every method raises NotFound for another project's store, as for one that does not exist."""
    store_id = kept.create(files=["file-a"])
    for project, wanted in (("two", store_id), (PROJECT, "vs_none")):
        for call in (
            lambda p, s: kept.stores.get(p, s),
            lambda p, s: kept.stores.update(p, s, StoreChanges(name="x")),
            lambda p, s: kept.stores.delete(p, s),
            lambda p, s: kept.files.add(p, s, new_file("file-x"), ""),
            lambda p, s: kept.files.get(p, s, "file-a"),
            lambda p, s: kept.files.list_page(p, s, PageRequest()),
            lambda p, s: kept.files.update(p, s, "file-a", {}),
            lambda p, s: kept.files.delete(p, s, "file-a"),
            lambda p, s: kept.files.texts(p, s, "file-a"),
            lambda p, s: kept.files.add_batch(p, s, [new_file("file-x")], ""),
            lambda p, s: kept.files.get_batch(p, s, "vsfb_x"),
        ):
            with pytest.raises(NotFound):
                call(project, wanted)
    assert kept.stores.list_page("two", PageRequest()).items == ()


def test_stores_are_listed_in_pages(kept: VectorStores) -> None:
    """The newest store is first, and the next page follows the last one of a page."""
    made = [kept.create() for _ in range(3)]
    first = kept.stores.list_page(PROJECT, PageRequest(limit=2))
    assert ([each.id for each in first.items], first.has_more) == ([made[2], made[1]], True)
    rest = kept.stores.list_page(PROJECT, PageRequest(limit=2, after=made[1]))
    assert ([each.id for each in rest.items], rest.has_more) == ([made[0]], False)


def test_a_store_is_changed(kept: VectorStores) -> None:
    """Only the fields that are given change."""
    store_id = kept.create(expires_days=3)
    kept.stores.update(PROJECT, store_id, StoreChanges(name="New", metadata={"a": "b"}))
    changed = kept.stores.get(PROJECT, store_id)
    assert (changed.name, changed.metadata, changed.expires_days) == ("New", {"a": "b"}, 3)
    assert kept.stores.update(PROJECT, store_id, StoreChanges(expires_days=None)).expires_at is None


def test_a_deleted_store_leaves_nothing(kept: VectorStores, database: Database) -> None:
    """Deleting a store deletes its files' chunks and its batches, and counts no bytes."""
    store_id = kept.create(files=["file-a"])
    kept.index({"text": vector(1, 0)})
    kept.files.add_batch(PROJECT, store_id, [new_file("file-b")], "")
    assert SqlProjectStorage(database).of(PROJECT).vector_stores > 0
    kept.stores.delete(PROJECT, store_id)
    assert SqlProjectStorage(database).of(PROJECT).total == 0
    with pytest.raises(NotFound):
        kept.stores.get(PROJECT, store_id)


def test_a_store_expires_after_its_last_use(kept: VectorStores) -> None:
    """A sweep empties a store that was not used for its days, and nothing can be added to it; a use postpones that."""
    store_id = kept.create(expires_days=1, files=["file-a"])
    kept.index({"text": vector(1, 0)})
    kept.clock.now += DAY_S - 1
    kept.stores.touch(store_id)
    kept.clock.now += 10
    assert kept.stores.sweep() == 0
    kept.clock.now += DAY_S
    assert (kept.stores.sweep(), kept.stores.sweep()) == (1, 0)
    store = kept.stores.get(PROJECT, store_id)
    assert (store.is_expired, store.counts.total, store.bytes) == (True, 0, 0)
    with pytest.raises(InvalidRequest):
        kept.files.add(PROJECT, store_id, new_file("file-b"), "")


def test_files_are_listed_by_status_and_batch(kept: VectorStores) -> None:
    """A list of files can be limited to a status and to a batch."""
    store_id = kept.create(files=["file-a"])
    kept.index({"text": vector(1, 0)})
    batch = kept.files.add_batch(PROJECT, store_id, [new_file("file-b"), new_file("file-c")], "")
    page = PageRequest(is_newest_first=False)
    done = kept.files.list_page(PROJECT, store_id, page, status="completed")
    assert [each.id for each in done.items] == ["file-a"]
    together = kept.files.list_page(PROJECT, store_id, page, batch_id=batch.id)
    assert [each.id for each in together.items] == ["file-b", "file-c"]


def test_a_file_has_attributes_and_texts(kept: VectorStores) -> None:
    """Attributes are replaced as a whole; the texts of the chunks are returned in order."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"first": vector(1, 0), "second": vector(0, 1)}, year=2024)
    assert kept.files.get(PROJECT, store_id, "file-a").attributes == {"year": 2024}
    assert kept.files.update(PROJECT, store_id, "file-a", {"kind": "note"}).attributes == {"kind": "note"}
    assert kept.files.texts(PROJECT, store_id, "file-a") == ["first", "second"]


def test_a_file_that_is_added_again_is_indexed_again(kept: VectorStores) -> None:
    """The second addition replaces the first, so a store has each file once."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"first": vector(1, 0)})
    kept.files.add(PROJECT, store_id, new_file("file-a", again=True), "")
    assert kept.stores.get(PROJECT, store_id).counts == FileCounts(in_progress=1)
    assert kept.files.texts(PROJECT, store_id, "file-a") == []


def test_a_removed_file_is_in_the_store_no_more(kept: VectorStores) -> None:
    """Removing a file changes the store's revision, so that searches notice."""
    store_id = kept.create()
    kept.add(store_id, "file-a", {"first": vector(1, 0)})
    before = kept.stores.get(PROJECT, store_id).revision
    kept.files.delete(PROJECT, store_id, "file-a")
    assert kept.stores.get(PROJECT, store_id).revision > before
    with pytest.raises(NotFound):
        kept.files.get(PROJECT, store_id, "file-a")


def test_a_batch_counts_its_files(kept: VectorStores) -> None:
    """A batch is in progress until all of its files have ended."""
    store_id = kept.create()
    batch = kept.files.add_batch(PROJECT, store_id, [new_file("file-a"), new_file("file-b")], "")
    assert (batch.status, batch.counts) == ("in_progress", FileCounts(in_progress=2))
    kept.index({"text": vector(1, 0)})
    kept.index({"text": vector(1, 0)})
    done = kept.files.get_batch(PROJECT, store_id, batch.id)
    assert (done.status, done.counts) == ("completed", FileCounts(completed=2))


def test_a_cancelled_batch_keeps_what_is_indexed(kept: VectorStores) -> None:
    """Cancelling ends the files that are not indexed yet; one that has ended stays as it is."""
    store_id = kept.create()
    batch = kept.files.add_batch(PROJECT, store_id, [new_file("file-a"), new_file("file-b")], "")
    kept.index({"text": vector(1, 0)})
    cancelled = kept.files.cancel_batch(PROJECT, store_id, batch.id)
    assert (cancelled.status, cancelled.counts) == ("cancelled", FileCounts(completed=1, cancelled=1))
    assert kept.queue.claim("me", 5) == []


def test_a_deleted_file_leaves_its_stores(kept: VectorStores, database: Database, tmp_path: Path) -> None:
    """Deleting a file removes it from every vector store of its project."""
    files = SqlFileRepository(database, BlobStore(str(tmp_path / "blobs")))
    content = tmp_path / "content"
    content.write_text("text")
    file = files.create(NewFile(project=PROJECT, purpose="assistants", filename="a.txt"), content)
    store_id = kept.create(files=[file.id])
    files.delete(PROJECT, file.id)
    assert kept.stores.get(PROJECT, store_id).counts.total == 0


def test_a_project_at_its_limit_adds_no_chunks(kept: VectorStores, database: Database) -> None:
    """The chunks of a file count toward the project's storage limit, and those over it are not stored."""
    store_id = kept.create(files=["file-a"])
    kept.queue._storage = SqlProjectStorage(database, 50)
    (claimed,) = kept.queue.claim("me", 5)
    with pytest.raises(InvalidRequest, match="Storage limit exceeded"):
        kept.queue.add_chunks("me", claimed[0].seq, ["x" * 100], None)
    chunks = [TextChunk(number=0, text="x", vector=bytes(100))]
    (error,) = kept.queue.add_complete("me", [IndexedFile(seq=claimed[0].seq, chunks=chunks)])
    assert isinstance(error, InvalidRequest)
    assert "Storage limit exceeded" in error.message
    assert kept.stores.get(PROJECT, store_id).bytes == 0
