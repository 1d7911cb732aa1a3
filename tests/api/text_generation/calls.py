"""Send bodies to the text endpoints in process, and make scored events for scripts."""

import json
from typing import Any

from homeport.api.application import build_application
from homeport.domain.errors import HomeportError
from homeport.domain.events import (
    Admitted,
    AlternativeToken,
    ChoiceFinished,
    Done,
    ScoredToken,
    TextDelta,
    Usage,
)
from homeport.domain.text import TextRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, Script, Step, answer, services

PATHS = {"completions": "/v1/completions", "chat": "/v1/chat/completions", "edits": "/v1/edits"}
PLAIN: dict[str, dict[str, Any]] = {
    "completions": {"model": "tiny", "prompt": "Hello"},
    "chat": {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]},
    "edits": {"model": "tiny", "input": "helo", "instruction": "Fix it"},
}


def every_choice(request: Any) -> Script:
    """Answer each choice of a request with the same two words."""
    _, *steps = answer(*["Hello there"] * (len(request.prompts) * request.n))
    return [[Admitted(5, (10,) * len(request.prompts))], *steps]


async def post(endpoint: str, serving: FakeServing | None = None, **changes: Any) -> AsgiResponse:
    """Send an endpoint's plain body with some fields changed; `...` omits a field."""
    body = {key: value for key, value in {**PLAIN[endpoint], **changes}.items() if value is not ...}
    app = build_application(services(serving or FakeServing(every_choice)))
    return await call(app, "POST", PATHS[endpoint], json.dumps(body).encode())


async def sent_request(endpoint: str, **changes: Any) -> TextRequest:
    """Return the engine request that a body becomes."""
    serving = FakeServing(every_choice)
    response = await post(endpoint, serving, **changes)
    assert response.status == 200, response.body
    ((_, request),) = serving.requests
    assert isinstance(request, TextRequest)
    return request


def events(response: AsgiResponse) -> list[Any]:
    """Return the JSON of each event of a complete stream."""
    frames = response.body.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


def scored(token: str, logprob: float | None, offset: int, *top: tuple[str, float]) -> ScoredToken:
    """Make a token with alternatives."""
    alternatives = tuple(AlternativeToken(text, text.encode(), value) for text, value in top)
    return ScoredToken(token, token.encode(), logprob, offset, alternatives)


def script(*steps: Step, prompt_chars: tuple[int, ...] = (10,)) -> Script:
    """Make a request of five prompt tokens whose first choice stops after these steps."""
    return [[Admitted(5, prompt_chars)], *steps, [ChoiceFinished(0, "stop")], [Done(Usage(5, 2, 3))]]


def failing(error: HomeportError) -> Script:
    """Make a request that fails after its first word."""
    return [[Admitted(5, (10,))], [TextDelta(0, "Hello")], error]
