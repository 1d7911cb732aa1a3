"""Generations in process: what the worker is asked for, how its answer is written, what is refused by name."""

import base64
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.errors import EngineFailed, InvalidRequest
from homeport.domain.images import (
    ImageFormat,
    ImageOutput,
    ImageRequest,
    ImageSize,
)
from tests.api.asgi import call
from tests.api.images.image_app import (
    MODEL,
    ImageApp,
    events,
    painted,
)


@pytest.fixture
def desk(tmp_path: Path) -> ImageApp:
    return ImageApp(tmp_path)


async def test_a_prompt_alone_is_the_dall_e_2_of_2023(desk: ImageApp) -> None:
    """One picture of 1024x1024, its URL on this server; the header says who painted."""
    said = await desk.generate()
    assert said.status == 200
    assert desk.asked == ImageRequest("a red fox", size=ImageSize(1024, 1024))
    (picture,) = said.json["data"]
    assert picture == {"url": "http://localhost:8080/images/0.png"}
    assert isinstance(said.json["created"], int)
    assert said.headers["x-homeport-model"] == MODEL


async def test_a_models_own_name_answers_with_the_picture_itself(desk: ImageApp) -> None:
    """Where no format is asked for, only DALL·E's names give URLs."""
    (picture,) = (await desk.generate(model=MODEL)).json["data"]
    assert base64.b64decode(picture["b64_json"]) == b"picture 0"


async def test_a_url_is_the_picture(desk: ImageApp) -> None:
    """What stands behind it needs no key, has its type, and is nobody else's to keep; another name is a 404."""
    await desk.generate(output_format="webp", response_format="url")
    said = await call(desk.app, "GET", "/images/0.webp")
    assert (said.body, said.headers["content-type"]) == (b"picture 0", "image/webp")
    assert (said.headers["cache-control"], said.headers["x-content-type-options"]) == ("private", "nosniff")
    missing = await call(desk.app, "GET", "/images/1.webp")
    assert (missing.status, missing.error["code"]) == (404, "not_found")


async def test_b64_json_is_the_picture(desk: ImageApp) -> None:
    """Each of `n` stands in the answer, in order, and none is kept."""
    said = await desk.generate(n=3, response_format="b64_json", size="256x256")
    pictures = [base64.b64decode(each["b64_json"]) for each in said.json["data"]]
    assert pictures == [b"picture 0", b"picture 1", b"picture 2"]
    assert not desk.pictures.kept
    assert said.json["size"] == "256x256"


@pytest.mark.parametrize("written", ["512x512", "512*512", "512X512", "512×512"])
async def test_a_size_may_be_written_with_a_star(desk: ImageApp, written: str) -> None:
    """`512*512` is `512x512`."""
    assert (await desk.generate(size=written)).status == 200
    assert desk.asked.size == ImageSize(512, 512)


@pytest.mark.parametrize(
    ("model", "size", "asked"),
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
async def test_each_name_has_its_sizes(desk: ImageApp, model: str, size: str | None, asked: ImageSize | None) -> None:
    """OpenAI's under its names, any under a model's own; without one it is the model's."""
    assert (await desk.generate(model=model, size=size)).status == 200
    assert desk.asked.size == asked


async def test_everything_reaches_the_engine(desk: ImageApp) -> None:
    """Number, seed, steps, guidance, what to leave out and the format are asked of the worker."""
    body = {"model": MODEL, "n": 2, "seed": 7, "steps": 9, "guidance": 2.5, "negative_prompt": "rain", "user": "u"}
    body |= {"output_format": "jpeg", "output_compression": 60, "style": "vivid", "moderation": "low"}
    said = await desk.generate(**body, background="opaque")
    assert desk.asked == ImageRequest(
        "a red fox",
        n=2,
        seed=7,
        steps=9,
        guidance=2.5,
        negative_prompt="rain",
        output=ImageOutput(ImageFormat.JPEG, 60),
    )
    told = {name: said.json[name] for name in ("background", "output_format", "quality", "size")}
    assert told == {"background": "opaque", "output_format": "jpeg", "quality": "medium", "size": "512x512"}


@pytest.mark.parametrize(
    ("model", "quality", "effort", "told"),
    [
        ("gpt-image-1", "low", 0.5, "low"),
        ("gpt-image-1", "high", 2.0, "high"),
        ("gpt-image-1", "auto", 1.0, "medium"),
        ("dall-e-3", "hd", 2.0, "high"),
        ("dall-e-2", "standard", 1.0, "medium"),
    ],
)
async def test_quality_is_work(desk: ImageApp, model: str, quality: str, effort: float, told: str) -> None:
    """Low takes half the steps, high and hd twice as many; the answer says it in today's words."""
    said = await desk.generate(model=model, quality=quality)
    assert desk.asked.effort == effort
    assert said.json["quality"] == told


async def test_dall_e_3_tells_the_prompt_it_used(desk: ImageApp) -> None:
    """It is the caller's own; no other name tells any."""
    told = (await desk.generate(model="dall-e-3")).json["data"][0]
    assert told["revised_prompt"] == "a red fox"
    assert "revised_prompt" not in (await desk.generate(model="dall-e-2")).json["data"][0]


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
async def test_what_only_todays_models_have_means_one_of_them(desk: ImageApp, today: dict[str, Any]) -> None:
    """Without a model, such a field gives base64, as gpt-image-1 does, instead of a URL."""
    assert "b64_json" in (await desk.generate(**today)).json["data"][0]


async def test_a_stream_tells_each_picture_when_it_is_done(desk: ImageApp) -> None:
    """Unfinished looks where asked for, then the finished one; each event under its name, [DONE] at the end."""
    said = await desk.generate(model="gpt-image-1", stream=True, partial_images=1, n=2, output_format="webp")
    assert said.headers["content-type"].startswith("text/event-stream")
    *told, end = events(said)
    assert end == "[DONE]"
    kinds = [(each["type"], each["image_index"], base64.b64decode(each["b64_json"])) for each in told]
    assert kinds == [
        ("image_generation.partial_image", 0, b"look 0"),
        ("image_generation.completed", 0, b"picture 0"),
        ("image_generation.partial_image", 1, b"look 1"),
        ("image_generation.completed", 1, b"picture 1"),
    ]
    assert told[0]["partial_image_index"] == 0
    assert told[1]["usage"]["input_tokens_details"] == {"text_tokens": 0, "image_tokens": 0}
    for each in told:
        looks = {name: each[name] for name in ("size", "quality", "background", "output_format")}
        assert looks == {"size": "512x512", "quality": "medium", "background": "opaque", "output_format": "webp"}


async def test_a_stream_tells_progress_where_asked(desk: ImageApp) -> None:
    """An event after every step, which no client of OpenAI's expects by itself."""
    told = events(await desk.generate(model=MODEL, stream=True, progress=True))[:-1]
    assert [(each["type"], each.get("step")) for each in told] == [
        ("image_generation.progress", 1),
        ("image_generation.progress", 2),
        ("image_generation.completed", None),
    ]


async def test_a_stream_that_breaks_says_so(tmp_path: Path) -> None:
    """After the first byte an error is one event, and there is no [DONE]."""
    desk = ImageApp(tmp_path, lambda request: [*painted(request)[:2], EngineFailed("the brush broke")])
    said = await desk.generate(model=MODEL, stream=True, progress=True)
    assert said.status == 200
    assert b'"message":"the brush broke"' in said.body
    assert b"[DONE]" not in said.body


async def test_what_the_model_cannot_do_is_a_400_before_the_stream(tmp_path: Path) -> None:
    """A refusal of the worker's has its status, also where events were asked for."""
    desk = ImageApp(tmp_path, lambda _: [InvalidRequest("no looks", param="partial_images")])
    said = await desk.generate(model=MODEL, stream=True, partial_images=2)
    assert (said.status, said.error["param"]) == (400, "partial_images")


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
async def test_what_cannot_be_done_is_refused_by_name(desk: ImageApp, body: dict[str, Any], param: str) -> None:
    """A 400 in the envelope names the field, before any work."""
    said = await desk.generate(**body)
    assert said.status == 400
    assert said.error["param"] == param
    assert not desk.serving.requests


async def test_an_unknown_model_is_a_404(desk: ImageApp) -> None:
    """With OpenAI's code."""
    said = await desk.generate(model="nobody")
    assert (said.status, said.error["param"]) == (404, "model")
    assert said.error["code"] == "model_not_found"
