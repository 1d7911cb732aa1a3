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


def _prompt(trial: ImageTrial) -> None:
    assert trial.raw(prompt=...).error["param"] == "prompt"
    assert (trial.pixels() != trial.pixels(prompt="a far longer prompt about many things at once")).any()


def _model(trial: ImageTrial) -> None:
    answer = trial.raw(model="gpt-image-1", size="1024x1024")
    assert answer.headers["x-homeport-model"] == MODEL
    assert trial.raw(model="nobody").status == 404


def _n(trial: ImageTrial) -> None:
    assert len(set(trial.data(n=3))) == 3


def _size(trial: ImageTrial) -> None:
    assert trial.pixels(size="192*192").shape[:2] == (192, 192)
    assert trial.raw(size="9x9").error["param"] == "size"


def _response_format(trial: ImageTrial) -> None:
    (found,) = trial.ask(response_format="url")["data"]
    picture = trial.server.call("GET", "/images/" + found["url"].partition("/images/")[2])
    assert picture.body == trial.data()[0]


def _seed(trial: ImageTrial) -> None:
    assert trial.data(seed=5) == trial.data(seed=5) != trial.data(seed=6)


def _steps(trial: ImageTrial) -> None:
    assert (trial.pixels(steps=1) != trial.pixels(steps=4)).any()


def _strength(trial: ImageTrial) -> None:
    assert (trial.pixels(strength=0.2) != trial.pixels(strength=1)).any()


def _quality(trial: ImageTrial) -> None:
    assert len(trial.events(progress=True, quality="low")) < len(trial.events(progress=True, quality="high"))


def _output_format(trial: ImageTrial) -> None:
    assert [tiny_diffusion.kind(trial.data(output_format=kind)[0]) for kind in ("jpeg", "webp")] == ["JPEG", "WEBP"]


def _output_compression(trial: ImageTrial) -> None:
    sizes = [len(trial.data(output_format="jpeg", output_compression=quality)[0]) for quality in (10, 90)]
    assert sizes[0] < sizes[1]


def _stream(trial: ImageTrial) -> None:
    (received,) = trial.events()
    assert received["type"].endswith(".completed")
    assert base64.b64decode(received["b64_json"]) == trial.data()[0]


def _partial_images(trial: ImageTrial) -> None:
    kinds = [received["type"].rpartition(".")[2] for received in trial.events(partial_images=2, steps=4)]
    assert kinds == ["partial_image", "partial_image", "completed"]


def _progress(trial: ImageTrial) -> None:
    assert [received.get("step") for received in trial.events(progress=True, steps=2)] == [1, 2, None]


def _guidance(trial: ImageTrial) -> None:
    assert (trial.pixels(guidance=6) != trial.pixels(guidance=1)).any()


def _negative_prompt(trial: ImageTrial) -> None:
    wish = {"guidance": 4}
    assert (trial.pixels(**wish) != trial.pixels(**wish, negative_prompt="rain, snow and all kinds of clouds")).any()


def _image(trial: FormTrial) -> None:
    assert (trial.pixels(image="holed") != trial.pixels(image="whole")).any()
    missing = trial.raw(image=...)
    assert (missing.status, missing.error["param"]) == (400, "image")


def _images(trial: FormTrial) -> None:
    as_json = trial.pixels(image=..., images=[{"image_url": data_url("holed")}])
    assert (as_json == trial.pixels(image="holed")).all()


def _mask(trial: FormTrial) -> None:
    lower = trial.pixels(mask="holed")[128:]
    assert (lower == tiny_diffusion.source()[128:, :, :3]).all()
    assert (lower != trial.pixels()[128:]).any()


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
        trial_type=FormTrial,
    ),
}
