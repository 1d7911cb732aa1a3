"""For every field of the shape endpoint: a value that changes the answer, and the change to check."""

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

from PIL import Image

from tests.engines.shapes.tiny_pair import MODEL, picture
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes

PROMPTED = {"image": ..., "prompt": "a red fox"}


def data_url(data: bytes) -> str:
    """Return a picture as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


class ShapeTrial(EndpointTrial):
    """Requests shapes."""

    def data(self, **changed: Any) -> list[bytes]:
        """Return all shapes, as files."""
        return [base64.b64decode(each["b64_json"]) for each in self.ask(**changed)["data"]]

    def points(self, **changed: Any) -> list[list[float]]:
        """Return the points of the first shape."""
        points: list[list[float]] = json.loads(self.data(**changed)[0])["points"]
        return points


def _model(trial: ShapeTrial) -> None:
    for model in ("point-e", "shap-e", ...):
        answer = trial.raw(model=model)
        assert (answer.status, answer.headers["x-homeport-model"]) == (200, MODEL)
    assert trial.raw(model="nobody").status == 404


def _prompt(trial: ShapeTrial) -> None:
    assert trial.points(**PROMPTED) != trial.points()
    assert trial.raw(prompt="a fox").error["param"] == "image"


def _image(trial: ShapeTrial) -> None:
    assert trial.points(image=data_url(picture((20, 20, 220)))) != trial.points()
    assert trial.raw(image=...).status == 400


def _n(trial: ShapeTrial) -> None:
    assert len(set(trial.data(n=3))) == 3


def _seed(trial: ShapeTrial) -> None:
    assert trial.data(seed=5) == trial.data(seed=5) != trial.data(seed=6)


def _size(trial: ShapeTrial) -> None:
    assert len(trial.points(size=77)) == 77
    assert trial.raw(size=0).error["param"] == "size"


def _step(trial: ShapeTrial) -> None:
    assert trial.points(**PROMPTED, step=1) != trial.points(**PROMPTED, step=4)
    assert trial.raw(step=4).error["param"] == "step"


def _cfg_scale(trial: ShapeTrial) -> None:
    assert trial.points(**PROMPTED, cfg_scale=1) != trial.points(**PROMPTED, cfg_scale=6)
    assert trial.raw(cfg_scale=4).error["param"] == "cfg_scale"


def _quality(trial: ShapeTrial) -> None:
    meshes = [trial.ask(output_format="glb", size=..., seed=..., quality=each) for each in ("coarse", "auto")]
    coarse, fine = (mesh["data"][0]["triangles"] for mesh in meshes)
    assert coarse < fine


def _background(trial: ShapeTrial) -> None:
    on_blue = data_url(picture(background=(10, 10, 200)))
    assert trial.points(image=on_blue) != trial.points(image=on_blue, background="keep")


def _output_format(trial: ShapeTrial) -> None:
    starts = [trial.data(output_format=each)[0][:4] for each in ("glb", "ply", "json")]
    assert starts == [b"glTF", b"ply\n", b'{"po']


def _response_format(trial: ShapeTrial) -> None:
    (found,) = trial.ask(response_format="url")["data"]
    shape = trial.server.call("GET", "/shapes/" + found["url"].partition("/shapes/")[2])
    assert shape.body == trial.data()[0]


def _preview(trial: ShapeTrial) -> None:
    (found,) = trial.ask(preview=True)["data"]
    with Image.open(io.BytesIO(base64.b64decode(found["preview_b64_json"]))) as opened:
        assert opened.format == "PNG"
    assert "preview_b64_json" not in trial.ask()["data"][0]


def _stream(trial: ShapeTrial) -> None:
    answer = trial.raw(stream=True)
    *frames, done = [each for each in answer.body.decode().strip().split("\n\n") if each != ": ping"]
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames]
    assert done == "data: [DONE]"
    assert {event["type"] for event in events[:-1]} == {"shape_generation.progress"}
    assert base64.b64decode(events[-1]["b64_json"]) == trial.data()[0]


_EFFECTS: dict[str, Effect] = {
    "model": _model,
    "prompt": _prompt,
    "image": _image,
    "n": _n,
    "seed": _seed,
    "size": _size,
    "step": _step,
    "cfg_scale": _cfg_scale,
    "quality": _quality,
    "background": _background,
    "output_format": _output_format,
    "response_format": _response_format,
    "preview": _preview,
    "stream": _stream,
}
_PLAIN = {
    "model": MODEL,
    "image": data_url(picture()),
    "quality": "coarse",
    "output_format": "json",
    "response_format": "b64_json",
    "size": 50,
    "seed": 1,
}

PROBES: Mapping[str, Probes] = {
    "shapes": Probes("/v1/3d/generations", _PLAIN, _EFFECTS, {"user": "somebody"}, trial_type=ShapeTrial)
}
