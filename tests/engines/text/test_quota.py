"""What a request may take until more is granted: exactly that, whatever it asks for."""

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
    """Answer every call for more, the last grant again and again; give what was said."""
    id, left = running.open(request), list(grants)
    answered = 0

    def is_over(events: list[Event]) -> bool:
        return bool(events) and (_asked(events) > answered or type(events[-1]).__name__ in ("Done", "Failed"))

    while _asked(running.wait(id, is_over)) > answered:
        answered += 1
        running.engine.grant(id, left.pop(0) if len(left) > 1 else left[0])
    running.end(id)
    events = running.events(id)
    return TextEvents.of([event for event in events if not isinstance(event, QuotaLow)]), events


def _asked(events: list[Event]) -> int:
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
def test_no_token_is_drawn_beyond_the_quota(
    prompts: tuple[str, ...], width: dict[str, Any], grants: tuple[int, ...]
) -> None:
    """Where no more is granted all answers end with `length`, cut, and exactly what was granted was taken."""
    prompt_tokens = sum(1 + len(prompt) for prompt in prompts)
    with TextEngineRunner(cells=4096, window=400) as running:
        said, events = _served(running, _ask(prompt_tokens + 50, *prompts, **width), *grants)
        later = running.ask(_ask(100, "abc", max_tokens=3))
    assert said.usage is not None
    assert said.usage.prompt_tokens + said.usage.completion_tokens == prompt_tokens + 50 + sum(grants)
    assert set(said.reasons) == set(range(len(prompts) * width.get("n", 1)))
    assert set(said.reasons.values()) == {"length"}
    assert all(event.is_cut for event in events if isinstance(event, ChoiceFinished))
    assert later.usage is not None
    assert later.usage.completion_tokens == 3


def test_the_answer_is_the_same_with_quota_and_without() -> None:
    """Quota that comes in small pieces changes no token, guessed ahead or not, and cuts nothing."""
    free = TextRequest(
        (TextPrompt(STORY),), SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=120, ignore_eos=True)
    )
    with TextEngineRunner(cells=4096) as running:
        expected = running.ask(free)
        request = _ask(len(STORY) + 2, STORY, max_tokens=120)
        request = TextRequest(request.prompts, free.sampling, request.stopping, quota=request.quota)
        said, events = _served(running, request, 1, 2, 3, 5)
    assert said.text == expected.text
    assert said.reasons == {0: "length"}
    assert not any(event.is_cut for event in events if isinstance(event, ChoiceFinished))
    assert said.usage is not None
    assert said.usage.completion_tokens == 120


def test_no_more_is_wanted_than_can_be_used() -> None:
    """A call for more says what was used and the most that can still be used; without need there is none."""
    with TextEngineRunner() as running:
        _, events = _served(running, _ask(14, "abc", max_tokens=30), 0)
        assert [event for event in events if isinstance(event, QuotaLow)] == [QuotaLow(4, 20)]
        _, events = _served(running, _ask(34, "abc", max_tokens=30), 0)
    assert not _asked(events)


def test_a_prompt_beyond_the_quota_is_not_computed() -> None:
    """It stands still until the gateway has said what becomes of it, and other requests go on."""
    with TextEngineRunner() as running:
        id = running.open(_ask(5, "a long prompt", max_tokens=4))
        running.wait(id, lambda events: _asked(events) == 1)
        assert running.ask(_ask(100, "abc", max_tokens=3)).usage
        assert running.engine.stats().cells_used == 0 or not running.events(id)[2:]
        running.engine.cancel(id)
        assert running.ask(_ask(100, "abc", max_tokens=3)).usage
        said, _ = _served(running, _ask(5, "a long prompt", max_tokens=4), 0)
    assert (said.text, said.reasons) == ("", {0: "length"})


def test_echoed_prompts_come_whole_also_where_the_quota_is_used_up() -> None:
    """What is asked for beside the answer is given all the same."""
    with TextEngineRunner() as running:
        said, _ = _served(running, _ask(4 + 3, "abc", n=2, echo=True), 0)
    assert all(text.startswith("abc") for text in said.texts.values())
    assert said.usage is not None
    assert said.usage.completion_tokens == 3
