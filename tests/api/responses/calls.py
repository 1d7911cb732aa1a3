"""An application with responses in memory, and calls of its endpoints."""

import json
from typing import Any

from homeport.api.application import build_application
from homeport.domain.events import Admitted, ChoiceFinished, Done, Event, ToolCallDelta, Usage
from homeport.domain.text import ChatPrompt, TextRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, Script, services
from tests.api.responses.fakes import FakeConversationRepository, FakeResponseRepository

PATH = "/v1/responses"
NOW = 1_800_000_000
FUNCTION = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": False}


class ResponseApp:
    """An application on a scripted model. `changes` replace fields of its services."""

    def __init__(self, serving: FakeServing | None = None, **changes: Any) -> None:
        self.serving = serving or FakeServing()
        self.conversations = FakeConversationRepository()
        self.responses = FakeResponseRepository(self.conversations)
        given = {"responses": self.responses, "conversations": self.conversations, "now": lambda: NOW, **changes}
        self.app = build_application(services(self.serving, **given))

    async def send(self, method: str, path: str, body: Any = None) -> AsgiResponse:
        """Send a request whose body is JSON."""
        return await call(self.app, method, path, b"" if body is None else json.dumps(body).encode())

    async def create(self, **fields: Any) -> AsgiResponse:
        """Create a response to `Hello` with some fields changed; `...` omits a field."""
        body = {"model": "tiny", "input": "Hello", **fields}
        return await self.send("POST", PATH, {name: value for name, value in body.items() if value is not ...})

    async def answer(self, **fields: Any) -> dict[str, Any]:
        """Create a response, which must succeed; return its JSON."""
        response = await self.create(**fields)
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json
        return found

    @property
    def last_request(self) -> TextRequest:
        """The last request that reached the model."""
        request = self.serving.requests[-1][1]
        assert isinstance(request, TextRequest)
        return request

    @property
    def last_prompt(self) -> ChatPrompt:
        """Its prompt."""
        [prompt] = self.last_request.prompts
        assert isinstance(prompt, ChatPrompt)
        return prompt

    @property
    def last_texts(self) -> list[tuple[str, str]]:
        """The roles and texts of its messages."""
        return [(message.role, message.text) for message in self.last_prompt.messages]


def calling(name: str = "add", arguments: str = '{"a": 1}') -> Script:
    """Make an answer that calls a tool."""
    events: list[Event] = [ToolCallDelta(0, 0, "call_1", name, arguments), ChoiceFinished(0, "tool_calls")]
    return [[Admitted(5, (10,))], events, [Done(Usage(5, 2))]]
