"""Chats that hear and speak, over real HTTP with three real models and the official client."""

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.engines.sniffing import sniff
from tests.samples.audio_samples import error_rate
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running
from tests.system.speech_server import seconds
from tests.system.test_batches import ended, lines_of, made

QUESTIONS = {
    "en": ("nova", "What is the capital of France? Answer in one short sentence."),
    "zh": ("zf_xiaoxiao", "中国的首都是哪里？请用一句话回答。"),
}
STORY: list[Any] = [{"role": "user", "content": "Describe a lighthouse in five sentences."}]
TRANSCRIBE = {"audio_input": "transcribe"}
MODEL = "gpt-4o-audio-preview"
SPOKEN: dict[str, Any] = {
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "temperature": 0,
    "max_completion_tokens": 40,
}


@pytest.fixture(scope="module")
def audio_server(
    tmp_path_factory: pytest.TempPathFactory, qwen: Path, whisper: Path, kokoro: Mapping[str, Path]
) -> Iterator[ServerProcess]:
    """A server with the default text model, the transcription model and the speech model."""
    assert kokoro
    assert all(path.exists() for path in (qwen, whisper))
    with running(tmp_path_factory.mktemp("audio_server") / "log", PROMPTS="off") as started:
        yield started


@pytest.fixture
def client(audio_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=audio_server.base, api_key="sk-test", max_retries=0, timeout=180) as made:
        yield made


def question(client: openai.OpenAI, language: str) -> dict[str, Any]:
    """Return a question, spoken by the speech model, as a message."""
    voice, text = QUESTIONS[language]
    audio = client.audio.speech.create(model="tts-1", voice=voice, input=text, response_format="wav").read()
    return heard(audio)


def heard(audio: bytes) -> dict[str, Any]:
    """Return a message with a recording."""
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(audio).decode(), "format": "wav"}}
    return {"role": "user", "content": [part]}


def words_of(client: openai.OpenAI, audio: bytes, language: str) -> list[str]:
    """Return the words and Han characters that the transcription model hears in an answer."""
    text = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", audio), language=language).text
    return units(text)


def units(text: str) -> list[str]:
    """Return Latin words, single Han characters, and numbers."""
    return re.findall(r"[a-z']+|\d+|[\u4e00-\u9fff]", text.lower())


def ask(client: openai.OpenAI, messages: list[Any], **fields: Any) -> ChatCompletion:
    """Have an answer spoken."""
    made: ChatCompletion = client.chat.completions.create(model=MODEL, messages=messages, **{**SPOKEN, **fields})
    return made


@pytest.mark.parametrize(("language", "answer"), [("en", "paris"), ("zh", "北京")])
def test_a_spoken_question_has_a_spoken_answer(client: openai.OpenAI, language: str, answer: str) -> None:
    """Speech goes in and comes out in one request; the audio of the answer says its transcript."""
    made = ask(client, [question(client, language)], extra_body=TRANSCRIBE)
    message = made.choices[0].message
    assert message.content is None
    assert message.audio is not None
    assert answer in message.audio.transcript.lower()
    audio = base64.b64decode(message.audio.data)
    assert sniff(audio) == "wav"
    said, understood = units(message.audio.transcript), words_of(client, audio, language)
    assert error_rate(said, understood) <= 0.2, (message.audio.transcript, understood)
    usage = made.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert (usage.prompt_tokens_details.audio_tokens or 0) > 50
    assert usage.completion_tokens_details.audio_tokens == pytest.approx(40 * seconds(audio, "wav"), abs=2)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_speaks_while_it_is_written(client: openai.OpenAI) -> None:
    """Transcript and samples arrive in chunks that can be joined, and a later turn names the answer by its id."""
    changes = {"audio": {"voice": "alloy", "format": "pcm16"}, "max_completion_tokens": 80}
    stream: openai.Stream[ChatCompletionChunk] = client.chat.completions.create(
        model=MODEL, messages=STORY, stream=True, stream_options={"include_usage": True}, **{**SPOKEN, **changes}
    )
    joined: dict[str, Any] = {"id": "", "transcript": "", "data": "", "expires_at": 0}
    reasons, usage = [], None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.model_dump(exclude_none=True)["choices"]:
            reasons.append(choice.get("finish_reason"))
            for name, value in choice["delta"].get("audio", {}).items():
                joined[name] += value
    assert reasons[-1] in ("stop", "length")
    pcm = base64.b64decode(joined["data"], validate=True)
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.audio_tokens == pytest.approx(40 * seconds(pcm, "pcm"), rel=0.2)
    assert "lighthouse" in joined["transcript"].lower()
    wav = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", _wav(pcm)), language="en").text
    assert error_rate(units(joined["transcript"]), units(wav)) <= 0.25, (joined["transcript"], wav)
    counts = []
    for earlier in ({"audio": {"id": joined["id"]}}, {"content": joined["transcript"]}):
        messages: Any = [*STORY, {"role": "assistant", **earlier}, {"role": "user", "content": "Go on."}]
        made = client.chat.completions.create(model=MODEL, messages=messages, max_completion_tokens=4)
        assert made.usage is not None
        counts.append(made.usage.prompt_tokens)
    assert counts[0] == counts[1]


def test_the_helper_of_the_client_joins_a_stream(client: openai.OpenAI) -> None:
    """The client's own stream helper accumulates the audio of a stream."""
    given: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
    asked = [{"role": "user", "content": QUESTIONS["en"][1]}]
    with client.chat.completions.stream(model=MODEL, messages=asked, temperature=0, **given) as stream:  # type: ignore[arg-type]
        final = stream.get_final_completion()
    audio = final.choices[0].message.audio
    assert audio is not None
    assert seconds(base64.b64decode(audio.data, validate=True), "pcm") > 1
    assert audio.transcript


@pytest.mark.parametrize("format", ["aac", "mp3", "flac", "opus", "pcm16"])
def test_every_format_is_spoken(client: openai.OpenAI, format: str) -> None:
    """A whole answer is a file of the requested format."""
    audio = ask(client, STORY, max_completion_tokens=6, audio={"voice": "alloy", "format": format}).choices[0].message
    assert audio.audio is not None
    data = base64.b64decode(audio.audio.data)
    if format != "pcm16":
        assert sniff(data) == format
    assert seconds(data, "pcm" if format == "pcm16" else format) > 0.5


def test_unknown_voices_and_broken_recordings_are_refused(client: openai.OpenAI) -> None:
    """The SDK raises BadRequestError that names the field."""
    with pytest.raises(openai.BadRequestError, match="alloy") as refused:
        ask(client, STORY, audio={"voice": "nobody", "format": "wav"})
    assert refused.value.param == "audio.voice"
    with pytest.raises(openai.BadRequestError, match="Invalid file format") as refused:
        ask(client, [heard(b"not a recording at all")], extra_body=TRANSCRIBE)
    assert refused.value.param == "messages[0].content[0].input_audio"
    with pytest.raises(openai.BadRequestError, match='"audio_input": "transcribe"'):
        ask(client, [heard(b"not a recording at all")])
    with pytest.raises(openai.BadRequestError, match="longer than 30 minutes"):
        ask(client, [heard(_long_recording())], extra_body=TRANSCRIBE)


def test_a_caller_who_leaves_frees_all_three_models(client: openai.OpenAI, audio_server: ServerProcess) -> None:
    """A client that leaves while its answer is spoken, or its question transcribed, ends the work at once."""
    spoken = {
        "model": MODEL,
        "messages": STORY,
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "pcm16"},
        "stream": True,
        "max_tokens": 2000,
        "ignore_eos": True,
    }
    line = RawConnection(audio_server, "/v1/chat/completions", spoken)
    assert line.status() == 200
    while b'"data"' not in line.line():
        pass
    line.hang_up()
    audio_server.wait("idle after the stream", audio_server.is_idle, 15)
    story = client.audio.speech.create(model="tts-1", voice="nova", input=QUESTIONS["en"][1], response_format="pcm")
    long = _wav(story.read() * 30)
    asked = {"model": MODEL, "messages": [heard(long)], "max_tokens": 4, **TRANSCRIBE}
    line = RawConnection(audio_server, "/v1/chat/completions", asked)
    audio_server.wait("the transcription runs", lambda: not audio_server.is_idle(), 15)
    line.hang_up()
    audio_server.wait("idle after the recording", audio_server.is_idle, 20)


def test_azures_path_and_batches_speak(client: openai.OpenAI, audio_server: ServerProcess) -> None:
    """A deployment in the path, and a line of a batch, hear and speak like any other request."""
    body = {
        "messages": [question(client, "en")],
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "mp3"},
        "max_tokens": 12,
        "temperature": 0,
        **TRANSCRIBE,
    }
    path = f"/openai/deployments/{MODEL}/chat/completions?api-version=2025-01-01-preview"
    answer = audio_server.call("POST", path, body).json()
    audio = answer["choices"][0]["message"]["audio"]
    assert sniff(base64.b64decode(audio["data"])) == "mp3"
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": MODEL, **body}}
    [done] = lines_of(client, ended(audio_server, client, made(client, [line])).output_file_id)
    message = done["response"]["body"]["choices"][0]["message"]
    assert message["audio"]["transcript"] == audio["transcript"]
    assert sniff(base64.b64decode(message["audio"]["data"])) == "mp3"


def test_the_list_of_models_says_audio(audio_server: ServerProcess) -> None:
    """The text model names the models through which it hears and speaks."""
    entry = audio_server.call("GET", f"/v1/models/{MODEL}").json()
    assert entry["audio"] == {"input": "whisper-base", "output": "kokoro-82m"}


def _wav(pcm: bytes) -> bytes:
    return _riff((16).to_bytes(4, "little") + bytes.fromhex("01000100c05d000080bb000002001000"), pcm)


def _riff(header: bytes, samples: bytes) -> bytes:
    """Return a WAV file."""
    sizes = [size.to_bytes(4, "little") for size in (len(samples) + 36, len(samples))]
    return b"RIFF" + sizes[0] + b"WAVEfmt " + header + b"data" + sizes[1] + samples


def _long_recording() -> bytes:
    """Return 31 minutes of silence in few bytes: samples of 8 bits, 2000 a second."""
    header = (16).to_bytes(4, "little") + bytes.fromhex("01000100d0070000d007000001000800")
    size = 31 * 60 * 2000
    return _riff(header, bytes(size))
