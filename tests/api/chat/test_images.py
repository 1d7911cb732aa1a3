"""Images in chats: what reaches the worker, in which order, and refusals before any work."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.image_inputs.collection import MAX_IMAGES
from homeport.api.in_process_dispatcher import InProcessDispatcher
from homeport.domain.content import ImagePart, TextPart, ToolResultPart
from tests.api.asgi import AsgiResponse, call
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
    post,
    shown,
    uploaded,
    user,
    vision_app,
)
from tests.api.responses.fakes import FakeCompletionRepository

PATH = "/v1/chat/completions"


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


async def chat(
    spool: Path, messages: list[dict[str, Any]], serving: SeeingServing | None = None, **changes: Any
) -> AsgiResponse:
    """Send messages to the model that sees."""
    app_changes = changes.pop("app", {})
    app = vision_app(serving or SeeingServing(), spool, **app_changes)
    return await post(app, PATH, {"model": SEEING, "messages": messages, **changes})


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_texts_and_images_keep_their_order(tmp_path: Path, is_streamed: bool) -> None:
    """The worker sees texts and images in the caller's order, adjacent texts as one, and how closely to look."""
    serving = SeeingServing()
    parts = [shown(RED), text("is "), text("this"), shown(BLUE, detail="low"), shown(RED, detail="high"), text("?")]
    response = await chat(tmp_path, user(*parts), serving, stream=is_streamed, n=2)
    assert response.status == 200, response.body
    (prompt,) = serving.prompts
    (message,) = prompt.messages
    first, words, second, third, end = message.parts
    assert isinstance(first, ImagePart)
    assert isinstance(second, ImagePart)
    assert isinstance(third, ImagePart)
    assert (words, end) == (TextPart("is this"), TextPart("?"))
    assert [first.detail, second.detail, third.detail] == ["auto", "low", "high"]
    assert serving.seen == [[png("red"), png("blue"), png("red")]]
    assert first.image == third.image != second.image
    assert second.param == "messages[0].content[3].image_url.url"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_the_files_are_private_and_deleted(tmp_path: Path, is_streamed: bool) -> None:
    """The files of a request's images are deleted when its answer is sent, and nothing is left in the folder."""
    serving = SeeingServing()
    await chat(tmp_path, user(shown(RED)), serving, stream=is_streamed)
    assert serving.files
    assert is_empty(tmp_path)


async def test_a_result_of_a_tool_has_images(tmp_path: Path) -> None:
    """The images of a tool's result follow its text in the same message."""
    serving = SeeingServing()
    call_of = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        *user(text("Look.")),
        {"role": "assistant", "content": None, "tool_calls": [call_of]},
        {"role": "tool", "tool_call_id": "1", "content": [text("Here"), shown(RED), text(" it is.")]},
    ]
    assert (await chat(tmp_path, messages, serving)).status == 200
    (prompt,) = serving.prompts
    result, image = prompt.messages[-1].parts
    assert result == ToolResultPart("1", "Here it is.")
    assert isinstance(image, ImagePart)
    assert serving.seen == [[png("red")]]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_the_content_decides_the_format(tmp_path: Path, format: str) -> None:
    """Every served format is accepted, whatever type the URL declares."""
    serving = SeeingServing()
    image = png(format=format)
    assert (await chat(tmp_path, user(shown(data_url(image, "image/x"))), serving)).status == 200
    assert serving.seen == [[image]]


@pytest.mark.parametrize(
    "file",
    [
        {"file_data": base64.b64encode(png()).decode(), "filename": "a.png"},
        {"file_data": RED, "filename": "a.png"},
        {"file_id": "file-1"},
    ],
    ids=["base64", "data-url", "id"],
)
async def test_files_that_are_images_are_images(tmp_path: Path, file: dict[str, Any]) -> None:
    """A part of type `file` may hold an image, or name an uploaded one."""
    serving = SeeingServing()
    files, file_id = uploaded(tmp_path / "files", png())
    if "file_id" in file:
        file = {"file_id": file_id}
    messages = user({"type": "file", "file": file})
    response = await chat(tmp_path, messages, serving, app={"files": files})
    assert response.status == 200, response.body
    assert serving.seen == [[png()]]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"hello", 400, "invalid_image_format"), (huge_png(), 400, "image_too_large"), (None, 404, "file_not_found")],
)
async def test_an_uploaded_file_must_be_an_image(tmp_path: Path, content: bytes | None, status: int, code: str) -> None:
    """A file that is no image, is too large, or does not exist is refused by name."""
    files, file_id = uploaded(tmp_path / "files", content or b"x")
    part = {"type": "file", "file": {"file_id": file_id if content else "file-unknown"}}
    response = await chat(tmp_path / "spool", user(part), app={"files": files})
    assert (response.status, response.error["code"]) == (status, code), response.body
    assert response.error["param"] == "messages[0].content[0].file.file_id"


WRONG: list[tuple[dict[str, Any], str, str | None]] = [
    (shown(data_url(b"<svg/>", "image/svg+xml")), ".image_url.url", "invalid_image_format"),
    (shown(data_url(b"hello", "text/plain")), ".image_url.url", "invalid_image_url"),
    (shown("data:image/png;base64,###"), ".image_url.url", "invalid_base64"),
    (shown("data:image/png;base64,"), ".image_url.url", "invalid_image"),
    (shown("data:image/png,abc"), ".image_url.url", "invalid_image_url"),
    (shown("a.png"), ".image_url.url", "invalid_image_url"),
    (shown(data_url(png()[:20])), ".image_url.url", "invalid_image"),
    (shown(data_url(huge_png())), ".image_url.url", "image_too_large"),
    (shown("https://example.com/a.png"), ".image_url.url", "remote_image_refused"),
    (shown("http://127.0.0.1/a.png"), ".image_url.url", "remote_image_refused"),
    (shown("http://169.254.169.254/latest"), ".image_url.url", "remote_image_refused"),
    (shown("file:///etc/passwd"), ".image_url.url", "invalid_image_url"),
    (shown(RED, detail="huge"), ".image_url.detail", "invalid_value"),
    ({"type": "image_url"}, ".image_url", "missing_required_parameter"),
    ({"type": "file", "file": {"file_id": "file-1"}}, ".file.file_id", "unsupported_parameter"),
    ({"type": "file", "file": {"file_id": "f", "file_data": RED}}, ".file.file_id", None),
    ({"type": "file", "file": {"file_data": base64.b64encode(b"%PDF-1.7").decode()}}, "", "unsupported_content_type"),
    ({"type": "file", "file": {"file_data": "?"}}, "", "unsupported_content_type"),
]


@pytest.mark.parametrize(
    ("part", "param", "code"), WRONG, ids=[f"{code}-{at}" for at, (_, _, code) in enumerate(WRONG)]
)
async def test_what_is_no_image_is_refused_by_name(
    tmp_path: Path, part: dict[str, Any], param: str, code: str | None
) -> None:
    """An image that cannot be used is a 400 naming its field; no request reaches a worker and no file remains."""
    serving = SeeingServing()
    response = await chat(tmp_path, user(text("x"), part), serving)
    assert (response.status, response.error["code"]) == (400, code), response.body
    assert response.error["param"] == f"messages[0].content[1]{param}"
    assert len(response.error["message"]) < 600
    assert not serving.requests
    assert is_empty(tmp_path)


async def test_too_many_images_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """A hundred images are a 400 even if none of them can be decoded; the maximum is served."""
    response = await chat(tmp_path, user(*[shown("data:image/png;base64,####")] * 100))
    assert (response.status, response.error["param"]) == (400, "messages")
    assert response.error["code"] == "array_above_max_length"
    serving = SeeingServing()
    assert (await chat(tmp_path, user(*[shown(RED)] * MAX_IMAGES), serving)).status == 200
    assert len(images(serving.prompts[0])) == MAX_IMAGES


@pytest.mark.parametrize("name", [BLIND, "gpt-3.5-turbo"])
@pytest.mark.parametrize("url", [RED, "data:image/png;base64,####"], ids=["image", "nonsense"])
async def test_a_model_that_reads_only_text_names_one_that_sees(tmp_path: Path, name: str, url: str) -> None:
    """The 400 of a model without vision names an installed model that sees, before the image is looked at."""
    response = await chat(tmp_path, user(text("x"), shown(url)), model=name)
    assert (response.status, response.error["code"]) == (400, "unsupported_content_type")
    assert response.error["param"] == "messages[0].content[1]"
    assert f"`{BLIND}`" in response.error["message"]
    assert f"`{SEEING}`" in response.error["message"]


async def test_without_any_model_that_sees_the_error_says_what_to_pull(tmp_path: Path) -> None:
    """If no installed model sees images, the 400 names one to install."""
    response = await chat(tmp_path, user(shown(RED)), model=BLIND, app={"has_eye": False})
    assert (response.status, response.error["code"]) == (400, "unsupported_content_type")
    assert "homeport pull " in response.error["message"]


async def test_an_alias_of_a_model_that_sees_takes_images(tmp_path: Path) -> None:
    """An alias sees if its model does."""
    assert (await chat(tmp_path, user(shown(RED)), model="gpt-4o")).status == 200


async def test_azures_paths_take_images(tmp_path: Path) -> None:
    """A deployment in the path answers images as its model does."""
    serving = SeeingServing()
    app = vision_app(serving, tmp_path)
    path = f"/openai/deployments/{SEEING}/chat/completions?api-version=2024-10-21"
    assert (await post(app, path, {"messages": user(shown(RED))})).status == 200
    assert serving.seen == [[png("red")]]


@pytest.mark.parametrize("part", [shown(RED), shown(data_url(huge_png()))], ids=["image", "huge"])
async def test_a_line_of_a_batch_may_have_images(tmp_path: Path, part: dict[str, Any]) -> None:
    """What a batch sends through the server is answered or refused as a caller's request is, and leaves no file."""
    serving = SeeingServing()
    send = InProcessDispatcher(vision_app(serving, tmp_path), lambda: "here:1")
    body = {"model": SEEING, "messages": user(text("x"), part)}
    response = await send("team", "", PATH, msgspec.json.encode(body))
    is_served = part == shown(RED)
    assert (response.status, serving.seen) == ((200, [[png("red")]]) if is_served else (400, []))
    assert is_empty(tmp_path)


async def test_images_have_no_token_ids(tmp_path: Path) -> None:
    """The tokenizer's endpoint refuses images by name: there are no ids to return."""
    app = vision_app(SeeingServing(), tmp_path)
    response = await post(app, "/tokenize", {"model": SEEING, "messages": user(text("x"), shown(RED))})
    assert (response.status, response.error["code"]) == (400, "unsupported_content_type")
    assert response.error["param"] == "messages[0].content[1]"


async def test_a_stored_chat_returns_its_images_and_takes_them_back(tmp_path: Path) -> None:
    """The messages of a stored chat hold the images that were sent, and are accepted back with them."""
    serving = SeeingServing()
    app = vision_app(serving, tmp_path, completions=FakeCompletionRepository())
    sent = [text("What is "), shown(RED, detail="low"), text("this?")]
    stored = await post(app, PATH, {"model": SEEING, "messages": user(*sent), "store": True})
    listed = (await call(app, "GET", f"{PATH}/{stored.json['id']}/messages")).json["data"]
    assert (listed[0]["content"], listed[0]["content_parts"]) == ("What is this?", sent)
    again = await post(app, PATH, {"model": SEEING, "messages": listed})
    assert again.status == 200, again.body
    assert serving.seen == [[png("red")], [png("red")]]
    edited = [{**listed[0], "content": "Hello"}]
    assert (await post(app, PATH, {"model": SEEING, "messages": edited})).status == 200
    assert serving.seen[-1] == []
