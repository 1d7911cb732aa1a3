"""Images inside items: where they are, and their registration for a worker. Knows nothing of messages or of storage."""

from collections.abc import Iterator, Sequence

from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.api.responses.item_schema import (
    ContentPart,
    CustomCallOutput,
    FunctionCallOutput,
    InputItem,
    MessageItem,
)
from homeport.domain.content import ImagePart

KIND = "input_image"


def content_of(item: InputItem, place: str) -> Iterator[tuple[str, Sequence[ContentPart]]]:
    """Yield the parts of an item, with their place."""
    if isinstance(item, MessageItem):
        yield f"{place}.content", item.parts
    elif isinstance(item, FunctionCallOutput | CustomCallOutput) and not isinstance(item.output, str):
        yield f"{place}.output", item.output


def add_image(images: ImageInputs, part: ContentPart, place: str) -> ImagePart:
    """Register an `input_image`. Raises InvalidRequest naming the part, the field, or for earlier items `input`."""
    source = ImageSource(url=part.image_url or "", file_id=part.file_id or "")
    return images.add(source, _place(place, "file_id" if part.file_id else "image_url"), part.detail)


def add_earlier(images: ImageInputs, source: ImageSource, detail: str) -> ImagePart:
    """Register an image of earlier items. Raises InvalidRequest naming `input`."""
    return images.add(source, _place("input", "image_url"), detail)


def _place(place: str, field: str) -> ImagePlace:
    if "[" not in place.partition(".")[0]:
        root = place.partition(".")[0]
        return ImagePlace(root, KIND, root, root, is_earlier=True)
    return ImagePlace(place, KIND, f"{place}.{field}", f"{place}.detail")
