"""The body of `/v1/3d/generations`."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import accepted, served
from homeport.domain.shapes import ShapeFormat

DEFAULT_MODEL = "point-e"
"""The model if the body names none: OpenAI's name, which stands for an installed model."""


class ShapeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/3d/generations`."""

    model: Annotated[
        str | None,
        served("A model's own name, or point-e or shap-e, which stand for an installed one. Default: point-e."),
    ] = None
    prompt: Annotated[
        str | None,
        served("What to make, up to 32,000 characters: the default image model makes a picture of it first."),
    ] = None
    image: Annotated[
        str | None,
        served("Instead of `prompt`: a data: URL, base64, the id of a file, or the URL of a host the operator allows."),
    ] = None
    n: Annotated[int | None, served("1 to 4. Of an image, only clouds of points differ, so its mesh is made once.")] = (
        None
    )
    seed: Annotated[
        int | None,
        served("0 to 2^32 - 1, for the picture of a prompt, and for where points lie. Not for an image's mesh."),
    ] = None
    size: Annotated[
        int | None,
        served("1 to 65,536 points on the surface instead of a mesh; json always has points, by default 4096."),
    ] = None
    step: Annotated[int | None, served("With `prompt`: the steps of the image model. Shapes are made in one pass.")] = (
        None
    )
    cfg_scale: Annotated[float | None, served("With `prompt`: 1 to 30, how closely its picture follows it.")] = None
    quality: Annotated[str | None, served("auto, or coarse: a grid of half as many points along each axis.")] = None
    background: Annotated[
        str | None, served("auto cuts a transparent or plain background away; keep takes the picture as it is.")
    ] = None
    output_format: Annotated[str | None, served("glb (default), ply or json.")] = None
    response_format: Annotated[
        str | None, served("url (default; served by this server for an hour) or b64_json (default with `stream`).")
    ] = None
    preview: Annotated[bool | None, served("Adds `preview_b64_json`, a PNG file with eight views.")] = None
    stream: Annotated[bool | None, served("Events with progress and for each shape; ended by `data: [DONE]`.")] = None
    user: Annotated[str | None, accepted("Up to 1024 characters; does not change the shape.")] = None

    @property
    def name(self) -> str:
        """The model that the caller names, or the default."""
        return self.model or DEFAULT_MODEL

    @property
    def format(self) -> ShapeFormat:
        """The file format of the shapes."""
        return ShapeFormat(self.output_format or ShapeFormat.GLB)

    @property
    def is_url(self) -> bool:
        """Whether the answer contains URLs instead of files. Events never do."""
        return self.response_format != "b64_json" and not self.stream
