"""Applications whose models call hosted tools, and what they answer."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from homeport.domain.errors import HomeportError
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    GeneratedImage,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from homeport.domain.images import ImageRequest
from homeport.domain.models import Alias
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.tools import ToolChoice
from homeport.domain.worker_messages import EngineRequest
from tests.api.asgi import AsgiResponse
from tests.api.fakes import FakeRegistry, FakeServing, Script, Step, answer, installed
from tests.api.responses.calls import ResponseApp
from tests.openai_schemas import check, check_event

IMAGE_TOOL = {"type": "image_generation"}
IMAGE = b"\x89PNG image"
RESULT = base64.b64encode(IMAGE).decode()
Call = tuple[str, str]
"""The name and the arguments of a call."""


def painting(prompt: str = "a cat") -> Call:
    """Return a call that has an image made."""
    return "image_generation", json.dumps({"prompt": prompt})


def calls(*made: Call, reason: str = "tool_calls", usage: Usage | None = None, text: str = "") -> Script:
    """Make a turn that writes `text` and these calls, the arguments of each in two pieces."""
    events: list[Event] = [TextDelta(0, text)] if text else []
    for at, (name, arguments) in enumerate(made):
        half = len(arguments) // 2
        events += [ToolCallDelta(0, at, f"call_{at}", name, arguments[:half])]
        events += [ToolCallDelta(0, at, "", "", arguments[half:])]
    return [[Admitted(5, (10,))], events, [ChoiceFinished(0, reason)], [Done(usage or Usage(5, 2))]]


def image(data: bytes = IMAGE, partial: int | None = None) -> GeneratedImage:
    """Return an image."""
    return GeneratedImage(0, 64, 32, data, partial)


def images(*steps: Step) -> Script:
    """Make the answer of an image model: these steps, then the image."""
    return [[Admitted(0)], *steps, [image()], [Done(Usage())]]


class TurnServing(FakeServing):
    """Plays one script for each turn of the text model, the last one again and again, and `painter` for each image."""

    def __init__(self, *turns: Script, painter: Script | None = None) -> None:
        super().__init__(self._next)
        self.turns = list(turns)
        self.painter = images() if painter is None else painter

    def _next(self, request: EngineRequest) -> Script:
        if isinstance(request, ImageRequest):
            return self.painter
        return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]

    @property
    def texts(self) -> list[TextRequest]:
        """The requests of the text model."""
        return [request for _, request in self.requests if isinstance(request, TextRequest)]

    @property
    def images(self) -> list[ImageRequest]:
        """The requests of the image model."""
        return [request for _, request in self.requests if isinstance(request, ImageRequest)]

    @property
    def prompts(self) -> list[ChatPrompt]:
        """The prompts of the text model."""
        prompts = [request.prompts[0] for request in self.texts]
        return [prompt for prompt in prompts if isinstance(prompt, ChatPrompt)]

    @property
    def choices(self) -> list[ToolChoice | None]:
        """What the text model might call in each turn."""
        return [prompt.tools.choice if prompt.tools else None for prompt in self.prompts]


def hosted_app(serving: FakeServing | None = None, **changes: Any) -> ResponseApp:
    """Make an application with a text model and an image model."""
    serving = serving or TurnServing(calls(painting()), answer("Here it is."))
    models = [installed("tiny"), installed("painter", ("images", "image_edits"))]
    registry = FakeRegistry(models, [Alias("gpt-image-1", "painter")])
    return ResponseApp(serving, **{"registry": registry, **changes})


def failing_with(error: HomeportError) -> Script:
    """Make an answer that ends with an error."""
    return [[Admitted(5, (10,))], error]


def events_of(response: AsgiResponse) -> Sequence[dict[str, Any]]:
    """Return the events of a stream, each checked against its schema, and their numbers."""
    assert response.status == 200, response.body
    found = []
    for frame in response.body.decode().removesuffix("\n\n").split("\n\n"):
        head, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert head == f"event: {event['type']}"
        check_event(event)
        found.append(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def output_of(body: Any) -> list[dict[str, Any]]:
    """Return the output of a response, which is checked against its schema."""
    check("Response", body)
    output: list[dict[str, Any]] = body["output"]
    return output
