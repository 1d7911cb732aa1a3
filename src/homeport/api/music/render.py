"""Music as bytes of a file, as events that carry them, or as JSON. Knows nothing of HTTP or of audio formats."""

import base64
from collections.abc import Mapping, Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.music.convert import ConvertedMusic
from homeport.api.speech import render as speech
from homeport.api.streaming import sse_event
from homeport.api.writer import AnswerMetadata, CollectingWriter, Delivery, Writer
from homeport.domain.events import AudioChunk, Event, MusicFinished, MusicProgress
from homeport.domain.music import MusicFormat

SEED_HEADER = "x-homeport-seed"


class MusicUsage(msgspec.Struct):
    """The length of the music in seconds."""

    seconds: float
    type: str = "duration"


class MusicPiece(msgspec.Struct):
    """One piece of an answer: its file, and what it is."""

    b64_json: str
    format: MusicFormat
    seconds: float
    seed: int
    genre: str | None
    key: str | None
    bpm: float | None
    time_signature: str | None


class Music(msgspec.Struct):
    """The body of a whole answer."""

    created: int
    model: str
    data: list[MusicPiece]
    usage: MusicUsage


class ProgressEvent(msgspec.Struct, omit_defaults=True):
    """A stream's event: more bars are composed, or a step is done. Seconds that are ready, and of all as expected."""

    type: str
    index: int
    seconds: float
    total_seconds: float
    bars: int | None = None
    step: int | None = None
    steps: int | None = None


class AudioEvent(msgspec.Struct):
    """A stream's event: more of a piece's file, as base64."""

    type: str
    index: int
    audio: str


class DoneEvent(msgspec.Struct):
    """A stream's event: a piece is complete. The stream ends after the last."""

    type: str
    index: int
    seed: int
    genre: str | None
    key: str | None
    bpm: float | None
    time_signature: str | None
    usage: MusicUsage


def music_writer(music: ConvertedMusic) -> Writer:
    """Make the writer that the body asks for: of bytes, of events, or of JSON."""
    if music.stream_format == "sse":
        return MusicEventWriter()
    if music.stream_format == "json":
        return MusicAnswerWriter(music.request.format)
    return MusicByteWriter(media_type(music.request.format), music.request.seed)


def media_type(format: MusicFormat) -> str:
    """Return the content type of a file. `pcm`: 44.1 kHz without a header, two channels, 16 bits, little-endian."""
    return "audio/midi" if format == "midi" else speech.MEDIA_TYPES[format]


class MusicByteWriter(speech.AudioByteWriter):
    """Writes the file as it arrives. A header names the seed, by which it can be asked for again."""

    def __init__(self, media_type: str, seed: int) -> None:
        super().__init__(media_type)
        self._seed = seed

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the headers, the seed among them."""
        return {**super().on_admitted(answer), SEED_HEADER: str(self._seed)}


class MusicEventWriter(Writer):
    """Writes an event for each step, each chunk of audio and each piece."""

    delivery = Delivery.SSE

    def __init__(self) -> None:
        self._index = 0

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        return b"".join(map(self._frame, events))

    async def finish(self) -> bytes:
        """Return nothing: the last piece has ended the stream."""
        return b""

    def _frame(self, event: Event) -> bytes:
        if isinstance(event, MusicProgress):
            return _encode(ProgressEvent("music.progress", **msgspec.structs.asdict(event)))
        if isinstance(event, AudioChunk):
            return _encode(AudioEvent("music.audio.delta", self._index, base64.b64encode(event.data).decode()))
        if isinstance(event, MusicFinished):
            self._index = event.index + 1
            return _encode(
                DoneEvent(
                    type="music.audio.done",
                    index=event.index,
                    seed=event.seed,
                    genre=event.genre,
                    key=event.key,
                    bpm=event.bpm,
                    time_signature=event.time_signature,
                    usage=MusicUsage(event.seconds),
                )
            )
        return b""


class MusicAnswerWriter(CollectingWriter):
    """Collects the pieces of one answer."""

    def __init__(self, format: MusicFormat) -> None:
        self._format = format
        self._chunks: list[bytes] = []
        self._pieces: list[MusicPiece] = []

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the audio and the complete pieces of a batch of events."""
        for event in events:
            if isinstance(event, AudioChunk):
                self._chunks.append(event.data)
            elif isinstance(event, MusicFinished):
                self._pieces.append(self._piece(event))
                self._chunks.clear()

    async def finish(self) -> bytes:
        """Return the body."""
        seconds = sum(piece.seconds for piece in self._pieces)
        return json_codec.encode(Music(self.answer.created, self.answer.model, self._pieces, MusicUsage(seconds)))

    def _piece(self, event: MusicFinished) -> MusicPiece:
        return MusicPiece(
            b64_json=base64.b64encode(b"".join(self._chunks)).decode(),
            format=self._format,
            seconds=event.seconds,
            seed=event.seed,
            genre=event.genre,
            key=event.key,
            bpm=event.bpm,
            time_signature=event.time_signature,
        )


def _encode(event: ProgressEvent | AudioEvent | DoneEvent) -> bytes:
    return sse_event(json_codec.encode(event))
