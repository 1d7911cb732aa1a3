"""Recordings over real HTTP with real weights: both SDK generations, every format, invalid input, disconnects."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from homeport.client import http_client, runfile
from homeport.settings import load
from tests.api.form_bodies import BOUNDARY, HEADERS, form
from tests.samples import odd_sounds
from tests.samples.audio_samples import (
    CHINESE,
    ENGLISH,
    FORMATS,
    encoded,
    errors,
    silence,
    spoken,
    tone,
)
from tests.system.client_programs import run_client
from tests.system.server import HttpAnswer, ServerProcess, running

FORM = {"Content-Type": HEADERS["content-type"]}
MODEL = ("model", "whisper-1")
PATH = "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def transcriber(tmp_path_factory: pytest.TempPathFactory, whisper: Path) -> Iterator[ServerProcess]:
    """A server that is started with the transcription model alone."""
    assert whisper.exists()
    with running(tmp_path_factory.mktemp("transcriber") / "log", "--model", "whisper-base") as started:
        yield started


@pytest.fixture
def client(transcriber: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=transcriber.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


def english() -> tuple[str, bytes]:
    """An English recording, as SDKs take it."""
    return "walk.wav", encoded(spoken(ENGLISH, "en"))


def chinese() -> tuple[str, bytes]:
    """A Chinese recording, in another format."""
    return "walk.m4a", encoded(spoken(CHINESE, "zh"), "m4a")


def post(transcriber: ServerProcess, *fields: tuple[str, str], file: bytes | None, path: str = PATH) -> HttpAnswer:
    """Send a form with or without a file."""
    return transcriber.call("POST", path, form(fields, [("file", file)] if file is not None else []), FORM)


def spooled(transcriber: ServerProcess) -> list[Path]:
    """Return the uploads that are on disk now."""
    return list((load({}).home / "spool" / str(transcriber.pid)).iterdir())


def test_all_formats_say_the_same_at_the_same_times(client: openai.OpenAI) -> None:
    """srt, vtt and verbose_json agree in text and in every time, and the text is correct."""
    ask: dict[str, Any] = {"model": "whisper-1", "file": english(), "language": "en", "temperature": 0}
    verbose = client.audio.transcriptions.create(**ask, response_format="verbose_json")
    srt = str(client.audio.transcriptions.create(**ask, response_format="srt"))
    vtt = str(client.audio.transcriptions.create(**ask, response_format="vtt"))
    assert errors(ENGLISH, verbose.text) <= 0.1
    assert verbose.language == "english"
    segments = verbose.segments or []
    cues = [cue.split("\n") for cue in srt.strip().split("\n\n")]
    assert [text for _, _, text in cues] == [segment.text.strip() for segment in segments]
    assert [[_seconds(time) for time in span.split(" --> ")] for _, span, _ in cues] == [
        [pytest.approx(segment.start, abs=0.0006), pytest.approx(segment.end, abs=0.0006)] for segment in segments
    ]
    assert vtt == "WEBVTT\n\n" + "".join(f"{span.replace(',', '.')}\n{text}\n\n" for _, span, text in cues)
    assert verbose.words is None
    assert verbose.usage is not None
    assert verbose.usage.seconds == -(-float(verbose.duration) // 1)


def test_words_run_forward_inside_the_recording(client: openai.OpenAI) -> None:
    """Every word has its times, segments have those of their words, and the text is the same."""
    verbose = client.audio.transcriptions.create(
        model="whisper-1",
        file=english(),
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    words, segments = verbose.words or [], verbose.segments or []
    assert " ".join(word.word for word in words) == verbose.text
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= float(verbose.duration)
    assert (segments[0].start, segments[-1].end) == (times[0], times[-1])


def _seconds(time: str) -> float:
    hours, minutes, rest = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))


def test_a_stream_is_the_whole_answer_bit_by_bit(client: openai.OpenAI) -> None:
    """Deltas arrive per segment and add up to the last event's text; its usage counts text and audio."""
    twice = encoded(np.concatenate([spoken(ENGLISH, "en"), silence(3), spoken(ENGLISH, "en")]), "mp3")
    events = list(
        client.audio.transcriptions.create(
            model="gpt-4o-mini-transcribe",
            file=("walk.mp3", twice),
            language="en",
            prompt="A walk.",
            chunking_strategy={"type": "server_vad", "silence_duration_ms": 500, "prefix_padding_ms": 200},
            stream=True,
        )
    )
    *deltas, done = events
    assert done.type == "transcript.text.done"
    assert len(deltas) >= 2
    assert "".join(delta.delta for delta in deltas if delta.type == "transcript.text.delta") == done.text
    assert errors(f"{ENGLISH} {ENGLISH}", done.text) <= 0.1
    usage = done.usage
    assert usage is not None
    assert usage.input_token_details is not None
    assert (usage.input_token_details.text_tokens or 0) > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_chinese_comes_back_and_is_translated(client: openai.OpenAI) -> None:
    """Simplified characters if the language is zh; English from the other endpoint, in its own format."""
    heard = client.audio.transcriptions.create(model="whisper-1", file=chinese(), language="zh")
    assert errors(CHINESE, heard.text) <= 0.1
    with pytest.warns(
        DeprecationWarning, match="deprecated"
    ):  # the SDK's word for this endpoint's other formats than json
        english = client.audio.translations.create(model="whisper-1", file=chinese(), response_format="verbose_json")
    assert english.language == "english"
    assert "weather" in english.text.lower()
    assert english.segments


def test_the_sdk_of_2023_transcribes_and_translates(transcriber: ServerProcess, tmp_path: Path) -> None:
    """Audio.transcribe, translate and the raw forms, with every parameter of 2023, and their errors by class."""
    files = tmp_path / "walk.wav", tmp_path / "walk.m4a"
    for file, (_, content) in zip(files, (english(), chinese()), strict=True):
        file.write_bytes(content)
    seen = run_client("audio_2023", transcriber.base, *files)
    assert errors(ENGLISH, seen["transcribe"]["text"]) <= 0.1
    assert errors(CHINESE, seen["verbose"]["text"]) <= 0.1
    assert seen["verbose"]["language"] == "chinese"
    assert {segment["temperature"] for segment in seen["verbose"]["segments"]} == {0.2}
    assert "weather" in seen["translate"]["text"].lower()
    assert seen["raw"].startswith("1\n00:00:00,")
    assert seen["range"] == {"class": "InvalidRequestError", "status": 400, "param": "temperature"}
    assert seen["no_sound"] == {"class": "InvalidRequestError", "status": 400, "param": "file"}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_documented_format_is_taken(transcriber: ServerProcess, ending: str) -> None:
    """The format is detected by content, although the file's name and type say something else."""
    said = post(transcriber, MODEL, ("response_format", "verbose_json"), file=encoded(tone(1.5), ending))
    assert said.status == 200, said.body
    assert said.json()["duration"] == pytest.approx(1.5, abs=0.1)


def test_silence_is_an_answer_without_text(transcriber: ServerProcess) -> None:
    """Silence gives no text in any format, and no language is guessed."""
    quiet = encoded(silence(2))
    assert post(transcriber, MODEL, file=quiet).json()["text"] == ""
    assert post(transcriber, MODEL, ("response_format", "srt"), file=quiet).body == b""
    assert post(transcriber, MODEL, ("response_format", "vtt"), file=quiet).body == b"WEBVTT\n\n"
    verbose = post(transcriber, MODEL, ("response_format", "verbose_json"), file=quiet).json()
    assert (verbose["language"], verbose["segments"]) == ("unknown", [])
    stream = post(transcriber, MODEL, ("stream", "true"), file=quiet).body
    assert stream.startswith(b'data: {"text":"","usage"')


@pytest.mark.parametrize(
    ("fields", "file", "status", "param"),
    [
        ([MODEL], None, 400, "file"),
        ([MODEL], b"", 400, "file"),
        ([MODEL], b"this is a text, not a song", 400, "file"),
        ([MODEL], b"RIFF\x24\x00\x00\x00WAVEfmt ", 400, "file"),
        ([MODEL], b"\x00\x00\x00\x20ftypM4A " + bytes(3000), 400, "file"),
        ([], b"RIFF", 400, "model"),
        ([MODEL, MODEL], b"RIFF", 400, "model"),
        ([("model", "nobody")], b"RIFF", 404, "model"),
        ([("model", "text-embedding-ada-002")], b"RIFF", 400, "model"),
        ([MODEL, ("temperature", "1.5")], b"RIFF", 400, "temperature"),
        ([MODEL, ("language", "klingon")], b"RIFF", 400, "language"),
        ([MODEL, ("languages[]", "yue")], encoded(tone(1)), 400, "languages"),
        ([MODEL, ("keywords[]", "word " * 99)], encoded(tone(1)), 400, "keywords"),
        ([MODEL, ("response_format", "diarized_json")], b"RIFF", 400, "response_format"),
        ([MODEL, ("timestamp_granularities[]", "word")], b"RIFF", 400, "timestamp_granularities"),
        ([MODEL, ("no_such_field", "1")], b"RIFF", 400, "no_such_field"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    transcriber: ServerProcess, fields: list[tuple[str, str]], file: bytes | None, status: int, param: str
) -> None:
    """The envelope names the field; nothing stays on disk, streamed or not."""
    for more in ([], [("stream", "true")]):
        said = post(transcriber, *fields, *more, file=file)
        assert (said.status, said.error["param"]) == (status, param), said.body
    assert not spooled(transcriber)


def test_translation_has_fewer_fields(transcriber: ServerProcess) -> None:
    """Fields of transcriptions only are unknown to translations."""
    for name, value in (("language", "zh"), ("stream", "true"), ("timestamp_granularities[]", "word")):
        said = post(transcriber, MODEL, (name, value), file=encoded(tone(1)), path="/v1/audio/translations")
        assert (said.status, said.error["param"]) == (400, name.removesuffix("[]"))


def test_another_body_and_too_large_a_body_are_refused(transcriber: ServerProcess) -> None:
    """JSON is a 415; more than 25 MB is a 413, with or without an announced length."""
    assert transcriber.call("POST", PATH, {"model": "whisper-1"}).status == 415
    with socket.create_connection(("127.0.0.1", transcriber.port), timeout=60) as line:
        line.sendall(_head("Content-Length: 27000000"))
        assert b" 413 " in line.recv(100)
    with socket.create_connection(("127.0.0.1", transcriber.port), timeout=60) as line:
        line.sendall(_head("Transfer-Encoding: chunked"))
        try:
            _chunk(line, form([MODEL], [("file", b"")]).removesuffix(f"\r\n--{BOUNDARY}--\r\n".encode()))
            for _ in range(27):
                _chunk(line, bytes(1_000_000))
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered before it was sent whole
        assert b" 413 " in line.recv(100)
    transcriber.wait("nothing stays on disk", lambda: not spooled(transcriber))


def test_an_upload_without_a_length_is_taken(transcriber: ServerProcess) -> None:
    """A chunked upload is accepted: programs send it while they are recording."""
    body = form([MODEL, ("response_format", "text"), ("language", "en")], [("file", english()[1])])
    with socket.create_connection(("127.0.0.1", transcriber.port), timeout=120) as line:
        line.sendall(_head("Transfer-Encoding: chunked"))
        for start in range(0, len(body), 50_000):
            _chunk(line, body[start : start + 50_000])
        line.sendall(b"0\r\n\r\n")
        answer = line.makefile("rb").read().decode()
    head, _, text = answer.partition("\r\n\r\n")
    assert " 200 " in head
    assert "text/plain; charset=utf-8" in head
    assert "bridge" in text


def _head(length: str) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nConnection: close\r\n"
        f"Content-Type: {FORM['Content-Type']}\r\n{length}\r\n\r\n"
    ).encode()


def _chunk(line: socket.socket, data: bytes) -> None:
    line.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def test_four_at_once_are_all_answered(transcriber: ServerProcess) -> None:
    """Four parallel requests each get their own text, and the metrics count them."""
    sounds = [("en", english()[1]), ("zh", chinese()[1])] * 2
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(post, transcriber, MODEL, ("language", code), file=sound) for code, sound in sounds]
        transcriber.wait("several are being worked on", lambda: transcriber.gauge("vllm:num_requests_running") >= 2)
        texts = [job.result().json()["text"] for job in jobs]
    for (code, _), text in zip(sounds, texts, strict=True):
        assert errors(ENGLISH if code == "en" else CHINESE, text) <= 0.1
    assert transcriber.gauge("vllm:generation_tokens_total") > 0


def test_a_caller_that_leaves_stops_the_decoding(transcriber: ServerProcess) -> None:
    """A disconnect stops decoding of a recording of minutes within one window and deletes its file, streamed or not."""
    long = encoded(np.concatenate([spoken(ENGLISH, "en")] * 10), "mp3")
    for stream in ("false", "true"):
        # At a temperature above 0 a window is decoded once: repeated speech would be decoded up to six times otherwise.
        body = form([MODEL, ("language", "en"), ("temperature", "0.1"), ("stream", stream)], [("file", long)])
        with socket.create_connection(("127.0.0.1", transcriber.port), timeout=60) as line:
            line.sendall(_head(f"Content-Length: {len(body)}") + body)
            transcriber.wait("it is being worked on", lambda: transcriber.gauge("vllm:num_requests_running") == 1)
            assert len(spooled(transcriber)) == 1
        transcriber.wait("nothing is worked on", lambda: transcriber.gauge("vllm:num_requests_running") == 0)
        transcriber.wait("the file is gone", lambda: not spooled(transcriber))
    assert post(transcriber, MODEL, file=encoded(tone(1))).status == 200


def test_memory_returns_when_the_model_is_unloaded(transcriber: ServerProcess) -> None:
    """The worker's process ends, and the next request starts another."""
    (worker,) = transcriber.workers()
    server = runfile.find(load({}).home, port=transcriber.port)
    assert server is not None
    http_client.stop(server, "whisper-base")
    transcriber.wait("the worker is gone", lambda: not transcriber.workers())
    assert not worker.is_running()
    assert post(transcriber, MODEL, file=encoded(tone(1))).status == 200
    assert len(transcriber.workers()) == 1


def test_odd_files_are_answered_or_refused(transcriber: ServerProcess) -> None:
    """For any file, the answer is a transcript or a 400 that names the field, and the worker stays alive."""
    (worker,) = transcriber.workers()
    for statuses, files in (({200}, odd_sounds.HEARD), ({400}, odd_sounds.REFUSED), ({200, 400}, odd_sounds.EITHER)):
        for name, make in files.items():
            answer = post(transcriber, MODEL, file=make())
            assert answer.status in statuses, (name, answer.body)
            assert answer.status == 200 or answer.error["param"] == "file", name
    assert transcriber.workers() == [worker]
    transcriber.wait("the files are gone", lambda: not spooled(transcriber))
