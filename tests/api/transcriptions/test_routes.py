"""Transcriptions in process: what the worker is asked for, how its answer is written, what is refused by name."""

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
    """What is said between two times, each word of it as long as the others."""
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


async def asked(tmp_path: Path, *fields: tuple[str, str], path: str = "transcriptions") -> TranscriptionRequest:
    """What the worker is asked for."""
    serving = FakeServing(lambda _: HEARD)
    said = await post(tmp_path, *fields, path=path, serving=serving)
    assert said.status == 200, said.body
    ((_, request),) = serving.requests
    assert isinstance(request, TranscriptionRequest)
    return request


async def test_the_worker_is_asked_for_what_the_form_says(tmp_path: Path) -> None:
    """Language, its script, prompt, temperature, words and pauses reach the engine."""
    request = await asked(
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
    """ISO 639-1, in either case; of Chinese also the region or the script."""
    request = await asked(tmp_path, ("language", given))
    assert (request.language, request.script) == (code, script)


async def test_a_strategy_may_come_as_json(tmp_path: Path) -> None:
    """`chunking_strategy` as one JSON text means the same as in brackets; auto is the default."""
    strategy = '{"type": "server_vad", "silence_duration_ms": 700}'
    assert (await asked(tmp_path, ("chunking_strategy", strategy))).vad == VadSettings(0.5, 300, 700)
    assert (await asked(tmp_path, ("chunking_strategy", "auto"))).vad == VadSettings()


async def test_a_translation_is_into_english(tmp_path: Path) -> None:
    """The engine is told, and verbose_json says so."""
    assert (await asked(tmp_path, path="translations")).translates
    said = await post(tmp_path, ("response_format", "verbose_json"), path="translations")
    assert (said.json["task"], said.json["language"]) == ("translate", "english")
    assert len(said.json["segments"]) == 2


async def test_json_is_the_text_and_the_seconds(tmp_path: Path) -> None:
    """Begun seconds are counted, as whisper-1 counts; the header says which model listened."""
    said = await post(tmp_path)
    assert said.json == {"text": TEXT, "usage": {"seconds": 4, "type": "duration"}}
    assert said.headers["x-homeport-model"] == "ears"


async def test_plain_text_and_subtitles(tmp_path: Path) -> None:
    """text, srt and vtt are plain text; in vtt, what would be markup is escaped."""
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


async def test_verbose_json_has_what_was_asked_for(tmp_path: Path) -> None:
    """Segments with all documented fields by default; words where asked for, and then segments only if asked too."""
    verbose = ("response_format", "verbose_json")
    said = (await post(tmp_path, verbose)).json
    assert (said["task"], said["language"], said["duration"], said["text"]) == ("transcribe", "english", 3.2, TEXT)
    assert "words" not in said
    fields = "id seek start end text tokens temperature avg_logprob compression_ratio no_speech_prob"
    assert [list(each) for each in said["segments"]] == [fields.split()] * 2
    words = (await post(tmp_path, verbose, ("timestamp_granularities[]", "word"))).json
    assert "segments" not in words
    assert [word["word"] for word in words["words"]] == ["Hello", "there.", "Rock", "&", "<roll>."]


async def test_a_stream_grows_into_the_text(tmp_path: Path) -> None:
    """Deltas put together are the text of the last event, which counts tokens; the file is gone at the end."""
    said = await post(tmp_path, ("stream", "true"))
    frames = said.body.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    events = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == TEXT
    assert events[-1]["usage"]["total_tokens"] == 109
    assert is_empty(tmp_path)


async def test_a_stream_that_breaks_says_so(tmp_path: Path) -> None:
    """After the first byte an error is one event, and there is no [DONE]."""
    serving = FakeServing(lambda _: [*HEARD[:3], EngineFailed("gone")])
    said = await post(tmp_path, ("stream", "true"), serving=serving)
    assert said.status == 200
    assert b'"message":"gone"' in said.body
    assert b"[DONE]" not in said.body
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
    """A 400 in the envelope names the field, before any work."""
    serving = FakeServing(lambda _: HEARD)
    said = await post(tmp_path, *fields, serving=serving)
    assert said.status == 400
    assert said.error["param"] == param
    assert not serving.requests
    assert is_empty(tmp_path)


@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]", "timestamp_granularities[0]"])
async def test_one_granularity_is_a_list_in_every_spelling(tmp_path: Path, name: str) -> None:
    """`timestamp_granularities=word`, with brackets, an index or neither, gives the times of words."""
    given = await asked(tmp_path, ("response_format", "verbose_json"), (name, "word"))
    assert given.word_timestamps


@pytest.mark.parametrize("written", ["", "auto", "Auto"])
async def test_no_language_in_words_means_to_detect_it(tmp_path: Path, written: str) -> None:
    """An empty language, and `auto`, are found out from the recording."""
    assert (await asked(tmp_path, ("language", written))).language is None
    assert (await asked(tmp_path, ("language", written), ("languages[]", "de"))).languages == ("de",)


async def test_what_a_form_builder_leaves_empty_was_not_given(tmp_path: Path) -> None:
    """Every optional field sent empty is as good as absent."""
    optional = [name for name in TranscriptionForm.__struct_fields__ if name != "model"]
    said = await post(tmp_path, *((name, "") for name in optional))
    assert (said.status, said.json["text"]) == (200, TEXT)


async def test_a_file_without_a_file_name_is_explained(tmp_path: Path) -> None:
    """A part `file` that names no file is refused with the reason, not as a field that nobody knows."""
    said = await post(tmp_path, ("file", "RIFF"))
    assert (said.status, said.error["param"]) == (400, "file")
    assert "its part of the form has no filename" in said.error["message"]
