"""What a model reads of the parts of a message or a call's output: texts and images, in their order.

Knows nothing of items. Reads files; images are only registered.
"""

import itertools
from collections.abc import Iterable, Sequence

from homeport.api.image_inputs.collection import ImageInputs, ImageSource
from homeport.api.responses.input_files import ReferredTexts, file_name
from homeport.api.responses.input_images import KIND, add_earlier, add_image
from homeport.api.responses.item_schema import ContentPart
from homeport.domain import validation
from homeport.domain.content import ImagePart, TextPart


class ContentReader:
    """Reads the parts of one history. `images` None: images are refused."""

    def __init__(self, referred: ReferredTexts, images: ImageInputs | None) -> None:
        self._referred = referred
        self._images = images

    def read(self, parts: Sequence[ContentPart], place: str) -> list[TextPart | ImagePart]:
        """Return texts and images, the texts between two images as one, without empty ones.

        Raises InvalidRequest naming part and field, and what reading a file raises.
        """
        read: list[TextPart | ImagePart] = []
        named = [(part, f"{place}[{at}]") for at, part in enumerate(parts)]
        for is_image, group in itertools.groupby(named, lambda each: each[0].type == KIND):
            if is_image:
                read += (self._image(part, inside) for part, inside in group)
            elif text := self._text(group):
                read.append(TextPart(text))
        return read

    def earlier_image(self, source: ImageSource, detail: str) -> ImagePart:
        """Return an image that a compaction holds. Raises InvalidRequest naming `input`."""
        if self._images is None:
            raise validation.unsupported_field("input", "Images are not read here.")
        return add_earlier(self._images, source, detail)

    def _image(self, part: ContentPart, place: str) -> ImagePart:
        if self._images is None:
            raise validation.unsupported_field(place, "Images are not read here.")
        return add_image(self._images, part, place)

    def _text(self, parts: Iterable[tuple[ContentPart, str]]) -> str:
        """Join text parts, each with its place, as they are. Files are paragraphs of their own, below their names."""
        blocks: list[str] = []
        texts: list[str] = []
        for part, place in parts:
            if part.type != "input_file":
                texts.append(part.text or part.refusal or "")
                continue
            content = self._referred.file(part, place)
            blocks += ("".join(texts), f"File {file_name(part)}:\n{content}")
            texts = []
        return "\n\n".join(filter(None, (*blocks, "".join(texts))))
