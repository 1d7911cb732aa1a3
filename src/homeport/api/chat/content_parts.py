"""The parts of a message's content: which are served in which role, and the values that they become, in their order.

Knows nothing of messages, and reads no files. Files that are no images are refused by name.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from homeport.api.chat.recordings import NO_AUDIO, AudioHistory
from homeport.api.chat.schema import ContentPartBody, FileBody
from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.api.image_inputs.headers import is_image
from homeport.domain import validation
from homeport.domain.content import Attachment, AudioPart, ImagePart, InputPart, TextPart
from homeport.domain.errors import InvalidRequest

MAX_PARTS = 2048

_KINDS: Mapping[str, tuple[str, ...]] = {
    "user": ("text", "image_url", "input_audio", "file"),
    "tool": ("text", "image_url"),
    "assistant": ("text", "refusal"),
}
"""The served types by role; those of other roles are texts only. OpenAI's schema has no images in results of tools,
but other servers and clients do."""
_IMAGE_KINDS = ("image_url", "file")
_AUDIO_KIND = "input_audio"
_MEDIA_KINDS = (*_IMAGE_KINDS, _AUDIO_KIND)
_FIELDS = ("text", "refusal", "image_url", "input_audio", "file")
_START_CHARS = 64
"""How much of a file's base64 shows whether it is an image."""


class MessageMedia(NamedTuple):
    """What images and audio in messages become. `images` None: there may be none."""

    images: ImageInputs | None = None
    audio: AudioHistory = NO_AUDIO


NO_MEDIA = MessageMedia()


def read_parts(
    parts: Sequence[ContentPartBody], role: str, place: str, media: MessageMedia = NO_MEDIA
) -> list[InputPart]:
    """Convert the parts of a message; texts with nothing between them become one.

    Raises InvalidRequest naming part and field.
    """
    validation.check_items(place, parts, MAX_PARTS, 1)
    read: list[InputPart] = []
    texts: list[str] = []
    for at, part in enumerate(parts):
        inside = f"{place}[{at}]"
        _check(part, role, place, inside)
        if part.type not in _MEDIA_KINDS:
            texts.append((part.text if part.type == "text" else part.refusal) or "")
            continue
        if text := "".join(texts):
            read.append(TextPart(text))
        texts = []
        is_audio = part.type == _AUDIO_KIND
        read.append(_recording(media.audio, place, inside) if is_audio else _image(part, inside, media.images))
    if text := "".join(texts):
        read.append(TextPart(text))
    return read


def read_text(content: str | Sequence[ContentPartBody], place: str) -> str:
    """Return the text of content that has nothing else. Raises InvalidRequest naming the part."""
    if isinstance(content, str):
        return content
    return "".join(part.text for part in read_parts(content, "", place) if isinstance(part, TextPart))


def _check(part: ContentPartBody, role: str, content: str, place: str) -> None:
    if part.prompt_cache_breakpoint:
        mode = part.prompt_cache_breakpoint.mode
        validation.check_choice(f"{place}.prompt_cache_breakpoint.mode", mode, ("explicit",))
    kinds = _KINDS.get(role, ("text",))
    if part.type == _AUDIO_KIND and part.type not in kinds:
        raise validation.unsupported_part(part.type, content)
    if part.type in _IMAGE_KINDS and part.type not in kinds:
        whose = f"messages with role 'user', but this message has role '{role}'." if role else "messages."
        raise InvalidRequest(
            f"Invalid '{place}': {part.type} is only allowed for {whose}", param=place, code="invalid_value"
        )
    validation.check_choice(f"{place}.type", part.type, kinds)
    for name in _FIELDS:
        if name != part.type and getattr(part, name) is not None:
            raise InvalidRequest(f"A part of type '{part.type}' has no '{name}'.", param=f"{place}.{name}")
    if getattr(part, part.type) is None:
        raise validation.missing(f"{place}.{part.type}")


def _recording(audio: AudioHistory, content: str, place: str) -> AudioPart:
    if place not in audio.recordings:
        raise validation.unsupported_part(_AUDIO_KIND, content)
    return AudioPart(Attachment(audio.recordings[place]), place)


def _image(part: ContentPartBody, place: str, images: ImageInputs | None) -> ImagePart:
    if images is None:
        raise _unsupported(part, place, " This endpoint reads only text: no token ids stand for an image.")
    if part.file is not None:
        source, field = _file_source(part, part.file, place)
        return images.add(source, ImagePlace(place, part.type, field, place))
    inside = f"{place}.image_url"
    if part.image_url is None:
        raise validation.missing(inside)
    image_place = ImagePlace(place, part.type, f"{inside}.url", f"{inside}.detail")
    return images.add(ImageSource(url=part.image_url.url), image_place, part.image_url.detail)


def _file_source(part: ContentPartBody, file: FileBody, place: str) -> tuple[ImageSource, str]:
    """Return where the image in a file comes from, and the name of the field."""
    inside = f"{place}.file"
    validation.check_length(f"{inside}.filename", file.filename, validation.LABEL_CHARS)
    if file.file_id is not None:
        if file.file_data is not None:
            raise InvalidRequest("Give either 'file_data' or 'file_id'.", param=f"{inside}.file_id")
        validation.check_length(f"{inside}.file_id", file.file_id, validation.LABEL_CHARS, 1)
        return ImageSource(file_id=file.file_id), f"{inside}.file_id"
    if file.file_data is None:
        raise validation.missing(f"{inside}.file_data")
    if file.file_data[:11].lower() == "data:image/":
        return ImageSource(url=file.file_data), f"{inside}.file_data"
    if not _starts_as_image(file.file_data):
        raise _unsupported(part, place, " Only files that are images are served: send text as a part of type 'text'.")
    return ImageSource(data=file.file_data), f"{inside}.file_data"


def _starts_as_image(data: str) -> bool:
    try:
        return is_image(base64.b64decode(data[:_START_CHARS]))
    except (binascii.Error, ValueError):
        return False


def _unsupported(part: ContentPartBody, place: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid content type. {part.type} is only supported by certain models.{why}",
        param=place,
        code="unsupported_content_type",
    )
