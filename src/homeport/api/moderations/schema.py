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
"""The model of a request that names none, as OpenAI documents it today; in 2023 it was text-moderation-latest."""
MAX_INPUTS, MAX_CHARACTERS = 1024, 1_000_000
MAX_IMAGES, MAX_IMAGE_BYTES = 8, 10_000_000


class TextItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A part that is text."""

    text: str


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True):
    """Where a picture is: a data: URL that holds it."""

    url: str


class ImageItem(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """A part that is a picture."""

    image_url: ImageUrl


class ModerationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body. A list of texts has a verdict for each, a list of parts one verdict for all of it."""

    input: Annotated[
        str | list[str | TextItem | ImageItem],
        served(
            "A text, up to 1024 texts, or text and image_url parts judged together (data: URLs; remote ones are off)."
        ),
    ]
    model: Annotated[
        str | None,
        served(
            "Its categories: 7 of 2023's text-moderation-001 to -004, 11 of other text-moderation names, else all 13; "
            "without it omni-moderation-latest."
        ),
    ] = None

    def check(self, name: str) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
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
                f"The model `{excerpt(name)}` reads text alone: use `{DEFAULT}` for images.", param="input"
            )
        if len(images) > MAX_IMAGES:
            raise InvalidRequest(
                f"Invalid 'input': at most {MAX_IMAGES} images are judged together, but there are {len(images)}.",
                param="input",
                code="array_above_max_length",
            )
        size = sum(
            len(each if isinstance(each, str) else each.text) for each in given if not isinstance(each, ImageItem)
        )
        if size > MAX_CHARACTERS:
            raise InvalidRequest(
                f"Invalid 'input': at most {MAX_CHARACTERS} characters are judged at once, but there are {size}.",
                param="input",
                code="string_above_max_length",
            )

    def to_request(self, folder: Path) -> ModerationRequest:
        """Turn this, checked, into what an engine is asked for; pictures are laid down in `folder`.

        Raises InvalidRequest for what is no picture in a data: URL.
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
