"""The content of requests: messages and their parts, and data that requests refer to. Values only.

Knows nothing of JSON field names, templates, or how data is stored and decoded.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest, Unavailable


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """Data next to a request: a file that exists until the request ends, or the id of a blob. Exactly one is set."""

    path: Path | None = None
    blob: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.blob is None):
            raise ValueError("an attachment needs either a path or a blob")

    @property
    def local_path(self) -> Path:
        """The file on this machine. Raises Unavailable for a blob, which no worker can fetch yet."""
        if self.path is None:
            raise Unavailable(f"The blob {self.blob} is not a file on this machine.")
        return self.path


def attach(files: Mapping[str, Path]) -> dict[str, Attachment]:
    """Return files by role as attachments."""
    return {role: Attachment(path) for role, path in files.items()}


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """Plain text, never markup."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """An image. `detail`: how closely to look at it. `param` names it in errors."""

    image: Attachment
    detail: str = "auto"
    param: str = ""


class AudioPart(msgspec.Struct, frozen=True, tag="audio"):
    """Recorded sound. `param` names it in errors."""

    audio: Attachment
    param: str = ""


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning"):
    """Text that a model wrote before its answer."""

    text: str


class ToolCallPart(msgspec.Struct, frozen=True, tag="tool_call"):
    """A model's call of a tool. `arguments`: JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


class ToolResultPart(msgspec.Struct, frozen=True, tag="tool_result"):
    """The result of the tool call with the id `call_id`."""

    call_id: str
    text: str


InputPart = TextPart | ImagePart | AudioPart
"""What the content of a message is made of."""
Part = TextPart | ImagePart | AudioPart | ReasoningPart | ToolCallPart | ToolResultPart
MediaPart = ImagePart | AudioPart


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation. `name` distinguishes speakers of one role."""

    role: str
    parts: tuple[Part, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        """The text of all text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


def text_message(role: str, text: str, name: str | None = None) -> Message:
    """Return a message of one text part."""
    return Message(role, (TextPart(text),), name)


def list_images(messages: Iterable[Message]) -> list[ImagePart]:
    """Return the images of a conversation in order."""
    return [part for message in messages for part in message.parts if isinstance(part, ImagePart)]


def check_text_only(messages: Sequence[Message]) -> None:
    """Raise InvalidRequest for an image or audio: for engines that read only text, tool calls and their results."""
    for at, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, ImagePart | AudioPart):
                kind = part.__struct_config__.tag
                raise InvalidRequest(
                    f"This model reads only text, and messages[{at}] has a part of type `{kind}`.",
                    param=f"messages[{at}]",
                    code="unsupported_content_type",
                )
