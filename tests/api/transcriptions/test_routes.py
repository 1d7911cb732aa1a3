"""Transcriptions in process: engine requests, all formats of answers, and refusals by field."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from homeport.api.application import build_application
from homeport.api.transcriptions.schema import TranscriptionForm
from homeport.domain.errors import EngineFailed
from homeport.domain.events import (
    Admitted,
    Done,
    RecordingInfo,
    TranscriptSegment,
    TranscriptWord,
    Usage,
)
from homeport.domain.transcription import TranscriptionRequest, VadSettings
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, services
from tests.api.form_bodies import HEADERS, form, is_empty

Fields = Sequence[tuple[str, str]]


def segment(start: float, end: float, text: str) -> TranscriptSegment:
    """Make a segment whose words all take the same time."""
    words = text.split(" ")[1:]
    step = (end - start) / len(words)
    timed = tuple(TranscriptWord(f" {word}", start + i * step, start + (i + 1) * step) for i, word in enumerate(words))
    return TranscriptSegment(0, start, end, text, (50364, 7), 0.0, -0.3, 1.2, 0.01, timed)


HEARD: Script = [
    [Admitted(100)],
    [RecordingInfo("en", 3.2)],
    [segment(0.0, 1.5, " Hello there.")],
    [segment(1.5, 3.0, " Rock & <roll>.")],
    [Done(Usage(100, 9))],
]
TEXT = "Hello there. Rock & <roll>."


async def post(
    tmp_path: Path, *fields: tuple[str, str], path: str = "transcriptions", serving: FakeServing | None = None
) -> AsgiResponse:
    """Send a recording with these fields."""
    serving = serving or FakeServing(lambda _: HEARD)
    registry = FakeRegistry([installed("ears", ("transcriptions", "translations")), installed("tiny")])
    app = build_application(services(serving, registry=registry, spool=tmp_path))
    names = [name for name, _ in fields]
    body = form([*fields, *([] if "model" in names else [("model", "ears")])], [("file", b"RIFF")])
    return await call(app, "POST", f"/v1/audio/{path}", body, HEADERS)


async def sent_request(tmp_path: Path, *fields: tuple[str, str], path: str = "transcriptions") -> TranscriptionRequest:
    """Return the engine request that a form becomes."""
    serving = FakeServing(lambda _: HEARD)
    response = await post(tmp_path, *fields, path=path, serving=serving)
    assert response.status == 200, response.body
    ((_, request),) = serving.requests
    assert isinstance(request, TranscriptionRequest)
    return request


async def test_form_fields_reach_the_engine(tmp_path: Path) -> None:
    """Language, script, prompt, temperature, words and chunking reach the engine."""
    request = await sent_request(
        tmp_path,
        ("language", "zh"),
        ("prompt", "前文"),
        ("temperature", "0.4"),
        ("keywords[]", "Homeport"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("chunking_strategy[type]", "server_vad"),
        ("chunking_strategy[threshold]", "0.3"),
    )
    assert (request.language, request.script, request.prompt) == ("zh", None, "前文")
    assert (request.temperature, request.word_timestamps, request.keywords) == (0.4, True, ("Homeport",))
    assert request.vad == VadSettings(0.3, 300, 200)
    assert not request.translates


@pytest.mark.parametrize(
    ("given", "code", "script"),
    [
        ("en", "en", None),
        ("ZH", "zh", None),
        ("jv", "jw", None),
        ("zh-TW", "zh", "traditional"),
        ("zh-Hans", "zh", "simplified"),
    ],
)
async def test_a_language_is_a_code_and_chinese_has_a_script(
    tmp_path: Path, given: str, code: str, script: str | None
) -> None:
    """Languages are ISO 639-1 in either case; for Chinese also the region or the script."""
    request = await sent_request(tmp_path, ("language", given))
    assert (request.language, request.script) == (code, script)


async def test_a_chunking_strategy_may_be_json(tmp_path: Path) -> None:
    """`chunking_strategy` as JSON means the same as in brackets; auto is the default."""
    strategy = '{"type": "server_vad", "silence_duration_ms": 700}'
    assert (await sent_request(tmp_path, ("chunking_strategy", strategy))).vad == VadSettings(0.5, 300, 700)
    assert (await sent_request(tmp_path, ("chunking_strategy", "auto"))).vad == VadSettings()


async def test_a_translation_is_into_english(tmp_path: Path) -> None:
    """The engine request asks for a translation, and verbose_json reports it."""
    assert (await sent_request(tmp_path, path="translations")).translates
    response = await post(tmp_path, ("response_format", "verbose_json"), path="translations")
    assert (response.json["task"], response.json["language"]) == ("translate", "english")
    assert len(response.json["segments"]) == 2


async def test_json_is_the_text_and_the_seconds(tmp_path: Path) -> None:
    """Seconds are rounded up, as for whisper-1; the header names the real model."""
    response = await post(tmp_path)
    assert response.json == {"text": TEXT, "usage": {"seconds": 4, "type": "duration"}}
    assert response.headers["x-homeport-model"] == "ears"


async def test_plain_text_and_subtitles(tmp_path: Path) -> None:
    """text, srt and vtt are plain text; vtt escapes markup."""
    text = await post(tmp_path, ("response_format", "text"))
    assert text.body.decode() == f"{TEXT}\n"
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    srt = await post(tmp_path, ("response_format", "srt"))
    assert srt.body.decode() == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n2\n00:00:01,500 --> 00:00:03,000\nRock & <roll>.\n\n"
    )
    vtt = await post(tmp_path, ("response_format", "vtt"))
    assert vtt.body.decode().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello there.\n\n")
    assert "Rock &amp; &lt;roll&gt;." in vtt.body.decode()


async def test_verbose_json_has_the_requested_parts(tmp_path: Path) -> None:
    """Segments have all documented fields by default; with words, segments are returned only if requested too."""
    verbose = ("response_format", "verbose_json")
    response = (await post(tmp_path, verbose)).json
    assert (response["task"], response["language"]) == ("transcribe", "english")
    assert (response["duration"], response["text"]) == (3.2, TEXT)
    assert "words" not in response
    fields = "id seek start end text tokens temperature avg_logprob compression_ratio no_speech_prob"
    assert [list(each) for each in response["segments"]] == [fields.split()] * 2
    words = (await post(tmp_path, verbose, ("timestamp_granularities[]", "word"))).json
    assert "segments" not in words
    assert [word["word"] for word in words["words"]] == ["Hello", "there.", "Rock", "&", "<roll>."]


async def test_a_stream_grows_into_the_text(tmp_path: Path) -> None:
    """The deltas have times and add up to the last event's text, with its usage; the file is deleted at the end."""
    response = await post(tmp_path, ("stream", "true"))
    frames = response.body.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == TEXT
    assert all(0 <= event["start"] < event["end"] for event in events[:-1])
    assert events[-1]["usage"]["total_tokens"] == 109
    assert is_empty(tmp_path)


async def test_an_error_in_a_stream_is_an_event(tmp_path: Path) -> None:
    """After the first byte an error is one event, and there is no [DONE]."""
    serving = FakeServing(lambda _: [*HEARD[:3], EngineFailed("gone")])
    response = await post(tmp_path, ("stream", "true"), serving=serving)
    assert response.status == 200
    assert b'"message":"gone"' in response.body
    assert b"[DONE]" not in response.body
    assert is_empty(tmp_path)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ([("temperature", "1.1")], "temperature"),
        ([("temperature", "warm")], "temperature"),
        ([("language", "xx")], "language"),
        ([("languages[]", "en"), ("languages[]", "klingon")], "languages"),
        ([("language", "en"), ("languages[]", "en")], "languages"),
        ([("response_format", "yaml")], "response_format"),
        ([("response_format", "diarized_json")], "response_format"),
        ([("timestamp_granularities[]", "word")], "timestamp_granularities"),
        ([("response_format", "verbose_json"), ("timestamp_granularities[]", "letter")], "timestamp_granularities"),
        ([("response_format", "srt"), ("stream", "true")], "stream"),
        ([("stream", "perhaps")], "stream"),
        ([("include[]", "logprobs")], "include"),
        ([("known_speaker_names[]", "Ann")], "known_speaker_names"),
        ([("known_speaker_references[]", "data:")], "known_speaker_references"),
        ([("chunking_strategy", "sometimes")], "chunking_strategy"),
        ([("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "2")], "chunking_strategy"),
        ([("chunking_strategy[type]", "client_vad")], "chunking_strategy"),
        ([("colour", "red")], "colour"),
        ([("model", "tiny")], "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(tmp_path: Path, fields: Fields, param: str) -> None:
    """A 400 in the envelope names the field, and no request reaches a worker."""
    serving = FakeServing(lambda _: HEARD)
    response = await post(tmp_path, *fields, serving=serving)
    assert response.status == 400
    assert response.error["param"] == param
    assert not serving.requests
    assert is_empty(tmp_path)


@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]", "timestamp_granularities[0]"])
async def test_one_granularity_is_a_list_in_every_spelling(tmp_path: Path, name: str) -> None:
    """`timestamp_granularities=word`, with brackets, an index or neither, returns the times of words."""
    given = await sent_request(tmp_path, ("response_format", "verbose_json"), (name, "word"))
    assert given.word_timestamps


@pytest.mark.parametrize("written", ["", "auto", "Auto"])
async def test_no_language_in_words_means_to_detect_it(tmp_path: Path, written: str) -> None:
    """An empty language and `auto` mean detection."""
    assert (await sent_request(tmp_path, ("language", written))).language is None
    assert (await sent_request(tmp_path, ("language", written), ("languages[]", "de"))).languages == ("de",)


async def test_empty_fields_are_ignored(tmp_path: Path) -> None:
    """An empty optional field means the same as omitting it."""
    optional = [name for name in TranscriptionForm.__struct_fields__ if name != "model"]
    response = await post(tmp_path, *((name, "") for name in optional))
    assert (response.status, response.json["text"]) == (200, TEXT)


async def test_a_file_without_a_file_name_is_explained(tmp_path: Path) -> None:
    """A part `file` without a file name is refused with the reason."""
    response = await post(tmp_path, ("file", "RIFF"))
    assert (response.status, response.error["param"]) == (400, "file")
    assert "its part of the form has no filename" in response.error["message"]
