"""All connections: their number, their addresses, and a clock that ignores pauses of this process."""

from homeport.api.http.connection_pool import ConnectionPool
from homeport.api.http.limits import ConnectionLimits
from homeport.domain.errors import Overloaded, Unavailable
from tests.fake_clock import FakeClock


class FakeMember:
    """A connection that reports its state and records what is done to it."""

    def __init__(self, idle_since: float | None = None, unsent: int = 0, behind_since: float = 0.0) -> None:
        self.idle_since = idle_since
        self.unsent = unsent
        self.behind_since = behind_since
        self.n_checks = 0
        self.is_aborted = False

    def check(self) -> None:
        """Count the check."""
        self.n_checks += 1

    def abort(self) -> None:
        """Record it."""
        self.is_aborted = True


def pool(clock: FakeClock | None = None, **limits: float) -> ConnectionPool:
    return ConnectionPool(ConnectionLimits(**limits), clock or FakeClock(1000.0), lambda address: address == "10.0.0.1")  # type: ignore[arg-type]


def test_an_address_has_its_share() -> None:
    """The connections of one address are limited, and one that ends makes room for the next."""
    members = pool(per_address=2)
    first = FakeMember()
    assert members.admit(first, "192.0.2.1") is None
    assert members.admit(FakeMember(), "192.0.2.1") is None
    assert isinstance(members.admit(FakeMember(), "192.0.2.1"), Overloaded)
    assert members.admit(FakeMember(), "192.0.2.2") is None
    members.discard(first)
    members.discard(first)
    assert members.admit(FakeMember(), "192.0.2.1") is None


def test_loopback_and_proxies_have_no_limit_per_address() -> None:
    """Neither loopback nor a trusted proxy has a limit of its own."""
    members = pool(per_address=1)
    for address in ("127.0.0.1", "::1", "10.0.0.1", ""):
        assert [members.admit(FakeMember(), address) for _ in range(3)] == [None] * 3


def test_those_that_wait_longest_make_room() -> None:
    """A full pool admits a connection by closing idle ones, never active ones."""
    members = pool(connections=40)
    busy = [FakeMember() for _ in range(8)]
    waiting = [FakeMember(idle_since=float(n)) for n in range(32)]
    for member in busy + waiting:
        assert members.admit(member, "192.0.2.1") is None
    assert members.admit(FakeMember(), "192.0.2.1") is None
    assert [n for n, member in enumerate(waiting) if member.is_aborted] == [0, 1, 2]
    assert not any(member.is_aborted for member in busy)
    assert len(members) == 38


def test_a_pool_of_active_connections_admits_none() -> None:
    """If all connections are active, the next one is refused and not counted."""
    members = pool(connections=1)
    assert members.admit(FakeMember(), "192.0.2.1") is None
    late = FakeMember()
    assert isinstance(members.admit(late, "192.0.2.2"), Unavailable)
    members.discard(late)
    assert len(members) == 1


def test_a_suspended_process_times_out_no_client() -> None:
    """The clock advances by the time between two checks, but not by the hour for which the process was suspended."""
    clock = FakeClock(1000.0)
    members, member = pool(clock), FakeMember()
    members.admit(member, "")
    clock.now += 0.5
    members.check_all()
    assert members.now == 0.5
    clock.now += 3600
    members.check_all()
    assert members.now == 2.5
    assert member.n_checks == 2


def test_unread_answers_are_bounded_together() -> None:
    """Over the limit the clients that have read nothing for longest are closed; those that have just read stay."""
    clock = FakeClock(1000.0)
    members = pool(clock, unsent=100)
    old, older, fresh = FakeMember(unsent=60), FakeMember(unsent=60, behind_since=-1), FakeMember(unsent=90)
    for member in (old, older, fresh):
        members.admit(member, "")
    for _ in range(3):
        fresh.behind_since = members.now
        clock.now += 1
        members.check_all()
    assert not older.is_aborted
    for _ in range(3):
        clock.now += 1
        fresh.behind_since = members.now + 1
        members.check_all()
    assert (older.is_aborted, old.is_aborted, fresh.is_aborted) == (True, True, False)
