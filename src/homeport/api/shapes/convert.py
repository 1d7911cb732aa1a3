"""From the body of a shape request to engine requests, checks included. Knows nothing of how a shape is computed."""

from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.api.shapes.schema import ShapeBody
from homeport.domain import validation
from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageRequest
from homeport.domain.shapes import (
    POINTS_DEFAULT,
    POINTS_MAX,
    POINTS_MIN,
    SHAPES_MAX,
    ShapeBackground,
    ShapeFormat,
    ShapeQuality,
    ShapeRequest,
)

_PROMPT_CHARS = 32_000
_MAX_SEED = 2**32 - 1
_MAX_STEPS = 1_000
_MAX_CFG_SCALE = 30.0
_FILE_ID = "file-"
_PICTURE_FIELDS = {"steps": "step", "guidance": "cfg_scale"}
"""The fields of a shape request by those of images that they become."""


def check_body(body: ShapeBody) -> None:
    """Check everything but the picture itself. Raises InvalidRequest naming the field."""
    if body.prompt is None and body.image is None:
        raise InvalidRequest(
            "Missing required parameter: send a 'prompt' or an 'image'.",
            param="prompt",
            code="missing_required_parameter",
        )
    if body.prompt is not None and body.image is not None:
        raise InvalidRequest("Send either 'prompt' or 'image', not both.", param="image", code="invalid_value")
    validation.check_length("prompt", body.prompt, _PROMPT_CHARS, 1)
    validation.check_length("image", body.image, len(body.image or ""), 1)
    validation.check_integer("n", body.n, 1, SHAPES_MAX)
    validation.check_integer("seed", body.seed, 0, _MAX_SEED)
    validation.check_integer("size", body.size, POINTS_MIN, POINTS_MAX)
    validation.check_integer("step", body.step, 1, _MAX_STEPS)
    validation.check_number("cfg_scale", body.cfg_scale, 1, _MAX_CFG_SCALE)
    validation.check_choice("quality", body.quality, tuple(ShapeQuality))
    validation.check_choice("background", body.background, tuple(ShapeBackground))
    validation.check_choice("output_format", body.output_format, tuple(ShapeFormat))
    validation.check_choice("response_format", body.response_format, ("url", "b64_json"))
    validation.check_length("user", body.user, validation.LABEL_CHARS)
    if body.stream and body.response_format == "url":
        raise InvalidRequest("Events contain files, not URLs: use b64_json.", param="response_format")
    if body.image is not None:
        _check_of_image(body)


def add_image(body: ShapeBody, images: ImageInputs) -> Attachment:
    """Register the body's image, whose file `images` makes later. Raises InvalidRequest naming it."""
    value = body.image or ""
    if value.startswith(_FILE_ID):
        source = ImageSource(file_id=value)
    else:
        source = ImageSource(url=value) if ":" in value[:16] else ImageSource(data=value)
    return images.add(source, ImagePlace("image", "image", "image", "image")).image


def to_request(body: ShapeBody, images: tuple[Attachment, ...]) -> ShapeRequest:
    """Make the engine request for shapes of these pictures, one of each."""
    return ShapeRequest(
        images,
        format=body.format,
        points=_points(body),
        seed=body.seed,
        quality=ShapeQuality(body.quality or ShapeQuality.AUTO),
        background=ShapeBackground(body.background or ShapeBackground.AUTO),
        has_preview=bool(body.preview),
        field="image" if body.prompt is None else "prompt",
    )


def to_picture_request(body: ShapeBody) -> ImageRequest:
    """Make the engine request for the pictures of a prompt, one for each shape."""
    return ImageRequest(body.prompt or "", n=body.n or 1, seed=body.seed, steps=body.step, guidance=body.cfg_scale)


def picture_error(error: InvalidRequest) -> InvalidRequest:
    """Return an image model's refusal with the fields of a shape request."""
    param = _PICTURE_FIELDS.get(error.param or "", "prompt")
    return InvalidRequest(f"The picture of the prompt is not made. {error.message}", param=param, code=error.code)


def _points(body: ShapeBody) -> int | None:
    return body.size or (POINTS_DEFAULT if body.format is ShapeFormat.JSON else None)


def _check_of_image(body: ShapeBody) -> None:
    """Refuse what changes nothing when the picture is given: only a prompt's picture is sampled."""
    for field in ("step", "cfg_scale"):
        if getattr(body, field) is not None:
            raise validation.unsupported_field(
                field, "The shape of an image is computed in one pass, without sampling: only a 'prompt' has it."
            )
    if _points(body) is None:
        for field, given in (("n", (body.n or 1) > 1), ("seed", body.seed is not None)):
            if given:
                raise validation.unsupported_field(
                    field, "The mesh of an image is always the same: ask for points with 'size', or send a 'prompt'."
                )
