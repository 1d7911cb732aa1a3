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
from tests.audio_samples import (
    CHINESE,
    ENGLISH,
    encoded,
    errors,
    silence,
    spoken,
    tone,
)
from tests.engines.transcription.conftest import Listen


def test_english_comes_back_as_it_was_said(listen: Listen) -> None:
    """The language is heard, no word is wrong, every field of a segment says something, and usage counts the sound."""
    said = listen(spoken(ENGLISH, "en"), word_timestamps=True)
    assert errors(ENGLISH, said.text) <= 0.1
    assert said.heard.language == "en"
    assert said.heard.seconds == pytest.approx(len(spoken(ENGLISH, "en")) / 24_000, abs=0.05)
    for segment in said.segments:
        assert segment.tokens
        assert segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob < 0.5
        assert segment.compression_ratio > 0
        assert segment.temperature == 0
    words = [word for segment in said.segments for word in segment.words]
    assert "".join(word.word for word in words) == said.text
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= said.heard.seconds
    assert said.prompt_tokens == pytest.approx(50 * said.heard.seconds, abs=1)
    assert said.done.usage.completion_tokens == sum(len(segment.tokens) for segment in said.segments)


def test_chinese_by_name_is_simplified_word_by_word(listen: Listen) -> None:
    """With `language` zh the text is in simplified script, and its words are the text."""
    said = listen(spoken(CHINESE, "zh"), language="zh", word_timestamps=True)
    assert errors(CHINESE, said.text) <= 0.1
    assert "".join(word.word for segment in said.segments for word in segment.words) == said.text


def test_a_script_that_was_named_goes_before_the_prompts(listen: Listen) -> None:
    """Traditional script where it is asked for, though the prompt is in the other one."""
    said = listen(spoken(CHINESE, "zh"), language="zh", script="traditional", prompt="以下是普通话的句子。")
    assert "天氣" in said.text


def test_a_prompt_shows_the_script(listen: Listen) -> None:
    """Without a language, Chinese is written in the script of the prompt, which is counted."""
    said = listen(spoken(CHINESE, "zh"), prompt="以下是普通话的句子。")
    assert "天气" in said.text
    assert said.heard.language == "zh"
    assert said.prompt_tokens > 50 * said.heard.seconds + 5


def test_chinese_is_translated_into_english(listen: Listen) -> None:
    """The same sentences, in English."""
    text = listen(spoken(CHINESE, "zh"), language="zh", translates=True).text.lower()
    assert "weather" in text
    assert "park" in text
    assert text.isascii()


def test_the_likeliest_of_the_languages_that_are_expected(listen: Listen) -> None:
    """English among German and English is English; a single expected language is taken as it is."""
    assert listen(spoken(ENGLISH, "en"), languages=("de", "en")).heard.language == "en"


def test_a_temperature_is_used_and_zero_may_rise(
    listen: Listen, listener: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A given temperature is the only one; 0 is tried first and warmed up where the text looks wrong."""
    tried: list[object] = []
    transcribe = listener._model.transcribe

    def watched(*sound: object, **wish: object) -> object:
        tried.append(wish["temperature"])
        # As if the model were never sure: every temperature is tried.
        return transcribe(*sound, **wish, log_prob_threshold=0.0, no_speech_threshold=None)

    monkeypatch.setattr(listener._model, "transcribe", watched)
    short = spoken(ENGLISH, "en")[: 24_000 * 2]
    given, rising = (listen(short, language="en", temperature=temperature).segments for temperature in (0.7, 0.0))
    assert {segment.temperature for segment in given} == {0.7}
    assert {segment.temperature for segment in rising} == {1.0}
    assert tried == [0.7, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]]


def test_control_tokens_of_callers_are_text(listener: Transcriber) -> None:
    """Nothing that a prompt says is read as a token of the model's own language."""
    for text in ("<|translate|>", "<|endoftext|>", "<|zh|> <|notimestamps|>", "<|0.00|>"):
        assert all(id < listener._text_ids for id in listener._encode(text))
    assert listener._model.hf_tokenizer.decode(listener._encode("<|translate|>")).strip() == "<|translate|>"


@pytest.mark.parametrize("quiet", [silence(3), tone(3), np.zeros(200, np.float32)], ids=["silence", "tone", "a blink"])
def test_where_nobody_speaks_there_is_no_text(listen: Listen, quiet: np.ndarray) -> None:
    """Silence, sounds that are no speech and the shortest of files give no segment, no language, and no guess."""
    said = listen(quiet)
    assert not said.segments
    assert said.heard.language == ""
    assert said.done.usage.completion_tokens == 0


def test_times_are_those_of_the_recording(listen: Listen) -> None:
    """What is said behind a long silence has the times at which it is said, windows included."""
    once = spoken(ENGLISH, "en")
    said = listen(np.concatenate([silence(6), once]), language="en", word_timestamps=True)
    assert said.segments[0].start >= 5.5
    assert said.segments[0].words[0].start >= 5.5
    assert 500 <= said.segments[0].seek <= 620


def test_long_recordings_come_passage_by_passage(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut in the middle of speech, nothing is lost or said twice, and times run on; other requests get their turns."""
    monkeypatch.setattr(speech_chunks, "PASSAGE_S", 8)
    monkeypatch.setattr(speech_chunks, "_MAX_SPEECH_S", 4.0)
    monkeypatch.setattr("homeport.engines.transcription.audio.PIECE_S", 2)
    once = spoken(ENGLISH, "en")
    said = listen(np.concatenate([once, once]), language="en")
    assert errors(f"{ENGLISH} {ENGLISH}", said.text) <= 0.1
    times = [time for segment in said.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[-1] <= said.heard.seconds
    assert said.rests >= 8
    assert len(said.of(RecordingInfo)) == 1


def test_pauses_are_told_as_asked(listen: Listen) -> None:
    """A threshold that nothing reaches leaves nothing to hear."""
    assert not listen(spoken(ENGLISH, "en"), vad=VadSettings(threshold=1.0)).segments


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"language": "xx"}, "language"),
        ({"languages": ("en", "xx")}, "languages"),
        ({"keywords": ("word ",) * 99}, "keywords"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_name(listen: Listen, wish: dict[str, object], param: str) -> None:
    """Languages that this model has no token for, and more keywords than it reads."""
    with pytest.raises(InvalidRequest) as refused:
        listen(tone(1), **wish)
    assert refused.value.param == param


def test_an_english_model_refuses_the_rest(
    listener: Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither translation nor another language, and the answer says that it is the model's limit."""
    monkeypatch.setattr(listener, "_languages", frozenset({"en"}))
    for wish in (
        TranscriptionRequest(Attachment(tmp_path), translates=True),
        TranscriptionRequest(Attachment(tmp_path), language="de"),
    ):
        with pytest.raises(InvalidRequest, match="This model"):
            next(listener.transcribe(ActiveRequest(1, wish, 1)))


def test_a_recording_whose_name_is_gone_is_read_on(listener: Transcriber, tmp_path: Path) -> None:
    """The upload may be deleted once its request was taken: it stays open until the end."""
    file = tmp_path / "sound"
    file.write_bytes(encoded(tone(1)))
    events = listener.transcribe(ActiveRequest(1, TranscriptionRequest(Attachment(file)), 9))
    next(events)
    file.unlink()
    assert isinstance([event for event in events if event][-1], Done)


def test_no_network_is_needed(whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every connection refused a model loads and hears."""

    def refused(*_: object) -> None:
        raise AssertionError("somebody wanted to connect")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    engine: Any = load(EngineSpec("transcription", "whisper-base", attach({"weights": whisper}), "digest", {}))
    file = tmp_path / "sound"
    file.write_bytes(encoded(spoken(ENGLISH, "en")[: 24_000 * 2]))
    events = list(engine._work._begin(ActiveRequest(1, TranscriptionRequest(Attachment(file), language="en"), 9)))
    assert any(isinstance(event, TranscriptSegment) and "weather" in event.text for event in events)


def test_a_model_that_is_none_is_unavailable(tmp_path: Path) -> None:
    """A broken or incomplete folder is an error that says so, and nothing is looked for online."""
    weights = tmp_path / "model.bin"
    weights.write_bytes(b"nothing")
    with pytest.raises(Unavailable, match=r"tokenizer\.json"):
        load(EngineSpec("transcription", "broken", attach({"weights": weights}), "digest", {}))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Unavailable, match="does not load"):
        load(EngineSpec("transcription", "broken", attach({"weights": weights}), "digest", {}))


def test_requests_take_turns_and_a_cancelled_one_stops(
    listener: Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short recording is done before a long one that came first, which ends once nobody waits for it."""
    windows: list[int] = []
    encode = listener._model.encode

    def counted(*features: object) -> object:
        windows.append(1)
        return encode(*features)

    monkeypatch.setattr(listener._model, "encode", counted)
    once = spoken(ENGLISH, "en")
    long, short = tmp_path / "long", tmp_path / "short"
    long.write_bytes(encoded(np.concatenate([once] * 30)))  # six windows
    short.write_bytes(encoded(once))
    engine = RoundRobinEngine(
        LoadedModel("whisper-base", "none"), TranscriptionRequest, GeneratorWork(listener.transcribe)
    )
    told: list[tuple[int, Event]] = []
    is_done = threading.Event()

    def emit(events: Sequence[tuple[int, Event]]) -> None:
        told.extend(events)
        if any(id == 2 and isinstance(event, Done | Failed) for id, event in events):
            engine.cancel(1)
            engine.close()
            is_done.set()

    engine.open(1, TranscriptionRequest(Attachment(long), language="en"), 99)
    engine.open(2, TranscriptionRequest(Attachment(short), language="en"), 99)
    thread = threading.Thread(target=engine.run, args=(emit,))
    thread.start()
    assert is_done.wait(60)
    thread.join(60)
    assert isinstance([event for id, event in told if id == 2][-1], Done)
    assert not [event for id, event in told if id == 1 and isinstance(event, Done)]
    assert any(isinstance(event, TranscriptSegment) for id, event in told if id == 2)
    assert len(windows) <= 3
