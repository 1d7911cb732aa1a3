"""Limits that several gateways share, on a real PostgreSQL: exact whichever gateway a request reaches."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from homeport.domain.errors import QuotaExceeded, RateLimited, Unavailable
from homeport.domain.keys import Key
from homeport.domain.ports.limits import States
from homeport.serving.request_tickets import RequestTicket
from homeport.store import migration
from homeport.store.database import Database
from tests.conftest import Scale
from tests.postgres_server import new_database
from tests.postgres_server import postgres as postgres
from tests.serving.shared_gateways import NOON, Register, SharedGateway, gateways, key


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of a database with the current tables."""
    with new_database(postgres) as url:
        database = Database(url)
        migration.upgrade(database)
        database.close()
        yield url


async def acquired(gateway: SharedGateway, asked: Key) -> RequestTicket | None:
    """Start a request; None: it is refused."""
    ticket = gateway.ticket(asked)
    try:
        await ticket.acquire()
    except RateLimited:
        return None
    return ticket


async def test_concurrent_requests_of_all_gateways_are_limited(url: str) -> None:
    """Of many requests that reach three gateways together, exactly the limit runs; what ends makes room anywhere."""
    asked = key(concurrent_requests=7)
    async with gateways(url, 3) as (_, three):
        tickets = await asyncio.gather(*(acquired(three[at % 3], asked) for at in range(90)))
        running = [ticket for ticket in tickets if ticket is not None]
        assert len(running) == 7
        running[0].release()
        running[0].release()
        await three[0].limiter.flush()
        await three[1].limiter.flush()
        await three[2].limiter.flush()
        again = await asyncio.gather(*(acquired(each, asked) for each in three))
        assert sum(ticket is not None for ticket in again) == 1


async def test_no_token_of_a_budget_is_spent_twice(url: str) -> None:
    """Requests on three gateways that take slices until nothing is left get exactly the budget together."""
    asked = key(tokens_per_day=10_000)

    async def spend(gateway: SharedGateway) -> int:
        ticket, used = gateway.ticket(asked), 0
        try:
            granted = await ticket.reserve(30, None)
            while granted:
                used += granted
                more = ticket.more(used, 5_000)
                granted = more if isinstance(more, int) else await more
        except RateLimited:
            pass
        ticket.settle(used)
        return used

    async with gateways(url, 3) as (_, three):
        spent = sum(await asyncio.gather(*(spend(three[at % 3]) for at in range(60))))
        assert spent == 10_000
        for each in three:
            await each.limiter.flush()
        for each in three:
            assert await each.limiter.read_tokens_used(asked.id) == (10_000, 10_000)
            with pytest.raises(QuotaExceeded, match="has used 10000"):
                await each.ticket(asked).reserve(1)


async def test_what_one_gateway_reserved_is_only_reserved_for_the_others(url: str) -> None:
    """Another gateway is told to try again soon, not that the budget is spent; settled, the rest is free anywhere."""
    asked = key(tokens_per_day=100)
    async with gateways(url, 2) as (_, (one, two)):
        first = one.ticket(asked)
        assert await first.reserve(100) == 100
        with pytest.raises(RateLimited, match="Reserved 100") as refused:
            await two.ticket(asked).reserve(1)
        assert not isinstance(refused.value, QuotaExceeded)
        first.settle(10)
        await one.limiter.flush()
        assert await two.ticket(asked).reserve(90) == 90


async def test_a_killed_gateway_holds_nothing(url: str) -> None:
    """Its places and what its requests had reserved are free once it is dead; what it settled stays used."""
    asked = key(concurrent_requests=2, tokens_per_day=1000)
    async with gateways(url, 2) as (_, (one, two)):
        for _ in range(2):
            assert await acquired(one, asked) is not None
        settled = one.ticket(asked)
        await settled.reserve(100)
        settled.settle(100)
        await one.ticket(asked).reserve(900)
        assert await acquired(two, asked) is None
        await one.kill()
        assert await acquired(two, asked) is not None
        assert await two.ticket(asked).reserve(900) == 900
        with pytest.raises(RateLimited):
            await two.ticket(asked).reserve(1)


async def test_a_gateway_that_was_thought_dead_holds_its_places_again(url: str) -> None:
    """A gateway that was suspended has the others count what still runs there, as soon as it knows."""
    asked = key(concurrent_requests=2)
    async with gateways(url, 2) as (register, (one, two)):
        for _ in range(2):
            assert await acquired(one, asked) is not None
        register.alive.discard(one.id)
        assert await acquired(two, asked) is not None
        register.alive.add(one.id)
        one.limiter.hold_again()
        await one.limiter.flush()
        assert await acquired(two, asked) is None


async def rush(
    register: Register, three: list[SharedGateway], keys: list[Key], clients: int, moments: Sequence[float]
) -> None:
    """Have the clients of each gateway send more requests of 10 tokens than the keys allow, all at each moment."""

    async def client(gateway: SharedGateway, asked: Key) -> None:
        ticket = gateway.ticket(asked)
        try:
            await ticket.acquire()
        except RateLimited:
            return
        try:
            await ticket.reserve(12)
            ticket.settle(10)
            admitted[asked.id].append(register.clock.now)
        except RateLimited:
            pass
        ticket.release()

    admitted: dict[str, list[float]] = {asked.id: [] for asked in keys}
    for moment in moments:
        register.clock.now = NOON + moment
        await asyncio.gather(*(client(gateway, keys[at % len(keys)]) for gateway in three for at in range(clients)))
        for gateway in three:
            await gateway.limiter.flush()
    for asked in keys:
        times, limits = admitted[asked.id], asked.limits
        most = min(limits.requests_per_minute or 10**9, (limits.tokens_per_minute or 10**9) // 10)
        for start in times[::50]:
            assert sum(start <= time < start + 60 for time in times) <= most
        minutes = math.ceil(moments[-1] / 60)
        assert 0.95 * most * minutes <= len(times) <= most * minutes


async def test_rates_are_those_of_one_server(url: str) -> None:
    """With clients that send too much to three gateways, each minute has at most a limit, and at least 95 % of it."""
    keys = [key("rpm", requests_per_minute=20), key("tpm", tokens_per_minute=410)]
    async with gateways(url, 3) as (register, three):
        await rush(register, three, keys, clients=10, moments=[0.5, 1.0, 30.0, 60.0, 60.5, 61.0, 61.5, 62.0, 100.0])


@pytest.mark.soak
async def test_rates_of_five_keys_at_three_gateways(url: str, scale: Scale) -> None:
    """The same for 5 keys and 200 clients at each of three gateways."""
    keys = [key(f"k{at}", requests_per_minute=300 + 25 * at, tokens_per_minute=2500 + 250 * at) for at in range(5)]
    async with gateways(url, 3) as (register, three):
        await rush(register, three, keys, clients=scale(20, 200), moments=[at / 2 for at in range(1, scale(40, 359))])


async def test_keys_without_limits_wait_for_nothing(url: str) -> None:
    """Their requests ask for no transaction, and their tokens are counted all the same, in time for a later limit."""
    async with gateways(url, 1) as (_, (one,)):
        changes: list[object] = []
        change = one.accounts.change

        def record(key_ids: Sequence[str], apply: Callable[[States], Mapping[str, bytes]]) -> None:
            changes.append(key_ids)
            change(key_ids, apply)

        one.accounts.change = record  # type: ignore[method-assign,assignment]
        for _ in range(3):
            ticket = one.ticket(key())
            await ticket.acquire()
            assert await ticket.reserve(10, None) is None
            await ticket.admit(20)
            assert ticket.more(100, 200) == 200
            ticket.settle(50)
            ticket.release()
        assert changes == []
        assert await one.limiter.read_tokens_used("key_bot") == (150, 150)
        await one.limiter.flush()
        assert len(changes) == 1
        assert await one.limiter.read_tokens_used("key_bot") == (150, 150)
        with pytest.raises(QuotaExceeded):
            await one.ticket(key(tokens_per_day=150)).reserve(1)


async def test_usage_records_fill_accounts(url: str) -> None:
    """What was used before there were accounts counts; an account that has more already is not changed."""
    async with gateways(url, 2) as (_, (one, two)):
        await asyncio.to_thread(one.limiter.seed, [("key_bot", 60, 90)])
        await asyncio.to_thread(two.limiter.seed, [("key_bot", 50, 95)])
        assert await one.limiter.read_tokens_used("key_bot") == (60, 95)


async def test_a_commit_without_an_answer_counts_once(url: str) -> None:
    """If the connection breaks at a commit, the batch is repeated, and nothing of it is counted twice."""
    asked = key(tokens_per_day=1000, concurrent_requests=5)
    async with gateways(url, 1) as (_, (one,)):
        change = one.accounts.change
        answers = iter([True, False, True, True])  # whether the change is stored; all but the last fail
        attempts: list[bool] = []

        def broken(key_ids: list[str], apply: object) -> None:
            is_stored = next(answers, None)
            attempts.append(True)
            if is_stored is None:
                change(key_ids, apply)  # type: ignore[arg-type]
                return
            if is_stored:
                change(key_ids, apply)  # type: ignore[arg-type]
            raise Unavailable("The connection is lost.")

        first = one.ticket(asked)
        await first.reserve(100)
        one.accounts.change = broken  # type: ignore[assignment,method-assign]
        first.settle(70)
        await first.acquire()
        assert len(attempts) == 5
        assert await one.limiter.read_tokens_used(asked.id) == (70, 70)
        assert await one.ticket(asked).reserve(930) == 930


async def test_requests_are_refused_while_limits_cannot_be_read(url: str) -> None:
    """A request waits a limited time for the database; what it asked for is given back when the database returns."""
    asked = key(concurrent_requests=1)
    database = Database(url, is_durable=False)
    gateway = SharedGateway(Register(), database, "one", patience_s=0.1)
    change, is_back = gateway.accounts.change, asyncio.Event()

    def unreachable(key_ids: object, apply: object) -> None:
        if not is_back.is_set():
            raise Unavailable("The database does not answer.")
        change(key_ids, apply)  # type: ignore[arg-type]

    gateway.accounts.change = unreachable  # type: ignore[assignment,method-assign]
    gateway.start()
    with pytest.raises(Unavailable, match="cannot be read now"):
        await gateway.ticket(asked).acquire()
    is_back.set()
    await gateway.limiter.flush()
    assert await acquired(gateway, asked) is not None
    await gateway.kill()
    database.close()


async def test_a_damaged_account_begins_anew(url: str) -> None:
    """An account that cannot be read blocks neither its key nor others."""

    def damage(states: States) -> dict[str, bytes]:
        return dict.fromkeys(states, b"\xff\xff")

    async with gateways(url, 1) as (_, (one,)):
        await asyncio.to_thread(one.accounts.change, ["key_bot"], damage)
        assert await one.ticket(key(tokens_per_day=5)).reserve(5) == 5


async def test_the_day_is_that_of_the_database(url: str) -> None:
    """A budget begins anew for all gateways when the database's day ends."""
    asked = key(tokens_per_day=100)
    async with gateways(url, 2) as (register, (one, two)):
        ticket = one.ticket(asked)
        await ticket.reserve(100)
        ticket.settle(100)
        await one.limiter.flush()
        register.clock.now = NOON + 43_199
        with pytest.raises(QuotaExceeded):
            await two.ticket(asked).reserve(1)
        register.clock.now = NOON + 43_200
        assert await two.ticket(asked).reserve(100) == 100


async def test_the_status_is_what_a_gateway_last_saw(url: str) -> None:
    """After each request its gateway reports what remains, with what other gateways took."""
    asked = key(requests_per_minute=10, tokens_per_minute=1000)
    async with gateways(url, 2) as (_, (one, two)):
        assert await acquired(one, asked) is not None
        ticket = two.ticket(asked)
        await ticket.acquire()
        await ticket.reserve(100)
        status = ticket.limit_status()
        assert (status["requests"].remaining, status["tokens"].remaining) == (8, 900)


async def test_siblings_and_background_requests_share_the_account(url: str) -> None:
    """A sibling reserves for itself; a background request is not counted as a request and leaves half of a minute."""
    asked = key(requests_per_minute=1, tokens_per_minute=100)
    async with gateways(url, 1) as (_, (one,)):
        first = one.ticket(asked)
        await first.acquire()
        await first.sibling().reserve(30)
        line = one.ticket(asked, is_background=True)
        await line.acquire()
        with pytest.raises(RateLimited):
            await line.reserve(30)
        await line.reserve(20)
        await first.reserve(50)
