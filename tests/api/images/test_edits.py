"""Edits and variations in process: engine requests, and refusals before any work."""

import base64
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.events import (
    Admitted,
    Done,
    GeneratedImage,
    Usage,
)
from homeport.domain.images import ImageRequest, ImageSize, ImageSource
from tests.api.asgi import call
from tests.api.fakes import Script
from tests.api.form_bodies import HEADERS, form, is_empty
from tests.api.image_inputs.vision_app import uploaded
from tests.api.images.image_app import (
    JPEG,
    MODEL,
    PNG,
    Files,
    ImageApp,
    data_url,
    events,
)

BIG = PNG + bytes(4 * 1024 * 1024 - len(PNG))


@pytest.fixture
def app(tmp_path: Path) -> ImageApp:
    return ImageApp(tmp_path)


def copied(request: Any) -> Script:
    """Return the source as the first image and the mask as the next one."""
    source = request.source
    files = [file for file in (source.image, source.mask) if file]
    images = [GeneratedImage(index, 64, 64, file.local_path.read_bytes()) for index, file in enumerate(files)]
    return [[Admitted(0)], images, [Done(Usage())]]


async def test_an_edit_as_in_2023_is_strict(app: ImageApp) -> None:
    """Without a model, dall-e-2 edits: it needs a square PNG and returns a URL."""
    response = await app.edit(files=[("image", PNG), ("mask", PNG)])
    assert response.status == 200
    source = app.last_request.source
    assert isinstance(source, ImageSource)
    assert (source.is_strict, source.is_variation, source.mask is not None) == (True, False, True)
    assert app.last_request.size == ImageSize(1024, 1024)
    assert response.json["data"] == [{"url": "http://localhost:8080/images/0.png"}]


async def test_files_exist_until_the_response_is_sent(tmp_path: Path) -> None:
    """The files exist while the image is generated, and are deleted when it is sent, streamed or not."""
    app = ImageApp(tmp_path, copied)
    for fields in ([("response_format", "b64_json")], [("stream", "true"), ("model", "gpt-image-1")]):
        response = await app.edit(*fields, files=[("image", PNG + b"i"), ("mask", PNG + b"m")])
        reported = events(response)[:-1] if "stream" in fields[0] else response.json["data"]
        assert [base64.b64decode(each["b64_json"]) for each in reported] == [PNG + b"i", PNG + b"m"]
        assert is_empty(tmp_path)


async def test_every_field_of_a_form_reaches_the_engine(app: ImageApp) -> None:
    """Values of a form are text."""
    fields = {"model": MODEL, "n": "2", "size": "256*256", "seed": "7", "steps": "9", "guidance": "2.5"}
    fields |= {"strength": "0.4", "negative_prompt": "rain", "quality": "high", "user": "u", "input_fidelity": "low"}
    fields |= {"background": "auto", "moderation": "low", "output_format": "jpeg", "output_compression": "60"}
    assert (await app.edit(*fields.items(), files=[("image[]", JPEG)])).status == 200
    request = app.last_request
    assert (request.prompt, request.n, request.size, request.seed, request.steps) == (
        "a hat",
        2,
        ImageSize(256, 256),
        7,
        9,
    )
    assert (request.guidance, request.strength, request.negative_prompt, request.effort) == (2.5, 0.4, "rain", 2.0)
    assert (request.output.format, request.output.quality) == ("jpeg", 60)
    assert request.source is not None
    assert not request.source.is_strict


async def test_a_stream_of_an_edit_has_events_of_its_own(app: ImageApp) -> None:
    """The types of events begin with `image_edit` instead of `image_generation`."""
    response = await app.edit(("model", "gpt-image-1"), ("stream", "true"), ("partial_images", "1"))
    assert [each["type"] for each in events(response)[:-1]] == ["image_edit.partial_image", "image_edit.completed"]


async def test_an_edit_as_json_holds_its_pictures(tmp_path: Path) -> None:
    """A JSON body means one of today's models; its data: URLs become files like uploads."""
    app = ImageApp(tmp_path, copied)
    images = [{"image_url": data_url(JPEG, "image/jpeg")}]
    body = {"prompt": "a hat", "images": images, "mask": {"image_url": data_url(PNG)}, "n": None}
    response = await app.json("edits", body)
    assert [base64.b64decode(each["b64_json"]) for each in response.json["data"]] == [JPEG, PNG]
    assert (app.last_request.size, app.last_request.source and app.last_request.source.field) == (None, "images")
    assert is_empty(tmp_path)


async def test_an_edit_as_json_names_uploaded_images(tmp_path: Path) -> None:
    """Image and mask may be the ids of uploaded files."""
    files, file_id = uploaded(tmp_path / "files", PNG)
    app = ImageApp(tmp_path / "spool", copied, files=files)
    named = {"file_id": file_id}
    response = await app.json("edits", {"prompt": "a hat", "images": [named], "mask": named})
    assert [base64.b64decode(each["b64_json"]) for each in response.json["data"]] == [PNG, PNG]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"images": []}, "images"),
        ({"images": [{"image_url": data_url(PNG)}] * 2}, "images"),
        ({"images": [{"image_url": data_url(PNG)}] * 17}, "images"),
        ({"images": [{}]}, "images[0].image_url"),
        ({"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
        ({"images": [{"image_url": "https://example.com/a.png"}]}, "images[0].image_url"),
        ({"images": [{"image_url": "data:image/png;base64,?"}]}, "images[0].image_url"),
        ({"images": [{"image_url": data_url(PNG), "detail": "high"}]}, "images[0].detail"),
        ({"images": [{"image_url": data_url(JPEG)}], "model": "dall-e-2"}, "images"),
        ({"mask": {"image_url": data_url(JPEG)}}, "mask"),
        ({"mask": {}}, "mask.image_url"),
        ({"mask": {"file_id": "file-1"}}, "mask.file_id"),
        ({"image": "x"}, "image"),
    ],
)
async def test_what_a_json_edit_cannot_hold_is_refused_by_name(
    app: ImageApp, changes: dict[str, Any], param: str
) -> None:
    """Several images, remote URLs, file ids without files, and masks that are no PNG are refused."""
    body = {"prompt": "a hat", "images": [{"image_url": data_url(PNG)}], **changes}
    response = await app.json("edits", body)
    assert (response.status, response.error["param"]) == (400, param)
    assert not app.serving.requests
    assert is_empty(app.spool)


async def test_a_variation_has_no_prompt(app: ImageApp) -> None:
    """Number, size, seed, steps and strength reach the worker; the answer is a URL."""
    fields = {"n": "3", "size": "512x512", "user": "u", "seed": "3", "steps": "4", "strength": "0.3"}
    response = await app.vary(*fields.items())
    assert [each["url"][-6:] for each in response.json["data"]] == ["/0.png", "/1.png", "/2.png"]
    source = app.last_request.source
    assert source is not None
    assert (source.is_strict, source.is_variation, source.mask) == (True, True, None)
    wanted = ImageRequest("", 3, ImageSize(512, 512), source, seed=3, steps=4, strength=0.3)
    assert app.last_request == wanted
    assert is_empty(app.spool)


@pytest.mark.parametrize("endpoint", ["edits", "variations"])
@pytest.mark.parametrize(
    "files",
    [
        [],
        [("image", b"")],
        [("image", JPEG)],
        [("image", b"\x89PN")],
        [("image", BIG)],
        [("image", PNG), ("image", PNG)],
        [("image[]", PNG), ("image[]", PNG)],
    ],
)
async def test_a_bad_image_is_refused(app: ImageApp, endpoint: str, files: Files) -> None:
    """No file, an empty one, another format, 4 MB or more, and several files are refused."""
    response = await app.form(endpoint, [("prompt", "a hat")] if endpoint == "edits" else [], files)
    assert (response.status, response.error["param"]) == (400, "image")
    assert not app.serving.requests
    assert is_empty(app.spool)


@pytest.mark.parametrize("model", ["dall-e-2", "gpt-image-1", MODEL])
@pytest.mark.parametrize("mask", [b"", JPEG, BIG])
async def test_a_bad_mask_is_refused(app: ImageApp, mask: bytes, model: str) -> None:
    """A mask is a PNG below 4 MB under any name."""
    response = await app.edit(("model", model), files=[("image", PNG), ("mask", mask)])
    assert (response.status, response.error["param"]) == (400, "mask")


@pytest.mark.parametrize("model", ["gpt-image-1", MODEL])
async def test_only_names_of_2023_have_the_limits_of_2023(app: ImageApp, model: str) -> None:
    """The limits of 2023 hold for 2023's names."""
    for image in (JPEG, BIG):
        assert (await app.edit(("model", model), files=[("image", image)])).status == 200


async def test_a_form_over_todays_limit_is_too_large(app: ImageApp) -> None:
    """The response is a 413 as soon as the size is known, and no file remains."""
    body = form([("prompt", "a hat")], [("image", PNG)])
    headers = {**HEADERS, "content-length": str(60 * 1024 * 1024)}
    response = await call(app.app, "POST", "/v1/images/edits", body, headers)
    assert response.status == 413
    assert is_empty(app.spool)


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ({"prompt": "x" * 1001}, None, "prompt"),
        ({"n": "11"}, None, "n"),
        ({"n": "many"}, None, "n"),
        ({"size": "300x300"}, None, "size"),
        ({"response_format": "webp"}, None, "response_format"),
        ({"quality": "hd"}, None, "quality"),
        ({"background": "transparent"}, None, "background"),
        ({"input_fidelity": "high"}, None, "input_fidelity"),
        ({"input_fidelity": "some"}, None, "input_fidelity"),
        ({"moderation": "high"}, None, "moderation"),
        ({"output_format": "gif"}, None, "output_format"),
        ({"strength": "1.5"}, None, "strength"),
        ({"strength": "nan"}, None, "strength"),
        ({"style": "vivid"}, None, "style"),
        ({"image": "x"}, [], "image"),
        ({"mask": "x"}, None, "mask"),
        ({"model": "tiny"}, None, "model"),
        ({}, [("image", PNG), ("picture", PNG)], "picture"),
    ],
)
async def test_what_an_edit_cannot_do_is_refused_by_name(
    app: ImageApp, fields: dict[str, str], files: Files | None, param: str
) -> None:
    """A 400 in the envelope names the field, and no request reaches a worker."""
    given = {"prompt": "a hat", **fields}
    response = await app.form("edits", list(given.items()), [("image", PNG)] if files is None else files)
    assert (response.status, response.error["param"]) == (400, param)
    assert not app.serving.requests
    assert is_empty(app.spool)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": "0"}, "n"),
        ({"size": "1792x1024"}, "size"),
        ({"response_format": "text"}, "response_format"),
        ({"strength": "-1"}, "strength"),
        ({"prompt": "a hat"}, "prompt"),
        ({"mask": "x"}, "mask"),
        ({"model": "tiny"}, "model"),
    ],
)
async def test_what_a_variation_cannot_do_is_refused_by_name(app: ImageApp, fields: dict[str, str], param: str) -> None:
    """A variation has no prompt and no mask."""
    response = await app.vary(*fields.items())
    assert (response.status, response.error["param"]) == (400, param)
    assert not app.serving.requests


async def test_another_kind_of_body_is_refused(app: ImageApp) -> None:
    """JSON instead of a form is a 415 in the envelope."""
    assert (await app.json("variations", {})).status == 415
    response = await call(app.app, "POST", "/v1/images/edits", b"x", {"content-type": "text/plain"})
    assert response.status == 415


async def test_a_refusal_of_the_workers_leaves_no_files(tmp_path: Path) -> None:
    """An error that only the worker can find, such as a mask of another size, is a 400, and the files are deleted."""
    app = ImageApp(tmp_path, lambda _: [InvalidRequest("another size", param="mask", code="invalid_image")])
    response = await app.edit(files=[("image", PNG), ("mask", PNG)])
    assert (response.status, response.error["param"], response.error["code"]) == (400, "mask", "invalid_image")
    assert is_empty(tmp_path)
