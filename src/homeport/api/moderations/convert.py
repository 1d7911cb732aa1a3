"""From the body of a moderations request to the engine request, checks included. Does not decode images."""

from collections.abc import Sequence

from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.api.moderations.render import is_text_only
from homeport.api.moderations.schema import DEFAULT_MODEL, ImageItem, ModerationBody, ModerationItem
from homeport.domain import validation
from homeport.domain.content import TextPart
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.models import ResolvedModel
from homeport.domain.moderation import ModerationPart, ModerationRequest

MAX_INPUTS, MAX_CHARACTERS = 1024, 1_000_000
MAX_IMAGES, MAX_IMAGE_BYTES = 8, 10_000_000


def to_request(body: ModerationBody, resolved: ResolvedModel, images: ImageInputs) -> ModerationRequest:
    """Make the engine request, whose images `images` writes later. Raises InvalidRequest naming the field."""
    items: Sequence[ModerationItem] = [body.input] if isinstance(body.input, str) else body.input
    _check_items(items, resolved.requested_name)
    texts = [item for item in items if isinstance(item, str)]
    if texts:
        return ModerationRequest(tuple((TextPart(text),) for text in texts))
    parts = [_to_part(item, f"input[{at}]", images) for at, item in enumerate(items)]
    return ModerationRequest((tuple(parts),))


def _check_items(items: Sequence[ModerationItem], name: str) -> None:
    validation.check_items("input", items, MAX_INPUTS, 1)
    images = sum(isinstance(item, ImageItem) for item in items)
    if 0 < sum(isinstance(item, str) for item in items) < len(items):
        raise InvalidRequest(
            "Invalid type for 'input': expected a string, an array of strings, or an array of parts, but got an "
            "array of mixed types instead.",
            param="input",
            code="invalid_type",
        )
    if images and is_text_only(name):
        raise InvalidRequest(
            f"The model `{excerpt(name)}` reads text only: use `{DEFAULT_MODEL}` for images.", param="input"
        )
    if images > MAX_IMAGES:
        raise InvalidRequest(
            f"Invalid 'input': at most {MAX_IMAGES} images are classified together, but got {images}.",
            param="input",
            code="array_above_max_length",
        )
    size = sum(len(item if isinstance(item, str) else item.text) for item in items if not isinstance(item, ImageItem))
    if size > MAX_CHARACTERS:
        raise InvalidRequest(
            f"Invalid 'input': at most {MAX_CHARACTERS} characters are classified at once, but got {size}.",
            param="input",
            code="string_above_max_length",
        )


def _to_part(item: ModerationItem, name: str, images: ImageInputs) -> ModerationPart:
    """Convert a part. Raises InvalidRequest for a URL that is not served."""
    if isinstance(item, ImageItem):
        place = ImagePlace(name, "image_url", f"{name}.image_url.url", name)
        return images.add(ImageSource(url=item.image_url.url), place)
    return TextPart(item if isinstance(item, str) else item.text)
