"""Responses whose text model has images made, with the current official client over real HTTP, on real models."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from PIL import Image

from tests.openai_schemas import check, check_event
from tests.system.server import ServerProcess

DRAWING: dict[str, Any] = {
    "model": "smollm2-135m",
    "input": "Draw a red balloon.",
    "tools": [{"type": "image_generation", "partial_images": 1}],
    "tool_choice": {"type": "image_generation"},
    "max_tool_calls": 1,
    "max_output_tokens": 400,
    "temperature": 0,
}
EVENT = "response.image_generation_call"


@pytest.fixture
def client(drawing_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The official client; it does not retry."""
    with openai.OpenAI(base_url=drawing_server.base, api_key="sk-test", max_retries=0, timeout=60) as made:
        yield made


def check_image(item: Any) -> None:
    """Fail if an item has no image of the tiny model."""
    assert (item["type"], item["status"]) == ("image_generation_call", "completed"), item
    assert Image.open(io.BytesIO(base64.b64decode(item["result"]))).size == (64, 64)
    assert item["revised_prompt"]


def test_an_image_is_made_in_a_response(client: openai.OpenAI) -> None:
    """The text model calls the tool, the image model makes the image, and the text model continues twice."""
    response = client.responses.create(**DRAWING)
    body = response.to_dict(mode="json")
    check("Response", body)
    image, *rest = body["output"]
    check_image(image)
    assert [item["type"] for item in rest] == ["message"]
    assert body["usage"]["output_tokens"] > 0
    for again in (
        {"previous_response_id": response.id},
        {"input": [*body["output"], {"role": "user", "content": "Hi"}]},
    ):
        changed = {**DRAWING, "input": "Thank you.", "tool_choice": "none", "max_output_tokens": 16, **again}
        assert client.responses.create(**changed).output[0].type == "message"


def test_a_background_stream_shows_how_an_image_is_made(client: openai.OpenAI) -> None:
    """Every event is as published, with previews; the stream can be resumed at any event, and its items are stored."""
    response = client.responses.create(**DRAWING, background=True)
    stream: Any = client.responses.retrieve(response.id, stream=True)
    events: list[dict[str, Any]] = [event.to_dict(mode="json") for event in stream]
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    made = [event["type"].removeprefix(f"{EVENT}.") for event in events if event["type"].startswith(EVENT)]
    assert made == ["in_progress", "generating", "partial_image", "completed"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == done
    check_image(done[0])
    later = client.responses.retrieve(response.id, stream=True, starting_after=4)
    assert [event.to_dict(mode="json") for event in later] == events[5:]
    assert client.responses.retrieve(response.id).to_dict(mode="json")["output"] == done
