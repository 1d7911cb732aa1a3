"""Send bodies to `/v1/messages` in process, and read its answers, streams and errors."""

import json
from typing import Any

from homeport.api.application import build_application
from homeport.domain.events import Admitted, ChoiceFinished, Done, Usage
from homeport.domain.text import ChatPrompt, TextRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, Script, Step, answer, services

PATH = "/v1/messages"
PLAIN: dict[str, Any] = {"model": "tiny", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Get the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SECRET = b"s" * 32


def script(*steps: Step, reason: str = "stop", usage: Usage | None = None, stop: str = "") -> Script:
    """Make a request of five prompt tokens whose answer has these steps."""
    return [
        [Admitted(5, (10,))],
        *steps,
        [ChoiceFinished(0, reason, stop=stop)],
        [Done(usage or Usage(5, 2, 3))],
    ]


async def post(serving: FakeServing | None = None, *, path: str = PATH, **changes: Any) -> AsgiResponse:
    """Send the plain body with some fields changed; `...` omits a field."""
    body = {key: value for key, value in {**PLAIN, **changes}.items() if value is not ...}
    serving = serving or FakeServing(lambda _: answer("Hello there"))
    app = build_application(services(serving, secret=SECRET))
    return await call(app, "POST", path, json.dumps(body).encode())


async def sent_request(**changes: Any) -> TextRequest:
    """Return the engine request that a body becomes."""
    serving = FakeServing(lambda _: answer("Hello there"))
    response = await post(serving, **changes)
    assert response.status == 200, response.body
    ((_, request),) = serving.requests
    assert isinstance(request, TextRequest)
    return request


async def sent_prompt(**changes: Any) -> ChatPrompt:
    """Return the prompt that a body becomes."""
    (prompt,) = (await sent_request(**changes)).prompts
    assert isinstance(prompt, ChatPrompt)
    return prompt


def error_of(response: AsgiResponse) -> dict[str, Any]:
    """Return the error, whose envelope must be Anthropic's."""
    body = response.json
    assert set(body) == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    error: dict[str, Any] = body["error"]
    assert {"type", "message"} <= set(error) <= {"type", "message", "details"}
    assert set(error.get("details", {"error_code": ""})) == {"error_code"}
    assert error["message"]
    return error


def events(response: AsgiResponse) -> list[Any]:
    """Return the JSON of each event of a stream, checking that each is named by its type."""
    frames = response.body.decode().split("\n\n")
    assert frames.pop() == ""
    read = []
    for frame in frames:
        name, data = frame.split("\n")
        read.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {read[-1]['type']}"
    return read
