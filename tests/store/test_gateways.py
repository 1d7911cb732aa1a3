"""The register of gateways, and the leases of the work that one of them does for all, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.domain.errors import Unavailable
from homeport.store.database import Database
from homeport.store.database_clock import DatabaseClock
from homeport.store.gateway_schema import GATEWAYS
from homeport.store.gateways import ALIVE_S, GatewayInfo, SqlGateways
from tests.fake_clock import FakeClock

INFO = GatewayInfo(name="host:8080", version="1", keys="s", blobs="b", storage="/blobs")


class MovedClock(DatabaseClock):
    """The clock of a database with a time of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.fake = FakeClock(1000.0)

    def now(self) -> float:
        """Return the time that the test has set."""
        return self.fake.now


@pytest.fixture
def clock(database: Database) -> MovedClock:
    return MovedClock(database)


@pytest.fixture
def one(database: Database, clock: MovedClock) -> SqlGateways:
    gateway = SqlGateways(database, clock, INFO)
    gateway.register()
    return gateway


def another(database: Database, clock: MovedClock, **changes: str) -> SqlGateways:
    fields = {name: getattr(INFO, name) for name in INFO.__struct_fields__}
    return SqlGateways(database, clock, GatewayInfo(**{**fields, "name": "host:8081", **changes}))


def test_gateways_know_each_other(database: Database, clock: MovedClock, one: SqlGateways) -> None:
    """One that has joined is alive at once; each sees the others when it renews."""
    two = another(database, clock)
    two.register()
    assert set(one.read_alive()) == {one.id, two.id} == set(two.seen())
    assert set(one.seen()) == {one.id}
    assert one.renew()
    assert set(one.seen()) == {one.id, two.id}
    assert list(one.list_alive()) == ["host:8080", "host:8081"]
    two.remove()
    assert set(one.read_alive()) == {one.id}


def test_a_gateway_that_renews_nothing_is_dead(database: Database, clock: MovedClock, one: SqlGateways) -> None:
    """It is dead some seconds after its last renewal, learns that when it renews again, and is alive from then on."""
    two = another(database, clock)
    two.register()
    clock.fake.now += ALIVE_S - 1
    assert two.renew()
    clock.fake.now += 2
    assert set(two.read_alive()) == {two.id}
    assert not one.renew()
    assert set(two.read_alive()) == {one.id, two.id}
    assert one.renew()


def test_dead_gateways_leave_no_rows(database: Database, clock: MovedClock, one: SqlGateways) -> None:
    """Who joins deletes the rows of those that are dead."""
    clock.fake.now += ALIVE_S
    another(database, clock).register()
    with database.read_transaction() as connection:
        assert one.id not in connection.execute(sa.select(GATEWAYS.c.id)).scalars().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": "other"}, "The gateway host:8080 .* another secret of keys: copy the file `key-secret`"),
        (
            {"blobs": "other", "storage": "/mine"},
            "The gateway host:8080 .* elsewhere than in /mine: set HOMEPORT_BLOBS",
        ),
    ],
)
def test_what_gateways_must_share_is_checked(
    database: Database, clock: MovedClock, one: SqlGateways, changes: dict[str, str], message: str
) -> None:
    """A gateway with another secret of keys or other files is refused by name while another one runs."""
    stranger = another(database, clock, **changes)
    with pytest.raises(Unavailable, match=message):
        stranger.register()
    assert set(one.read_alive()) == {one.id}
    one.remove()
    stranger.register()


def test_one_gateway_has_a_lease(database: Database, clock: MovedClock, one: SqlGateways) -> None:
    """A lease stays with its owner, which may extend it, and goes to another one when it is over."""
    two = another(database, clock)
    assert one.take("files", 10)
    assert not two.take("files", 10)
    assert two.take("uploads", 10)
    clock.fake.now += 9
    assert one.take("files", 10)
    clock.fake.now += 9
    assert not two.take("files", 10)
    clock.fake.now += 1
    assert two.take("files", 10)
    assert not one.take("files", 10)


def test_the_time_is_that_of_the_database(database: Database) -> None:
    """However this machine's clock is set, PostgreSQL's time is returned; SQLite has this machine's."""
    wrong = FakeClock(5.0)
    clock = DatabaseClock(database, wrong)
    clock.measure()
    with database.read_transaction() as connection:
        query = "SELECT unixepoch()" if database.is_sqlite else "SELECT extract(epoch from clock_timestamp())"
        answer = float(connection.exec_driver_sql(query).scalar_one())
    before = clock.now()
    assert abs(before - answer) < 2
    wrong.now += 10
    assert database.is_sqlite or clock.now() == pytest.approx(before + 10)


def test_a_slow_answer_changes_no_clock(database: Database) -> None:
    """A measurement that took longer than an earlier one is ignored, unless it shows that the earlier one is wrong."""
    if database.is_sqlite:
        return
    steps = iter([0.0, 0.0, 0.1, -20.0, 20.0, 70.0, 75.0])
    clock = DatabaseClock(database, lambda: next(steps))
    clock.measure()
    offset_s = clock._offset_s
    clock.measure()
    assert clock._offset_s == offset_s
    clock.measure()
    assert clock._offset_s < offset_s - 60


def test_a_register_on_a_lost_database_is_an_error(tmp_path: Path) -> None:
    """A database without the tables is reported as not available."""
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(Unavailable):
        SqlGateways(database, DatabaseClock(database), INFO).register()
    database.close()
