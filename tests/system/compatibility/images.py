"""For every field of the image endpoints: a value that changes the answer, and the change to check."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.api.form_bodies import HEADERS, form
from tests.system import tiny_diffusion
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes
from tests.system.server import HttpAnswer
from tests.system.tiny_diffusion import MODEL, Array, shown

_PNG, _JPEG = "PNG", "JPEG"


@cache
def upload(name: str) -> bytes:
    """Return one of three files: `whole`, `holed` and `photo`, a JPEG."""
    return tiny_diffusion.file(tiny_diffusion.source(hole=name == "holed"), _JPEG if name == "photo" else _PNG)


def data_url(name: str) -> str:
    """Return the same as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(upload(name)).decode()}"


class ImageTrial(EndpointTrial):
    """Requests images."""

    def data(self, **changed: Any) -> list[bytes]:
        """Return all images, as files."""
        return [base64.b64decode(each["b64_json"]) for each in self.ask(**changed)["data"]]

    def pixels(self, **changed: Any) -> Array:
        """Return the pixels of the first image."""
        return shown(self.data(**changed)[0])

    def events(self, **changed: Any) -> list[Any]:
        """Return the events of a stream, without its end."""
        answer = self.raw(stream=True, **changed)
        assert answer.status == 200, answer.body
        frames = [each for each in answer.body.decode().strip().split("\n\n") if each != ": ping"]
        assert frames.pop() == "data: [DONE]"
        return [json.loads(frame.partition("data: ")[2]) for frame in frames]


class FormTrial(ImageTrial):
    """Sends forms. The fields `image` and `mask` hold an upload's name."""

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send the fields as a form, or as JSON if they contain images as URLs."""
        if "images" in body:
            return super().send(body)
        files = [(name, upload(body[name])) for name in ("image", "mask") if name in body]
        fields = [(name, str(value)) for name, value in body.items() if name not in ("image", "mask")]
        headers = {"Content-Type": HEADERS["content-type"]}
        return self.server.call("POST", self.probes.path, form(fields, files), headers)


def _prompt(desk: ImageTrial) -> None:
    assert desk.raw(prompt=...).error["param"] == "prompt"
    assert (desk.pixels() != desk.pixels(prompt="a far longer prompt about many things at once")).any()


def _model(desk: ImageTrial) -> None:
    answer = desk.raw(model="gpt-image-1", size="1024x1024")
    assert answer.headers["x-homeport-model"] == MODEL
    assert desk.raw(model="nobody").status == 404


def _n(desk: ImageTrial) -> None:
    assert len(set(desk.data(n=3))) == 3


def _size(desk: ImageTrial) -> None:
    assert desk.pixels(size="192*192").shape[:2] == (192, 192)
    assert desk.raw(size="9x9").error["param"] == "size"


def _response_format(desk: ImageTrial) -> None:
    (found,) = desk.ask(response_format="url")["data"]
    picture = desk.server.call("GET", "/images/" + found["url"].partition("/images/")[2])
    assert picture.body == desk.data()[0]


def _seed(desk: ImageTrial) -> None:
    assert desk.data(seed=5) == desk.data(seed=5) != desk.data(seed=6)


def _steps(desk: ImageTrial) -> None:
    assert (desk.pixels(steps=1) != desk.pixels(steps=4)).any()


def _strength(desk: ImageTrial) -> None:
    assert (desk.pixels(strength=0.2) != desk.pixels(strength=1)).any()


def _quality(desk: ImageTrial) -> None:
    assert len(desk.events(progress=True, quality="low")) < len(desk.events(progress=True, quality="high"))


def _output_format(desk: ImageTrial) -> None:
    assert [tiny_diffusion.kind(desk.data(output_format=kind)[0]) for kind in ("jpeg", "webp")] == ["JPEG", "WEBP"]


def _output_compression(desk: ImageTrial) -> None:
    sizes = [len(desk.data(output_format="jpeg", output_compression=quality)[0]) for quality in (10, 90)]
    assert sizes[0] < sizes[1]


def _stream(desk: ImageTrial) -> None:
    (received,) = desk.events()
    assert received["type"].endswith(".completed")
    assert base64.b64decode(received["b64_json"]) == desk.data()[0]


def _partial_images(desk: ImageTrial) -> None:
    kinds = [received["type"].rpartition(".")[2] for received in desk.events(partial_images=2, steps=4)]
    assert kinds == ["partial_image", "partial_image", "completed"]


def _progress(desk: ImageTrial) -> None:
    assert [received.get("step") for received in desk.events(progress=True, steps=2)] == [1, 2, None]


def _guidance(desk: ImageTrial) -> None:
    assert (desk.pixels(guidance=6) != desk.pixels(guidance=1)).any()


def _negative_prompt(desk: ImageTrial) -> None:
    wish = {"guidance": 4}
    assert (desk.pixels(**wish) != desk.pixels(**wish, negative_prompt="rain, snow and all kinds of clouds")).any()


def _image(desk: FormTrial) -> None:
    assert (desk.pixels(image="holed") != desk.pixels(image="whole")).any()
    missing = desk.raw(image=...)
    assert (missing.status, missing.error["param"]) == (400, "image")


def _images(desk: FormTrial) -> None:
    as_json = desk.pixels(image=..., images=[{"image_url": data_url("holed")}])
    assert (as_json == desk.pixels(image="holed")).all()


def _mask(desk: FormTrial) -> None:
    lower = desk.pixels(mask="holed")[128:]
    assert (lower == tiny_diffusion.source()[128:, :, :3]).all()
    assert (lower != desk.pixels()[128:]).any()


_ALL: dict[str, Effect] = {
    "model": _model,
    "n": _n,
    "size": _size,
    "response_format": _response_format,
    "seed": _seed,
    "steps": _steps,
}
_PROMPTED: dict[str, Effect] = {
    **_ALL,
    "prompt": _prompt,
    "quality": _quality,
    "output_format": _output_format,
    "output_compression": _output_compression,
    "stream": _stream,
    "partial_images": _partial_images,
    "progress": _progress,
    "guidance": _guidance,
    "negative_prompt": _negative_prompt,
}
_PLAIN = {"model": MODEL, "response_format": "b64_json", "seed": 1}
_REFUSED = {"background": {"background": "transparent"}}

PROBES: Mapping[str, Probes] = {
    "images": Probes(
        "/v1/images/generations",
        {**_PLAIN, "prompt": "a red fox", "size": "128x128"},
        _PROMPTED,
        {"user": "somebody", "moderation": "low"},
        {**_REFUSED, "style": {"style": "natural"}},
        ImageTrial,
    ),
    "image_edits": Probes(
        "/v1/images/edits",
        {**_PLAIN, "prompt": "a hat", "image": "whole"},
        {**_PROMPTED, "image": _image, "images": _images, "mask": _mask, "strength": _strength},
        {"user": "somebody", "moderation": "low"},
        {**_REFUSED, "input_fidelity": {"input_fidelity": "high"}},
        FormTrial,
    ),
    "image_variations": Probes(
        "/v1/images/variations",
        {**_PLAIN, "image": "whole"},
        {**_ALL, "image": _image, "strength": _strength},
        {"user": "somebody"},
        desk=FormTrial,
    ),
}
