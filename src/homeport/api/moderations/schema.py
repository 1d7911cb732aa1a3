"""The body of moderations, its checks, and the engine request that it becomes. Does not decode images."""

from pathlib import Path
from typing import Annotated

import msgspec

from homeport.api import data_url, validation
from homeport.api.compatibility import served
from homeport.api.moderations.render import is_text_only
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.moderation import (
    ImagePart,
    ModerationPart,
    ModerationRequest,
    TextPart,
)

DEFAULT = "omni-moderation-latest"
"""The default model, as OpenAI documents it today; in 2023 it was text-moderation-latest."""
MAX_INPUTS, MAX_CHARACTERS = 1024, 1_000_000
MAX_IMAGES, MAX_IMAGE_BYTES = 8, 10_000_000


class TextItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A text part."""

    text: str


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True):
    """The data: URL that contains the image."""

    url: str


class ImageItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """An image part."""

    image_url: ImageUrl


class ModerationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. A list of strings gets one verdict for each string, a list of parts one verdict for all parts."""

    input: Annotated[
        str | list[str | TextItem | ImageItem],
        served(
            "A string, up to 1024 strings, or text and image_url parts that are classified together (data: URLs only)."
        ),
    ]
    model: Annotated[
        str | None,
        served(
            "Sets the categories: 7 for text-moderation-001 to -004, 11 for other text-moderation names, "
            "else all 13. Default omni-moderation-latest."
        ),
    ] = None

    def check(self, name: str) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        given = [self.input] if isinstance(self.input, str) else self.input
        validation.check_items("input", given, MAX_INPUTS, 1)
        texts = [each for each in given if isinstance(each, str)]
        images = [each for each in given if isinstance(each, ImageItem)]
        if 0 < len(texts) < len(given):
            raise InvalidRequest(
                "Invalid type for 'input': expected a string, an array of strings, or an array of parts, but got an "
                "array of mixed types instead.",
                param="input",
                code="invalid_type",
            )
        if images and is_text_only(name):
            raise InvalidRequest(
                f"The model `{excerpt(name)}` reads text only: use `{DEFAULT}` for images.", param="input"
            )
        if len(images) > MAX_IMAGES:
            raise InvalidRequest(
                f"Invalid 'input': at most {MAX_IMAGES} images are classified together, but got {len(images)}.",
                param="input",
                code="array_above_max_length",
            )
        size = sum(
            len(each if isinstance(each, str) else each.text) for each in given if not isinstance(each, ImageItem)
        )
        if size > MAX_CHARACTERS:
            raise InvalidRequest(
                f"Invalid 'input': at most {MAX_CHARACTERS} characters are classified at once, but got {size}.",
                param="input",
                code="string_above_max_length",
            )

    def to_request(self, folder: Path) -> ModerationRequest:
        """Make the engine request of a checked body; images are written to `folder`.

        Raises InvalidRequest for an image that is not in a data: URL.
        """
        given = [self.input] if isinstance(self.input, str) else self.input
        if all(isinstance(each, str) for each in given):
            return ModerationRequest(tuple((TextPart(each),) for each in given if isinstance(each, str)))
        parts: list[ModerationPart] = []
        for at, each in enumerate(given):
            if isinstance(each, TextItem):
                parts.append(TextPart(each.text))
            elif isinstance(each, ImageItem):
                param = f"input[{at}].image_url.url"
                file = folder / str(at)
                data = data_url.decode_image_url(each.image_url.url, param, MAX_IMAGE_BYTES)
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.write_bytes(data)
                parts.append(ImagePart(file, param))
        return ModerationRequest((tuple(parts),))
