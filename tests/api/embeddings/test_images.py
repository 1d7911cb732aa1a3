"""Images among the inputs: every form in which they are sent, in order, with limits before any work."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.image_inputs.collection import ImageInputs
from homeport.domain.content import ImagePart
from homeport.domain.text import TextPrompt, TokenPrompt
from tests.api.asgi import call
from tests.api.embeddings.calls import CLIP, MODEL, application, each_input, post
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, services
from tests.api.image_inputs.vision_app import data_url, huge_png, png

PNG = png()
ENCODED = base64.b64encode(PNG).decode()
URL = data_url(PNG)
IMAGE = {"type": "image_url", "image_url": {"url": URL}}


class Recorder:
    """A worker that reads the files of a request, as a real one would, and answers each input."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.params: list[str] = []
        self.files: list[Path] = []
        self.serving = FakeServing(self._answer)

    def _answer(self, request: Any) -> Script:
        for each in request.inputs:
            if isinstance(each, ImagePart):
                self.files.append(each.image.local_path)
                self.params.append(each.param)
                assert each.image.local_path.stat().st_mode & 0o077 == 0
                self.inputs.append(each.image.local_path.read_bytes())
            else:
                self.inputs.append(each)
        return each_input(request)


async def seen(**changes: Any) -> Recorder:
    """Return what the worker reads of a body."""
    recorder = Recorder()
    response = await post(recorder.serving, model=CLIP, **changes)
    assert response.status == 200, response.body
    assert [each["index"] for each in json.loads(response.body)["data"]] == list(range(len(recorder.inputs)))
    return recorder


async def test_mixed_inputs_reach_the_worker_in_order() -> None:
    """Strings, token ids, text parts and image parts may be mixed; each has its place."""
    mixed = ["a dog", IMAGE, {"type": "text", "text": "a cat"}, [1, 2], {"image": ENCODED}, {"text": "a"}]
    recorder = await seen(input=mixed)
    texts = [TextPrompt("a dog"), TextPrompt("a cat"), TextPrompt("a")]
    assert recorder.inputs == [texts[0], PNG, texts[1], TokenPrompt((1, 2)), PNG, texts[2]]
    assert recorder.params == ["input[1].image_url.url", "input[4].image"]


async def test_images_are_deleted_after_the_answer() -> None:
    """The files of a request exist only while it is computed."""
    other = {"image": data_url(png("blue"))}
    recorder = await seen(input=[IMAGE, other, IMAGE])
    assert recorder.inputs == [PNG, png("blue"), PNG]
    assert len(set(recorder.files)) == 2
    assert not any(file.exists() or file.parent.exists() for file in recorder.files)


@pytest.mark.parametrize(
    "item",
    [
        IMAGE,
        {"type": "image_url", "image_url": {"url": URL, "detail": "auto"}},
        {"type": "image_url", "image_url": URL},
        {"image": URL},
        {"image": ENCODED},
    ],
)
async def test_every_form_of_an_image_is_the_same_image(item: dict[str, Any]) -> None:
    """OpenAI's part and Jina's item, with a data: URL or base64, alone in the array or in a message."""
    assert (await seen(input=[item])).inputs == [PNG]
    if "type" in item:
        assert (await seen(input=..., messages=[{"role": "user", "content": [item]}])).inputs == [PNG]


@pytest.mark.parametrize("content", ["a dog", [{"type": "text", "text": "a dog"}]])
async def test_a_message_is_one_text(content: Any) -> None:
    """vLLM's form gives one vector, also by a model that embeds only text."""
    recorder = Recorder()
    response = await post(recorder.serving, input=..., messages=[{"role": "user", "content": content}])
    assert response.status == 200, response.body
    assert recorder.inputs == [TextPrompt("a dog")]


def image(url: str) -> dict[str, Any]:
    return {"input": ["a", {"type": "image_url", "image_url": {"url": url}}]}


def messages(*contents: Any, role: str = "user") -> dict[str, Any]:
    return {"input": ..., "messages": [{"role": role, "content": content} for content in contents]}


AT = "input[1].image_url.url"


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        (image("https://example.com/a.png"), AT, "remote_image_refused"),
        (image("http://127.0.0.1/a.png"), AT, "remote_image_refused"),
        (image("file:///etc/passwd"), AT, "invalid_image_url"),
        (image("data:text/plain;base64,YQ=="), AT, "invalid_image_url"),
        (image("data:image/png;base64,%"), AT, "invalid_base64"),
        (image("data:image/png;base64,"), AT, "invalid_image"),
        (image(data_url(b"text")), AT, "invalid_image_format"),
        (image(data_url(huge_png())), AT, "image_too_large"),
        (image(data_url(PNG[:20])), AT, "invalid_image"),
        ({"input": [{"image": "https://example.com/a.png"}]}, "input[0].image", "remote_image_refused"),
        ({"input": [{"image": "not base64"}]}, "input[0].image", "invalid_base64"),
        ({"input": [{"image": ""}]}, "input[0].image", "invalid_image_url"),
        ({"input": [IMAGE, 1]}, "input[1]", "invalid_type"),
        ({"input": [IMAGE, ""]}, "input[1]", "empty_string"),
        ({"input": [IMAGE, [-1]]}, "input[1][0]", "integer_below_min_value"),
        ({"input": [{"text": ""}]}, "input[0].text", "empty_string"),
        ({"input": [{}]}, "input[0].text", "missing_required_parameter"),
        ({"input": [{"type": "text"}]}, "input[0].text", "missing_required_parameter"),
        ({"input": [{"type": "image_url"}]}, "input[0].image_url", "missing_required_parameter"),
        ({"input": [{"image_url": URL}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [{"type": "input_audio", "text": "a"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"text": "a", "image": ENCODED}]}, "input[0].image", None),
        ({"input": [{**IMAGE, "text": "a"}]}, "input[0].text", None),
        ({"input": [{"pdf": "a"}]}, "input[0].pdf", "unknown_parameter"),
        (
            {"input": [{"type": "image_url", "image_url": {"url": URL, "detail": "high"}}]},
            "input[0].image_url.detail",
            "invalid_value",
        ),
        ({"input": [IMAGE] * 65}, "input", "array_above_max_length"),
        ({"input": [*["a"] * 2048, IMAGE]}, "input", "array_above_max_length"),
        (messages("a") | {"input": "a"}, "messages", None),
        (messages(), "messages", "empty_array"),
        (messages("a", "b"), "messages", "array_above_max_length"),
        (messages("a", role="system"), "messages[0].role", "invalid_value"),
        (messages(""), "messages[0].content", "empty_string"),
        (messages([]), "messages[0].content", "empty_array"),
        (messages([{"type": "text", "text": "a"}, IMAGE]), "messages[0].content", "array_above_max_length"),
        (messages([{"type": "audio", "text": "a"}]), "messages[0].content[0].type", "invalid_value"),
        ({"input": ..., "messages": None}, "input", "missing_required_parameter"),
    ],
)
async def test_bad_parts_name_the_field(changes: dict[str, Any], param: str, code: str | None) -> None:
    """Every wrong part is a 400 that names its field, and no request reaches a worker."""
    recorder = Recorder()
    response = await post(recorder.serving, model=CLIP, **changes)
    assert (response.status, response.error["param"], response.error["code"]) == (400, param, code)
    assert not recorder.serving.requests


async def test_too_many_images_are_refused_before_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred images are a 400, and none of them is written."""
    monkeypatch.setattr(ImageInputs, "save", lambda _: pytest.fail("an image was read"))
    response = await post(Recorder().serving, model=CLIP, input=[IMAGE] * 100)
    assert (response.status, response.error["code"]) == (400, "array_above_max_length")


class FakeRemote:
    """Fetches from one host."""

    def check(self, url: str) -> None:
        """Refuse any other."""
        if not url.startswith("https://pictures.example/"):
            raise ValueError("its host is not allowed")

    async def fetch(self, url: str, target: Path, max_bytes: int) -> None:
        """Write an image."""
        await asyncio.to_thread(target.write_bytes, PNG)


@pytest.mark.parametrize("host", ["pictures.example", "elsewhere.example"])
async def test_urls_of_allowed_hosts_are_fetched(host: str) -> None:
    """Where the operator allows a host, its images are embedded; others are refused, and none is fetched."""
    recorder = Recorder()
    models = FakeRegistry([installed(CLIP, ("embeddings", "image_embeddings"))], [])
    app = build_application(services(recorder.serving, registry=models, remote_images=FakeRemote()))
    url = f"https://{host}/a.png"
    body = {"model": CLIP, "input": [{"image": url}, {"type": "image_url", "image_url": {"url": url}}]}
    response = await call(app, "POST", "/v1/embeddings", json.dumps(body).encode())
    if host == "pictures.example":
        assert response.status == 200, response.body
        assert recorder.inputs == [PNG, PNG]
    else:
        assert (response.status, response.error["code"]) == (400, "remote_image_refused")
        assert response.error["param"] == "input[0].image"


@pytest.mark.parametrize("changes", [{"input": ["a", IMAGE]}, {"input": ..., **messages([IMAGE])}])
async def test_text_only_models_name_one_with_images(changes: dict[str, Any]) -> None:
    """An image sent to a model that embeds only text is a 400 with the name of one that embeds images."""
    recorder = Recorder()
    response = await post(recorder.serving, model=MODEL, **changes)
    assert (response.status, response.error["code"]) == (400, "unsupported_content_type")
    assert response.error["param"].endswith("image_url.url")
    assert f"use `{CLIP}`" in response.error["message"]
    assert not recorder.serving.requests


async def test_without_such_a_model_the_command_is_named() -> None:
    """If no installed model embeds images, the error says how to install one."""
    registry = FakeRegistry([installed(MODEL, ("embeddings",))], [])
    app = build_application(services(FakeServing(each_input), registry=registry))
    response = await call(app, "POST", "/v1/embeddings", json.dumps({"model": MODEL, "input": [IMAGE]}).encode())
    assert response.status == 400
    assert "`homeport pull clip-vit-b-32`" in response.error["message"]


async def test_models_state_that_they_embed_images() -> None:
    """`/v1/models` lists the capability."""
    response = await call(application(FakeServing(each_input)), "GET", f"/v1/models/{CLIP}")
    assert json.loads(response.body)["capabilities"] == ["embeddings", "image_embeddings"]
