"""The transcription engine on real weights and real speech."""

import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeport.domain.content import Attachment, attach
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.events import (
    Done,
    Event,
    Failed,
    RecordingInfo,
    TranscriptSegment,
)
from homeport.domain.models import LoadedModel
from homeport.domain.transcription import TranscriptionRequest, VadSettings
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from homeport.engines.transcription import speech_chunks
from homeport.engines.transcription.engine import Transcriber, load
from tests.engines.transcription.conftest import Transcribe
from tests.samples.audio_samples import (
    CHINESE,
    ENGLISH,
    encoded,
    errors,
    silence,
    spoken,
    tone,
)


def test_english_is_transcribed_without_errors(run: Transcribe) -> None:
    """The language is detected, no word is wrong, every field of a segment is set, and usage counts the audio."""
    result = run(spoken(ENGLISH, "en"), word_timestamps=True)
    assert errors(ENGLISH, result.text) <= 0.1
    assert result.info.language == "en"
    assert result.info.seconds == pytest.approx(len(spoken(ENGLISH, "en")) / 24_000, abs=0.05)
    for segment in result.segments:
        assert segment.tokens
        assert segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob < 0.5
        assert segment.compression_ratio > 0
        assert segment.temperature == 0
    words = [word for segment in result.segments for word in segment.words]
    assert "".join(word.word for word in words) == result.text
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= result.info.seconds
    assert result.prompt_tokens == pytest.approx(50 * result.info.seconds, abs=1)
    assert result.done.usage.completion_tokens == sum(len(segment.tokens) for segment in result.segments)


def test_chinese_is_simplified_if_it_is_requested(run: Transcribe) -> None:
    """With `language` zh the text is in simplified script, and its words join to the text."""
    result = run(spoken(CHINESE, "zh"), language="zh", word_timestamps=True)
    assert errors(CHINESE, result.text) <= 0.1
    assert "".join(word.word for segment in result.segments for word in segment.words) == result.text


def test_a_requested_script_overrides_the_prompts(run: Transcribe) -> None:
    """A requested script is used even if the prompt has the other one."""
    result = run(spoken(CHINESE, "zh"), language="zh", script="traditional", prompt="以下是普通话的句子。")
    assert "天氣" in result.text


def test_a_prompt_determines_the_script(run: Transcribe) -> None:
    """Without a language, Chinese is written in the script of the prompt, which counts as input."""
    result = run(spoken(CHINESE, "zh"), prompt="以下是普通话的句子。")
    assert "天气" in result.text
    assert result.info.language == "zh"
    assert result.prompt_tokens > 50 * result.info.seconds + 5


def test_chinese_is_translated_into_english(run: Transcribe) -> None:
    """Chinese speech becomes English text."""
    text = run(spoken(CHINESE, "zh"), language="zh", translates=True).text.lower()
    assert "weather" in text
    assert "park" in text
    assert text.isascii()


def test_the_likeliest_of_the_requested_languages_is_chosen(run: Transcribe) -> None:
    """English is detected among German and English."""
    assert run(spoken(ENGLISH, "en"), languages=("de", "en")).info.language == "en"


def test_a_temperature_is_used_and_zero_may_rise(
    run: Transcribe, transcriber: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fixed temperature is the only one; 0 is tried first and raised if the text looks wrong."""
    tried: list[object] = []
    transcribe = transcriber._model.transcribe

    def recorded(*audio: object, **options: object) -> object:
        tried.append(options["temperature"])
        # As if the model were never sure: every temperature is tried.
        return transcribe(*audio, **options, log_prob_threshold=0.0, no_speech_threshold=None)

    monkeypatch.setattr(transcriber._model, "transcribe", recorded)
    short = spoken(ENGLISH, "en")[: 24_000 * 2]
    fixed, rising = (run(short, language="en", temperature=temperature).segments for temperature in (0.7, 0.0))
    assert {segment.temperature for segment in fixed} == {0.7}
    assert {segment.temperature for segment in rising} == {1.0}
    assert tried == [0.7, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]]


def test_control_tokens_of_callers_are_text(transcriber: Transcriber) -> None:
    """No text of a prompt is tokenized as a control token."""
    for text in ("<|translate|>", "<|endoftext|>", "<|zh|> <|notimestamps|>", "<|0.00|>"):
        assert all(id < transcriber._text_ids for id in transcriber._encode(text))
    assert transcriber._model.hf_tokenizer.decode(transcriber._encode("<|translate|>")).strip() == "<|translate|>"


@pytest.mark.parametrize("quiet", [silence(3), tone(3), np.zeros(200, np.float32)], ids=["silence", "tone", "a blink"])
def test_without_speech_there_is_no_text(run: Transcribe, quiet: np.ndarray) -> None:
    """Silence, sounds that are not speech and very short files give no segment and no language."""
    result = run(quiet)
    assert not result.segments
    assert result.info.language == ""
    assert result.done.usage.completion_tokens == 0


def test_times_are_those_of_the_recording(run: Transcribe) -> None:
    """Speech after a long silence has its times in the recording, also the window's."""
    once = spoken(ENGLISH, "en")
    result = run(np.concatenate([silence(6), once]), language="en", word_timestamps=True)
    assert result.segments[0].start >= 5.5
    assert result.segments[0].words[0].start >= 5.5
    assert 500 <= result.segments[0].seek <= 620


def test_long_recordings_are_transcribed_in_chunks(run: Transcribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut in the middle of speech, no text is lost or repeated, times increase, and other requests get their turn."""
    monkeypatch.setattr(speech_chunks, "MAX_CHUNK_S", 8)
    monkeypatch.setattr(speech_chunks, "_MAX_SPAN_S", 4.0)
    monkeypatch.setattr("homeport.engines.transcription.audio.PIECE_S", 2)
    once = spoken(ENGLISH, "en")
    result = run(np.concatenate([once, once]), language="en")
    assert errors(f"{ENGLISH} {ENGLISH}", result.text) <= 0.1
    times = [time for segment in result.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[-1] <= result.info.seconds
    assert result.empty_chunks >= 8
    assert len(result.of(RecordingInfo)) == 1


def test_a_recording_may_be_limited(run: Transcribe) -> None:
    """A recording longer than the request allows is refused with the limit; a shorter one is transcribed."""
    recording = spoken(ENGLISH, "en")
    with pytest.raises(InvalidRequest, match="longer than 1 seconds"):
        run(recording, max_seconds=1.0)
    assert run(recording, max_seconds=60.0).text


def test_vad_settings_are_used(run: Transcribe) -> None:
    """With a threshold that nothing reaches there are no segments."""
    assert not run(spoken(ENGLISH, "en"), vad=VadSettings(threshold=1.0)).segments


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"language": "xx"}, "language"),
        ({"languages": ("en", "xx")}, "languages"),
        ({"keywords": ("word ",) * 99}, "keywords"),
    ],
)
def test_unsupported_options_are_refused_by_name(run: Transcribe, options: dict[str, object], param: str) -> None:
    """Languages that this model does not support and too many keywords are refused."""
    with pytest.raises(InvalidRequest) as refused:
        run(tone(1), **options)
    assert refused.value.param == param


def test_an_english_model_refuses_other_languages(
    transcriber: Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Translation and other languages are refused, with an error that names the model as the reason."""
    monkeypatch.setattr(transcriber, "_languages", frozenset({"en"}))
    for options in (
        TranscriptionRequest(Attachment(tmp_path), translates=True),
        TranscriptionRequest(Attachment(tmp_path), language="de"),
    ):
        with pytest.raises(InvalidRequest, match="This model"):
            next(transcriber.transcribe(ActiveRequest(1, options, 1)))


def test_a_deleted_recording_is_read_to_its_end(transcriber: Transcriber, tmp_path: Path) -> None:
    """The upload may be deleted once its request has started: it stays open until the end."""
    file = tmp_path / "audio"
    file.write_bytes(encoded(tone(1)))
    events = transcriber.transcribe(ActiveRequest(1, TranscriptionRequest(Attachment(file)), 9))
    next(events)
    file.unlink()
    assert isinstance([event for event in events if event][-1], Done)


def test_no_network_is_needed(whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every connection refused, a model loads and transcribes."""

    def refused(*_: object) -> None:
        raise AssertionError("the engine tried to connect")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    engine: Any = load(EngineSpec("transcription", "whisper-base", attach({"weights": whisper}), "digest", {}))
    file = tmp_path / "audio"
    file.write_bytes(encoded(spoken(ENGLISH, "en")[: 24_000 * 2]))
    events = list(engine._work._begin(ActiveRequest(1, TranscriptionRequest(Attachment(file), language="en"), 9)))
    assert any(isinstance(event, TranscriptSegment) and "weather" in event.text for event in events)


def test_an_invalid_model_is_unavailable(tmp_path: Path) -> None:
    """A broken or incomplete folder is an error that says so, and nothing is downloaded."""
    weights = tmp_path / "model.bin"
    weights.write_bytes(b"nothing")
    with pytest.raises(Unavailable, match=r"tokenizer\.json"):
        load(EngineSpec("transcription", "broken", attach({"weights": weights}), "digest", {}))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Unavailable, match="cannot be loaded"):
        load(EngineSpec("transcription", "broken", attach({"weights": weights}), "digest", {}))


def test_requests_take_turns_and_a_canceled_one_stops(
    transcriber: Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short recording is done before a long one that arrived first, which ends when it is canceled."""
    windows: list[int] = []
    encode = transcriber._model.encode

    def counted(*features: object) -> object:
        windows.append(1)
        return encode(*features)

    monkeypatch.setattr(transcriber._model, "encode", counted)
    once = spoken(ENGLISH, "en")
    long, short = tmp_path / "long", tmp_path / "short"
    long.write_bytes(encoded(np.concatenate([once] * 30)))  # six windows
    short.write_bytes(encoded(once))
    engine = RoundRobinEngine(
        LoadedModel("whisper-base", "none"), TranscriptionRequest, GeneratorWork(transcriber.transcribe)
    )
    events: list[tuple[int, Event]] = []
    is_done = threading.Event()

    def emit(new_events: Sequence[tuple[int, Event]]) -> None:
        events.extend(new_events)
        if any(id == 2 and isinstance(event, Done | Failed) for id, event in new_events):
            engine.cancel(1)
            engine.close()
            is_done.set()

    engine.open(1, TranscriptionRequest(Attachment(long), language="en"), 99)
    engine.open(2, TranscriptionRequest(Attachment(short), language="en"), 99)
    thread = threading.Thread(target=engine.run, args=(emit,))
    thread.start()
    assert is_done.wait(60)
    thread.join(60)
    assert isinstance([event for id, event in events if id == 2][-1], Done)
    assert not [event for id, event in events if id == 1 and isinstance(event, Done)]
    assert any(isinstance(event, TranscriptSegment) for id, event in events if id == 2)
    assert len(windows) <= 3
