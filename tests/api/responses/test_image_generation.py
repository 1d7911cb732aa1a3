"""The tool `image_generation`: its fields, its items and events, and what it refuses."""

import base64
import logging
from typing import Any

import msgspec
import pytest

from homeport.domain.events import Admitted, Done, ImageProgress, TokenizeResult, Usage
from homeport.domain.images import ImageFormat, ImageOutput, ImageRequest, ImageSize
from homeport.domain.models import InstalledModel
from homeport.domain.text import ChatPrompt, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.fakes import FakeServing, FakeStream, answer
from tests.api.responses.calls import PATH, ResponseApp
from tests.api.responses.hosted import (
    IMAGE_TOOL,
    RESULT,
    TurnServing,
    calls,
    events_of,
    hosted_app,
    image,
    images,
    output_of,
    painting,
)

PREVIEWS = images([ImageProgress(0, 1, 3)], [image(b"first", 0)], [image(b"second", 1)])
KIND = "response.image_generation_call"


async def called(tool: dict[str, Any], **fields: Any) -> tuple[TurnServing, dict[str, Any]]:
    """Have an image made with these fields of the tool; return what was asked for, and the item."""
    serving = TurnServing(calls(painting()), answer("Here"))
    body = await hosted_app(serving).answer(tools=[{**IMAGE_TOOL, **tool}], **fields)
    return serving, output_of(body)[0]


async def test_fields_are_those_of_the_image_endpoints() -> None:
    """Size, quality, format and compression reach the image model, and the item says them."""
    tool = {"size": "1536x1024", "quality": "low", "output_format": "webp", "output_compression": 50}
    harmless = {"moderation": "low", "background": "auto", "input_fidelity": "low", "action": "auto"}
    serving, item = await called({**tool, **harmless, "model": "gpt-image-1"})
    [request] = serving.images
    assert (request.prompt, request.size, request.n, request.effort) == ("a cat", ImageSize(1536, 1024), 1, 0.5)
    assert request.output == ImageOutput(ImageFormat.WEBP, 50)
    assert item == {
        "type": "image_generation_call",
        "id": item["id"],
        "status": "completed",
        "result": RESULT,
        "revised_prompt": "a cat",
        "action": "generate",
        "size": "64x32",
        "quality": "low",
        "background": "opaque",
        "output_format": "webp",
    }
    assert item["id"].startswith("ig_")


async def test_what_was_drawn_is_in_the_item() -> None:
    """The item's revised prompt is the image model's, if it drew something else than it was asked for."""
    drawn = msgspec.structs.replace(image(), revised_prompt="Emoji drawing: a cat.")
    serving = TurnServing(
        calls(painting("a photo of a cat")), answer("Here"), painter=[[Admitted(0)], [drawn], [Done(Usage())]]
    )
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    assert output_of(body)[0]["revised_prompt"] == "Emoji drawing: a cat."


async def test_a_model_of_the_server_may_be_named() -> None:
    """`model` is an image model's own name too, whose sizes are free."""
    serving, _ = await called({"model": "painter", "size": "320x64"})
    assert serving.images[0].size == ImageSize(320, 64)
    assert [model.facts.name for model, _ in serving.requests] == ["tiny", "painter", "tiny"]


async def test_the_model_is_offered_one_function() -> None:
    """The text model sees a function with the parameter `prompt`; the response returns the tool as it was sent."""
    serving = TurnServing(answer("No"))
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL])
    use = serving.prompts[0].tools
    assert use is not None
    [tool] = use.tools
    assert (tool.name, tool.is_strict) == ("image_generation", True)
    assert '"required":["prompt"]' in (tool.parameters or "")
    assert body["tools"] == [IMAGE_TOOL]


async def test_a_function_of_the_caller_keeps_its_name() -> None:
    """If the caller has a function `image_generation`, the tool's function has another name, and both can be called."""
    function = {"type": "function", "name": "image_generation", "parameters": {"type": "object"}}
    turn = calls(("hosted__image_generation", '{"prompt": "a dog"}'), ("image_generation", "{}"))
    serving = TurnServing(turn)
    body = await hosted_app(serving).answer(tools=[IMAGE_TOOL, function])
    assert [item["type"] for item in output_of(body)] == ["function_call", "image_generation_call"]
    assert [request.prompt for request in serving.images] == ["a dog"]


async def test_previews_are_events() -> None:
    """A stream has the partial images that the tool asks for, in order."""
    serving = TurnServing(calls(painting()), answer("Here"), painter=PREVIEWS)
    tool = {**IMAGE_TOOL, "partial_images": 2, "output_format": "jpeg", "quality": "high"}
    events = events_of(await hosted_app(serving).create(tools=[tool], stream=True))
    assert serving.images[0].partial_images == 2
    made = [event for event in events if event["type"].startswith(KIND)]
    assert [event["type"].removeprefix(f"{KIND}.") for event in made] == [
        *("in_progress", "generating", "partial_image", "partial_image", "completed")
    ]
    previews = [event for event in made if "partial_image_b64" in event]
    assert [base64.b64decode(event["partial_image_b64"]) for event in previews] == [b"first", b"second"]
    assert [event["partial_image_index"] for event in previews] == [0, 1]
    seen = {name: previews[0][name] for name in ("size", "quality", "background", "output_format")}
    assert seen == {"size": "64x32", "quality": "high", "background": "opaque", "output_format": "jpeg"}
    assert {event["item_id"] for event in made} == {events[-1]["response"]["output"][0]["id"]}


async def test_a_whole_answer_has_no_previews() -> None:
    """Without a stream nobody would see partial images, so none are asked for."""
    serving, _ = await called({"partial_images": 2})
    assert serving.images[0].partial_images == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"action": "edit"}, "action"),
        ({"action": "draw"}, "action"),
        ({"input_image_mask": {"file_id": "file_1"}}, "input_image_mask"),
        ({"input_fidelity": "high"}, "input_fidelity"),
        ({"background": "transparent"}, "background"),
        ({"moderation": "none"}, "moderation"),
        ({"size": "1x1"}, "size"),
        ({"size": "huge", "model": "painter"}, "size"),
        ({"quality": "best"}, "quality"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression"),
        ({"output_compression": 50}, "output_compression"),
        ({"partial_images": 4}, "partial_images"),
        ({"partial_images": "4"}, "partial_images"),
        ({"model": "tiny"}, "model"),
        ({"allowed_callers": ["programmatic"]}, "allowed_callers"),
        ({"style": "vivid"}, "style"),
    ],
)
async def test_what_is_not_served_is_refused_by_name(fields: dict[str, Any], field: str) -> None:
    """A value that the image endpoints refuse is a 400 that names the tool's field, before anything runs."""
    app = hosted_app()
    response = await app.create(tools=[{"type": "web_search", "external_web_access": False}, {**IMAGE_TOOL, **fields}])
    assert (response.status, response.error["param"]) == (400, f"tools[1].{field}")
    assert not app.serving.requests


async def test_an_unknown_model_is_not_found() -> None:
    """A `model` that does not exist is the 404 of the image endpoints."""
    response = await hosted_app().create(tools=[{**IMAGE_TOOL, "model": "nobody"}])
    assert (response.status, response.error["param"]) == (404, "tools[0].model")


async def test_without_an_image_model_the_tool_is_refused() -> None:
    """A server that has no image model says so, naming the tool."""
    response = await ResponseApp().create(tools=[IMAGE_TOOL])
    assert (response.status, response.error["param"]) == (400, "tools[0].type")
    assert "need an image model" in response.error["message"]


@pytest.mark.parametrize(
    "arguments", ["", "{}", '{"prompt": 1}', '{"prompt": ""}', '{"prompt": "' + "x" * 40_000 + '"}']
)
async def test_wrong_arguments_fail_the_call(arguments: str) -> None:
    """A call without a valid prompt is an item that failed and says why; the model continues."""
    serving = TurnServing(calls(("image_generation", arguments)), answer("Sorry"))
    call, message = output_of(await hosted_app(serving).answer(tools=[IMAGE_TOOL]))
    assert (call["status"], call["result"], message["type"]) == ("failed", None, "message")
    assert "prompt" in call["error"] or "arguments" in call["error"]
    assert not serving.images


async def test_an_unexpected_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """An error of the server's own fails the call; only the log says what it was."""

    class Broken(TurnServing):
        """Breaks when it is to make an image."""

        async def open(self, model: InstalledModel, request: EngineRequest, **options: Any) -> FakeStream:
            """Break."""
            if isinstance(request, ImageRequest):
                raise RuntimeError("a secret")
            return await super().open(model, request, **options)

    caplog.set_level(logging.ERROR, "homeport.responses")
    body = await hosted_app(Broken(calls(painting()), answer("Sorry"))).answer(tools=[IMAGE_TOOL])
    call = output_of(body)[0]
    assert (call["status"], "secret" in str(body)) == ("failed", False)
    assert "a secret" in caplog.text


async def test_a_model_without_an_image_fails_the_call() -> None:
    """An image model that ends without an image is an error of the call."""
    serving = TurnServing(calls(painting()), answer("Sorry"), painter=answer("nothing"))
    call, _ = output_of(await hosted_app(serving).answer(tools=[IMAGE_TOOL]))
    assert (call["status"], call["error"]) == ("failed", "The image model returned no image.")


async def test_tokens_of_the_tool_are_counted() -> None:
    """Counting a prompt counts the tool's function and makes no image; a tool that is refused is refused here too."""
    serving = FakeServing(lambda _: [[Admitted(0)], [TokenizeResult((1, 2, 3))], [Done(Usage())]])
    app = hosted_app(serving)
    body = {"model": "tiny", "input": "Hi", "tools": [IMAGE_TOOL]}
    assert (await app.send("POST", f"{PATH}/input_tokens", body)).json["input_tokens"] == 3
    [(_, request)] = serving.requests
    assert isinstance(request, TokenRequest)
    [prompt] = request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert prompt.tools is not None
    refused = await app.send("POST", f"{PATH}/input_tokens", {**body, "tools": [{**IMAGE_TOOL, "size": "1x1"}]})
    assert (refused.status, refused.error["param"]) == (400, "tools[0].size")


async def test_the_tool_may_be_an_item_of_the_input() -> None:
    """A tool in `additional_tools` is served as one of the body; declared in both, it is offered once."""
    item = {"type": "additional_tools", "role": "developer", "tools": [IMAGE_TOOL]}
    for tools in ([], [IMAGE_TOOL]):
        serving = TurnServing(calls(painting()), answer("Here"))
        body = await hosted_app(serving).answer(input=[item, {"role": "user", "content": "Draw"}], tools=tools)
        assert output_of(body)[0]["result"] == RESULT
        use = serving.prompts[0].tools
        assert use is not None
        assert [tool.name for tool in use.tools] == ["image_generation"]


async def test_a_tool_declared_twice_is_refused() -> None:
    """Two tools of this type in `tools` are a 400."""
    response = await hosted_app().create(tools=[IMAGE_TOOL, IMAGE_TOOL])
    assert (response.status, response.error["param"]) == (400, "tools[1].name")
