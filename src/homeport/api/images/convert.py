"""From the bodies and forms of the image endpoints to the engine request, checks included.

Looks at the size and first bytes of a file; the worker decodes it. Blocks while it reads and writes files.
"""

from pathlib import Path

from homeport.api.form_values import Form
from homeport.api.image_inputs.collection import ImageInputs, ImagePlace
from homeport.api.image_inputs.collection import ImageSource as InputSource
from homeport.api.images import model_rules
from homeport.api.images.schema import (
    BaseImageFields,
    ImageEditBody,
    ImageEditForm,
    ImageGenerationBody,
    ImageReference,
    ImageVariationForm,
    PromptedImageFields,
)
from homeport.domain import validation
from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageFormat, ImageOutput, ImageRequest, ImageSource

STRICT_BYTES = 4 * 1024 * 1024
"""The limit of an image or mask in the API of 2023."""
MAX_FORM_BYTES = 50 * 1024 * 1024
"""The limit of one image in today's API; here that of a whole form."""
FILES = ("image", "mask")
_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_SEED = 2**32 - 1
_MAX_STEPS = 1_000
_MAX_GUIDANCE = 30.0
_MAX_PARTIAL_IMAGES = 3
_MAX_INPUT_IMAGES = 16
_EFFORT = {"low": 0.5, "high": 2.0, "hd": 2.0}
"""By quality: the multiple of the usual number of steps; 1 for others."""


def generation_to_request(body: ImageGenerationBody) -> ImageRequest:
    """Make the engine request for a generation. Raises InvalidRequest naming the field."""
    _check_prompted(body)
    validation.check_choice("style", body.style, ("vivid", "natural"))
    if body.style == "natural":
        raise validation.unsupported_field("style", "The models have no choice of style: use 'vivid'.")
    return _to_request(body)


def fields_to_request(fields: ImageEditForm) -> ImageRequest:
    """Make the engine request for an image from the fields that generations and edits share, without an input image.

    Raises InvalidRequest naming the field.
    """
    _check_edit(fields)
    return _to_request(fields)


def edit_form_to_request(fields: ImageEditForm, form: Form) -> ImageRequest:
    """Make the engine request for an edit whose images are files. Raises InvalidRequest naming the field."""
    _check_edit(fields)
    is_strict = model_rules.rules_for(fields.name).is_strict
    image = _check_file(form, "image", is_strict=is_strict)
    mask = _check_file(form, "mask", is_strict=True) if "mask" in form.files else None
    return _to_request(fields, ImageSource(image, mask, is_strict=is_strict), fields.strength)


def edit_body_to_source(body: ImageEditBody, images: ImageInputs) -> ImageSource:
    """Check an edit in JSON, and return what is edited, whose files `images` makes later.

    Raises InvalidRequest naming the field.
    """
    _check_edit(body)
    validation.check_items("images", body.images, _MAX_INPUT_IMAGES, 1)
    if len(body.images) > 1:
        raise InvalidRequest(f"Only one image is edited at a time, but got {len(body.images)}.", param="images")
    is_strict = model_rules.rules_for(body.name).is_strict
    image = _add_image(body.images[0], images, "images[0]")
    mask = None if body.mask is None else _add_image(body.mask, images, "mask")
    return ImageSource(image, mask, is_strict=is_strict, field="images")


def edit_body_to_request(body: ImageEditBody, source: ImageSource) -> ImageRequest:
    """Make the engine request for an edit in JSON of a source whose files are made. Raises InvalidRequest."""
    _check_image(source.image.local_path, "images", is_strict=source.is_strict)
    if source.mask is not None:
        _check_image(source.mask.local_path, "mask", is_strict=True)
    return _to_request(body, source, body.strength)


def variation_to_request(fields: ImageVariationForm, form: Form) -> ImageRequest:
    """Make the engine request for a variation. Raises InvalidRequest naming the field."""
    _check_shared(fields)
    validation.check_number("strength", fields.strength, 0, 1)
    return ImageRequest(
        prompt="",
        n=fields.n or 1,
        source=ImageSource(_check_file(form, "image", is_strict=True), is_variation=True),
        size=model_rules.parse_size(model_rules.rules_for(fields.name), fields.size),
        seed=fields.seed,
        steps=fields.steps,
        strength=fields.strength,
    )


def _to_request(
    body: PromptedImageFields, source: ImageSource | None = None, strength: float | None = None
) -> ImageRequest:
    return ImageRequest(
        prompt=body.prompt,
        n=body.n or 1,
        size=model_rules.parse_size(model_rules.rules_for(body.name), body.size),
        source=source,
        seed=body.seed,
        steps=body.steps,
        effort=_EFFORT.get(body.quality or "", 1.0),
        guidance=body.guidance,
        strength=strength,
        negative_prompt=body.negative_prompt or "",
        partial_images=body.partial_images or 0,
        output=ImageOutput(body.format, 100 if body.output_compression is None else body.output_compression),
    )


def _check_shared(body: BaseImageFields) -> None:
    validation.check_integer("n", body.n, 1, model_rules.rules_for(body.name).max_images)
    validation.check_choice("response_format", body.response_format, ("url", "b64_json"))
    validation.check_length("user", body.user, validation.LABEL_CHARS)
    validation.check_integer("seed", body.seed, 0, _MAX_SEED)
    validation.check_integer("steps", body.steps, 1, _MAX_STEPS)


def _check_prompted(body: PromptedImageFields) -> None:
    _check_shared(body)
    rules = model_rules.rules_for(body.name)
    validation.check_length("prompt", body.prompt, rules.prompt_chars, 1)
    validation.check_length("negative_prompt", body.negative_prompt, rules.prompt_chars)
    validation.check_choice("quality", body.quality, rules.qualities)
    validation.check_choice("background", body.background, ("auto", "opaque", "transparent"))
    if body.background == "transparent":
        raise validation.unsupported_field("background", "Images have no transparency: use 'opaque' or 'auto'.")
    validation.check_choice("output_format", body.output_format, tuple(ImageFormat))
    validation.check_integer("output_compression", body.output_compression, 0, 100)
    if body.output_compression not in (None, 100) and body.format is ImageFormat.PNG:
        raise InvalidRequest("PNG has no compression levels: use jpeg or webp.", param="output_compression")
    validation.check_choice("moderation", body.moderation, ("low", "auto"))
    validation.check_number("guidance", body.guidance, 1, _MAX_GUIDANCE)
    validation.check_integer("partial_images", body.partial_images, 0, _MAX_PARTIAL_IMAGES)
    for field in ("partial_images", "progress"):
        if getattr(body, field) and not body.stream:
            raise InvalidRequest(f"'{field}' is only allowed with 'stream'.", param=field)
    if body.stream and body.response_format == "url":
        raise InvalidRequest("Events contain images, not URLs: use b64_json.", param="response_format")


def _check_edit(body: ImageEditForm) -> None:
    _check_prompted(body)
    validation.check_number("strength", body.strength, 0, 1)
    validation.check_choice("input_fidelity", body.input_fidelity, ("low", "high"))
    if body.input_fidelity == "high":
        raise validation.unsupported_field(
            "input_fidelity", "Pixels outside the mask are always kept exactly: use 'low'."
        )


def _add_image(image: ImageReference, images: ImageInputs, param: str) -> Attachment:
    """Register an image, which must be given as a URL or as the id of a file."""
    if image.file_id is not None:
        if image.image_url is not None:
            raise InvalidRequest("Give either 'image_url' or 'file_id'.", param=f"{param}.file_id")
        validation.check_length(f"{param}.file_id", image.file_id, validation.LABEL_CHARS, 1)
    elif image.image_url is None:
        raise validation.missing(f"{param}.image_url")
    field = f"{param}.{'image_url' if image.file_id is None else 'file_id'}"
    source = InputSource(url=image.image_url or "", file_id=image.file_id or "")
    return images.add(source, ImagePlace(param, "image", field, param)).image


def _check_file(form: Form, name: str, *, is_strict: bool) -> Attachment:
    path = form.file(name).path
    _check_image(path, name, is_strict=is_strict)
    return Attachment(path)


def _check_image(path: Path, name: str, *, is_strict: bool) -> None:
    """Check an image by the rules of 2023, which today's masks follow too."""
    if is_strict and (path.stat().st_size >= STRICT_BYTES or not _is_png(path)):
        raise InvalidRequest(
            f"Invalid '{name}': uploaded image must be a PNG and less than 4 MB.", param=name, code="invalid_image"
        )


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PNG)) == _PNG
