"""Bodies of messages with wrong values anywhere, read by the text engine on its fake executor."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.api.asgi import call
from tests.api.messages.calls import PATH, error_of
from tests.api.test_nonsense import application
from tests.engines.text.engine_runner import TextEngineRunner

N_MISTAKES = 300
VALUES: tuple[Any, ...] = (None, 0, -1, 1e300, "", "x" * 5000, [], {}, [[]], {"type": "x"}, True, "\U0001f600")


@pytest.fixture(scope="module")
def engine() -> Iterator[TextEngineRunner]:
    """A text engine on the fake executor."""
    with TextEngineRunner(window=512) as running:
        yield running


async def test_mistakes_are_never_the_servers_fault(engine: TextEngineRunner) -> None:
    """Wrong values in one to three places are refused by name, at little length, or answered; never a 500."""
    app = application(engine)
    choose = random.Random(22)
    statuses = set()
    for _ in range(N_MISTAKES):
        body = _mistake(choose)
        response = await call(app, "POST", PATH, msgspec.json.encode(body))
        statuses.add(response.status)
        assert response.status in (200, 400, 404), (body, response.body[:300])
        assert b'"api_error"' not in response.body, (body, response.body[:300])
        if response.status != 200:
            assert len(error_of(response)["message"]) < 1000
    assert statuses == {200, 400, 404}


def _mistake(choose: random.Random) -> dict[str, Any]:
    """Return a body with wrong values in one to three places."""
    source = {"type": "text", "media_type": "text/plain", "data": "d"}
    body: dict[str, Any] = {
        "model": "tiny",
        "max_tokens": 2,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "document", "source": source}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "enabled", "budget_tokens": 1},
        "output_config": {"effort": "low"},
        "metadata": {"user_id": "u"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stop_sequences": ["zzz"],
        "stream": False,
    }
    for _ in range(choose.randint(1, 3)):
        place: Any = body
        while True:
            key = choose.choice([*range(len(place))] if isinstance(place, list) else [*place])
            if not isinstance(place[key], dict | list) or not place[key] or choose.random() < 0.3:
                break
            place = place[key]
        place[key] = choose.choice(VALUES)
    return body
