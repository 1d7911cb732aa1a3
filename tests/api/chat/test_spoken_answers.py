"""Spoken answers: whole and streamed, their usage and transcripts, and what ends them early."""

import asyncio
import base64
import struct
from typing import Any

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.services import Limits
from homeport.domain.content import text_message
from homeport.domain.errors import EngineFailed, InvalidRequest
from homeport.domain.events import (
    Admitted,
    AudioChunk,
    ChoiceFinished,
    Done,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from homeport.domain.responses import StoredCompletion
from homeport.domain.speech import SpeechRequest
from homeport.serving.rate_limits import RateLimiter
from tests.api.admin.test_usage import MemoryLedger
from tests.api.asgi import call
from tests.api.chat.audio_fakes import (
    PATH,
    REFUSAL,
    SPOKEN,
    STREAMED,
    AudioApp,
    AudioServing,
    opened,
    spoken,
)
from tests.api.fakes import FakeRegistry, Script, answer, installed
from tests.api.responses.fakes import FakeCompletionRepository
from tests.api.text_generation.calls import events
from tests.api.text_generation.test_limited import OneKey

STORY = "A lighthouse shows ships the way. It stands on a rock in the sea. Nobody lives there now."
FIRST, LAST = "A lighthouse shows ships the way.", "It stands on a rock in the sea. Nobody lives there now."
CALL = ToolCallDelta(0, 0, "call_1", "f", "{}")


def audio_of(stream: list[Any]) -> list[dict[str, Any]]:
    """Return the parts of `audio` in a stream's chunks."""
    deltas = [choice["delta"] for chunk in stream for choice in chunk["choices"]]
    return [delta["audio"] for delta in deltas if "audio" in delta]


def joined(parts: list[dict[str, Any]], name: str) -> str:
    """Return a field of all parts, joined as clients join it."""
    return "".join(part.get(name, "") for part in parts)


async def test_a_whole_answer_has_its_audio() -> None:
    """`message.audio` has the fields that OpenAI documents, and `content` is null."""
    app = AudioApp(AudioServing(answer("Hello **there**.")))
    response = await app.chat(**SPOKEN)
    assert response.status == 200, response.body
    [choice] = response.json["choices"]
    audio = choice["message"].pop("audio")
    assert choice["message"] == {"content": None, "role": "assistant", "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert audio["id"].startswith("audio_")
    assert (audio["expires_at"], audio["transcript"]) == (4600, "Hello **there**.")
    assert base64.b64decode(audio["data"]) == spoken("Hello there.")
    assert [model.facts.name for model, _ in app.serving.requests] == ["kokoro-82m", "tiny", "kokoro-82m"]
    _, last = app.serving.requests[-1]
    assert last == SpeechRequest("Hello there.", "alloy", "mp3")


async def test_a_wav_file_knows_its_size() -> None:
    """The sizes in the header are those of the file, although the model began to write it before it knew them."""
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, 1, 1, 1, 2, 2, 16, b"data", 0)
    serving = AudioServing(answer("Hi."))
    serving.before_speech = [[AudioChunk(header + b"12")], [AudioChunk(b"3456")]]
    response = await AudioApp(serving).chat(modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"})
    file = base64.b64decode(response.json["choices"][0]["message"]["audio"]["data"])
    assert struct.unpack_from("<I", file, 4) == (len(file) - 8,)
    assert struct.unpack_from("<I", file, 40) == (len(file) - 44,)


async def test_a_stream_has_transcript_and_audio() -> None:
    """The id comes first, then transcript and data, then the expiry, then the end of the choice and the usage."""
    app = AudioApp(AudioServing(answer(STORY)))
    response = await app.chat(**STREAMED, stream_options={"include_usage": True})
    *stream, usage = events(response)
    assert stream[0]["choices"][0]["delta"] == {"role": "assistant", "content": None, "refusal": None}
    parts = audio_of(stream)
    assert (list(parts[0]), parts[0]["transcript"]) == (["id", "transcript"], "")
    assert [part for part in parts[1:] if "id" in part] == []
    assert joined(parts, "transcript") == STORY
    assert parts[-1] == {"expires_at": 4600}
    assert stream[-1]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert all("content" not in chunk["choices"][0]["delta"] for chunk in stream[1:])
    assert app.serving.texts == ["", FIRST, LAST]
    assert usage["usage"]["completion_tokens_details"]["audio_tokens"] == 80


async def test_the_data_of_a_stream_may_be_joined_before_it_is_decoded() -> None:
    """Chunks but the last are base64 without padding, of whole samples, so that clients can append texts."""
    serving = AudioServing(answer(STORY))
    serving.before_speech = [[AudioChunk(b"odd")], [AudioChunk(b"and odd")]]
    parts = audio_of(events(await AudioApp(serving).chat(**STREAMED)))
    pcm = base64.b64decode(joined(parts, "data"), validate=True)
    pause = bytes(10_560)
    assert pcm == b"oddand odd" + spoken(FIRST) + pause + b"oddand odd" + spoken(LAST)
    assert all(len(base64.b64decode(part["data"])) % 6 == 0 for part in parts[:-2] if "data" in part)


async def test_speech_begins_while_the_text_is_written() -> None:
    """The first sentence is spoken before the model has written the second one."""
    more = asyncio.Event()
    script: Script = [
        [Admitted(5, (10,))],
        [TextDelta(0, f"{FIRST} ")],
        more,
        [TextDelta(0, LAST), ChoiceFinished(0, "stop"), Done(Usage(5, 20))],
    ]
    spoke = asyncio.Event()
    serving = AudioServing(script)
    serving.before_speech = [spoke]
    app = AudioApp(serving)
    async with app.client(**STREAMED) as client:
        await opened(serving, 3)  # the check of the voice, the chat, the first sentence
        assert serving.texts == ["", FIRST]
        spoke.set()
        more.set()
        async with asyncio.timeout(10):
            while b"[DONE]" not in client.body:
                client.received.clear()
                await client.received.wait()
    assert serving.texts == ["", FIRST, LAST]


async def test_usage_counts_what_was_spoken() -> None:
    """The tokens of the audio are audio tokens of the completion."""
    usage = (await AudioApp().chat(**SPOKEN)).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (5, 42, 47)
    assert usage["completion_tokens_details"]["audio_tokens"] == 40
    assert usage["prompt_tokens_details"]["audio_tokens"] == 0


@pytest.mark.parametrize(("fields", "n_texts"), [(SPOKEN, 1), (STREAMED, 2)], ids=["whole", "streamed"])
async def test_both_models_work_for_the_caller(fields: dict[str, Any], n_texts: int) -> None:
    """The ledger has a record of the chat and of each text that was spoken, but none of the check of the voice."""
    ledger = MemoryLedger()
    await AudioApp(AudioServing(answer(STORY)), ledger=ledger).chat(**fields, safety_identifier="ada")
    records = sorted((each.model, each.endpoint, each.user, each.status) for each in ledger.records)
    assert records == [("kokoro-82m", "speech", "ada", "ok")] * n_texts + [("tiny", "chat", "ada", "ok")]
    assert sum(each.amount for each in ledger.records) == len(STORY) + 1 - n_texts  # no space between two texts


@pytest.mark.parametrize("fields", [SPOKEN, STREAMED], ids=["whole", "streamed"])
async def test_speech_counts_in_the_limits_of_a_key(fields: dict[str, Any]) -> None:
    """Each answer costs 7 tokens of text and 49 of speech, of 100 a day: the third is refused."""
    app = AudioApp(access=AccessPolicy.from_keys(key_cache=OneKey()), rate_limiter=RateLimiter())
    headers = {"authorization": "Bearer sk-any"}
    statuses = [(await app.chat(headers=headers, **fields)).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_calls_of_tools_are_not_spoken() -> None:
    """An answer without text has its calls and no audio, whole and streamed."""
    script: Script = [[Admitted(5, (10,))], [CALL], [ChoiceFinished(0, "tool_calls")], [Done(Usage(5, 9))]]
    tools = [{"type": "function", "function": {"name": "f"}}]
    app = AudioApp(AudioServing(script))
    message = (await app.chat(**SPOKEN, tools=tools)).json["choices"][0]["message"]
    assert "audio" not in message
    assert message["tool_calls"][0]["function"]["name"] == "f"
    stream = events(await app.chat(**STREAMED, tools=tools))
    assert audio_of(stream) == []
    assert stream[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert app.serving.texts == ["", ""]
    assert not app.transcripts.kept


async def test_reasoning_is_not_spoken() -> None:
    """Reasoning has its own deltas before the audio begins."""
    script: Script = [
        [Admitted(5, (10,))],
        [ReasoningDelta(0, "Hm.")],
        [TextDelta(0, "Yes.")],
        [ChoiceFinished(0, "stop"), Done(Usage(5, 9))],
    ]
    app = AudioApp(AudioServing(script))
    stream = events(await app.chat(**STREAMED))
    assert stream[1]["choices"][0]["delta"] == {"reasoning_content": "Hm.", "reasoning": "Hm."}
    assert joined(audio_of(stream), "transcript") == "Yes."
    assert app.serving.texts == ["", "Yes."]


@pytest.mark.parametrize("fields", [SPOKEN, STREAMED], ids=["whole", "streamed"])
async def test_a_later_turn_names_an_earlier_answer(fields: dict[str, Any]) -> None:
    """An assistant's message with `audio: {id}` has its transcript as content."""
    app = AudioApp()
    first = await app.chat(**fields)
    [(project, audio_id)] = app.transcripts.kept
    assert (project, app.transcripts.kept[project, audio_id]) == ("local", ("Hello there", 4600))
    assert audio_id.encode() in first.body
    app.serving.requests.clear()
    earlier = {"role": "assistant", "audio": {"id": audio_id}}
    assert (await app.chat("Hello", earlier, "And then?")).status == 200
    assert app.serving.prompt.messages[1] == text_message("assistant", "Hello there")


async def test_an_answer_may_be_sent_back_as_it_is() -> None:
    """A message with all that the answer has needs no lookup: its transcript is the content."""
    app = AudioApp()
    message = (await app.chat(**SPOKEN)).json["choices"][0]["message"]
    app.transcripts.kept.clear()
    app.serving.requests.clear()
    assert (await app.chat("Hello", message, "And then?")).status == 200
    assert app.serving.prompt.messages[1] == text_message("assistant", "Hello there")


@pytest.mark.parametrize("content", [None, ""])
async def test_an_unknown_answer_is_refused(content: str | None) -> None:
    """An id that has expired, or is another project's, is a 400 that says what to send instead."""
    app = AudioApp()
    app.transcripts.add("other", "audio_1", "Secret.", 5000)
    response = await app.chat("Hi", {"role": "assistant", "content": content, "audio": {"id": "audio_1"}}, "More")
    assert (response.status, response.error["param"]) == (400, "messages[1].audio.id")
    assert (response.error["code"], "transcript" in response.error["message"]) == ("audio_not_found", True)
    assert not app.serving.requests


async def test_a_message_with_content_needs_no_audio() -> None:
    """The content of a message counts, whatever its audio is; an empty reference is refused."""
    app = AudioApp()
    response = await app.chat("Hi", {"role": "assistant", "content": "Yes.", "audio": {"id": "gone"}}, "More")
    assert response.status == 200
    assert app.serving.prompt.messages[1] == text_message("assistant", "Yes.")
    response = await app.chat("Hi", {"role": "assistant", "audio": {}}, "More")
    assert (response.status, response.error["param"]) == (400, "messages[1].audio.id")


@pytest.mark.parametrize("fields", [SPOKEN, STREAMED], ids=["whole", "streamed"])
async def test_a_voice_is_checked_first(fields: dict[str, Any]) -> None:
    """An unknown voice is a 400 that names the field, before any other work and before the first byte of a stream."""
    serving = AudioServing()
    serving.refusals = {"": InvalidRequest("Unknown voice.", param="voice", code="invalid_value")}
    response = await AudioApp(serving).chat(**fields)
    assert (response.status, response.error["param"]) == (400, "audio.voice")
    assert serving.texts == [""]
    assert len(serving.requests) == 1


async def test_a_missing_speech_model_is_said() -> None:
    """Without the model the error names the field, and repeats how it is installed."""
    response = await AudioApp(registry=FakeRegistry([installed("tiny")])).chat(**SPOKEN)
    assert (response.status, response.error["param"]) == (400, "modalities")
    assert "`tts-1` does not exist" in response.error["message"]


async def test_text_that_cannot_be_read_is_left_out() -> None:
    """A piece that the speech model refuses is silent; the transcript is complete."""
    serving = AudioServing(answer(STORY))
    serving.refusals = {FIRST: REFUSAL}
    parts = audio_of(events(await AudioApp(serving).chat(**STREAMED)))
    assert joined(parts, "transcript") == STORY
    assert base64.b64decode(joined(parts, "data")) == spoken(LAST)


async def test_an_answer_that_cannot_be_read_at_all_fails() -> None:
    """If nothing can be spoken, the request fails with the model's reason, whole and streamed."""
    serving = AudioServing(answer("こんにちは"))
    serving.refusals = {"こんにちは": REFUSAL}
    app = AudioApp(serving)
    response = await app.chat(**SPOKEN)
    assert (response.status, response.error["param"]) == (400, "modalities")
    assert "Only English and Mandarin" in response.error["message"]
    stream = await app.chat(**STREAMED)
    assert b'"param":"modalities"' in stream.body
    assert b"[DONE]" not in stream.body


async def test_signs_alone_are_an_answer_without_audio() -> None:
    """An answer that has no word is not sent to the speech model."""
    app = AudioApp(AudioServing(answer("😀!")))
    audio = (await app.chat(**SPOKEN)).json["choices"][0]["message"]["audio"]
    assert (audio["data"], audio["transcript"]) == ("", "😀!")
    assert joined(audio_of(events(await app.chat(**STREAMED))), "data") == ""
    assert app.serving.texts == ["", ""]


async def test_a_speech_model_that_fails_ends_the_stream() -> None:
    """An error of the speech model is the last event, and the text model's work is cancelled."""
    more = asyncio.Event()
    script: Script = [[Admitted(5, (10,))], [TextDelta(0, f"{FIRST} ")], more, [TextDelta(0, LAST)], asyncio.Event()]
    serving = AudioServing(script)
    fails = asyncio.Event()
    serving.before_speech = [fails, EngineFailed("The model's worker stopped.")]
    app = AudioApp(serving)
    async with app.client(**STREAMED) as client:
        await opened(serving, 3)
        fails.set()
        async with asyncio.timeout(10):
            await serving.streams[2].closed.wait()
            more.set()
            await serving.streams[1].closed.wait()
            while b"worker stopped" not in client.body:
                client.received.clear()
                await client.received.wait()
    assert b"[DONE]" not in client.body


@pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "whole"])
async def test_a_caller_who_leaves_ends_all_work(is_streamed: bool) -> None:
    """A client that disconnects while its answer is spoken ends the work of both models at once."""
    script: Script = [[Admitted(5, (10,))], [TextDelta(0, f"{FIRST} ")], asyncio.Event()] if is_streamed else []
    serving = AudioServing(script or answer(STORY))
    serving.before_speech = [asyncio.Event()]
    app = AudioApp(serving)
    async with app.client(**(STREAMED if is_streamed else SPOKEN)):
        await opened(serving, 3)
    assert all(stream.closed.is_set() for stream in serving.streams)
    assert len(serving.streams) == 3
    assert not app.transcripts.kept


async def test_slow_readers_stop_the_speech_model() -> None:
    """Audio that nobody reads fills a bounded queue, and the speech model waits."""
    waits = asyncio.Event()
    serving = AudioServing([[Admitted(5, (10,))], [TextDelta(0, f"{FIRST} ")], waits])
    serving.before_speech = [[AudioChunk(b"123456")] for _ in range(500)]
    async with AudioApp(serving).client(**STREAMED):
        await opened(serving, 2)
        async with asyncio.timeout(10):
            while len(serving.streams) < 3:
                serving.opened.clear()
                await serving.opened.wait()
        for _ in range(2000):
            await asyncio.sleep(0)
        assert not serving.streams[2].finished


@pytest.mark.parametrize("fields", [SPOKEN, STREAMED], ids=["whole", "streamed"])
async def test_spoken_answers_are_stored_whole(fields: dict[str, Any]) -> None:
    """`store` stores the answer with its audio."""
    repository = FakeCompletionRepository()
    app = AudioApp(completions=repository)
    assert (await app.chat(**fields, store=True)).status == 200
    [stored] = repository.completions.values()
    assert isinstance(stored, StoredCompletion)
    body = (await call(app.app, "GET", f"{PATH}/{stored.id}")).json
    audio = body["choices"][0]["message"]["audio"]
    assert (audio["transcript"], base64.b64decode(audio["data"])) == ("Hello there", spoken("Hello there"))


async def test_padded_chunks_are_padded_with_audio_too() -> None:
    """`include_obfuscation` adds its field to every chunk of a spoken stream."""
    stream = events(await AudioApp().chat(**STREAMED, stream_options={"include_obfuscation": True}))
    assert all("obfuscation" in chunk for chunk in stream)


async def test_the_operators_limit_holds_for_spoken_answers() -> None:
    """The shorter one of the operator's limit and that of spoken answers is the default."""
    app = AudioApp(limits=Limits(answer_tokens=100))
    await app.chat(**SPOKEN)
    [stopping] = [request.stopping for _, request in app.serving.requests if hasattr(request, "stopping")]
    assert stopping.default_tokens == 100
