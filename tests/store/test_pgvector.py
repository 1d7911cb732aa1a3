"""The table of pgvector: when it is made, filled and used, and how it follows the files."""

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.domain.vector_stores import SearchQuery
from homeport.store import migration, pgvector
from homeport.store.database import Database
from homeport.store.pgvector import VECTORS, PgvectorTable
from homeport.store.schema import REVISION
from tests import postgres_server
from tests.store.vector_stores import PROJECT, VectorStores, vector

pytestmark = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
QUERY = SearchQuery(texts=("sun",), vectors=(vector(1, 0, 0),))


def n_rows(database: Database) -> int:
    with database.read_transaction() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(VECTORS)).scalar_one())


def test_only_large_stores_use_the_table(database: Database, tmp_path: Path) -> None:
    """Vectors stay in the database from the size on that a store may have in memory, and only then are in the table."""
    kept = VectorStores(database, tmp_path, max_matrix_bytes=24)
    store_id = kept.create()
    for at in range(2):
        kept.add(store_id, f"file-{at}", {"sun": vector(1, at, 0)})
        assert len(kept.search(store_id, QUERY)) == at + 1
        assert n_rows(database) == 0
    kept.add(store_id, "file-2", {"sun": vector(1, 2, 0)})
    assert [each.file_id for each in kept.search(store_id, QUERY)] == ["file-0", "file-1", "file-2"]
    assert n_rows(database) == 3
    kept.files.delete(PROJECT, store_id, "file-1")
    assert n_rows(database) == 2
    assert [each.file_id for each in kept.search(store_id, QUERY)] == ["file-0", "file-2"]


def test_stores_in_memory_and_in_the_table_are_searched_together(database: Database, tmp_path: Path) -> None:
    """A search of several stores ranks all chunks together, wherever the vectors are."""
    kept = VectorStores(database, tmp_path, max_matrix_bytes=12)
    large, small = kept.create(), kept.create()
    kept.add(large, "file-a", {"sun": vector(1, 0.1, 0), "moon": vector(1, 3, 0)})
    kept.add(small, "file-b", {"sea": vector(1, 2, 0)})
    stores = [kept.stores.get(PROJECT, each) for each in (small, large)]
    by_vectors = SearchQuery(texts=("sun",), vectors=(vector(1, 0, 0),), word_weight=0.0)
    assert [each.text for each in kept.searcher.search(stores, by_vectors)] == ["sun", "sea", "moon"]
    assert n_rows(database) == 2


def test_an_extension_that_comes_later_is_used_after_an_upgrade(
    empty: Database, postgres: str, plain_role: str, tmp_path: Path
) -> None:
    """A role that may create no extension works without; once there is one, an upgrade adds the table to the data."""
    del empty
    with postgres_server.new_database(postgres, plain_role) as url:
        database = Database(url)
        migration.upgrade(database)
        assert not PgvectorTable(database).exists()
        kept = VectorStores(database, tmp_path, max_matrix_bytes=0)
        store_id = kept.create()
        kept.add(store_id, "file-a", {"sun": vector(1, 0, 0), "moon": vector(0, 1, 0)})
        before = kept.search(store_id, QUERY)
        postgres_server.execute(sa.make_url(url).set(username="postgres").render_as_string(), "CREATE EXTENSION vector")
        assert migration.upgrade(database) == (REVISION, REVISION)
        assert not kept.searcher._table.exists()
        again = VectorStores(database, tmp_path, max_matrix_bytes=0)
        assert again.search(store_id, QUERY) == before
        assert n_rows(database) == 2
        assert pgvector.install(database)
        database.close()


def test_several_servers_fill_the_table_once(database: Database, tmp_path: Path) -> None:
    """Servers that search a new file at the same time add its vectors together once, and both find it."""
    servers = [VectorStores(database, tmp_path / str(at), max_matrix_bytes=0) for at in range(4)]
    store_id = servers[0].create()
    for at in range(5):
        servers[0].add(store_id, f"file-{at}", {f"sun {each}": vector(1, each, at) for each in range(20)})
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(len(each.search(store_id, QUERY)))) for each in servers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [QUERY.limit] * 4
    assert n_rows(database) == 100


def test_files_that_are_gone_are_not_added(database: Database, tmp_path: Path) -> None:
    """A file that is deleted before its vectors are added is left out, and damaged vectors are not added."""
    kept = VectorStores(database, tmp_path, max_matrix_bytes=0)
    store_id = kept.create()
    gone = kept.add(store_id, "file-a", {"sun": vector(1, 0, 0)})
    huge = b"\x00\x00\x80\x7f" * 3
    other = kept.add(store_id, "file-b", {"moon": vector(0, 1, 0), "bad": vector(1, 0)[:5], "endless": huge})
    kept.files.delete(PROJECT, store_id, "file-a")
    table = PgvectorTable(database)
    table._add(1, gone, waits_for_disk=True)
    table.add_missing(1, [gone, other])
    assert n_rows(database) == 1
    assert table.nearest([1], None, huge, 5) == []
