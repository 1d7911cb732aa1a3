"""Marks that stand for pictures and sound while a conversation is rendered, and what they become among the tokens.

A mark is random and made for one rendering, so no text can forge it, and templates insert it like any word. So a
picture is where it is in its message, whether or not the template knows pictures. What a model wants around a picture
belongs to the picture's content here. Knows nothing of templates.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from homeport.domain.content import MediaPart, Message, Part, TextPart, ToolResultPart
from homeport.engines.text.media.blocks import MediaBlock, MediaContent, PlacedBlock
from homeport.engines.text.prompt_length_limits import TokenLimit
from homeport.engines.text.templates.control_tokens import ControlTokenGuard, TextSpan


def list_media(messages: Iterable[Message]) -> list[MediaPart]:
    """Return the pictures and sound of a conversation in order."""
    return [part for message in messages for part in message.parts if isinstance(part, MediaPart)]


class MediaMarks:
    """The marks of one rendering. `contents`: what stands for each of the conversation's media, in order."""

    def __init__(self, contents: Sequence[MediaContent] = ()) -> None:
        self._contents = contents
        secret = secrets.token_hex(16)
        self._names = [f"x{secret}m{at}x" for at in range(len(contents))]
        self._pattern = re.compile(f"x{secret}m([0-9]+)x")

    def mark(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return the messages with marks in place of media: in the text, or at the end of a tool's result."""
        names = iter(self._names)
        return tuple(_mark(message, names) for message in messages)

    def remove(self, text: str) -> str:
        """Return a text without marks."""
        return self._pattern.sub("", text) if self._names else text

    def tokenize(
        self, guard: ControlTokenGuard, spans: Iterable[TextSpan], limit: TokenLimit | None = None, gap: str = ""
    ) -> tuple[list[int], list[PlacedBlock]]:
        """Return the ids of spans as the guard does, with those of media at their marks, and their blocks."""
        if not self._names:
            return guard.tokenize(spans, limit, gap), []
        ids: list[int] = []
        placed: list[PlacedBlock] = []
        group: list[TextSpan] = []
        for span in spans:
            pieces = self._pattern.split(span.text)
            for at, piece in enumerate(pieces):
                if at % 2 == 0:
                    group.append(TextSpan(piece, span.allows_control))
                    continue
                ids += guard.tokenize(group, limit, gap)
                group = []
                content = self._contents[int(piece)]
                if limit is not None:
                    limit.spend(len(content.ids))
                for part in content.parts:
                    if isinstance(part, MediaBlock):
                        placed.append(PlacedBlock(len(ids), part))
                        ids += part.ids
                    else:
                        ids += part
        return ids + guard.tokenize(group, limit, gap), placed


def _mark(message: Message, names: Iterator[str]) -> Message:
    if not any(isinstance(part, MediaPart) for part in message.parts):
        return message
    parts: list[Part] = []
    for part in message.parts:
        if not isinstance(part, MediaPart):
            parts.append(part)
        elif parts and isinstance(result := parts[-1], ToolResultPart):
            parts[-1] = msgspec.structs.replace(result, text=result.text + next(names))
        else:
            parts.append(TextPart(next(names)))
    return msgspec.structs.replace(message, parts=tuple(parts))
