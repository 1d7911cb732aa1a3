"""Damaged rows, on SQLite and PostgreSQL: each is unusable by itself, and affects no other."""

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.domain.batches import NewBatch
from homeport.domain.errors import NotFound
from homeport.domain.files import NewFile
from homeport.domain.keys import NewKey
from homeport.domain.paging import Page, PageRequest
from homeport.store import migration, rows
from homeport.store.batches import SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.key_cache import SqlKeyCache
from homeport.store.keys import SqlKeyRepository
from homeport.store.schema import BATCHES, FILES, FINE_TUNES, KEYS
from tests.store.fine_tuning_store import FineTuningStore

SECRET = b"s" * 32
BROKEN = ["{", "[1]", "", '{"x": {}}']


def _spoil(database: Database, table: sa.Table, id: str, **values: object) -> None:
    with database.write_transaction() as connection:
        connection.execute(sa.update(table).where(table.c.id == id).values(**values))


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("column", ["models", "limits"])
def test_a_damaged_key_opens_nothing_and_the_others_go_on(
    database: Database, caplog: pytest.LogCaptureFixture, column: str, text: str
) -> None:
    """A key with a damaged row is logged and invalid; others are valid, and can be revoked."""
    repository = SqlKeyRepository(database, SECRET)
    bad, good, later = (repository.create(NewKey(name=name)) for name in ("bad", "good", "later"))
    _spoil(database, KEYS, bad.key.id, **{column: text})
    cache = SqlKeyCache(repository, SECRET)
    cache.load()
    assert cache.find(bad.secret) is None
    assert cache.find(good.secret) == good.key
    assert bad.key.id in caplog.text
    repository.revoke(later.key.id)
    cache.load()
    assert cache.find(later.secret) is None
    assert {key.name for key in repository.list_all()} == {"good", "later"}
    with pytest.raises(NotFound, match=bad.key.id):
        repository.get(bad.key.id)


def test_a_text_that_is_not_utf8_harms_no_other_row(tmp_path: Path) -> None:
    """Text that is not UTF-8 in a SQLite column makes one key invalid, not the reading of all."""
    database = Database(f"sqlite:///{tmp_path}/homeport.db")
    migration.prepare_database(database)
    repository = SqlKeyRepository(database, SECRET)
    bad, good = repository.create(NewKey(name="bad")), repository.create(NewKey(name="good"))
    for value in ("CAST(x'ff80' AS TEXT)", "x'ff80'"):
        with database.write_transaction() as connection:
            connection.exec_driver_sql(f"UPDATE keys SET models = {value} WHERE id = '{bad.key.id}'")  # noqa: S608
        cache = SqlKeyCache(repository, SECRET)
        cache.load()
        assert cache.find(bad.secret) is None
        assert cache.find(good.secret) == good.key
    database.close()


def test_a_damaged_file_is_missing_alone(tmp_path: Path) -> None:
    """A file with a damaged row is omitted from lists and is a 404; expiry continues."""
    database = Database(f"sqlite:///{tmp_path}/homeport.db")
    migration.prepare_database(database)
    files = SqlFileRepository(database, BlobStore(str(tmp_path / "blobs")))
    content = tmp_path / "content"
    content.write_bytes(b"x")
    plain = NewFile(project="one", purpose="batch", filename="a")
    bad, good = files.create(plain, content), files.create(plain, content)
    _spoil(database, FILES, bad.id, filename=b"\xff")
    assert files.list_page("one", PageRequest()) == Page(items=(good,))
    with pytest.raises(NotFound, match="damaged"):
        files.get("one", bad.id)
    files.sweep()
    database.close()


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("column", ["metadata", "errors"])
def test_a_damaged_batch_is_passed_over(database: Database, tmp_path: Path, column: str, text: str) -> None:
    """A damaged batch is not claimed, is omitted from lists, and the next one is claimed."""
    repository = SqlBatchRepository(database, SqlFileRepository(database, BlobStore(str(tmp_path / "blobs"))))
    plain = NewBatch(project="one", key="", endpoint="/v1/x", input_file_id="f")
    bad, good = repository.create(plain), repository.create(plain)
    _spoil(database, BATCHES, bad.id, **{column: text})
    claimed = repository.claim("me", 60)
    assert claimed is not None
    assert claimed.id == good.id
    assert repository.claim("me", 60) is None
    assert [batch.id for batch in repository.list_page("one", PageRequest(limit=10)).items] == [good.id]
    with pytest.raises(NotFound, match="damaged"):
        repository.get("one", bad.id)


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("column", ["hyperparameters", "metadata", "error"])
def test_a_damaged_fine_tuning_job_is_passed_over(database: Database, tmp_path: Path, column: str, text: str) -> None:
    """A damaged job is not trained, is omitted from lists, and the next one is trained."""
    stores = FineTuningStore(database, tmp_path)
    bad, good = stores.job("bad"), stores.job("good")
    _spoil(database, FINE_TUNES, bad.id, **{column: text})
    found = stores.queue.next_job("here")
    assert found is not None
    assert found.id == good.id
    assert [job.id for job in stores.repository.list_page("one", PageRequest()).items] == [good.id]
    with pytest.raises(NotFound, match="damaged"):
        stores.repository.get("one", bad.id)
    stores.repository.cancel("one", good.id)
    _spoil(database, FINE_TUNES, bad.id, status="failed")
    assert [job.id for job in stores.queue.list_uncleaned("here")] == [good.id]
    assert stores.queue.next_job("here") is None


def test_each_acts_on_every_item() -> None:
    """An item that fails does not keep the following ones from their turn; the error is raised at the end."""
    done: list[int] = []

    def act(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        done.append(item)

    with pytest.raises(ValueError, match="one"):
        rows.each([0, 1, 2], act)
    assert done == [0, 2]


def test_what_is_left_out_is_logged_by_its_id(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the damaged record, but not its content."""
    repository = SqlKeyRepository(database, SECRET)
    bad = repository.create(NewKey(name="bad"))
    _spoil(database, KEYS, bad.key.id, limits='{"tokens_per_day": "secret words"}')
    with caplog.at_level(logging.ERROR):
        assert repository.list_all() == []
    assert bad.key.id in caplog.text
    assert "secret words" not in caplog.text
