"""Stored keys, on SQLite and PostgreSQL."""

import asyncio
import hashlib
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.keys import KeyChanges, KeyLimits, LimitChanges, NewKey
from homeport.serving.background_loops import BackgroundLoops
from homeport.store.database import Database
from homeport.store.key_cache import SqlKeyCache
from homeport.store.keys import SqlKeyRepository, server_secret
from homeport.store.schema import METADATA, PROJECTS
from tests.fake_clock import FakeClock

SECRET = b"s" * 32


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000_000.0)


@pytest.fixture
def repository(database: Database, clock: FakeClock) -> SqlKeyRepository:
    return SqlKeyRepository(database, SECRET, clock)


@pytest.fixture
def cache(repository: SqlKeyRepository, clock: FakeClock) -> SqlKeyCache:
    made = SqlKeyCache(repository, SECRET, clock)
    made.load()
    return made


def test_a_key_comes_back_as_it_was_made(repository: SqlKeyRepository) -> None:
    """Name, project, models, limits and expiry of a key are stored; the secret is long and shown once."""
    limits = KeyLimits(requests_per_minute=5, tokens_per_month=2**40)
    wanted = NewKey(name="bot", project="team", models=("a", "b"), limits=limits, expires_in_s=60)
    issued = repository.create(wanted)
    assert repository.list_all() == [issued.key]
    assert repository.get(issued.key.id) == issued.key
    assert (issued.key.name, issued.key.project, issued.key.models) == ("bot", "team", ("a", "b"))
    assert issued.key.limits == limits
    assert issued.key.expires_at == issued.key.created_at + 60
    assert len(issued.secret) > 40
    assert issued.key.hint[:5] == issued.secret[:5]


def test_no_secret_is_in_the_database(repository: SqlKeyRepository, database: Database) -> None:
    """Neither a key's secret nor a plain hash of it is in any table."""
    issued = repository.create(NewKey(name="bot"))
    rotated = repository.rotate(issued.key.id)
    with database.read_transaction() as connection:
        every = repr([connection.execute(sa.select(table)).all() for table in METADATA.sorted_tables])
    for secret in (issued.secret, rotated.secret):
        assert secret not in every
        assert hashlib.sha256(secret.encode()).hexdigest() not in every
        assert hashlib.blake2b(secret.encode(), digest_size=32).hexdigest() not in every


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        (NewKey(name=" "), "name"),
        (NewKey(name="x" * 300), "name"),
        (NewKey(name="a", project="../x"), "project"),
        (NewKey(name="a", project=""), "project"),
        (NewKey(name="a", expires_in_s=0), "expires_in_s"),
        (NewKey(name="a", limits=KeyLimits(tokens_per_day=0)), "limits.tokens_per_day"),
        (NewKey(name="a", limits=KeyLimits(concurrent_requests=2**60)), "limits.concurrent_requests"),
        (NewKey(name="a", expires_in_s=2**60), "expires_in_s"),
    ],
)
def test_what_cannot_be_is_named(database: Database, wanted: NewKey, param: str) -> None:
    """A key with an empty name, an invalid project or a limit of zero is refused, naming the field and its range."""
    with pytest.raises(InvalidRequest, match=r"expected (up to|.*1 to) \d") as refused:
        SqlKeyRepository(database, SECRET).create(wanted)
    assert refused.value.param == param


def test_a_project_is_made_once(repository: SqlKeyRepository, database: Database) -> None:
    """Two keys can belong to one project."""
    repository.create(NewKey(name="one", project="team"))
    repository.create(NewKey(name="two", project="team"))
    with database.read_transaction() as connection:
        assert connection.execute(sa.select(PROJECTS.c.id)).scalars().all() == ["team"]


def test_an_unknown_key_is_missing(repository: SqlKeyRepository) -> None:
    """Unknown keys cannot be shown, revoked or rotated."""
    for act in (repository.get, repository.revoke, repository.rotate):
        with pytest.raises(NotFound):
            act("key_nowhere")


def test_a_revoked_key_opens_nothing_and_stays_so(repository: SqlKeyRepository, cache: SqlKeyCache) -> None:
    """A revoked key is invalid, cannot be rotated, and keeps its first date."""
    issued = repository.create(NewKey(name="bot"))
    cache.load()
    assert cache.find(issued.secret) == issued.key
    revoked = repository.revoke(issued.key.id)
    assert repository.revoke(issued.key.id) == revoked
    cache.load()
    assert cache.find(issued.secret) is None
    with pytest.raises(InvalidRequest, match="revoked"):
        repository.rotate(issued.key.id)


def test_a_key_is_changed(repository: SqlKeyRepository, cache: SqlKeyCache, clock: FakeClock) -> None:
    """What a change names is changed, a limit of None is removed, and the secret stays valid for the changed key."""
    limits = KeyLimits(requests_per_minute=5, tokens_per_day=7)
    issued = repository.create(NewKey(name="bot", project="team", models=("a",), limits=limits))
    cache.load()
    limit_changes = LimitChanges(requests_per_minute=None, tokens_per_month=9)
    changed = repository.update(issued.key.id, KeyChanges(name="new", limits=limit_changes, expires_in_s=60))
    assert (changed.name, changed.project, changed.models) == ("new", "team", ("a",))
    assert changed.limits == KeyLimits(tokens_per_day=7, tokens_per_month=9)
    assert changed.expires_at == int(clock.now) + 60
    cache.load()
    assert cache.find(issued.secret) == changed == repository.get(issued.key.id)
    same = repository.update(issued.key.id, KeyChanges())
    assert same == changed
    assert repository.update(issued.key.id, KeyChanges(models=(), expires_in_s=None)).expires_at is None


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        (KeyChanges(name=" "), "name"),
        (KeyChanges(expires_in_s=0), "expires_in_s"),
        (KeyChanges(limits=LimitChanges(tokens_per_day=0)), "limits.tokens_per_day"),
    ],
)
def test_a_change_that_cannot_be_is_named(repository: SqlKeyRepository, changes: KeyChanges, param: str) -> None:
    """An invalid change is refused, naming the field, and changes nothing; so is any change of a revoked key."""
    key = repository.create(NewKey(name="bot")).key
    with pytest.raises(InvalidRequest) as refused:
        repository.update(key.id, changes)
    assert refused.value.param == param
    assert repository.get(key.id) == key
    repository.revoke(key.id)
    with pytest.raises(InvalidRequest, match="revoked"):
        repository.update(key.id, KeyChanges(name="new"))
    with pytest.raises(NotFound):
        repository.update("key_nowhere", KeyChanges(name="new"))


def test_a_rotated_key_is_the_same_with_another_secret(repository: SqlKeyRepository, cache: SqlKeyCache) -> None:
    """After a rotation only the new secret is valid, for the same id, project and limits."""
    issued = repository.create(NewKey(name="bot", project="team"))
    rotated = repository.rotate(issued.key.id)
    cache.load()
    assert cache.find(issued.secret) is None
    found = cache.find(rotated.secret)
    assert found is not None
    assert msgspec.structs.replace(found, hint=issued.key.hint, rotated_at=None) == issued.key


def test_a_key_expires_by_the_clock(repository: SqlKeyRepository, cache: SqlKeyCache, clock: FakeClock) -> None:
    """An expired key is invalid, without a query of the database."""
    issued = repository.create(NewKey(name="bot", expires_in_s=60))
    cache.load()
    clock.now += 59
    assert cache.find(issued.secret) is not None
    clock.now += 1
    assert cache.find(issued.secret) is None


def test_once_closed_for_ever(repository: SqlKeyRepository, cache: SqlKeyCache) -> None:
    """No key is required before the first one is created, and one is required from then on, even if all are revoked."""
    assert not cache.requires_key
    issued = repository.create(NewKey(name="bot"))
    cache.load()
    assert cache.requires_key
    repository.revoke(issued.key.id)
    cache.load()
    assert cache.requires_key


def test_another_secret_opens_nothing(repository: SqlKeyRepository, clock: FakeClock) -> None:
    """A stolen database is useless with another server's secret, and a wrong key is invalid."""
    issued = repository.create(NewKey(name="bot"))
    other = SqlKeyCache(repository, b"o" * 32, clock)
    other.load()
    assert other.find(issued.secret) is None
    assert other.find("sk-wrong") is None
    assert other.find("ké\udcff") is None


async def test_changes_by_another_process_are_noticed(repository: SqlKeyRepository, cache: SqlKeyCache) -> None:
    """Changes by another connection are noticed within two seconds."""
    loops = BackgroundLoops()
    loops.start("keys", cache.refresh, 0.05)
    try:
        issued = await asyncio.to_thread(repository.create, NewKey(name="bot"))
        await soon(lambda: cache.find(issued.secret) is not None)
        await asyncio.to_thread(repository.revoke, issued.key.id)
        await soon(lambda: cache.find(issued.secret) is None)
    finally:
        await loops.stop()


async def soon(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 2
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_the_servers_secret_is_made_once_for_this_user(tmp_path: Path) -> None:
    """The secret is random, the same for all processes that create it at the same time, and private."""
    command = (
        "import sys; from pathlib import Path; from homeport.store.keys import server_secret; "
        "print(server_secret(Path(sys.argv[1])).hex())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", command, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = {process.communicate()[0].strip() for process in running}
    assert said == {server_secret(tmp_path).hex()}
    assert stat.S_IMODE((tmp_path / "key-secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key-secret"]


def _cut(path: Path) -> None:
    path.write_bytes(b"short")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [_cut, _folder])
def test_a_broken_secret_is_said(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A truncated or unreadable secret stops the start with its path."""
    spoil(tmp_path / "key-secret")
    with pytest.raises(Unavailable, match="key-secret"):
        server_secret(tmp_path)
