"""The inputs of an embeddings request: texts, token ids and images, in order, whichever form they were sent in.

Images are registered, and neither read nor decoded here. Knows nothing of models' names or of vectors.
"""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from homeport.api.embeddings.schema import CreateEmbeddingBody, EmbeddingInputs, ImageUrl, InputMessage, InputPart
from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.api.prompts import PromptInput, parse_prompts
from homeport.domain import validation
from homeport.domain.content import ImagePart
from homeport.domain.embeddings import EmbeddingInput
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.text import TextPrompt

MAX_INPUTS = 2048

_TEXT, _IMAGE_URL, _IMAGE = "text", "image_url", "image"


def parse_inputs(body: CreateEmbeddingBody, images: ImageInputs) -> tuple[EmbeddingInput, ...]:
    """Read `input` or `messages`; `images` collects the images. Raises InvalidRequest naming the field."""
    if body.messages is not None:
        if body.input is not msgspec.UNSET:
            raise InvalidRequest("Send either 'input' or 'messages', not both.", param="messages")
        return (_parse_messages(body.messages, images),)
    if body.input is msgspec.UNSET:
        raise validation.missing("input")
    return _parse_array("input", body.input, images)


def _parse_array(name: str, given: EmbeddingInputs, images: ImageInputs) -> tuple[EmbeddingInput, ...]:
    if isinstance(given, str) or not any(isinstance(each, InputPart) for each in given):
        return parse_prompts(name, cast(PromptInput, given), MAX_INPUTS, allow_empty=False)
    validation.check_items(name, given, MAX_INPUTS, 1)
    inputs = tuple(_parse_item(f"{name}[{at}]", each, images) for at, each in enumerate(given))
    images.select([each for each in inputs if isinstance(each, ImagePart)], name)
    return inputs


def _parse_item(name: str, item: Any, images: ImageInputs) -> EmbeddingInput:
    """Read one element of an array with parts: a text, token ids or a part."""
    if isinstance(item, InputPart):
        return _parse_part(name, item, images)
    if isinstance(item, int):
        raise InvalidRequest(
            f"Invalid type for '{name}': expected a string, an array of integers, or an object, but got an integer "
            "instead.",
            param=name,
            code="invalid_type",
        )
    (prompt,) = parse_prompts(name, item, MAX_INPUTS, allow_empty=False)
    return prompt


def _parse_part(name: str, part: InputPart, images: ImageInputs) -> EmbeddingInput:
    """Read a part. Raises InvalidRequest for an unknown type, and unless exactly the field of its type is set."""
    fields = {_TEXT: part.text, _IMAGE_URL: part.image_url, _IMAGE: part.image}
    if part.type is None:
        if part.image_url is not None:
            raise validation.missing(f"{name}.type")
        wanted = _IMAGE if part.text is None else _TEXT
    else:
        validation.check_choice(f"{name}.type", part.type, (_TEXT, _IMAGE_URL))
        wanted = part.type
    if fields.pop(wanted) is None:
        raise validation.missing(f"{name}.{wanted if part.type else _TEXT}")
    if extra := [field for field, value in fields.items() if value is not None]:
        raise InvalidRequest(
            f"Invalid '{name}': a part holds one text or one image, but this one also has '{extra[0]}'.",
            param=f"{name}.{extra[0]}",
        )
    if part.text is not None:
        validation.check_length(f"{name}.text", part.text, len(part.text), 1)
        return TextPrompt(part.text)
    if part.image_url is not None:
        source, field = _read_url(f"{name}.{_IMAGE_URL}", part.image_url)
    else:
        source, field = _read_image(part.image or ""), f"{name}.{_IMAGE}"
    return images.add(source, ImagePlace(name, wanted, field, f"{name}.{_IMAGE_URL}.detail"))


def _read_url(name: str, given: ImageUrl | str) -> tuple[ImageSource, str]:
    """Return an image's source, and the field that holds it."""
    if isinstance(given, str):
        return ImageSource(url=given), name
    validation.check_choice(f"{name}.detail", given.detail, ("auto",))
    return ImageSource(url=given.url), f"{name}.url"


def _read_image(image: str) -> ImageSource:
    """Return the source of Jina's image: base64, or a URL, which has a colon where base64 has none."""
    is_data = image and ":" not in image[:10]
    return ImageSource(data=image) if is_data else ImageSource(url=image)


def _parse_messages(messages: Sequence[InputMessage], images: ImageInputs) -> EmbeddingInput:
    """Read the one input of vLLM's form. Raises InvalidRequest for more than one text or image."""
    validation.check_items("messages", messages, 1, 1)
    (message,) = messages
    if message.role != "user":
        raise InvalidRequest(
            f"Invalid 'messages[0].role': only a user message is embedded, but got '{excerpt(message.role)}'.",
            param="messages[0].role",
            code="invalid_value",
        )
    name = "messages[0].content"
    if isinstance(message.content, str):
        validation.check_length(name, message.content, len(message.content), 1)
        return TextPrompt(message.content)
    if len(message.content) > 1:
        raise InvalidRequest(
            f"Invalid '{name}': a vector is of one text or one image, but got {len(message.content)} parts. Send them "
            "as elements of 'input' to get a vector for each.",
            param=name,
            code="array_above_max_length",
        )
    validation.check_items(name, message.content, 1, 1)
    return _parse_part(f"{name}[0]", message.content[0], images)
