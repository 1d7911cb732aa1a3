"""The bodies of the image endpoints and what can be checked in them without a model, and without looking at pixels.

Knows nothing of HTTP: JSON and forms are read into these by the handlers.
"""

import msgspec

from homeport.api import validation
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
"""Fields that only today's models have: with one of them and no model, one of these is meant."""
_CURRENT_VALUES = {"quality": ("low", "medium", "high"), "size": ("1536x1024", "1024x1536", model_rules.AUTO)}
"""The same of values."""
_MAX_INPUT_IMAGES = 16


class BaseImageFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What all three take."""

    model: str | None = None
    n: int | None = None
    size: str | None = None
    response_format: str | None = None
    user: str | None = None
    seed: int | None = None
    steps: int | None = None

    @property
    def name(self) -> str:
        """The model asked for, or meant."""
        return self.model or model_rules.DEFAULT

    @property
    def is_url(self) -> bool:
        """Whether the answer names pictures by URL."""
        return (self.response_format or model_rules.rules_for(self.name).response_format) == "url"

    @property
    def format(self) -> ImageFormat:
        """How pictures are written."""
        return ImageFormat.PNG

    def check(self) -> None:
        """Raise InvalidRequest naming the field at fault."""
        validation.check_integer("n", self.n, 1, model_rules.rules_for(self.name).max_images)
        validation.check_choice("response_format", self.response_format, ("url", "b64_json"))
        validation.check_length("user", self.user, validation.LABEL_CHARS)
        validation.check_integer("seed", self.seed, 0, _SEED_MAX)
        validation.check_integer("steps", self.steps, 1, _STEPS_MAX)


class PromptedImageFields(BaseImageFields, forbid_unknown_fields=True, kw_only=True):
    """What those with a prompt take."""

    prompt: str
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    stream: bool | None = None
    partial_images: int | None = None
    guidance: float | None = None
    negative_prompt: str | None = None
    progress: bool | None = None
    moderation: str | None = None

    @property
    def name(self) -> str:
        """The model asked for, or meant."""
        return self.model or (model_rules.DEFAULT_CURRENT_MODEL if self.uses_current_api else model_rules.DEFAULT)

    @property
    def uses_current_api(self) -> bool:
        """Whether anything is used that OpenAI's older models did not have."""
        return any(getattr(self, field) is not None for field in _CURRENT_FIELDS) or any(
            getattr(self, field) in values for field, values in _CURRENT_VALUES.items()
        )

    @property
    def is_url(self) -> bool:
        """Whether the answer names pictures by URL. Events never do."""
        return super().is_url and not self.stream

    @property
    def format(self) -> ImageFormat:
        """How pictures are written."""
        return ImageFormat(self.output_format or ImageFormat.PNG)

    def check(self) -> None:
        """Raise InvalidRequest naming the field at fault."""
        super().check()
        rule = model_rules.rules_for(self.name)
        validation.check_length("prompt", self.prompt, rule.prompt_chars, 1)
        validation.check_length("negative_prompt", self.negative_prompt, rule.prompt_chars)
        validation.check_choice("quality", self.quality, rule.qualities)
        validation.check_choice("background", self.background, ("auto", "opaque", "transparent"))
        if self.background == "transparent":
            raise validation.unsupported_field("background", "Pictures are painted without transparency here.")
        validation.check_choice("output_format", self.output_format, tuple(ImageFormat))
        validation.check_integer("output_compression", self.output_compression, 0, 100)
        if self.output_compression not in (None, 100) and self.format is ImageFormat.PNG:
            raise InvalidRequest("PNG is not compressed by degrees: ask for jpeg or webp.", param="output_compression")
        validation.check_choice("moderation", self.moderation, ("low", "auto"))
        validation.check_number("guidance", self.guidance, 1, _GUIDANCE_MAX)
        validation.check_integer("partial_images", self.partial_images, 0, _PARTIAL_MAX)
        for field in ("partial_images", "progress"):
            if getattr(self, field) and not self.stream:
                raise InvalidRequest(f"'{field}' is only allowed with 'stream'.", param=field)
        if self.stream and self.response_format == "url":
            raise InvalidRequest("Events carry pictures, not URLs: ask for b64_json.", param="response_format")

    def to_request(self, source: ImageSource | None = None, strength: float | None = None) -> ImageRequest:
        """What the engine is asked for, once this is checked. Raises InvalidRequest for a wrong size."""
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

    style: str | None = None

    def check(self) -> None:
        """Raise InvalidRequest naming the field at fault."""
        super().check()
        validation.check_choice("style", self.style, ("vivid", "natural"))
        if self.style == "natural":
            raise validation.unsupported_field("style", "The models here have no style of their own.")


class ImageEditForm(PromptedImageFields, forbid_unknown_fields=True, kw_only=True):
    """The fields of `/v1/images/edits`, the files aside."""

    input_fidelity: str | None = None
    strength: float | None = None

    def check(self) -> None:
        """Raise InvalidRequest naming the field at fault."""
        super().check()
        validation.check_number("strength", self.strength, 0, 1)
        validation.check_choice("input_fidelity", self.input_fidelity, ("low", "high"))
        if self.input_fidelity == "high":
            raise validation.unsupported_field(
                "input_fidelity", "Kept pixels are kept exactly, and the rest is not measured."
            )


class ImageEditBody(ImageEditForm, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/images/edits` as JSON, which only today's API has."""

    images: list[ImageReference]
    mask: ImageReference | None = None

    @property
    def uses_current_api(self) -> bool:
        """It is, whatever is used."""
        return True

    def check(self) -> None:
        """Raise InvalidRequest naming the field at fault."""
        super().check()
        validation.check_items("images", self.images, _MAX_INPUT_IMAGES, 1)
        if len(self.images) > 1:
            said = f"One image is edited at a time here, and there are {len(self.images)}."
            raise InvalidRequest(said, param="images")
        self.images[0].check("images[0]")
        if self.mask is not None:
            self.mask.check("mask")


class ImageVariationForm(BaseImageFields, forbid_unknown_fields=True, kw_only=True):
    """The fields of `/v1/images/variations`, the file aside."""

    strength: float | None = None

    def check(self) -> None:
        """Raise InvalidRequest naming the field at fault."""
        super().check()
        validation.check_number("strength", self.strength, 0, 1)

    def to_request(self, source: ImageSource) -> ImageRequest:
        """What the engine is asked for, once this is checked. Raises InvalidRequest for a wrong size."""
        return ImageRequest(
            prompt="",
            n=self.n or 1,
            size=model_rules.size(model_rules.rules_for(self.name), self.size),
            source=source,
            seed=self.seed,
            steps=self.steps,
            strength=self.strength,
        )
