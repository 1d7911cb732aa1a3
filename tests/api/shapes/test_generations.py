"""Shapes in process: engine requests, answers, events, and refusals before any work."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import (
    Admitted,
    Done,
    GeneratedImage,
    GeneratedShape,
    ImageProgress,
    ShapeProgress,
    Usage,
)
from homeport.domain.images import ImageRequest
from homeport.domain.models import Alias
from homeport.domain.shapes import ShapeBackground, ShapeFormat, ShapeQuality, ShapeRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeImageStore, FakeRegistry, FakeServing, Script, installed, services
from tests.api.form_bodies import is_empty
from tests.api.image_inputs.vision_app import png, uploaded
from tests.api.images.image_app import data_url, events

PNG = png()
IMAGE = data_url(PNG)
HUGE = PNG[:16] + struct.pack(">II", 20_000, 3_000) + PNG[24:]
"""A small file whose header claims 60 million pixels."""


def make(request: Any) -> Script:
    """Make pictures of a prompt in one step, and shapes that hold the bytes of their pictures."""
    if isinstance(request, ImageRequest):
        pictures = [GeneratedImage(index, 64, 64, b"picture %d" % index, None, "a fox") for index in range(request.n)]
        return [[Admitted(0)], [ImageProgress(0, 1, 1)], pictures, [Done(Usage())]]
    assert isinstance(request, ShapeRequest)
    made: list[Any] = []
    for index, image in enumerate(request.images):
        preview = b"views" if request.has_preview else b""
        made += [[ShapeProgress(index, 1, 1)], [GeneratedShape(index, image.local_path.read_bytes(), 8, 12, preview)]]
    return [[Admitted(0)], *made, [Done(Usage())]]


class ShapeApp:
    """The application with a shape model, an image model and OpenAI's names."""

    def __init__(self, spool: Path, script: Any = make, *, has_images: bool = True, **changes: Any) -> None:
        self.serving = FakeServing(script)
        self.images = FakeImageStore()
        models = [installed("triposr", ("shapes",)), installed("tiny")]
        names = [Alias("point-e", "triposr", None)]
        if has_images:
            models.append(installed("brush", ("images",)))
            names.append(Alias("gpt-image-1", "brush", None))
        self.spool = spool
        given = {"registry": FakeRegistry(models, names), "images": self.images, "spool": spool, **changes}
        self.app = build_application(services(self.serving, **given))

    async def generate(self, **body: Any) -> AsgiResponse:
        """Send a request for the shape of a picture; `...` omits a field."""
        sent = {"image": IMAGE, **body}
        data = json.dumps({name: value for name, value in sent.items() if value is not ...}).encode()
        return await call(self.app, "POST", "/v1/3d/generations", data)

    @property
    def last_request(self) -> ShapeRequest:
        """The last engine request."""
        request = self.serving.requests[-1][1]
        assert isinstance(request, ShapeRequest)
        return request


@pytest.fixture
def app(tmp_path: Path) -> ShapeApp:
    return ShapeApp(tmp_path)


async def test_the_default_is_a_mesh_at_a_url(app: ShapeApp) -> None:
    """Without a model, Point-E's name is meant; the GLB is under a URL, which needs no key."""
    response = await app.generate()
    assert response.status == 200, response.body
    assert response.headers["x-homeport-model"] == "triposr"
    shape = {"url": "http://localhost:8080/shapes/0.glb", "points": 8, "triangles": 12}
    assert response.json["data"] == [shape]
    assert response.json["output_format"] == "glb"
    request = app.last_request
    assert (request.format, request.points, request.seed, request.field) == (ShapeFormat.GLB, None, None, "image")
    assert (request.quality, request.background, request.has_preview) == (
        ShapeQuality.AUTO,
        ShapeBackground.AUTO,
        False,
    )
    fetched = await call(app.app, "GET", "/shapes/0.glb")
    assert (fetched.headers["content-type"], fetched.body) == ("model/gltf-binary", PNG)
    for path in ("/images/0.glb", "/shapes/1.glb", "/shapes/0.png"):
        assert (await call(app.app, "GET", path)).status == 404
    assert is_empty(app.spool)


async def test_every_field_reaches_the_engine(app: ShapeApp) -> None:
    """Format, points, seed, number, quality, background and preview are those of the body."""
    fields = {"n": 3, "size": 100, "seed": 7, "quality": "coarse", "background": "keep", "preview": True, "user": "u"}
    response = await app.generate(model="triposr", output_format="json", response_format="b64_json", **fields)
    views = base64.b64encode(b"views").decode()
    data = base64.b64encode(PNG).decode()
    shape = {"b64_json": data, "preview_b64_json": views, "points": 8, "triangles": 12}
    assert response.json["data"] == [shape] * 3
    request = app.last_request
    assert len(request.images) == 3
    assert len(set(request.images)) == 1
    assert (request.format, request.points, request.seed) == (ShapeFormat.JSON, 100, 7)
    assert (request.quality, request.background, request.has_preview) == (
        ShapeQuality.COARSE,
        ShapeBackground.KEEP,
        True,
    )


@pytest.mark.parametrize(("output_format", "points"), [("json", 4096), ("ply", None), ("glb", None)])
async def test_only_json_has_points_by_default(app: ShapeApp, output_format: str, points: int | None) -> None:
    """PLY and GLB hold a mesh unless the body has a size."""
    assert (await app.generate(output_format=output_format)).status == 200
    assert app.last_request.points == points


async def test_an_image_may_be_base64_or_a_file(tmp_path: Path) -> None:
    """As LocalAI's, an image is also base64 alone, or the id of an uploaded file."""
    files, file_id = uploaded(tmp_path / "files", PNG)
    app = ShapeApp(tmp_path / "spool", files=files)
    for image in (base64.b64encode(PNG).decode(), file_id):
        response = await app.generate(image=image, response_format="b64_json")
        assert base64.b64decode(response.json["data"][0]["b64_json"]) == PNG


async def test_a_prompt_becomes_pictures_first(app: ShapeApp) -> None:
    """The image model makes one picture for each shape; both engine requests are of this request, in this order."""
    fields = {"n": 2, "seed": 5, "step": 9, "cfg_scale": 2.5, "response_format": "b64_json"}
    response = await app.generate(image=..., prompt="a red fox", **fields)
    assert response.status == 200, response.body
    assert [base64.b64decode(shape["b64_json"]) for shape in response.json["data"]] == [b"picture 0", b"picture 1"]
    assert [shape["revised_prompt"] for shape in response.json["data"]] == ["a fox"] * 2
    (first, picture), (second, shape) = app.serving.requests
    assert (first.facts.name, second.facts.name) == ("brush", "triposr")
    assert isinstance(shape, ShapeRequest)
    assert picture == ImageRequest("a red fox", n=2, seed=5, steps=9, guidance=2.5)
    assert (shape.field, shape.seed, len(set(shape.images))) == ("prompt", 5, 2)
    assert is_empty(app.spool)


async def test_a_stream_reports_both_stages(app: ShapeApp) -> None:
    """Steps of the picture, steps of the shape, the shape, and the end."""
    response = await app.generate(image=..., prompt="a fox", stream=True)
    *reported, done = events(response)
    kinds = [(each["type"].rpartition(".")[2], each.get("stage")) for each in reported]
    assert kinds == [("progress", "image"), ("progress", "shape"), ("completed", None)]
    assert base64.b64decode(reported[-1]["b64_json"]) == b"picture 0"
    assert (reported[-1]["shape_index"], reported[-1]["output_format"]) == (0, "glb")
    assert done == "[DONE]"
    assert is_empty(app.spool)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"image": ...}, "prompt"),
        ({"prompt": "a fox"}, "image"),
        ({"prompt": "", "image": ...}, "prompt"),
        ({"prompt": "a" * 32_001, "image": ...}, "prompt"),
        ({"image": ""}, "image"),
        ({"image": "https://example.com/a.png"}, "image"),
        ({"image": "data:image/png;base64,?"}, "image"),
        ({"image": base64.b64encode(b"no picture").decode()}, "image"),
        ({"image": data_url(HUGE)}, "image"),
        ({"n": 0}, "n"),
        ({"n": 5}, "n"),
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"seed": -1, "size": 9}, "seed"),
        ({"seed": 2**32, "size": 9}, "seed"),
        ({"size": 0}, "size"),
        ({"size": 65_537}, "size"),
        ({"step": 5}, "step"),
        ({"step": 0, "image": ..., "prompt": "a"}, "step"),
        ({"cfg_scale": 3}, "cfg_scale"),
        ({"cfg_scale": 0.5, "image": ..., "prompt": "a"}, "cfg_scale"),
        ({"quality": "1024"}, "quality"),
        ({"background": "white"}, "background"),
        ({"output_format": "obj"}, "output_format"),
        ({"response_format": "binary"}, "response_format"),
        ({"response_format": "url", "stream": True}, "response_format"),
        ({"user": "u" * 1025}, "user"),
        ({"texture_steps": 3}, "texture_steps"),
        ({"model": "tiny"}, "model"),
    ],
)
async def test_what_has_no_effect_is_refused_by_name(app: ShapeApp, changes: dict[str, Any], param: str) -> None:
    """Values out of range, unknown ones, and fields that change nothing are a 400 before any work."""
    response = await app.generate(**changes)
    assert (response.status, response.error["param"]) == (400, param), response.body
    assert not app.serving.requests
    assert is_empty(app.spool)


async def test_a_prompt_needs_an_image_model(tmp_path: Path) -> None:
    """Without an image model the error names the prompt."""
    response = await ShapeApp(tmp_path, has_images=False).generate(image=..., prompt="a fox")
    assert (response.status, response.error["param"]) == (400, "prompt")


@pytest.mark.parametrize(("field", "param"), [("steps", "step"), ("guidance", "cfg_scale"), ("size", "prompt")])
async def test_the_image_models_refusal_names_the_shapes_field(tmp_path: Path, field: str, param: str) -> None:
    """What the image model cannot do is an error with the field of this endpoint, and no shape is computed."""

    def refuse(_: Any) -> Script:
        return [InvalidRequest("Not by this model.", param=field)]

    app = ShapeApp(tmp_path, refuse)
    response = await app.generate(image=..., prompt="a fox", step=3, cfg_scale=2)
    assert (response.status, response.error["param"]) == (400, param)
    assert [model.facts.name for model, _ in app.serving.requests] == ["brush"]
    assert is_empty(tmp_path)
