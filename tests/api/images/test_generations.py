"""Generations in process: engine requests, answers and streams, and refusals by field."""

import base64
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.errors import EngineFailed, InvalidRequest
from homeport.domain.events import Admitted, Done, GeneratedImage, Usage
from homeport.domain.images import (
    ImageFormat,
    ImageOutput,
    ImageRequest,
    ImageSize,
)
from tests.api.asgi import call
from tests.api.fakes import Script
from tests.api.images.image_app import (
    MODEL,
    ImageApp,
    events,
    generate_images,
)


@pytest.fixture
def app(tmp_path: Path) -> ImageApp:
    return ImageApp(tmp_path)


async def test_a_prompt_alone_is_the_dall_e_2_of_2023(app: ImageApp) -> None:
    """The answer is one image of 1024x1024 under a URL of this server; the header names the real model."""
    response = await app.generate()
    assert response.status == 200
    assert app.last_request == ImageRequest("a red fox", size=ImageSize(1024, 1024))
    (image,) = response.json["data"]
    assert image == {"url": "http://localhost:8080/images/0.png"}
    assert isinstance(response.json["created"], int)
    assert response.headers["x-homeport-model"] == MODEL


async def test_a_models_own_name_answers_with_the_picture_itself(app: ImageApp) -> None:
    """Without a requested format, only DALL·E's names return URLs."""
    (image,) = (await app.generate(model=MODEL)).json["data"]
    assert base64.b64decode(image["b64_json"]) == b"picture 0"


async def test_a_url_is_the_picture(app: ImageApp) -> None:
    """The URL needs no key and returns the image with its type and caching headers; an unknown name is a 404."""
    await app.generate(output_format="webp", response_format="url")
    response = await call(app.app, "GET", "/images/0.webp")
    assert (response.body, response.headers["content-type"]) == (b"picture 0", "image/webp")
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("private", "nosniff")
    missing = await call(app.app, "GET", "/images/1.webp")
    assert (missing.status, missing.error["code"]) == (404, "not_found")


async def test_b64_json_is_the_picture(app: ImageApp) -> None:
    """The answer contains each of `n` in order, and none is stored."""
    response = await app.generate(n=3, response_format="b64_json", size="256x256")
    images = [base64.b64decode(each["b64_json"]) for each in response.json["data"]]
    assert images == [b"picture 0", b"picture 1", b"picture 2"]
    assert not app.images.images
    assert response.json["size"] == "256x256"


@pytest.mark.parametrize("written", ["512x512", "512*512", "512X512", "512×512"])
async def test_a_size_may_be_written_with_a_star(app: ImageApp, written: str) -> None:
    """`512*512` is `512x512`."""
    assert (await app.generate(size=written)).status == 200
    assert app.last_request.size == ImageSize(512, 512)


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [
        ("dall-e-3", "1792x1024", ImageSize(1792, 1024)),
        ("gpt-image-1", "1536x1024", ImageSize(1536, 1024)),
        ("gpt-image-1", "auto", None),
        ("gpt-image-1", None, None),
        ("gpt-image-2", "1536x864", ImageSize(1536, 864)),
        (MODEL, "640x480", ImageSize(640, 480)),
        (MODEL, None, None),
    ],
)
async def test_each_name_has_its_sizes(app: ImageApp, model: str, size: str | None, expected: ImageSize | None) -> None:
    """OpenAI's names have OpenAI's sizes, a model's own name has any; without one the model decides."""
    assert (await app.generate(model=model, size=size)).status == 200
    assert app.last_request.size == expected


async def test_everything_reaches_the_engine(app: ImageApp) -> None:
    """Number, seed, steps, guidance, negative prompt and format reach the worker."""
    body = {"model": MODEL, "n": 2, "seed": 7, "steps": 9, "guidance": 2.5, "negative_prompt": "rain", "user": "u"}
    body |= {"output_format": "jpeg", "output_compression": 60, "style": "vivid", "moderation": "low"}
    response = await app.generate(**body, background="opaque")
    assert app.last_request == ImageRequest(
        "a red fox",
        n=2,
        seed=7,
        steps=9,
        guidance=2.5,
        negative_prompt="rain",
        output=ImageOutput(ImageFormat.JPEG, 60),
    )
    reported = {name: response.json[name] for name in ("background", "output_format", "quality", "size")}
    assert reported == {"background": "opaque", "output_format": "jpeg", "quality": "medium", "size": "512x512"}


@pytest.mark.parametrize(
    ("model", "quality", "effort", "reported"),
    [
        ("gpt-image-1", "low", 0.5, "low"),
        ("gpt-image-1", "high", 2.0, "high"),
        ("gpt-image-1", "auto", 1.0, "medium"),
        ("dall-e-3", "hd", 2.0, "high"),
        ("dall-e-2", "standard", 1.0, "medium"),
    ],
)
async def test_quality_is_work(app: ImageApp, model: str, quality: str, effort: float, reported: str) -> None:
    """low takes half the steps, high and hd twice as many; the answer reports it in today's words."""
    response = await app.generate(model=model, quality=quality)
    assert app.last_request.effort == effort
    assert response.json["quality"] == reported


@pytest.mark.parametrize("model", ["dall-e-3", MODEL])
@pytest.mark.parametrize("response_format", ["url", "b64_json"])
async def test_dall_e_3_and_own_names_return_a_revised_prompt(
    tmp_path: Path, app: ImageApp, model: str, response_format: str
) -> None:
    """It is what the model drew of the prompt, or else the prompt; OpenAI's other names return none."""
    body = {"model": model, "response_format": response_format}
    assert (await app.generate(**body)).json["data"][0]["revised_prompt"] == "a red fox"
    drawn = (await revising(tmp_path).generate(**body)).json["data"][0]
    assert drawn["revised_prompt"] == "a fox; not drawn: red"


@pytest.mark.parametrize("model", ["dall-e-2", "gpt-image-1", "gpt-image-1.5"])
async def test_other_names_return_no_revised_prompt(tmp_path: Path, model: str) -> None:
    """As OpenAI's, whose answers have the field for dall-e-3 only."""
    assert "revised_prompt" not in (await revising(tmp_path).generate(model=model)).json["data"][0]


async def test_events_of_own_names_have_the_revised_prompt(tmp_path: Path) -> None:
    """The event of the finished image has it, for a model's own name only."""
    for model, said in ((MODEL, "a fox; not drawn: red"), ("gpt-image-1", None)):
        reported = events(await revising(tmp_path).generate(model=model, stream=True, partial_images=1))[:-1]
        assert [event.get("revised_prompt") for event in reported] == [None, said]


def revising(spool: Path) -> ImageApp:
    """Return an application whose model draws a part of the prompt."""

    def script(request: Any) -> Script:
        assert isinstance(request, ImageRequest)
        drawn = GeneratedImage(0, 512, 512, b"picture", revised_prompt="a fox; not drawn: red")
        return [[Admitted(0)], [GeneratedImage(0, 512, 512, b"look", 0)], [drawn], [Done(Usage())]]

    return ImageApp(spool, script)


@pytest.mark.parametrize(
    "today",
    [
        {"output_format": "webp"},
        {"background": "opaque"},
        {"moderation": "auto"},
        {"quality": "low"},
        {"size": "1536x1024"},
        {"size": "auto"},
    ],
)
async def test_what_only_todays_models_have_means_one_of_them(app: ImageApp, today: dict[str, Any]) -> None:
    """Without a model, such a field means gpt-image-1, which returns base64 instead of a URL."""
    assert "b64_json" in (await app.generate(**today)).json["data"][0]


async def test_a_stream_has_an_event_per_image(app: ImageApp) -> None:
    """Partial images, if requested, precede the complete one; each event has its name, and [DONE] is the end."""
    response = await app.generate(model="gpt-image-1", stream=True, partial_images=1, n=2, output_format="webp")
    assert response.headers["content-type"].startswith("text/event-stream")
    *reported, end = events(response)
    assert end == "[DONE]"
    kinds = [(each["type"], each["image_index"], base64.b64decode(each["b64_json"])) for each in reported]
    assert kinds == [
        ("image_generation.partial_image", 0, b"look 0"),
        ("image_generation.completed", 0, b"picture 0"),
        ("image_generation.partial_image", 1, b"look 1"),
        ("image_generation.completed", 1, b"picture 1"),
    ]
    assert reported[0]["partial_image_index"] == 0
    assert reported[1]["usage"]["input_tokens_details"] == {"text_tokens": 0, "image_tokens": 0}
    for each in reported:
        looks = {name: each[name] for name in ("size", "quality", "background", "output_format")}
        assert looks == {"size": "512x512", "quality": "medium", "background": "opaque", "output_format": "webp"}


async def test_progress_is_streamed_on_request(app: ImageApp) -> None:
    """An event follows every step, if requested: OpenAI's clients do not expect it."""
    reported = events(await app.generate(model=MODEL, stream=True, progress=True))[:-1]
    assert [(each["type"], each.get("step")) for each in reported] == [
        ("image_generation.progress", 1),
        ("image_generation.progress", 2),
        ("image_generation.completed", None),
    ]


async def test_an_error_in_a_stream_is_an_event(tmp_path: Path) -> None:
    """After the first byte an error is one event, and there is no [DONE]."""
    app = ImageApp(tmp_path, lambda request: [*generate_images(request)[:2], EngineFailed("the brush broke")])
    response = await app.generate(model=MODEL, stream=True, progress=True)
    assert response.status == 200
    assert b'"message":"the brush broke"' in response.body
    assert b"[DONE]" not in response.body


async def test_what_the_model_cannot_do_is_a_400_before_the_stream(tmp_path: Path) -> None:
    """A refusal by the worker has its own status, also if the caller asked for events."""
    app = ImageApp(tmp_path, lambda _: [InvalidRequest("no looks", param="partial_images")])
    response = await app.generate(model=MODEL, stream=True, partial_images=2)
    assert (response.status, response.error["param"]) == (400, "partial_images")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": ...}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * 1001}, "prompt"),
        ({"prompt": "x" * 4001, "model": "dall-e-3"}, "prompt"),
        ({"prompt": "x" * 32_001, "model": "gpt-image-1"}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": 2, "model": "dall-e-3"}, "n"),
        ({"n": 1.5}, "n"),
        ({"size": "1024x1536", "model": "dall-e-2"}, "size"),
        ({"size": "300x300"}, "size"),
        ({"size": "1792x1024", "model": "gpt-image-1"}, "size"),
        ({"size": "32x64", "model": MODEL}, "size"),
        ({"size": "4096x512", "model": MODEL}, "size"),
        ({"size": "2048x2048", "model": MODEL}, "size"),
        ({"size": "large", "model": MODEL}, "size"),
        ({"size": "", "model": MODEL}, "size"),
        ({"response_format": "webp"}, "response_format"),
        ({"quality": "hd"}, "quality"),
        ({"quality": "standard", "model": "gpt-image-1"}, "quality"),
        ({"quality": "best", "model": MODEL}, "quality"),
        ({"style": "natural"}, "style"),
        ({"style": "noir"}, "style"),
        ({"background": "transparent"}, "background"),
        ({"background": "blue"}, "background"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression"),
        ({"output_compression": 50}, "output_compression"),
        ({"moderation": "high"}, "moderation"),
        ({"partial_images": 2}, "partial_images"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"progress": True}, "progress"),
        ({"stream": True, "response_format": "url"}, "response_format"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"steps": 0}, "steps"),
        ({"guidance": 0.5}, "guidance"),
        ({"guidance": 31}, "guidance"),
        ({"negative_prompt": "x" * 1001}, "negative_prompt"),
        ({"strength": 0.5}, "strength"),
        ({"colour": "red"}, "colour"),
        ({"model": "tiny"}, "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(app: ImageApp, body: dict[str, Any], param: str) -> None:
    """A 400 in the envelope names the field, and no request reaches a worker."""
    response = await app.generate(**body)
    assert response.status == 400
    assert response.error["param"] == param
    assert not app.serving.requests


async def test_an_unknown_model_is_a_404(app: ImageApp) -> None:
    """The error has OpenAI's code."""
    response = await app.generate(model="nobody")
    assert (response.status, response.error["param"]) == (404, "model")
    assert response.error["code"] == "model_not_found"
