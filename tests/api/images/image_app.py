"""Send bodies and forms to the image endpoints in process, to a worker that plays a script."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homeport.api.application import build_application
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    GeneratedImage,
    ImageProgress,
    Usage,
)
from homeport.domain.images import ImageRequest, ImageSize
from homeport.domain.models import Alias
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeImageStore, FakeRegistry, FakeServing, Script, installed, services
from tests.api.form_bodies import HEADERS, form
from tests.api.image_inputs.vision_app import png

MODEL = "brush"
PNG, JPEG = png(), png(format="JPEG")
NAMES = ("dall-e-2", "dall-e-3", "gpt-image-1", "gpt-image-1.5", "gpt-image-2", "chatgpt-image-latest")
Files = Sequence[tuple[str, bytes]]


def generate_images(request: Any) -> Script:
    """Generate each image in two steps, with a partial image after the first if the request asks for it."""
    assert isinstance(request, ImageRequest)
    size = request.size or ImageSize(512, 512)
    steps: list[Sequence[Event]] = [[Admitted(0)]]
    for index in range(request.n):
        steps.append([ImageProgress(index, 1, 2)])
        if request.partial_images:
            steps.append([GeneratedImage(index, size.width, size.height, b"look %d" % index, 0)])
        steps.append(
            [ImageProgress(index, 2, 2), GeneratedImage(index, size.width, size.height, b"picture %d" % index)]
        )
    return [*steps, [Done(Usage())]]


class ImageApp:
    """The application with an image model, a text model and OpenAI's names."""

    def __init__(self, spool: Path, script: Any = generate_images, **changes: Any) -> None:
        self.serving = FakeServing(script)
        self.images = FakeImageStore()
        can = ("images", "image_edits", "image_variations")
        registry = FakeRegistry([installed(MODEL, can), installed("tiny")], [Alias(n, MODEL, None) for n in NAMES])
        self.spool = spool
        self.app = build_application(
            services(self.serving, registry=registry, images=self.images, spool=spool, **changes)
        )

    async def generate(self, **body: Any) -> AsgiResponse:
        """Send a generation; `...` omits a field."""
        sent = {"prompt": "a red fox", **body}
        return await self.json("generations", {name: value for name, value in sent.items() if value is not ...})

    async def json(self, path: str, body: Any) -> AsgiResponse:
        """Send a JSON body."""
        return await call(self.app, "POST", f"/v1/images/{path}", json.dumps(body).encode())

    async def edit(self, *fields: tuple[str, str], files: Files = (("image", PNG),)) -> AsgiResponse:
        """Send a form with a prompt."""
        return await self.form("edits", [("prompt", "a hat"), *fields], files)

    async def vary(self, *fields: tuple[str, str], files: Files = (("image", PNG),)) -> AsgiResponse:
        """Send a form without a prompt."""
        return await self.form("variations", fields, files)

    async def form(self, path: str, fields: Sequence[tuple[str, str]], files: Files) -> AsgiResponse:
        """Send a form."""
        return await call(self.app, "POST", f"/v1/images/{path}", form(fields, files), HEADERS)

    @property
    def last_request(self) -> ImageRequest:
        """The last engine request."""
        request = self.serving.requests[-1][1]
        assert isinstance(request, ImageRequest)
        return request


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Return an image as a data: URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def events(response: AsgiResponse) -> list[Any]:
    """Return the events of a stream, after checking their names; the end is `[DONE]`."""
    decoded: list[Any] = []
    for frame in response.body.decode().strip().split("\n\n"):
        *name, data = frame.split("\n")
        if data == "data: [DONE]":
            decoded.append("[DONE]")
            continue
        decoded.append(json.loads(data.removeprefix("data: ")))
        assert name == [f"event: {decoded[-1]['type']}"]
    return decoded
