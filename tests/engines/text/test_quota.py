"""A request uses exactly its quota until more is granted."""

from typing import Any

import pytest

from homeport.domain.events import ChoiceFinished, Event, QuotaLow
from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from tests.engines.text.engine_runner import TextEngineRunner, TextEvents

STORY = "It was a dark and stormy night; the rain fell in torrents. It was a dark and stormy night; the rain"


def _ask(
    quota: int, *prompts: str, n: int = 1, best_of: int = 1, max_tokens: int | None = None, echo: bool = False
) -> TextRequest:
    return TextRequest(
        tuple(TextPrompt(prompt) for prompt in prompts),
        SamplingParams(temperature=0.9, seed=1),
        StoppingCriteria(max_tokens=max_tokens, ignore_eos=True),
        n,
        max(n, best_of),
        echo=echo,
        quota=quota,
    )


def _served(running: TextEngineRunner, request: TextRequest, *grants: int) -> tuple[TextEvents, list[Event]]:
    """Answer each request for quota with a grant, the last one repeatedly; return the result and all events."""
    id, left = running.open(request), list(grants)
    answered = 0

    def is_over(events: list[Event]) -> bool:
        return bool(events) and (_quota_requests(events) > answered or type(events[-1]).__name__ in ("Done", "Failed"))

    while _quota_requests(running.wait(id, is_over)) > answered:
        answered += 1
        running.engine.grant(id, left.pop(0) if len(left) > 1 else left[0])
    running.end(id)
    events = running.events(id)
    return TextEvents.of([event for event in events if not isinstance(event, QuotaLow)]), events


def _quota_requests(events: list[Event]) -> int:
    return sum(isinstance(event, QuotaLow) for event in events)


WIDTHS: list[dict[str, Any]] = [
    {},
    {"n": 3},
    {"n": 2, "best_of": 5},
    {"n": 1, "best_of": 4},
    {"n": 16},
]


@pytest.mark.parametrize("grants", [(0,), (1, 0), (40, 40, 3, 0)])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("prompts", [("abc",), ("abc", "defg"), (STORY,)])
def test_no_token_is_sampled_beyond_the_quota(
    prompts: tuple[str, ...], width: dict[str, Any], grants: tuple[int, ...]
) -> None:
    """If no more is granted, all answers end with `length`, cut, and exactly the quota is used."""
    prompt_tokens = sum(1 + len(prompt) for prompt in prompts)
    with TextEngineRunner(cells=4096, window=400) as running:
        result, events = _served(running, _ask(prompt_tokens + 50, *prompts, **width), *grants)
        later = running.ask(_ask(100, "abc", max_tokens=3))
    assert result.usage is not None
    assert result.usage.prompt_tokens + result.usage.completion_tokens == prompt_tokens + 50 + sum(grants)
    assert set(result.reasons) == set(range(len(prompts) * width.get("n", 1)))
    assert set(result.reasons.values()) == {"length"}
    assert all(event.is_cut for event in events if isinstance(event, ChoiceFinished))
    assert later.usage is not None
    assert later.usage.completion_tokens == 3


def test_the_answer_is_the_same_with_quota_and_without() -> None:
    """Quota in small pieces changes no token, with drafts or without, and cuts nothing."""
    free = TextRequest(
        (TextPrompt(STORY),), SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=120, ignore_eos=True)
    )
    with TextEngineRunner(cells=4096) as running:
        expected = running.ask(free)
        request = _ask(len(STORY) + 2, STORY, max_tokens=120)
        request = TextRequest(request.prompts, free.sampling, request.stopping, quota=request.quota)
        result, events = _served(running, request, 1, 2, 3, 5)
    assert result.text == expected.text
    assert result.reasons == {0: "length"}
    assert not any(event.is_cut for event in events if isinstance(event, ChoiceFinished))
    assert result.usage is not None
    assert result.usage.completion_tokens == 120


def test_no_more_is_requested_than_can_be_used() -> None:
    """A request for quota states the usage and the maximum that can still be used; none is sent without need."""
    with TextEngineRunner() as running:
        _, events = _served(running, _ask(14, "abc", max_tokens=30), 0)
        assert [event for event in events if isinstance(event, QuotaLow)] == [QuotaLow(4, 20)]
        _, events = _served(running, _ask(34, "abc", max_tokens=30), 0)
    assert not _quota_requests(events)


def test_a_prompt_beyond_the_quota_is_not_computed() -> None:
    """It waits until the gateway decides, and other requests continue."""
    with TextEngineRunner() as running:
        id = running.open(_ask(5, "a long prompt", max_tokens=4))
        running.wait(id, lambda events: _quota_requests(events) == 1)
        assert running.ask(_ask(100, "abc", max_tokens=3)).usage
        assert running.engine.stats().cells_used == 0 or not running.events(id)[2:]
        running.engine.cancel(id)
        assert running.ask(_ask(100, "abc", max_tokens=3)).usage
        result, _ = _served(running, _ask(5, "a long prompt", max_tokens=4), 0)
    assert (result.text, result.reasons) == ("", {0: "length"})


def test_prompts_are_echoed_completely_beyond_the_quota() -> None:
    """The echoed prompt is returned completely even if the quota is used up."""
    with TextEngineRunner() as running:
        result, _ = _served(running, _ask(4 + 3, "abc", n=2, echo=True), 0)
    assert all(text.startswith("abc") for text in result.texts.values())
    assert result.usage is not None
    assert result.usage.completion_tokens == 3
