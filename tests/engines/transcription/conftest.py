"""The starter Whisper model, loaded once, and a function that transcribes with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from homeport.domain.content import Attachment, attach
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    RecordingInfo,
    TranscriptSegment,
)
from homeport.domain.transcription import TranscriptionRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from homeport.engines.transcription.engine import Transcriber, load
from tests.samples.audio_samples import Samples, encoded


@dataclass
class Transcript:
    """The events of one request in order; `empty_chunks` counts the chunks of work without an event."""

    events: list[Event] = field(default_factory=list)
    empty_chunks: int = 0

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def segments(self) -> Sequence[TranscriptSegment]:
        return self.of(TranscriptSegment)

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)

    @property
    def info(self) -> RecordingInfo:
        (info_event,) = self.of(RecordingInfo)
        return cast("RecordingInfo", info_event)

    @property
    def prompt_tokens(self) -> int:
        return int(self.events[0].prompt_tokens) if isinstance(self.events[0], Admitted) else -1

    @property
    def done(self) -> Done:
        assert isinstance(self.events[-1], Done)
        return self.events[-1]


Transcribe = Callable[..., Transcript]


@pytest.fixture(scope="session")
def engine(whisper: Path) -> RoundRobinEngine[TranscriptionRequest]:
    files = attach({"weights": whisper})
    return cast(
        "RoundRobinEngine[TranscriptionRequest]",
        load(EngineSpec("transcription", "whisper-base", files, "digest", {})),
    )


@pytest.fixture(scope="session")
def transcriber(engine: RoundRobinEngine[TranscriptionRequest]) -> Transcriber:
    work = cast("GeneratorWork[TranscriptionRequest]", engine._work)
    begin: Any = work._begin
    return cast("Transcriber", begin.__self__)


@pytest.fixture
def run(transcriber: Transcriber, tmp_path: Path) -> Transcribe:
    """Transcribe samples, or a file's bytes, from the first event to the last."""

    def transcribe(audio: Samples | bytes, **options: Any) -> Transcript:
        file = tmp_path / "audio"
        file.write_bytes(audio if isinstance(audio, bytes) else encoded(audio))
        events: Iterator[Event | None] = transcriber.transcribe(
            ActiveRequest(1, TranscriptionRequest(Attachment(file), **options), 999)
        )
        transcript = Transcript()
        for event in events:
            if event is None:
                transcript.empty_chunks += 1
            else:
                transcript.events.append(event)
        return transcript

    return transcribe
