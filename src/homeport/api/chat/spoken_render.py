"""The JSON of spoken chats: the text is the transcript of `audio`, whose data is base64.

Knows nothing of HTTP, or of how audio is made.
"""

import base64
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from homeport.api.chat.call_render import CallRenderer
from homeport.api.chat.render import AnswerAudio, ChatChoice, ChatChunk, ChatRenderer, ChunkChoice, MessageDelta
from homeport.api.text_generation.choices import Choice
from homeport.api.text_generation.render import NO_AUDIO_TOKENS, AudioTokens, UsageBody, render_usage
from homeport.api.writer import AnswerMetadata
from homeport.domain.events import ScoredToken, Usage
from homeport.domain.speech import AudioFormat

KEEP_S = 3600
"""How long the id of a spoken answer can be sent in place of its text."""
_WAV_SIZES = (4, 40)
"""Where a WAV file of one block of samples has the size of what follows."""


@dataclass
class SpokenAnswer:
    """A spoken answer, as far as it has been spoken. `audio` is the file; `tokens` are those of the audio."""

    format: AudioFormat
    expires_at: int
    id: str = field(default_factory=lambda: f"audio_{uuid.uuid4().hex}")
    audio: bytearray = field(default_factory=bytearray)
    tokens: int = 0

    def file(self) -> bytes:
        """Return the audio file. A WAV file that was written while it grew does not know its size."""
        if self.format == "wav" and len(self.audio) > _WAV_SIZES[-1] + 4:
            for at in _WAV_SIZES:
                struct.pack_into("<I", self.audio, at, len(self.audio) - at - 4)
        return bytes(self.audio)


class SpokenRenderer(ChatRenderer):
    """Renders spoken answers: of one choice, without logprobs."""

    def __init__(
        self,
        spoken: SpokenAnswer,
        answer: AnswerMetadata,
        *,
        has_usage: bool,
        metadata: Mapping[str, str] | None = None,
        calls: CallRenderer | None = None,
        heard: AudioTokens = NO_AUDIO_TOKENS,
    ) -> None:
        super().__init__(answer, has_logprobs=False, has_usage=has_usage, metadata=metadata, calls=calls, heard=heard)
        self._spoken = spoken

    def opening(self, choice: int, *, has_text: bool) -> ChatChunk:  # noqa: ARG002 - no chunk has text
        """Make the chunk with the role."""
        return super().opening(choice, has_text=False)

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> ChatChunk:  # noqa: ARG002 - no scores
        """Make the chunk for new text, which is more of the transcript."""
        return self.audio(choice, AnswerAudio(transcript=text))

    def audio(self, choice: int, audio: AnswerAudio) -> ChatChunk:
        """Make the chunk for more of the audio."""
        return self._chunk(ChunkChoice(choice, MessageDelta(audio=audio), None, None))

    def _render_usage(self, usage: Usage) -> UsageBody:
        return render_usage(usage, self._heard._replace(spoken=self._spoken.tokens))

    def _render_choice(self, choice: Choice) -> ChatChoice:
        rendered = super()._render_choice(choice)
        if not choice.text:
            return rendered
        spoken = self._spoken
        audio = AnswerAudio(
            id=spoken.id, data=to_base64(spoken.file()), expires_at=spoken.expires_at, transcript=choice.text
        )
        message = msgspec.structs.replace(rendered.message, content=None, audio=audio)
        return msgspec.structs.replace(rendered, message=message)


def to_base64(data: bytes) -> str:
    """Return data as base64."""
    return base64.b64encode(data).decode()
