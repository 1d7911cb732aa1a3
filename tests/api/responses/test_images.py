"""Images in responses: what reaches the worker, what is stored and returned, and every way of continuing."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.content import ImagePart, TextPart, ToolResultPart
from homeport.domain.events import Admitted, Done, TokenizeResult, Usage
from homeport.domain.text import ChatPrompt, TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.fakes import FakeServing, Script, answer
from tests.api.form_bodies import is_empty
from tests.api.image_inputs.vision_app import (
    BLIND,
    BLUE,
    RED,
    SEEING,
    SeeingServing,
    data_url,
    huge_png,
    images,
    png,
    uploaded,
    vision_services,
)
from tests.api.responses.calls import PATH, ResponseApp
from tests.openai_schemas import check

WHOLE = "include=message.input_image.image_url"


class VisionApp(ResponseApp):
    """An application whose model sees. Its images are in `spool`."""

    def __init__(self, spool: Path, serving: FakeServing | None = None, **changes: Any) -> None:
        self.eye = SeeingServing()
        super().__init__(serving or self.eye, **{**vision_services(spool), **changes})

    async def answer(self, **fields: Any) -> dict[str, Any]:
        """Create a response of the model that sees, which must succeed."""
        return await super().answer(**{"model": SEEING, **fields})


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def shown(url: str | None = RED, **fields: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **fields}


def user(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts), **fields}


@pytest.mark.parametrize("role", ["user", "system", "developer"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_texts_and_images_keep_their_order(tmp_path: Path, role: str, is_streamed: bool) -> None:
    """The worker sees texts and images in the caller's order, and no file is left when the answer is sent."""
    app = VisionApp(tmp_path)
    parts = [text("a"), shown(detail="original"), shown(BLUE, detail=None), text("b"), text("c")]
    response = await app.create(model=SEEING, input=[{"role": role, "content": parts}], stream=is_streamed)
    assert response.status == 200, response.body
    (message,) = app.last_prompt.messages
    first, red, blue, end = message.parts
    assert (first, end, message.role) == (TextPart("a"), TextPart("bc"), role)
    assert isinstance(red, ImagePart)
    assert isinstance(blue, ImagePart)
    assert (red.detail, blue.detail) == ("original", "auto")
    assert blue.param == "input[0].content[2].image_url"
    assert app.eye.seen == [[png("red"), png("blue")]]
    assert is_empty(tmp_path)


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call"])
async def test_outputs_of_tools_have_images(tmp_path: Path, kind: str) -> None:
    """The images of a call's output follow its text in the same message."""
    app = VisionApp(tmp_path)
    given = {"arguments": "{}"} if kind == "function_call" else {"input": "x"}
    call = {"type": kind, "call_id": "c", "name": "look", **given}
    output = {"type": f"{kind}_output", "call_id": "c", "output": [text("Here"), shown(), text("it is")]}
    body = await app.answer(input=[user(text("Look")), call, output])
    result, image = app.last_prompt.messages[-1].parts
    assert result == ToolResultPart("c", "Hereit is")
    assert isinstance(image, ImagePart)
    assert image.param == "input[2].output[1].image_url"
    listed = (await app.send("GET", f"{PATH}/{body['id']}/input_items")).json["data"]
    assert listed[0]["output"][1] == {"type": "input_image", "image_url": RED, "detail": "auto"}


async def test_uploaded_images_are_read(tmp_path: Path) -> None:
    """An image may be the id of an uploaded file, and stays one in what is returned."""
    files, file_id = uploaded(tmp_path / "files", png("blue"))
    app = VisionApp(tmp_path / "spool", files=files)
    body = await app.answer(input=[user({"type": "input_image", "file_id": file_id})])
    assert app.eye.seen == [[png("blue")]]
    listed = (await app.send("GET", f"{PATH}/{body['id']}/input_items")).json["data"]
    assert listed[0]["content"] == [{"type": "input_image", "file_id": file_id, "detail": "auto"}]


async def test_urls_of_images_are_listed_if_they_are_asked_for(tmp_path: Path) -> None:
    """Lists of items have the URLs of a message's images only with `include`, and describe them by OpenAI's schema."""
    app = VisionApp(tmp_path)
    conversation = (await app.send("POST", "/v1/conversations", {"items": [user(shown())]})).json["id"]
    body = await app.answer(input=[user(text("x"), shown())])
    for path, at in ((f"{PATH}/{body['id']}/input_items", 1), (f"/v1/conversations/{conversation}/items", 0)):
        (item,) = (await app.send("GET", path)).json["data"]
        assert item["content"][at] == {"type": "input_image", "image_url": None, "detail": "auto"}
        check("ItemResource" if "responses" in path else "ConversationItem", item)
        (item,) = (await app.send("GET", f"{path}?{WHOLE}")).json["data"]
        assert item["content"][at] == {"type": "input_image", "image_url": RED, "detail": "auto"}
    (item,) = (await app.send("GET", f"/v1/conversations/{conversation}/items")).json["data"]
    single = f"/v1/conversations/{conversation}/items/{item['id']}"
    assert (await app.send("GET", single)).json["content"][0]["image_url"] is None
    assert (await app.send("GET", f"{single}?{WHOLE}")).json["content"][0]["image_url"] == RED


async def test_a_listed_item_is_accepted_back_without_its_image(tmp_path: Path) -> None:
    """A message that was listed without its images has them again as input: the stored item with its id has them."""
    app = VisionApp(tmp_path)
    body = await app.answer(input=[user(text("x"), shown(), shown(BLUE))])
    (item,) = (await app.send("GET", f"{PATH}/{body['id']}/input_items")).json["data"]
    await app.answer(input=[item, user(text("Well?"))], store=False)
    assert app.eye.seen[-1] == [png("red"), png("blue")]
    lost = await app.create(model=SEEING, input=[{**item, "id": "msg_unknown"}])
    assert (lost.status, lost.error["param"]) == (400, "input[0].content[1].image_url")


@pytest.mark.parametrize("way", ["previous", "conversation", "items", "reference"])
async def test_every_way_of_continuing_shows_the_images_again(tmp_path: Path, way: str) -> None:
    """A later response sees the images of earlier ones, by whatever way it continues them."""
    app = VisionApp(tmp_path)
    conversation = app.conversations.create("local", {}, ()).id if way == "conversation" else None
    first = await app.answer(input=[user(text("x"), shown())], conversation=conversation)
    again: list[Any] = [user(text("And?"), shown(BLUE))]
    fields: dict[str, Any] = {"conversation": conversation}
    if way == "previous":
        fields = {"previous_response_id": first["id"]}
    elif way != "conversation":
        (item,) = (await app.send("GET", f"{PATH}/{first['id']}/input_items?{WHOLE}")).json["data"]
        known = item if way == "items" else {"type": "item_reference", "id": item["id"]}
        again = [known, *first["output"], *again]
    await app.answer(input=again, **fields)
    assert app.eye.seen[-1] == [png("red"), png("blue")]
    assert is_empty(tmp_path)


async def test_a_text_model_names_one_that_sees(tmp_path: Path) -> None:
    """A text model refuses an image before it is looked at, by the part, and so does counting its tokens."""
    app = VisionApp(tmp_path)
    body = {"model": BLIND, "input": [user(text("x"), shown("data:image/png;base64,####"))]}
    for path in (PATH, f"{PATH}/input_tokens", f"{PATH}/compact"):
        response = await app.send("POST", path, body)
        assert (response.status, response.error["code"]) == (400, "unsupported_content_type")
        assert response.error["param"] == "input[0].content[1]"
        assert f"`{SEEING}`" in response.error["message"]


async def test_earlier_images_need_a_model_that_sees(tmp_path: Path) -> None:
    """A text model cannot continue a response with an image: the 400 names `input`, and a model that sees."""
    app = VisionApp(tmp_path)
    first = await app.answer(input=[user(shown())])
    response = await app.create(model=BLIND, previous_response_id=first["id"])
    assert (response.status, response.error["code"]) == (400, "unsupported_content_type")
    assert response.error["param"] == "input"
    assert f"`{SEEING}`" in response.error["message"]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (shown(data_url(b"<svg/>", "image/svg+xml")), ".image_url", "invalid_image_format"),
    (shown(data_url(png()[:20])), ".image_url", "invalid_image"),
    (shown(data_url(huge_png())), ".image_url", "image_too_large"),
    (shown("http://10.0.0.1/a.png"), ".image_url", "remote_image_refused"),
    (shown("nonsense"), ".image_url", "invalid_image_url"),
    ({"type": "input_image", "file_id": "file-1"}, ".file_id", "unsupported_parameter"),
    (shown(None), ".image_url", "missing_required_parameter"),
]


@pytest.mark.parametrize(("part", "param", "code"), WRONG, ids=[code for _, _, code in WRONG])
@pytest.mark.parametrize("where", ["message", "output", "background"])
async def test_what_is_no_image_is_refused_by_name(
    tmp_path: Path, part: dict[str, Any], param: str, code: str, where: str
) -> None:
    """An image that cannot be used is a 400 naming its field, in messages, outputs and background responses."""
    app = VisionApp(tmp_path)
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": [part]}
    items = [call, output] if where == "output" else [user(text("x")), user(part)]
    response = await app.create(model=SEEING, input=items, background=where == "background")
    assert (response.status, response.error["code"]) == (400, code), response.body
    assert response.error["param"] == f"input[1].{'output' if where == 'output' else 'content'}[0]{param}"
    assert not app.serving.requests
    assert not app.responses.responses
    assert is_empty(tmp_path)


@pytest.mark.parametrize(("part", "param", "code"), WRONG[:5], ids=[code for _, _, code in WRONG[:5]])
async def test_a_conversation_takes_only_images_that_can_be_used(
    tmp_path: Path, part: dict[str, Any], param: str, code: str
) -> None:
    """What a response would refuse is not added to a conversation."""
    app = VisionApp(tmp_path)
    response = await app.send("POST", "/v1/conversations", {"items": [user(text("x")), user(part)]})
    assert (response.status, response.error["code"]) == (400, code)
    assert response.error["param"] == f"items[1].content[0]{param}"
    left_out = {**user({"type": "input_image"}), "id": "msg_1"}
    assert (await app.send("POST", "/v1/conversations", {"items": [left_out]})).status == 400
    assert not app.conversations.conversations
    assert is_empty(tmp_path)


async def test_too_many_images_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """A hundred images are a 400, also if they are spread over a chain of responses."""
    app = VisionApp(tmp_path)
    response = await app.create(model=SEEING, input=[user(*[shown("data:image/png;base64,####")] * 100)])
    assert (response.status, response.error["param"]) == (400, "input")
    first = await app.answer(input=[user(*[shown()] * 60)])
    response = await app.create(model=SEEING, input=[user(*[shown()] * 5)], previous_response_id=first["id"])
    assert (response.status, response.error["code"]) == (400, "array_above_max_length")


async def test_the_tokens_of_images_are_counted(tmp_path: Path) -> None:
    """The request that counts tokens has the images."""
    app = VisionApp(tmp_path, FakeServing(_counted))
    response = await app.send("POST", f"{PATH}/input_tokens", {"model": SEEING, "input": [user(text("x"), shown())]})
    assert response.json["input_tokens"] == 2000
    ((_, request),) = app.serving.requests
    assert isinstance(request, TokenRequest)
    assert is_empty(tmp_path)


async def test_a_compacted_context_keeps_the_image_of_the_last_question(tmp_path: Path) -> None:
    """The user's last message is kept with its images, by every way of continuing; earlier ones are summarized."""
    for way in ("previous", "rest"):
        app = VisionApp(tmp_path, FakeServing(_counted))
        talk = [user(shown(BLUE)), {"role": "assistant", "content": "Blue."}, user(text("And"), shown(detail="low"))]
        managed = [{"type": "compaction", "compact_threshold": 1000}]
        first = await app.answer(input=talk, context_management=managed)
        assert [image.detail for image in images(app.last_prompt)] == ["low"]
        later: dict[str, Any] = {"previous_response_id": first["id"], "input": "Well?"}
        if way == "rest":
            later = {"input": [*first["output"], user(text("Well?"))]}
        await app.answer(**later)
        assert [image.detail for image in images(app.last_prompt)] == ["low"]


async def test_images_before_a_compaction_are_not_read_again(tmp_path: Path) -> None:
    """What a compaction replaces is no part of the prompt: its images are not counted, and need no model that sees."""
    app = VisionApp(tmp_path, FakeServing(_counted))
    managed = [{"type": "compaction", "compact_threshold": 1000}]
    talk = [user(*[shown()] * 60), {"role": "assistant", "content": "Red."}, user(text("And now?"))]
    first = await app.answer(input=talk, context_management=managed)
    assert not images(app.last_prompt)
    await app.answer(previous_response_id=first["id"], input=[user(*[shown(BLUE)] * 10)])
    assert len(images(app.last_prompt)) == 10
    assert (await app.create(model=BLIND, previous_response_id=first["id"])).status == 200


async def test_images_too_large_for_a_compaction_are_refused(tmp_path: Path) -> None:
    """A last message that does not fit into a compaction is a 400 before a summary is computed."""
    app = VisionApp(tmp_path, FakeServing(_counted))
    large = data_url(png() + bytes(7_000_000))
    managed = [{"type": "compaction", "compact_threshold": 1000}]
    talk = [user(text("x")), {"role": "assistant", "content": "y"}, user(shown(large))]
    response = await app.create(model=SEEING, input=talk, context_management=managed)
    assert (response.status, response.error["param"]) == (400, "context_management")
    assert all(isinstance(request, TokenRequest) for _, request in app.serving.requests)


async def test_a_conversation_that_is_compacted_returns_its_images(tmp_path: Path) -> None:
    """`/v1/responses/compact` returns the user's messages with their images, as the next input."""
    app = VisionApp(tmp_path)
    talk = [user(shown()), {"role": "assistant", "content": "Red."}, user(text("And now?"))]
    compacted = (await app.send("POST", f"{PATH}/compact", {"model": SEEING, "input": talk})).json
    assert compacted["output"][0]["content"] == [{"type": "input_image", "image_url": RED, "detail": "auto"}]
    assert app.eye.seen == [[png("red")]]
    await app.answer(input=compacted["output"])
    assert app.eye.seen[-1] == [png("red")]


async def test_a_background_response_is_stored_with_its_images(tmp_path: Path) -> None:
    """A background response keeps its images in its request, and no file while it waits."""
    app = VisionApp(tmp_path)
    body = await app.answer(input=[user(shown())], background=True)
    stored = app.responses.responses[body["id"]]
    assert json.loads(stored.request or "")["input"][0]["content"][0]["image_url"] == RED
    assert is_empty(tmp_path)


def _counted(request: EngineRequest) -> Script:
    """Count any prompt as 2000 tokens, and answer two words; the files of its images exist."""
    assert isinstance(request, TextRequest | TokenRequest)
    for prompt in request.prompts:
        assert isinstance(prompt, ChatPrompt)
        assert all(image.image.local_path.read_bytes() for image in images(prompt))
    if isinstance(request, TokenRequest):
        return [[Admitted(0)], [TokenizeResult(ids=tuple(range(2000)))], [Done(Usage())]]
    return answer("They met")
