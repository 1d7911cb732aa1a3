"""The bodies and forms of the image endpoints, their checks, and the engine requests that they become.

Knows nothing of HTTP and pixels.
"""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import accepted, refused, served
from homeport.api.images import model_rules
from homeport.api.images.references import ImageReference
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import (
    ImageFormat,
    ImageOutput,
    ImageRequest,
    ImageSource,
)

_SEED_MAX = 2**32 - 1
_STEPS_MAX = 1_000
_GUIDANCE_MAX = 30.0
_PARTIAL_MAX = 3
_EFFORT = {"low": 0.5, "high": 2.0, "hd": 2.0}
_CURRENT_FIELDS = ("output_format", "output_compression", "stream", "partial_images", "background", "moderation")
"""Fields that only current models have. A body with one of them and no model means a current model."""
_CURRENT_VALUES = {"quality": ("low", "medium", "high"), "size": ("1536x1024", "1024x1536", model_rules.AUTO)}
"""Values that only current models have."""
_MAX_INPUT_IMAGES = 16
_MODEL = served(
    "A model's own name, or an OpenAI name that stands for one. Default dall-e-2, or gpt-image-1 if "
    "the body has a field that only current models take."
)
_N = served("1 to 10, each with its own seed; only 1 for dall-e-3.")
_SIZE = served("OpenAI's sizes for its model names, else edges of 64 to 2048 pixels; also written `1024*1024`.")
_RESPONSE_FORMAT = served(
    "url (served by this server for an hour) or b64_json. Default: url for dall-e-2 and dall-e-3, else b64_json."
)
_USER = accepted("Up to 1024 characters; does not change the image.")
_SEED = served("0 to 2^32 - 1; the same seed gives the same image.")
_STEPS = served("1 to the model's maximum; default: the model's own number.")
_STRENGTH = served("0 to 1: how much the result may differ from the image.")
_IMAGES = served("In a JSON body: a list with one data: URL. File ids and remote URLs are refused.")
_MASK = served("PNG; fully transparent pixels are replaced, all others are kept. Default: the image's own alpha.")

EDIT_FILES = {
    "image": served("One image: PNG, JPEG or WebP. For DALL·E's names, a square PNG below 4 MB."),
    "images": _IMAGES,
    "mask": _MASK,
}
"""The notes of the fields of an edit that hold images: files of a form, or in JSON."""
VARIATION_FILES = {"image": served("A square PNG below 4 MB.")}
"""The notes of the file fields of a variation."""


class BaseImageFields:
    """What the three bodies share: properties and checks. Each body declares the fields, in the order of its notes."""

    __slots__ = ()
    model: str | None
    n: int | None
    size: str | None
    response_format: str | None
    user: str | None
    seed: int | None
    steps: int | None

    @property
    def name(self) -> str:
        """The requested model, or the default."""
        return self.model or model_rules.DEFAULT

    @property
    def is_url(self) -> bool:
        """Whether the answer contains URLs of images."""
        return (self.response_format or model_rules.rules_for(self.name).response_format) == "url"

    @property
    def format(self) -> ImageFormat:
        """The format of the image files."""
        return ImageFormat.PNG

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        validation.check_integer("n", self.n, 1, model_rules.rules_for(self.name).max_images)
        validation.check_choice("response_format", self.response_format, ("url", "b64_json"))
        validation.check_length("user", self.user, validation.LABEL_CHARS)
        validation.check_integer("seed", self.seed, 0, _SEED_MAX)
        validation.check_integer("steps", self.steps, 1, _STEPS_MAX)


class PromptedImageFields(BaseImageFields, msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a generation, which an edit takes too."""

    prompt: Annotated[str, served("At most 1,000 characters for dall-e-2, 4,000 for dall-e-3, else 32,000.")]
    model: Annotated[str | None, _MODEL] = None
    n: Annotated[int | None, _N] = None
    size: Annotated[str | None, _SIZE] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None
    user: Annotated[str | None, _USER] = None
    quality: Annotated[str | None, served("low takes half the steps, high and hd take twice as many.")] = None
    background: Annotated[str | None, refused("Images have no transparency; auto and opaque are accepted.")] = None
    output_format: Annotated[str | None, served("png, jpeg or webp.")] = None
    output_compression: Annotated[int | None, served("0 to 100, with jpeg and webp.")] = None
    stream: Annotated[bool | None, served("An event for each finished image; ended by `data: [DONE]`.")] = None
    partial_images: Annotated[
        int | None, served("0 to 3 previews, only with `stream`, if the model supports them.")
    ] = None
    seed: Annotated[int | None, _SEED] = None
    steps: Annotated[int | None, _STEPS] = None
    guidance: Annotated[float | None, served("1 to 30: how closely the image follows the prompt.")] = None
    negative_prompt: Annotated[str | None, served("What to avoid; has an effect if guidance is above 1.")] = None
    progress: Annotated[bool | None, served("With `stream`: an event after every step.")] = None
    moderation: Annotated[str | None, accepted("Nothing is filtered, so low and auto mean the same.")] = None

    @property
    def name(self) -> str:
        """The requested model, or the default."""
        return self.model or (model_rules.DEFAULT_CURRENT_MODEL if self.uses_current_api else model_rules.DEFAULT)

    @property
    def uses_current_api(self) -> bool:
        """Whether the body uses a field or value that only current models have."""
        return any(getattr(self, field) is not None for field in _CURRENT_FIELDS) or any(
            getattr(self, field) in values for field, values in _CURRENT_VALUES.items()
        )

    @property
    def is_url(self) -> bool:
        """Whether the answer contains URLs of images. Events never do."""
        return super().is_url and not self.stream

    @property
    def format(self) -> ImageFormat:
        """The format of the image files."""
        return ImageFormat(self.output_format or ImageFormat.PNG)

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        super().check()
        rule = model_rules.rules_for(self.name)
        validation.check_length("prompt", self.prompt, rule.prompt_chars, 1)
        validation.check_length("negative_prompt", self.negative_prompt, rule.prompt_chars)
        validation.check_choice("quality", self.quality, rule.qualities)
        validation.check_choice("background", self.background, ("auto", "opaque", "transparent"))
        if self.background == "transparent":
            raise validation.unsupported_field("background", "Images have no transparency: use 'opaque' or 'auto'.")
        validation.check_choice("output_format", self.output_format, tuple(ImageFormat))
        validation.check_integer("output_compression", self.output_compression, 0, 100)
        if self.output_compression not in (None, 100) and self.format is ImageFormat.PNG:
            raise InvalidRequest("PNG has no degrees of compression: use jpeg or webp.", param="output_compression")
        validation.check_choice("moderation", self.moderation, ("low", "auto"))
        validation.check_number("guidance", self.guidance, 1, _GUIDANCE_MAX)
        validation.check_integer("partial_images", self.partial_images, 0, _PARTIAL_MAX)
        for field in ("partial_images", "progress"):
            if getattr(self, field) and not self.stream:
                raise InvalidRequest(f"'{field}' is only allowed with 'stream'.", param=field)
        if self.stream and self.response_format == "url":
            raise InvalidRequest("Events contain images, not URLs: use b64_json.", param="response_format")

    def to_request(self, source: ImageSource | None = None, strength: float | None = None) -> ImageRequest:
        """Make the engine request of a checked body. Raises InvalidRequest for a wrong size."""
        return ImageRequest(
            prompt=self.prompt,
            n=self.n or 1,
            size=model_rules.size(model_rules.rules_for(self.name), self.size),
            source=source,
            seed=self.seed,
            steps=self.steps,
            effort=_EFFORT.get(self.quality or "", 1.0),
            guidance=self.guidance,
            strength=strength,
            negative_prompt=self.negative_prompt or "",
            partial_images=self.partial_images or 0,
            output=ImageOutput(self.format, 100 if self.output_compression is None else self.output_compression),
        )


class ImageGenerationBody(PromptedImageFields, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/images/generations`."""

    style: Annotated[str | None, refused("The models have no choice of style; vivid, the default, is accepted.")] = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        super().check()
        validation.check_choice("style", self.style, ("vivid", "natural"))
        if self.style == "natural":
            raise validation.unsupported_field("style", "The models have no choice of style: use 'vivid'.")


class ImageEditForm(PromptedImageFields, forbid_unknown_fields=True, kw_only=True):
    """The form of `/v1/images/edits`, without its files."""

    input_fidelity: Annotated[
        str | None, refused("Pixels outside the mask are kept exactly; low, the default, is accepted.")
    ] = None
    strength: Annotated[float | None, _STRENGTH] = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        super().check()
        validation.check_number("strength", self.strength, 0, 1)
        validation.check_choice("input_fidelity", self.input_fidelity, ("low", "high"))
        if self.input_fidelity == "high":
            raise validation.unsupported_field(
                "input_fidelity", "Pixels outside the mask are always kept exactly: use 'low'."
            )


class ImageEditBody(ImageEditForm, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/images/edits` as JSON, which only the current API has."""

    images: Annotated[list[ImageReference], _IMAGES]
    mask: Annotated[ImageReference | None, _MASK] = None

    @property
    def uses_current_api(self) -> bool:
        """True: only the current API takes JSON."""
        return True

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        super().check()
        validation.check_items("images", self.images, _MAX_INPUT_IMAGES, 1)
        if len(self.images) > 1:
            said = f"Only one image is edited at a time, but got {len(self.images)}."
            raise InvalidRequest(said, param="images")
        self.images[0].check("images[0]")
        if self.mask is not None:
            self.mask.check("mask")


class ImageVariationForm(BaseImageFields, msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of `/v1/images/variations`, without its file."""

    model: Annotated[str | None, _MODEL] = None
    n: Annotated[int | None, _N] = None
    size: Annotated[str | None, _SIZE] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None
    user: Annotated[str | None, _USER] = None
    seed: Annotated[int | None, _SEED] = None
    steps: Annotated[int | None, _STEPS] = None
    strength: Annotated[float | None, _STRENGTH] = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        super().check()
        validation.check_number("strength", self.strength, 0, 1)

    def to_request(self, source: ImageSource) -> ImageRequest:
        """Make the engine request of a checked body. Raises InvalidRequest for a wrong size."""
        return ImageRequest(
            prompt="",
            n=self.n or 1,
            size=model_rules.size(model_rules.rules_for(self.name), self.size),
            source=source,
            seed=self.seed,
            steps=self.steps,
            strength=self.strength,
        )
