"""Speech over real HTTP with the real model: SDKs, formats, first bytes, departures, crowds, crashes, memory."""

import base64
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.audio import SpeechCreateParams

from tests.engines.sniffing import sniff
from tests.system.client_programs import PYTHON
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess
from tests.system.speech_server import MODEL, seconds, speaking

SHORT = "Good morning, my friends."
LONG = "The weather is very nice here today, and we all went out for a walk. " * 12
JSON = {"Content-Type": "application/json"}
OLD_CLIENT = """
import sys, openai
from openai.api_requestor import APIRequestor
made = APIRequestor(key="sk-2023", api_base=sys.argv[1])
body = {"model": "tts-1", "input": "Hello.", "voice": "alloy", "response_format": "wav"}
answer = made.request_raw("post", "/audio/speech", params=body, stream=False)
sys.stdout.buffer.write(answer.content)
"""


@pytest.fixture(scope="module")
def speech_server(tmp_path_factory: pytest.TempPathFactory, kokoro: Mapping[str, Path]) -> Iterator[ServerProcess]:
    """One server for all tests of this module; it unloads a model after two idle seconds."""
    assert kokoro
    with speaking(tmp_path_factory.mktemp("speech_server") / "log", IDLE_UNLOAD_S="2") as started:
        yield started


@pytest.fixture
def client(speech_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=speech_server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


def body(text: str = SHORT, **changes: Any) -> dict[str, Any]:
    """Return a plain request with some fields changed."""
    return {"model": MODEL, "input": text, "voice": "alloy", "response_format": "pcm", **changes}


def test_the_sdk_gets_each_format(client: openai.OpenAI) -> None:
    """`audio.speech.create` returns files of the requested format, all of the same length."""
    lengths = {}
    formats: tuple[Any, ...] = ("mp3", "opus", "aac", "flac", "wav", "pcm")
    for format in formats:
        made = client.audio.speech.create(model="tts-1", voice="nova", input="Hello.", response_format=format)
        data = made.read()
        assert sniff(data) == format
        assert made.response.headers["x-homeport-model"] == MODEL
        lengths[format] = seconds(data, format)
    assert max(lengths.values()) - min(lengths.values()) < 0.12, lengths


def test_the_sdk_takes_every_parameter(client: openai.OpenAI) -> None:
    """All parameters of the current client together are accepted, streamed into a file or as events."""
    given: SpeechCreateParams = {
        "model": "gpt-4o-mini-tts",
        "voice": "cedar",
        "input": "Hello.",
        "instructions": "",
        "response_format": "flac",
        "speed": 2.0,
        "stream_format": "audio",
    }
    with client.audio.speech.with_streaming_response.create(**given) as made:
        assert sniff(b"".join(made.iter_bytes())) == "flac"
    given["stream_format"] = "sse"
    with client.audio.speech.with_streaming_response.create(**given) as made:
        events = [json.loads(line.removeprefix("data: ")) for line in made.iter_lines() if line.startswith("data: ")]
    assert sniff(b"".join(base64.b64decode(event["audio"]) for event in events[:-1])) == "flac"
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["output_tokens"] > 10


def test_the_sdk_of_2023_can_ask_raw(speech_server: ServerProcess) -> None:
    """openai==0.28.1 has no speech method, but its requestor works."""
    ran = subprocess.run(
        [str(PYTHON), "-c", OLD_CLIENT, speech_server.base], capture_output=True, timeout=120, check=False
    )
    assert sniff(ran.stdout) == "wav", ran.stderr[-2000:]


def test_unknown_voices_are_refused_with_those_there_are(client: openai.OpenAI) -> None:
    """The SDK raises BadRequestError that names the field and lists the voices."""
    with pytest.raises(openai.BadRequestError, match=r"alloy.*af_heart.*zm_yunyang") as refused:
        client.audio.speech.create(model="tts-1", voice="nobody", input="Hello.")
    assert refused.value.param == "voice"


def test_sound_comes_before_the_text_is_done(speech_server: ServerProcess) -> None:
    """The first bytes of a long text arrive long before the last."""
    connection = http.client.HTTPConnection("127.0.0.1", speech_server.port, timeout=120)
    began = time.monotonic()
    connection.request(
        "POST",
        "/v1/audio/speech",
        json.dumps(body(LONG[:210], response_format="mp3")),
        JSON,
    )
    answer = connection.getresponse()
    assert answer.getheader("transfer-encoding") == "chunked"
    first = answer.read(512)
    first_s = time.monotonic() - began
    assert sniff(first + answer.read()) == "mp3"
    whole_s = time.monotonic() - began
    connection.close()
    assert first_s < whole_s / 2


def test_a_caller_that_leaves_frees_the_worker(speech_server: ServerProcess) -> None:
    """A disconnect during a long text stops its work within one chunk, in either kind of stream."""
    for stream_format in ("audio", "sse"):
        line = RawConnection(speech_server, "/v1/audio/speech", body(LONG, stream_format=stream_format))
        assert line.status() == 200
        assert line.line()
        line.hang_up()
        speech_server.wait("idle after the hang-up", speech_server.is_idle, 15)


def test_four_speak_at_once(speech_server: ServerProcess) -> None:
    """Four parallel requests each get the same audio as alone."""
    texts = ["Good morning.", "早上好。", "Good evening.", "晚上好。"]
    alone = [speech_server.call("POST", "/v1/audio/speech", body(text)).body for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: speech_server.call("POST", "/v1/audio/speech", body(text)).body, texts))
    assert together == alone
    assert all(seconds(sound, "pcm") > 0.4 for sound in alone)


def test_a_worker_that_dies_cuts_the_sound_off(speech_server: ServerProcess) -> None:
    """A killed worker's stream breaks instead of ending; the next request works."""
    connection = http.client.HTTPConnection("127.0.0.1", speech_server.port, timeout=120)
    connection.request("POST", "/v1/audio/speech", json.dumps(body(LONG)), JSON)
    answer = connection.getresponse()
    assert answer.read(1000)
    for worker in speech_server.workers():
        worker.kill()
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    assert speech_server.call("POST", "/v1/audio/speech", body("Hello.")).status == 200


@pytest.mark.one_machine("unloads a model that is idle for two seconds")
def test_memory_returns_and_the_next_request_loads_again(speech_server: ServerProcess) -> None:
    """The process of an idle model ends, and the next request starts another. Metrics count the characters."""
    assert speech_server.call("POST", "/v1/audio/speech", body("Hello.")).status == 200
    assert speech_server.gauge("vllm:generation_tokens_total") > 20
    assert speech_server.gauge("vllm:prompt_tokens_total") > 5
    speech_server.wait("the worker is gone", lambda: not speech_server.workers(), 30)
    assert speech_server.call("POST", "/v1/audio/speech", body("Hello.")).status == 200
