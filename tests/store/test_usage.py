"""Usage that is recorded at once and imported later, exactly once, whichever process ends when."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from homeport.domain.errors import StorageFull, Unavailable
from homeport.domain.usage import UsageQuery, UsageRecord, UsageTotal
from homeport.store.database import Database
from homeport.store.schema import USAGE, USAGE_LEDGERS
from homeport.store.usage import SqlUsageRepository
from homeport.store.usage_ledger import FileUsageLedger

DAY = 86_400
NOON = 20_000 * DAY + 43_200


def spent(at: int = NOON, **changed: object) -> UsageRecord:
    plain = UsageRecord(
        at=at, request="req_1", project="p", model="tiny", endpoint="chat", prompt_tokens=10, completion_tokens=2
    )
    return msgspec.structs.replace(plain, **changed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "usage"


@pytest.fixture
def repository(database: Database, folder: Path) -> SqlUsageRepository:
    return SqlUsageRepository(database, folder, lambda: float(NOON))


def total(repository: SqlUsageRepository) -> tuple[int, int]:
    """Return the requests and tokens in the database."""
    [every] = repository.sum_usage(UsageQuery()) or [UsageTotal()]
    return every.requests, every.prompt_tokens + every.completion_tokens


def test_a_record_comes_back_as_it_was_written(
    repository: SqlUsageRepository, folder: Path, database: Database
) -> None:
    """Every field of a record is in its row."""
    ledger = FileUsageLedger(folder)
    record = spent(
        key="key_1", user='名前\n"', status="cancelled", cached_tokens=3, amount=1.5, first_ms=7.25, whole_ms=9.5
    )
    ledger.write(record)
    assert repository.import_ledgers() == 1
    with database.read_transaction() as connection:
        [row] = connection.execute(sa.select(USAGE)).mappings()
    assert {name: row[name] for name in msgspec.structs.asdict(record)} == msgspec.structs.asdict(record)
    ledger.close()


def test_nothing_is_taken_twice(repository: SqlUsageRepository, folder: Path) -> None:
    """Repeated imports, while records are added, count each record once."""
    ledger = FileUsageLedger(folder)
    for n in range(1, 6):
        ledger.write(spent())
        repository.import_ledgers()
        repository.import_ledgers()
        assert total(repository) == (n, 12 * n)
    ledger.close()


def test_several_processes_take_in_the_same_files(
    repository: SqlUsageRepository, folder: Path, database: Database
) -> None:
    """Two importers of one folder, each with its own position, count each record once."""
    other, ledger = SqlUsageRepository(database, folder), FileUsageLedger(folder)
    for n in range(1, 4):
        ledger.write(spent())
        (repository if n % 2 else other).import_ledgers()
        other.import_ledgers()
        repository.import_ledgers()
        assert total(repository) == (n, 12 * n)
    ledger.close()


def test_a_file_goes_when_its_writer_has_gone(repository: SqlUsageRepository, folder: Path, database: Database) -> None:
    """A file stays while it has a writer; it is deleted, with its position in the database, once it is imported."""
    ledger = FileUsageLedger(folder)
    ledger.write(spent())
    repository.import_ledgers()
    assert len(list(folder.iterdir())) == 1
    ledger.close()
    repository.import_ledgers()
    assert list(folder.iterdir()) == []
    with database.read_transaction() as connection:
        assert connection.execute(sa.select(USAGE_LEDGERS)).all() == []
    assert total(repository) == (1, 12)


def test_a_long_file_is_followed_by_a_new_one(repository: SqlUsageRepository, folder: Path) -> None:
    """A ledger starts a new file at its limit, and imported files are deleted."""
    ledger = FileUsageLedger(folder, max_bytes=2000)
    for _ in range(100):
        ledger.write(spent())
    assert len(list(folder.iterdir())) > 2
    repository.import_ledgers()
    assert len(list(folder.iterdir())) == 1
    assert total(repository) == (100, 1200)
    ledger.close()


def test_the_files_are_this_users_alone(folder: Path) -> None:
    """Other users cannot read the ledger."""
    ledger = FileUsageLedger(folder)
    [file] = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ledger.close()


_WRITER = """
import sys
from pathlib import Path
from homeport.domain.usage import UsageRecord
from homeport.store.usage_ledger import FileUsageLedger

ledger = FileUsageLedger(Path(sys.argv[1]), max_bytes=5000)
while True:
    ledger.write(UsageRecord(at=1, request="r", project="p", model="m", endpoint="chat", prompt_tokens=1))
    print("x", flush=True)
"""


def test_what_was_written_survives_a_kill(repository: SqlUsageRepository, folder: Path) -> None:
    """A writer that is killed at any moment loses no record that it reported, and none is counted twice."""
    said = 0
    for n_lines in (1, 50, 333):
        with subprocess.Popen([sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(n_lines):
                writer.stdout.readline()
            os.kill(writer.pid, signal.SIGKILL)
            said += n_lines + len(writer.stdout.read().splitlines())
        repository.import_ledgers()
    requests, tokens = total(repository)
    assert said <= requests == tokens <= said + 3  # each may have written one more before it could say so
    for left in folder.iterdir():
        os.utime(left, (1, 1))
    repository.import_ledgers()
    assert list(folder.iterdir()) == []


_FOLDER = """
import sys
from pathlib import Path
from homeport.store.database import Database
from homeport.store.usage import SqlUsageRepository

repository = SqlUsageRepository(Database(sys.argv[1]), Path(sys.argv[2]))
print("ready", flush=True)
while True:
    repository.fold()
"""


def test_a_killed_reader_counts_nothing_twice(repository: SqlUsageRepository, folder: Path, url: str) -> None:
    """An importer that is killed leaves all records of a transaction to the next one, or none."""
    ledger = FileUsageLedger(folder)
    for n in range(1, 4):
        command = [sys.executable, "-c", _FOLDER, url, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            reader.stdout.readline()
            for _ in range(2000):
                ledger.write(spent())
            os.kill(reader.pid, signal.SIGKILL)
        repository.import_ledgers()
        assert total(repository) == (2000 * n, 24_000 * n)
    ledger.close()


def test_a_torn_last_line_is_no_record(repository: SqlUsageRepository, folder: Path) -> None:
    """Half a line at the end of an abandoned file belongs to no answer; an invalid line is skipped."""
    ledger = FileUsageLedger(folder)
    ledger.write(spent())
    ledger.close()
    [file] = folder.iterdir()
    with file.open("ab") as torn:
        torn.write(b"{nonsense}\n" + msgspec.json.encode(spent())[:-9])
    assert repository.import_ledgers() == 1
    assert total(repository) == (1, 12)
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch, repository: SqlUsageRepository) -> None:
    """If a line does not fit on the disk, or only half of it does, writing raises StorageFull and adds no line."""
    ledger, write = FileUsageLedger(folder), os.write
    ledger.write(spent())
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:20]))
    with pytest.raises(StorageFull):
        ledger.write(spent())
    monkeypatch.setattr(os, "write", write)
    ledger.write(spent())
    ledger.close()
    repository.import_ledgers()
    assert total(repository) == (2, 24)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="file"):
        FileUsageLedger(tmp_path / "file" / "usage")


@pytest.fixture
def filled(repository: SqlUsageRepository, folder: Path) -> SqlUsageRepository:
    """Usage of two days, two keys, two models and three endpoints."""
    ledger = FileUsageLedger(folder)
    for record in (
        spent(key="k1", model="a"),
        spent(key="k1", model="b", cached_tokens=4),
        spent(NOON + DAY, key="k2", model="a", user="u", endpoint="embeddings"),
        spent(NOON + DAY, project="q", model="a", endpoint="speech", amount=11.0),
    ):
        ledger.write(record)
    repository.import_ledgers()
    ledger.close()
    return repository


def test_sums_by_group_and_day(filled: SqlUsageRepository) -> None:
    """Records are summed by any columns, by spans of time, and by both, in order."""
    by_model = filled.sum_usage(UsageQuery(by=("model",)))
    assert [(each.group["model"], each.requests, each.prompt_tokens) for each in by_model] == [
        ("a", 3, 30),
        ("b", 1, 10),
    ]
    by_day = filled.sum_usage(UsageQuery(width_s=DAY))
    assert [(each.begins, each.requests, each.amount) for each in by_day] == [
        (20_000 * DAY, 2, 0.0),
        (20_001 * DAY, 2, 11.0),
    ]
    both = filled.sum_usage(UsageQuery(width_s=DAY, by=("key", "model")))
    assert [(each.begins // DAY, *each.group.values()) for each in both] == [
        (20_000, "k1", "a"),
        (20_000, "k1", "b"),
        (20_001, "", "a"),
        (20_001, "k2", "a"),
    ]
    assert both[1].cached_tokens == 4


def test_sums_are_limited(filled: SqlUsageRepository) -> None:
    """A limit and an offset select some of the sums, which keep their order."""
    every = filled.sum_usage(UsageQuery(width_s=DAY, by=("key", "model")))
    pages = [filled.sum_usage(UsageQuery(width_s=DAY, by=("key", "model"), limit=2, offset=at)) for at in (0, 2, 4)]
    assert pages == [every[:2], every[2:], []]


@pytest.mark.parametrize(
    ("question", "n_requests"),
    [
        (UsageQuery(), 4),
        (UsageQuery(since=NOON + DAY), 2),
        (UsageQuery(until=NOON + DAY), 2),
        (UsageQuery(projects=("q",)), 1),
        (UsageQuery(keys=("k1", "k2")), 3),
        (UsageQuery(users=("u",)), 1),
        (UsageQuery(models=("b",)), 1),
        (UsageQuery(endpoints=("chat", "speech")), 3),
        (UsageQuery(since=NOON + 9 * DAY), 0),
    ],
)
def test_sums_of_a_part(filled: SqlUsageRepository, question: UsageQuery, n_requests: int) -> None:
    """A span of time and lists of values select the records; without any there is no sum."""
    assert sum(each.requests for each in filled.sum_usage(question)) == n_requests


def test_a_keys_day_and_month(filled: SqlUsageRepository, folder: Path) -> None:
    """Each key's tokens of today and of this month are summed in UTC, without records that have no key."""
    ledger = FileUsageLedger(folder)
    ledger.write(spent(NOON - DAY, key="k1"))
    ledger.write(spent(NOON - 60 * DAY, key="k1"))
    filled.import_ledgers()
    ledger.close()
    of = {key: (day, month) for key, day, month in filled.tokens_by_key()}
    assert of["k1"][0] == 24
    assert of["k1"][1] in (24, 36)  # the day before may be of the month before
    assert set(of) == {"k1", "k2"}


def test_nothing_new_costs_no_sql(repository: SqlUsageRepository, folder: Path, database: Database) -> None:
    """Without new records an import runs no statement."""
    ledger = FileUsageLedger(folder)
    ledger.write(spent())
    repository.import_ledgers()
    statements: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert repository.import_ledgers() == 0
    assert statements == []
    ledger.close()


def test_a_text_that_the_database_does_not_take_loses_one_record(
    repository: SqlUsageRepository, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A NUL in a caller's name for its user, or a number of more than 64 bits, affects no other record."""
    ledger = FileUsageLedger(folder)
    for record in (spent(), spent(user="a\x00b"), spent(), spent(prompt_tokens=2**70), spent()):
        ledger.write(record)
    ledger.close()
    repository.import_ledgers()
    requests, _ = total(repository)
    assert requests >= 3
    assert "skipped a line" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_read_holds_up_no_other(repository: SqlUsageRepository, folder: Path) -> None:
    """If a ledger's name is no file, the error says so, and the other records are imported."""
    ledger = FileUsageLedger(folder)
    ledger.write(spent())
    (folder / "0.journal").mkdir()
    with pytest.raises(Unavailable, match="usage"):
        repository.import_ledgers()
    assert total(repository) == (1, 12)
    ledger.close()


def test_without_file_descriptors_the_long_file_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, repository: SqlUsageRepository
) -> None:
    """If no new file can be opened, records go to the open one, and none is refused."""
    ledger, opened = FileUsageLedger(folder, max_bytes=300), os.open

    def none_left(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none_left)
        for _ in range(9):
            ledger.write(spent())
    assert os.open is opened
    ledger.close()
    repository.import_ledgers()
    assert total(repository) == (9, 108)
