"""The bodies and forms of the image endpoints."""

from typing import Annotated

import msgspec

from homeport.api.compatibility import accepted, refused, served
from homeport.api.images import model_rules
from homeport.domain.images import ImageFormat

_CURRENT_FIELDS = ("output_format", "output_compression", "stream", "partial_images", "background", "moderation")
"""Fields that only current models have. A request with one of them and without a model selects such a model."""
_CURRENT_VALUES = {"quality": ("low", "medium", "high"), "size": ("1536x1024", "1024x1536", model_rules.AUTO)}
"""Values that only current models have."""
_MODEL = served(
    "A model's own name, or an OpenAI name that stands for one. Default dall-e-2, or gpt-image-1 if "
    "the body has a field that only current models accept."
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
_IMAGES = served("In JSON: a list with one data: URL, URL of a host that the operator allows, or file id.")
_MASK = served("PNG; fully transparent pixels are replaced, all others are kept. Default: the image's own alpha.")

EDIT_FILES = {
    "image": served("One image: PNG, JPEG or WebP. For DALL·E's names, a square PNG below 4 MB."),
    "images": _IMAGES,
    "mask": _MASK,
}
"""The notes of the fields of an edit that hold images: files of a form, or in JSON."""
VARIATION_FILES = {"image": served("A square PNG below 4 MB.")}
"""The notes of the file fields of a variation."""


class ImageReference(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An image in JSON: a URL, or the id of an uploaded file."""

    image_url: str | None = None
    file_id: str | None = None


class BaseImageFields:
    """The properties that all bodies share. Each body declares the fields, in the order of its notes."""

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
        """The model that the caller names, or the default."""
        return self.model or model_rules.DEFAULT

    @property
    def is_url(self) -> bool:
        """Whether the answer contains URLs instead of images."""
        return (self.response_format or model_rules.rules_for(self.name).response_format) == "url"

    @property
    def format(self) -> ImageFormat:
        """The file format of the images."""
        return ImageFormat.PNG


class PromptedImageFields(BaseImageFields, msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of generations and edits."""

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
        """The model that the caller names, or the default."""
        return self.model or (model_rules.DEFAULT_CURRENT_MODEL if self.uses_current_api else model_rules.DEFAULT)

    @property
    def uses_current_api(self) -> bool:
        """Whether the request uses something that OpenAI's older models do not have."""
        return any(getattr(self, field) is not None for field in _CURRENT_FIELDS) or any(
            getattr(self, field) in values for field, values in _CURRENT_VALUES.items()
        )

    @property
    def is_url(self) -> bool:
        """Whether the answer contains URLs instead of images. Events never do."""
        return super().is_url and not self.stream

    @property
    def format(self) -> ImageFormat:
        """The file format of the images."""
        return ImageFormat(self.output_format or ImageFormat.PNG)


class ImageGenerationBody(PromptedImageFields, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/images/generations`."""

    style: Annotated[str | None, refused("The models have no choice of style; vivid, the default, is accepted.")] = None


class ImageEditForm(PromptedImageFields, forbid_unknown_fields=True, kw_only=True):
    """The fields of `/v1/images/edits`, without the files."""

    input_fidelity: Annotated[
        str | None, refused("Pixels outside the mask are kept exactly; low, the default, is accepted.")
    ] = None
    strength: Annotated[float | None, _STRENGTH] = None


class ImageEditBody(ImageEditForm, forbid_unknown_fields=True, kw_only=True):
    """The body of `/v1/images/edits` as JSON, which only the current API has."""

    images: Annotated[list[ImageReference], _IMAGES]
    mask: Annotated[ImageReference | None, _MASK] = None

    @property
    def uses_current_api(self) -> bool:
        """True: only the current API accepts JSON."""
        return True


class ImageVariationForm(BaseImageFields, msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of `/v1/images/variations`, without the file."""

    model: Annotated[str | None, _MODEL] = None
    n: Annotated[int | None, _N] = None
    size: Annotated[str | None, _SIZE] = None
    response_format: Annotated[str | None, _RESPONSE_FORMAT] = None
    user: Annotated[str | None, _USER] = None
    seed: Annotated[int | None, _SEED] = None
    steps: Annotated[int | None, _STEPS] = None
    strength: Annotated[float | None, _STRENGTH] = None
