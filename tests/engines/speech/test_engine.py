"""The engine on the real model: voices, speeds, joints, and concurrent requests."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from homeport.domain.content import attach
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.events import (
    Admitted,
    AudioChunk,
    Done,
    Event,
    Failed,
    Usage,
)
from homeport.domain.speech import SpeechRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.round_robin import ActiveRequest, RoundRobinEngine
from homeport.engines.speech.engine import SpeechSynthesizer, load
from homeport.engines.synthesis.kokoro import RATE

SHORT = "Good morning, my friends."


def spec(files: Mapping[str, Path]) -> EngineSpec:
    """The spec that a worker receives."""
    return EngineSpec("speech", "kokoro-82m", attach(files), "digest", {"threads": 2})


@pytest.fixture(scope="module")
def synthesizer(kokoro: Mapping[str, Path]) -> SpeechSynthesizer:
    """The loaded model, without a queue."""
    named = {role.removeprefix("voice/"): path for role, path in kokoro.items() if role.startswith("voice/")}
    return SpeechSynthesizer(kokoro["weights"], kokoro["vocabulary"], named, 2)


def spoken(synthesizer: SpeechSynthesizer, text: str, voice: str = "alloy", speed: float = 1.0) -> list[Event]:
    """Return all events of one request."""
    return list(synthesizer.synthesize(ActiveRequest(1, SpeechRequest(text, voice, "pcm", speed), 99)))


def samples(events: Sequence[Event]) -> np.ndarray:
    """Decode the audio of events."""
    return np.frombuffer(b"".join(each.data for each in events if isinstance(each, AudioChunk)), "<i2").astype(np.int32)


@pytest.fixture(scope="module")
def plain(synthesizer: SpeechSynthesizer) -> list[Event]:
    """Synthesize one short sentence."""
    return spoken(synthesizer, SHORT)


def test_a_sentence_has_a_natural_length_and_loudness(plain: list[Event]) -> None:
    """It has a natural duration, is neither faint nor clipped, begins and ends in near silence; usage counts it."""
    sound = samples(plain)
    assert 1.0 < len(sound) / RATE < 3.0
    assert 4_000 < np.max(np.abs(sound)) < 32_700
    assert max(abs(sound[0]), abs(sound[-1])) < 200
    first, last = plain[0], plain[-1]
    assert isinstance(first, Admitted)
    assert isinstance(last, Done)
    assert last.usage.prompt_tokens == first.prompt_tokens > len(SHORT) // 2
    assert last.usage.completion_tokens == -(-len(sound) // 600)


@pytest.mark.parametrize("speed", [0.5, 1.5, 4.0])
def test_speed_scales_the_length(synthesizer: SpeechSynthesizer, plain: list[Event], speed: float) -> None:
    """Half the speed doubles the duration, four times the speed quarters it."""
    sound = samples(spoken(synthesizer, SHORT, speed=speed))
    assert len(sound) * speed == pytest.approx(len(samples(plain)), rel=0.2)


def test_openai_names_mean_voices_of_the_model(synthesizer: SpeechSynthesizer, plain: list[Event]) -> None:
    """alloy speaks English as af_alloy and Mandarin as zf_xiaoxiao; another voice sounds different."""
    assert (samples(spoken(synthesizer, SHORT, "af_alloy")) == samples(plain)).all()
    mandarin = samples(spoken(synthesizer, "早上好。", "alloy"))
    assert (samples(spoken(synthesizer, "早上好。", "zf_xiaoxiao")) == mandarin).all()
    other = samples(spoken(synthesizer, SHORT, "onyx"))
    assert len(other) != len(samples(plain)) or (other != samples(plain)).any()


def test_sentences_are_joined_without_clicks(synthesizer: SpeechSynthesizer) -> None:
    """Between two chunks there is silence, and no step larger than within speech."""
    sound = samples(spoken(synthesizer, "Good morning to all my friends. The weather is very nice today."))
    quiet = np.abs(sound) < 40
    edges = np.flatnonzero(np.diff(np.concatenate(([False], quiet, [False])).astype(np.int8)))
    longest = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    assert 0.2 < (longest[1] - longest[0]) / RATE < 0.9
    around = sound[longest[0] - 100 : longest[1] + 100]
    assert np.max(np.abs(np.diff(around))) < 1500


def test_unsupported_requests_are_refused_before_admission(synthesizer: SpeechSynthesizer) -> None:
    """An unknown voice and a text in another script are refused."""
    for text, voice in ((SHORT, "nobody"), ("Привет", "alloy")):
        with pytest.raises(InvalidRequest):
            next(synthesizer.synthesize(ActiveRequest(1, SpeechRequest(text, voice), 99)))


@pytest.fixture(scope="module")
def engine(kokoro: Mapping[str, Path]) -> RoundRobinEngine[SpeechRequest]:
    """The engine of a worker."""
    return load(spec(kokoro))


def test_an_empty_text_checks_the_voice(synthesizer: SpeechSynthesizer) -> None:
    """A known voice is admitted and has no audio, an unknown one is refused."""
    assert spoken(synthesizer, "") == [Admitted(0, (0,)), Done(Usage())]
    with pytest.raises(InvalidRequest) as refused:
        spoken(synthesizer, "", "nobody")
    assert refused.value.param == "voice"


def test_requests_take_turns_and_a_canceled_one_stops(engine: RoundRobinEngine[SpeechRequest]) -> None:
    """A later short request ends before a long one; the long one, canceled, emits nothing more."""
    received: list[tuple[int, Event]] = []

    def receive(events: Sequence[tuple[int, Event]]) -> None:
        received.extend(events)
        kinds = [(id, type(event)) for id, event in received]
        if kinds[-1] == (1, AudioChunk) and (2, Admitted) not in kinds:
            engine.open(2, SpeechRequest(SHORT, "alloy", "pcm"), 99)
        if (2, Done) in kinds:
            engine.cancel(1)
            engine.close()

    engine.open(1, SpeechRequest("The weather is very nice here today. " * 20, "alloy", "pcm"), 9999)
    worker = threading.Thread(target=engine.run, args=(receive,))
    worker.start()
    worker.join(120)
    assert not worker.is_alive()
    assert (2, Done) in [(id, type(event)) for id, event in received]
    assert not [event for id, event in received if id == 1 and isinstance(event, Done | Failed)]
    assert engine.stats().waiting == 0


def test_a_model_with_missing_files_does_not_load(kokoro: Mapping[str, Path]) -> None:
    """Without a vocabulary or without voices it does not load."""
    for present in ({"weights"}, {"weights", "vocabulary"}):
        with pytest.raises(Unavailable, match="pull it again"):
            load(spec({role: path for role, path in kokoro.items() if role in present}))
