"""What each key has taken of its limits."""

from collections.abc import Callable

import pytest

from homeport.domain.accounts import Allowance, Key
from homeport.domain.errors import QuotaSpent, RateLimited
from homeport.serving.quotas import FREE, Passage, Quotas

NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200.0


class Clock:
    """Both clocks at once; stands still until a test moves it."""

    def __init__(self) -> None:
        self.past = 0.0

    def steady(self) -> float:
        """Seconds since the start."""
        return 1000.0 + self.past

    def wall(self) -> float:
        """The time of day."""
        return NOON + self.past


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quotas(clock: Clock) -> Quotas:
    return Quotas(clock.steady, clock.wall)


def key(name: str = "bot", /, **limits: int) -> Key:
    return Key(id=f"key_{name}", project="p", name=name, hint="", created_at=0, limits=Allowance(**limits))


def admitted(quotas: Quotas, asked: Key, tokens: int = 0) -> bool:
    """Whether one short request gets in."""
    passage = quotas.passage(asked)
    try:
        passage.enter()
        passage.reserve(tokens)
    except RateLimited:
        return False
    passage.settle(tokens)
    passage.leave()
    return True


def test_requests_in_any_minute_stay_under_the_limit(quotas: Quotas, clock: Clock) -> None:
    """Over many minutes of asking all the time, no minute has more requests than the limit, and few have fewer."""
    asked, times = key(requests_per_minute=50), []
    for _ in range(6000):
        clock.past += 0.05
        if admitted(quotas, asked):
            times.append(clock.past)
    for start in times:
        assert sum(start <= time < start + 60 for time in times) <= 50
    assert len(times) >= 0.95 * 50 * 5


def test_tokens_in_any_minute_stay_under_the_limit(quotas: Quotas, clock: Clock) -> None:
    """Tokens are limited the same way, each request by what it takes."""
    asked, taken = key(tokens_per_minute=1000), []
    for at in range(6000):
        clock.past += 0.05
        size = 10 + at % 40
        if admitted(quotas, asked, size):
            taken.append((clock.past, size))
    for start, _ in taken:
        assert sum(size for time, size in taken if start <= time < start + 60) <= 1000
    assert sum(size for _, size in taken) >= 0.95 * 1000 * 5


def test_a_refusal_says_when_to_come_back(quotas: Quotas, clock: Clock) -> None:
    """At the time that a refusal names there is room, and not much sooner."""
    asked = key(requests_per_minute=2)
    assert admitted(quotas, asked)
    clock.past += 10
    assert admitted(quotas, asked)
    with pytest.raises(RateLimited, match="Limit 2, Used 2, Requested 1") as refused:
        quotas.passage(asked).enter()
    assert refused.value.code == "rate_limit_exceeded"
    wait_s = refused.value.retry_after_s
    assert wait_s is not None
    assert 49 < wait_s <= 50.25
    clock.past += wait_s - 0.5
    assert not admitted(quotas, asked)
    clock.past += 0.5
    assert admitted(quotas, asked)


def test_keys_do_not_share_limits(quotas: Quotas) -> None:
    """What one key takes is not taken from another."""
    one, other = key("one", requests_per_minute=1), key("other", requests_per_minute=1)
    assert admitted(quotas, one)
    assert not admitted(quotas, one)
    assert admitted(quotas, other)


def test_what_was_reserved_too_much_is_given_back(quotas: Quotas) -> None:
    """A request reserves what it may take and pays what it took."""
    asked = key(tokens_per_minute=100)
    passage = quotas.passage(asked)
    passage.enter()
    passage.reserve(90)
    assert passage.rates()["tokens"].remaining == 10
    assert not admitted(quotas, asked, 20)
    passage.settle(30)
    assert passage.rates()["tokens"].remaining == 70
    assert admitted(quotas, asked, 70)


def test_a_long_answer_counts_where_it_is_more_than_reserved(quotas: Quotas, clock: Clock) -> None:
    """A request that lasts over a minute and takes more than it reserved pays the rest at its end."""
    asked = key(tokens_per_minute=100)
    passage = quotas.passage(asked)
    passage.enter()
    passage.reserve(10)
    clock.past += 120
    passage.settle(95)
    assert passage.rates()["tokens"].remaining == 15
    assert not admitted(quotas, asked, 20)


def test_more_than_the_limit_never_fits(quotas: Quotas) -> None:
    """A request that asks for more tokens than a minute has is refused as too large."""
    with pytest.raises(RateLimited, match="Request too large"):
        quotas.passage(key(tokens_per_minute=100)).reserve(101)


@pytest.mark.parametrize(
    ("limit", "wait", "most_s"),
    [("tokens_per_day", 43_200.0, 86_400.0), ("tokens_per_month", 30 * 86_400.0, 31 * 86_400.0)],
)
def test_a_budget_is_spent_until_the_calendar_turns(
    quotas: Quotas, clock: Clock, limit: str, wait: float, most_s: float
) -> None:
    """A spent day or month is `insufficient_quota` until the next one begins, in UTC."""
    asked = key(**{limit: 100})
    assert admitted(quotas, asked, 60)
    assert admitted(quotas, asked, 60)  # what is left is not known to be too little before it is spent
    with pytest.raises(QuotaSpent, match="has taken 120") as refused:
        quotas.passage(asked).reserve(1)
    assert refused.value.code == "insufficient_quota"
    left_s = refused.value.retry_after_s
    assert left_s is not None
    assert 0 < left_s <= most_s
    clock.past += left_s - 1
    assert not admitted(quotas, asked, 1)
    clock.past += 1
    assert admitted(quotas, asked, 1)


def test_what_runs_counts_against_the_budget(quotas: Quotas) -> None:
    """Requests under way count with what they reserved, so that many at once do not overrun a budget."""
    asked = key(tokens_per_day=100)
    first = quotas.passage(asked)
    first.reserve(100)
    with pytest.raises(QuotaSpent):
        quotas.passage(asked).reserve(1)
    first.settle(10)
    quotas.passage(asked).reserve(1)


def test_a_budget_outlives_the_server(quotas: Quotas) -> None:
    """What a key took before this server began counts."""
    quotas.seed("key_bot", 50, 100)
    assert admitted(quotas, key(tokens_per_day=51), 1)
    assert not admitted(quotas, key(tokens_per_day=51), 1)
    assert not admitted(quotas, key(tokens_per_month=100), 1)


def test_so_many_at_once(quotas: Quotas) -> None:
    """A key's requests over its concurrency are refused until one has ended; ending twice is once."""
    asked = key(concurrent_requests=2)
    running = [quotas.passage(asked) for _ in range(3)]
    running[0].enter()
    running[1].enter()
    with pytest.raises(RateLimited, match="Concurrency limit"):
        running[2].enter()
    running[2].leave()
    running[0].leave()
    running[0].leave()
    running[2].enter()
    assert not admitted(quotas, asked)


def test_rates_tell_limit_rest_and_reset(quotas: Quotas, clock: Clock) -> None:
    """Each limit of a minute tells what it is, what is left and when it is whole again; others are not told."""
    passage = quotas.passage(key(requests_per_minute=3, tokens_per_day=5))
    assert list(passage.rates()) == ["requests"]
    assert passage.rates()["requests"] == (3, 3, 0.0)
    passage.enter()
    limit, remaining, reset_s = passage.rates()["requests"]
    assert (limit, remaining) == (3, 2)
    assert 60 <= reset_s <= 60.25
    clock.past += reset_s
    assert passage.rates()["requests"] == (3, 3, 0.0)


def _acts(passage: Passage) -> list[Callable[[], object]]:
    return [passage.enter, lambda: passage.reserve(10**9), lambda: passage.settle(1), passage.leave]


def test_without_a_key_there_is_no_limit() -> None:
    """The passage of callers without a key of their own lets everything through."""
    for act in _acts(FREE):
        act()
    assert FREE.rates() == {}
