"""Events to server-sent events, cheaply: a plain delta is spliced into a frame that was encoded once per choice.

Knows nothing of an endpoint's JSON: a `ChunkRenderer` makes the chunks. Spliced frames are byte for byte what the
encoder would have written.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from homeport.api.streaming import DONE, escape_line_ends, sse_event
from homeport.api.text_generation.choices import limited
from homeport.domain.events import (
    ChoiceFinished,
    Done,
    Event,
    ScoredToken,
    TextDelta,
    Usage,
)

# Stands where the text goes while a template is encoded. No caller can guess it, so none can send it as a model name.
_TEXT_PLACEHOLDER = f"hole-{secrets.token_hex(16)}"
_END = b"}\n\n"
_PAD = 32
"""Padded frames of deltas differ in size by multiples of this, so that sizes do not tell short words apart."""


class ChunkRenderer(Protocol):
    """How one endpoint writes chunks: values ready to be encoded as JSON."""

    def opening(self, choice: int) -> msgspec.Struct | None:
        """Make the chunk that goes before a choice's first one, if there is one."""
        ...

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> msgspec.Struct:
        """Make the chunk for new text."""
        ...

    def finish(self, choice: int, reason: str) -> msgspec.Struct:
        """Make the last chunk of one choice."""
        ...

    def usage(self, usage: Usage) -> msgspec.Struct | None:
        """Make the chunk that ends a stream whose caller asked for usage."""
        ...


class TextStreamWriter:
    """Writes one request's events as frames of a stream.

    `limited_by`: the key's limit that cut answers off. `is_padded`: each chunk gets random `obfuscation`.
    """

    def __init__(self, shape: ChunkRenderer, limited_by: Callable[[], str] = str, *, is_padded: bool = False) -> None:
        self._shape = shape
        self._limited_by = limited_by
        self._is_padded = is_padded
        self._encode = msgspec.json.Encoder().encode
        self._templates: dict[int, tuple[bytes, bytes]] = {}

    def write(self, events: Sequence[Event]) -> bytes:
        """Write a batch of events as the bytes of their frames, `[DONE]` included."""
        frames: list[bytes] = []
        for each in events:
            if isinstance(each, TextDelta):
                before, behind = self._templates.get(each.choice) or self._open(each.choice, frames)
                if each.scored:
                    frames.append(self._frame(self._shape.delta(each.choice, each.text, each.scored)))
                elif self._is_padded:
                    text = escape_line_ends(self._encode(each.text))
                    frames += (before, text, behind.removesuffix(_END), _padding(len(text)))
                else:
                    frames += (before, escape_line_ends(self._encode(each.text)), behind)
            elif isinstance(each, ChoiceFinished):
                if each.choice not in self._templates:
                    self._open(each.choice, frames)
                last = self._shape.finish(each.choice, each.reason)
                frames.append(self._frame(limited(last, self._limited_by()) if each.is_cut else last))
            elif isinstance(each, Done):
                if chunk := self._shape.usage(each.usage):
                    frames.append(self._frame(chunk))
                frames.append(DONE)
        return b"".join(frames)

    def _open(self, choice: int, frames: list[bytes]) -> tuple[bytes, bytes]:
        """Begin a choice: write its opening chunk and cut its template."""
        if chunk := self._shape.opening(choice):
            frames.append(self._frame(chunk))
        probe = sse_event(self._encode(self._shape.delta(choice, _TEXT_PLACEHOLDER, ())))
        before, _, behind = probe.partition(self._encode(_TEXT_PLACEHOLDER))
        self._templates[choice] = (before, behind)
        return before, behind

    def _frame(self, chunk: msgspec.Struct) -> bytes:
        frame = sse_event(self._encode(chunk))
        return frame.removesuffix(_END) + _padding(len(frame)) if self._is_padded else frame


def _padding(size: int) -> bytes:
    """The end of a padded chunk of which `size` bytes tell something: with the padding they are a multiple of 32."""
    return b',"obfuscation":"' + secrets.token_urlsafe(_PAD)[: _PAD - size % _PAD].encode() + b'"' + _END
