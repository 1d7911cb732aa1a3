"""How much of its limits each key has used."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.errors import QuotaExceeded, RateLimited
from homeport.domain.keys import Key, KeyLimits
from homeport.serving.rate_limits import UNLIMITED, RateLimiter, RateLimitTicket
from tests.fake_clock import FakeClock

NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def quotas(clock: FakeClock) -> RateLimiter:
    return RateLimiter(lambda: 1000.0 + clock.now, lambda: NOON + clock.now)


def key(name: str = "bot", /, **limits: int) -> Key:
    return Key(id=f"key_{name}", project="p", name=name, hint="", created_at=0, limits=KeyLimits(**limits))


def admitted(quotas: RateLimiter, asked: Key, tokens: int = 0) -> bool:
    """Return whether one short request is admitted."""
    passage = quotas.ticket(asked)
    try:
        passage.acquire()
        passage.reserve(tokens)
    except RateLimited:
        return False
    passage.settle(tokens)
    passage.release()
    return True


def test_requests_in_any_minute_stay_under_the_limit(quotas: RateLimiter, clock: FakeClock) -> None:
    """Over many minutes of constant requests, no minute has more than the limit, and few have fewer."""
    asked, times = key(requests_per_minute=50), []
    for _ in range(6000):
        clock.now += 0.05
        if admitted(quotas, asked):
            times.append(clock.now)
    for start in times:
        assert sum(start <= time < start + 60 for time in times) <= 50
    assert len(times) >= 0.95 * 50 * 5


def test_tokens_in_any_minute_stay_under_the_limit(quotas: RateLimiter, clock: FakeClock) -> None:
    """Tokens are limited in the same way, each request by what it uses."""
    asked, taken = key(tokens_per_minute=1000), []
    for at in range(6000):
        clock.now += 0.05
        size = 10 + at % 40
        if admitted(quotas, asked, size):
            taken.append((clock.now, size))
    for start, _ in taken:
        assert sum(size for time, size in taken if start <= time < start + 60) <= 1000
    assert sum(size for _, size in taken) >= 0.95 * 1000 * 5


def test_a_request_may_run_a_model_twice(quotas: RateLimiter) -> None:
    """What a settled run of a request used counts once when the same request reserves tokens for another run."""
    passage = quotas.ticket(key(tokens_per_day=100))
    passage.acquire()
    for used in (60, 40):
        passage.reserve(used, 0)
        passage.admit(used)
        passage.settle(used)
    with pytest.raises(QuotaExceeded, match="has used 100"):
        passage.reserve(1, 0)


def test_work_at_the_same_time_has_a_ticket_of_its_own(quotas: RateLimiter) -> None:
    """A sibling reserves and settles beside its request on the same account, and is no request of its own."""
    asked = key(tokens_per_minute=100, requests_per_minute=1, concurrent_requests=1)
    first = quotas.ticket(asked)
    first.acquire()
    second = first.sibling()
    first.reserve(30, 10)
    second.reserve(50)
    assert first.limit_status()["tokens"].remaining == 10
    with pytest.raises(RateLimited):
        first.sibling().reserve(20)
    second.settle(60)
    first.settle(35)
    first.release()
    status = quotas.ticket(asked).limit_status()
    assert (status["tokens"].remaining, status["requests"].remaining) == (5, 0)
    assert UNLIMITED.sibling() is UNLIMITED


def test_a_refusal_has_a_time_to_retry(quotas: RateLimiter, clock: FakeClock) -> None:
    """A refusal's time is when there is room, and not much earlier."""
    asked = key(requests_per_minute=2)
    assert admitted(quotas, asked)
    clock.now += 10
    assert admitted(quotas, asked)
    with pytest.raises(RateLimited, match="Limit 2, Used 2, Requested 1") as refused:
        quotas.ticket(asked).acquire()
    assert refused.value.code == "rate_limit_exceeded"
    wait_s = refused.value.retry_after_s
    assert wait_s is not None
    assert 49 < wait_s <= 50.25
    clock.now += wait_s - 0.5
    assert not admitted(quotas, asked)
    clock.now += 0.5
    assert admitted(quotas, asked)


def test_used_tokens_are_those_of_this_day_and_month(quotas: RateLimiter, clock: FakeClock) -> None:
    """What a key has used counts in its day and its month, without what is only reserved."""
    asked = key(tokens_per_day=1000)
    assert quotas.tokens_used(asked.id) == (0, 0)
    quotas.seed(asked.id, 5, 50)
    assert admitted(quotas, asked, 10)
    running = quotas.ticket(asked)
    running.reserve(20)
    assert quotas.tokens_used(asked.id) == (15, 60)
    clock.now += 86_400
    assert quotas.tokens_used(asked.id).day == 0
    running.settle(20)


def test_keys_do_not_share_limits(quotas: RateLimiter) -> None:
    """What one key uses does not count for another."""
    one, other = key("one", requests_per_minute=1), key("other", requests_per_minute=1)
    assert admitted(quotas, one)
    assert not admitted(quotas, one)
    assert admitted(quotas, other)


def test_unused_reservations_are_returned(quotas: RateLimiter) -> None:
    """A request reserves what it may use and is charged what it used."""
    asked = key(tokens_per_minute=100)
    passage = quotas.ticket(asked)
    passage.acquire()
    passage.reserve(90)
    assert passage.limit_status()["tokens"].remaining == 10
    assert not admitted(quotas, asked, 20)
    passage.settle(30)
    assert passage.limit_status()["tokens"].remaining == 70
    assert admitted(quotas, asked, 70)


def test_a_request_may_reserve_again(quotas: RateLimiter) -> None:
    """A request with several engine requests reserves for each; each is charged for its own tokens."""
    asked = key(tokens_per_day=1000)
    passage = quotas.ticket(asked)
    passage.acquire()
    passage.reserve(100, 500)
    passage.admit(100, has_answer=True)
    passage.more(300, 200)
    passage.settle(350)
    passage.reserve(100, 200)
    passage.settle(50)
    passage.reserve(600)
    passage.admit(600)
    with pytest.raises(QuotaExceeded):
        passage.admit(601)


def test_a_long_answer_counts_where_it_is_more_than_reserved(quotas: RateLimiter, clock: FakeClock) -> None:
    """A request that lasts over a minute and uses more than it reserved is charged the rest at its end."""
    asked = key(tokens_per_minute=100)
    passage = quotas.ticket(asked)
    passage.acquire()
    passage.reserve(10)
    clock.now += 120
    passage.settle(95)
    assert passage.limit_status()["tokens"].remaining == 15
    assert not admitted(quotas, asked, 20)


def test_more_than_the_limit_never_fits(quotas: RateLimiter) -> None:
    """A request for more tokens than a minute has is refused as too large."""
    with pytest.raises(RateLimited, match="Request too large"):
        quotas.ticket(key(tokens_per_minute=100)).reserve(101)


@pytest.mark.parametrize(
    ("limit", "wait", "most_s"),
    [("tokens_per_day", 43_200.0, 86_400.0), ("tokens_per_month", 30 * 86_400.0, 31 * 86_400.0)],
)
def test_a_budget_is_spent_until_the_calendar_turns(
    quotas: RateLimiter, clock: FakeClock, limit: str, wait: float, most_s: float
) -> None:
    """A used-up day or month is `insufficient_quota` until the next one begins, in UTC."""
    asked = key(**{limit: 100})
    assert admitted(quotas, asked, 60)
    assert admitted(quotas, asked, 60)  # what is left is not known to be too little before it is spent
    with pytest.raises(QuotaExceeded, match="has used 120") as refused:
        quotas.ticket(asked).reserve(1)
    assert refused.value.code == "insufficient_quota"
    left_s = refused.value.retry_after_s
    assert left_s is not None
    assert 0 < left_s <= most_s
    clock.now += left_s - 1
    assert not admitted(quotas, asked, 1)
    clock.now += 1
    assert admitted(quotas, asked, 1)


def test_running_requests_count_against_the_budget(quotas: RateLimiter) -> None:
    """Running requests count with what they reserved: another is possible when they end, which is soon."""
    asked = key(tokens_per_day=100)
    first = quotas.ticket(asked)
    first.reserve(100)
    with pytest.raises(RateLimited, match="Reserved 100") as refused:
        quotas.ticket(asked).reserve(1)
    assert not isinstance(refused.value, QuotaExceeded)
    assert refused.value.retry_after_s == 1.0
    first.settle(10)
    quotas.ticket(asked).reserve(1)


def test_a_budget_outlives_the_server(quotas: RateLimiter) -> None:
    """What a key used before this server started counts."""
    quotas.seed("key_bot", 50, 100)
    assert admitted(quotas, key(tokens_per_day=51), 1)
    assert not admitted(quotas, key(tokens_per_day=51), 1)
    assert not admitted(quotas, key(tokens_per_month=100), 1)


def test_concurrent_requests_are_limited(quotas: RateLimiter) -> None:
    """A key's requests over its concurrency are refused until one has ended; ending twice counts once."""
    asked = key(concurrent_requests=2)
    running = [quotas.ticket(asked) for _ in range(3)]
    running[0].acquire()
    running[1].acquire()
    with pytest.raises(RateLimited, match="Concurrency limit"):
        running[2].acquire()
    running[2].release()
    running[0].release()
    running[0].release()
    running[2].acquire()
    assert not admitted(quotas, asked)


def test_status_has_limit_remaining_and_reset(quotas: RateLimiter, clock: FakeClock) -> None:
    """Each limit of a minute reports its size, what remains and when it resets; others are not reported."""
    passage = quotas.ticket(key(requests_per_minute=3, tokens_per_day=5))
    assert list(passage.limit_status()) == ["requests"]
    assert passage.limit_status()["requests"] == (3, 3, 0.0)
    passage.acquire()
    limit, remaining, reset_s = passage.limit_status()["requests"]
    assert (limit, remaining) == (3, 2)
    assert 60 <= reset_s <= 60.25
    clock.now += reset_s
    assert passage.limit_status()["requests"] == (3, 3, 0.0)


@pytest.mark.parametrize("limit", ["tokens_per_minute", "tokens_per_day", "tokens_per_month"])
def test_an_answer_without_a_bound_is_reserved_in_slices(quotas: RateLimiter, limit: str) -> None:
    """It starts with 256 tokens plus its prompt, gets 256 more each time, at last what is left, and then nothing."""
    passage = quotas.ticket(key(**{limit: 600}))
    assert passage.reserve(10, None) == 266
    assert passage.more(150, 10_000) == 256
    assert passage.limited_by == ""
    assert passage.more(400, 10_000) == 78
    assert passage.more(590, 10_000) == 0
    assert passage.limited_by == limit
    assert not admitted(quotas, key(**{limit: 600}), 1)
    passage.settle(590)
    assert admitted(quotas, key(**{limit: 600}), 10)
    assert not admitted(quotas, key(**{limit: 600}), 1)


def test_no_more_is_reserved_than_can_be_used(quotas: RateLimiter) -> None:
    """A bounded answer takes no more than its bound of a day, and all of it of a minute at once."""
    daily = quotas.ticket(key("daily", tokens_per_day=1000))
    assert daily.reserve(10, 20) == 30
    assert daily.more(20, 5) == 5
    minutely = quotas.ticket(key("minutely", tokens_per_minute=1000))
    assert minutely.reserve(10, 900) == 266
    assert minutely.limit_status()["tokens"].remaining == 90
    assert minutely.more(200, 644) == 256
    assert minutely.limit_status()["tokens"].remaining == 90
    with pytest.raises(RateLimited):
        quotas.ticket(key("minutely", tokens_per_minute=1000)).reserve(10, 81)


@pytest.mark.parametrize("limit", ["tokens_per_minute", "tokens_per_day", "tokens_per_month"])
def test_a_prompt_longer_than_estimated_is_refused_where_it_does_not_fit(quotas: RateLimiter, limit: str) -> None:
    """Its true length counts before anything is computed; a refused one takes nothing."""
    asked = key(**{limit: 100})
    passage = quotas.ticket(asked)
    assert passage.reserve(5, None) == 100
    assert passage.more(120, 900) == 0
    with pytest.raises(RateLimited):
        passage.admit(120, has_answer=True)
    passage.settle(0)
    fits = quotas.ticket(asked)
    fits.reserve(5)
    fits.admit(99)
    with pytest.raises(RateLimited):
        quotas.ticket(asked).admit(2)
    fits.settle(99)
    assert admitted(quotas, asked, 1)


def test_an_early_disconnect_is_charged_for_unseen_tokens(quotas: RateLimiter) -> None:
    """Candidates that are never returned count with the engine's last report of their tokens."""
    asked = key(tokens_per_day=1000)
    passage = quotas.ticket(asked)
    passage.reserve(10, None)
    passage.more(140, 5000)
    passage.settle(10)
    assert quotas.ticket(asked).reserve(0, None) == 256
    assert quotas.ticket(asked).reserve(0, 10_000) == 256
    assert quotas.ticket(asked).reserve(0, 10_000) == 256
    assert quotas.ticket(asked).reserve(0, 10_000) == 1000 - 140 - 3 * 256


_MOVES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(0, 20_000)), max_size=60)


@given(_MOVES, st.sampled_from(["tokens_per_minute", "tokens_per_day", "tokens_per_month"]), st.integers(1, 3000))
def test_together_requests_never_take_more_than_the_limit(
    moves: list[tuple[int, int, int]], limit: str, most: int
) -> None:
    """In any order requests of one key never use more than the limit, and all else is returned."""
    clock = FakeClock()
    quotas, asked = RateLimiter(lambda: 1000.0 + clock.now, lambda: NOON + clock.now), key(**{limit: most})
    running: dict[int, tuple[RateLimitTicket, int]] = {}  # and what each may take
    taken = 0
    for which, prompt, wanted in moves:
        if which not in running:
            passage = quotas.ticket(asked)
            try:
                granted = passage.reserve(prompt, wanted if wanted % 2 else None)
                passage.admit(prompt, has_answer=True)
            except RateLimited:
                passage.settle(0)
                continue
            assert granted is not None
            running[which] = (passage, max(granted, prompt + 1))
        elif wanted % 3:
            passage, granted = running[which]
            running[which] = (passage, granted + passage.more(granted, wanted))
        else:
            passage, granted = running.pop(which)
            passage.settle(granted)
            taken += granted
        assert taken + sum(granted for _, granted in running.values()) <= most
    for passage, granted in running.values():
        passage.settle(granted)
        taken += granted
    rest = quotas.ticket(asked)
    if taken < most:
        assert rest.reserve(0, None) == min(256, most - taken)


def _acts(passage: RateLimitTicket) -> list[Callable[[], object]]:
    return [passage.acquire, lambda: passage.reserve(10**9), lambda: passage.settle(1), passage.release]


def test_without_a_key_there_is_no_limit() -> None:
    """The ticket of callers without a key of their own limits nothing."""
    for act in _acts(UNLIMITED):
        act()
    assert UNLIMITED.limit_status() == {}


def test_background_requests_leave_room(quotas: RateLimiter) -> None:
    """It counts neither in the minute's requests nor as concurrent, and uses at most half of a minute's tokens."""
    limited = key(requests_per_minute=1, concurrent_requests=1, tokens_per_minute=100)
    lines = [quotas.ticket(limited, is_background=True) for _ in range(3)]
    for line in lines:
        line.acquire()
    lines[0].reserve(30)
    lines[1].reserve(20)
    with pytest.raises(RateLimited) as refused:
        lines[2].reserve(1)
    assert not isinstance(refused.value, QuotaExceeded)
    caller = quotas.ticket(limited)
    caller.acquire()
    caller.reserve(50)


def test_a_large_background_request_waits_for_a_whole_minute(quotas: RateLimiter, clock: FakeClock) -> None:
    """More than half of the tokens fit into an empty minute; more than all of them are refused for good."""
    limited = key(tokens_per_minute=100)
    quotas.ticket(limited).reserve(30)
    large = quotas.ticket(limited, is_background=True)
    with pytest.raises(RateLimited) as refused:
        large.reserve(80)
    assert refused.value.retry_after_s is not None
    clock.now += refused.value.retry_after_s + 0.001
    large.reserve(80)
    with pytest.raises(QuotaExceeded) as spent:
        quotas.ticket(limited, is_background=True).reserve(101)
    assert spent.value.retry_after_s is None


def test_background_requests_use_the_budget(quotas: RateLimiter) -> None:
    """A day's tokens are shared by all requests of a key."""
    limited = key(tokens_per_day=100)
    line = quotas.ticket(limited, is_background=True)
    line.reserve(10)
    line.settle(100)
    for is_background in (True, False):
        with pytest.raises(QuotaExceeded) as spent:
            quotas.ticket(limited, is_background=is_background).reserve(1)
        assert spent.value.retry_after_s == 43_200
