"""Chats that hear: recordings are transcribed or reach a model that hears; everything else is refused by name."""

import asyncio
from typing import Any

import pytest

from homeport.api.chat import hearing, recordings
from homeport.domain.content import AudioPart, Message, TextPart, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted
from tests.api.admin.test_usage import MemoryLedger
from tests.api.chat.audio_fakes import AudioApp, AudioServing, opened, recording, user
from tests.api.fakes import FakeRegistry, Script, installed
from tests.api.text_generation.calls import events

TRANSCRIBE: dict[str, Any] = {"audio_input": "transcribe"}
HEARD = "What is a lighthouse?"


async def test_the_text_of_a_recording_takes_its_place() -> None:
    """Recordings of several messages are transcribed in order, and their texts stand among the texts around them."""
    app = AudioApp()
    first = user(
        [{"type": "text", "text": "Listen: "}, recording("One."), {"type": "text", "text": " And "}, recording("Two.")]
    )
    response = await app.chat(first, {"role": "assistant", "content": "Yes."}, recording(HEARD, "mp3"), **TRANSCRIBE)
    assert response.status == 200, response.body
    assert app.serving.prompt.messages == (
        Message("user", (TextPart("Listen: "), TextPart("One."), TextPart(" And "), TextPart("Two."))),
        text_message("assistant", "Yes."),
        Message("user", (TextPart(HEARD),)),
    )
    assert [model.facts.name for model, _ in app.serving.requests] == ["whisper-base"] * 3 + ["tiny"]


async def test_recordings_of_a_model_that_hears_are_attached() -> None:
    """A model that hears gets the file itself, which exists until the answer ends; another model is not asked."""
    waits = asyncio.Event()
    script: Script = [[Admitted(5, (10,))], waits]
    app = AudioApp(AudioServing(script), hears=True)
    async with app.client([recording(HEARD), {"type": "text", "text": "Well?"}]):
        await opened(app.serving, 1)
        [message] = app.serving.prompt.messages
        part, text = message.parts
        assert isinstance(part, AudioPart)
        assert (part.audio.local_path.read_text(), part.param) == (HEARD, "messages[0].content[0]")
        assert text == TextPart("Well?")
    assert not part.audio.local_path.exists()
    assert not app.serving.transcribed


async def test_a_model_that_hears_may_have_recordings_transcribed() -> None:
    """`audio_input: transcribe` also holds for a model that hears."""
    app = AudioApp(hears=True)
    assert (await app.chat(recording(HEARD), **TRANSCRIBE)).status == 200
    assert app.serving.prompt.messages == (text_message("user", HEARD),)


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_counts_what_was_heard(stream: bool) -> None:
    """The tokens of the recordings are audio tokens of the prompt, whole and streamed."""
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    response = await AudioApp().chat(user([recording("One."), recording("Two.")]), **TRANSCRIBE, **options)
    usage = events(response)[-1]["usage"] if stream else response.json["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"]) == (205, 207)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 200}


async def test_both_models_work_for_the_caller() -> None:
    """The ledger has a record of each model, with the caller's own name of its user."""
    ledger = MemoryLedger()
    await AudioApp(ledger=ledger).chat(recording(HEARD), **TRANSCRIBE, user="ada")
    records = [(each.model, each.endpoint, each.prompt_tokens, each.amount, each.user) for each in ledger.records]
    assert records == [("whisper-base", "transcribe", 100, 2.0, "ada"), ("tiny", "chat", 5, 0.0, "ada")]


async def test_a_recording_is_transcribed_once() -> None:
    """A later turn sends earlier recordings again: only the new one is transcribed, and usage says what was known."""
    app = AudioApp()
    await app.chat(recording("One."), **TRANSCRIBE)
    later = await app.chat(recording("One."), {"role": "assistant", "content": "Yes."}, recording("Two."), **TRANSCRIBE)
    assert len(app.serving.transcribed) == 2
    usage = later.json["usage"]
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]) == (
        205,
        {"cached_tokens": 100, "audio_tokens": 200},
    )


async def test_a_model_that_does_not_hear_says_what_to_send() -> None:
    """Without the extension the error names the field and the models."""
    response = await AudioApp().chat(recording(HEARD))
    assert (response.status, response.error["param"], response.error["code"]) == (
        400,
        "messages",
        "unsupported_content_type",
    )
    assert '`tiny` does not hear. Send "audio_input": "transcribe"' in response.error["message"]
    assert "`whisper-1`" in response.error["message"]


async def test_an_installed_model_that_hears_is_named() -> None:
    """The error also names an installed model that hears."""
    registry = FakeRegistry([installed("tiny"), installed("ears", ("chat", "audio_input"))])
    response = await AudioApp(registry=registry).chat(recording(HEARD))
    assert "or use `ears`, which hears" in response.error["message"]


async def test_a_missing_transcription_model_is_said() -> None:
    """Without the model the error names the field, and repeats how it is installed."""
    response = await AudioApp(registry=FakeRegistry([installed("tiny")])).chat(recording(HEARD), **TRANSCRIBE)
    assert (response.status, response.error["param"]) == (400, "audio_input")
    assert "`whisper-1` does not exist" in response.error["message"]


PLACE = "messages[0].content[0]"
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "input_audio"}, f"{PLACE}.input_audio", "Missing required parameter"),
    ({"type": "input_audio", "input_audio": {"format": "wav"}}, f"{PLACE}.input_audio.data", "Missing"),
    ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, f"{PLACE}.input_audio.format", "Missing"),
    (recording("x", "flac"), f"{PLACE}.input_audio.format", "'wav', 'mp3'"),
    ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, f"{PLACE}.input_audio.data", "empty"),
    ({"type": "input_audio", "input_audio": {"data": "@@", "format": "wav"}}, f"{PLACE}.input_audio.data", "base64"),
    ({**recording("x"), "text": "x"}, f"{PLACE}.text", "has no 'text'"),
]


@pytest.mark.parametrize(("part", "param", "words"), WRONG, ids=[str(number) for number in range(len(WRONG))])
async def test_a_wrong_recording_is_refused_by_its_place(part: dict[str, Any], param: str, words: str) -> None:
    """A field of a recording that is missing or wrong is a 400 that names it, and no model is asked."""
    app = AudioApp()
    response = await app.chat(part, **TRANSCRIBE)
    assert (response.status, response.error["param"]) == (400, param)
    assert words in response.error["message"]
    assert not app.serving.requests


@pytest.mark.parametrize("role", ["system", "assistant"])
async def test_only_users_speak(role: str) -> None:
    """A recording in another role's message is refused."""
    response = await AudioApp().chat({"role": role, "content": [recording("x")]}, **TRANSCRIBE)
    assert (response.status, response.error["param"]) == (400, "messages[0].content")


async def test_a_prediction_has_no_recordings() -> None:
    """A recording in a prediction is refused."""
    response = await AudioApp().chat(prediction={"type": "content", "content": [recording("x")]})
    assert (response.status, response.error["param"]) == (400, "prediction.content")


async def test_recordings_are_limited_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many recordings are refused before any of them is decoded."""
    monkeypatch.setattr(recordings, "MAX_RECORDINGS", 2)
    app = AudioApp()
    broken = {"type": "input_audio", "input_audio": {"data": "@@", "format": "wav"}}
    response = await app.chat(user([broken] * 3), **TRANSCRIBE)
    assert (response.status, response.error["code"]) == (400, "too_many_recordings")


async def test_recordings_are_limited_in_length_together() -> None:
    """Each transcription may be as long as the recordings before it leave of the limit."""
    app = AudioApp()
    await app.chat(user([recording("One."), recording("Two.")]), **TRANSCRIBE)
    limits = [each.max_seconds for each in app.serving.transcribed]
    assert limits == [hearing.MAX_SECONDS, hearing.MAX_SECONDS - 2.0]


async def test_a_recording_after_the_limit_is_not_transcribed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the limit is used up, the next recording is refused by its place."""
    monkeypatch.setattr(hearing, "MAX_SECONDS", 2.0)
    app = AudioApp()
    response = await app.chat(user([recording("One."), recording("Two.")]), **TRANSCRIBE)
    assert (response.status, response.error["param"]) == (400, "messages[0].content[1].input_audio")
    assert len(app.serving.requests) == 1


async def test_a_recording_that_cannot_be_read_is_named() -> None:
    """What the transcription model refuses names the recording, and the text model is not asked."""
    serving = AudioServing()
    serving.before_transcript = [InvalidRequest("The audio file might be corrupted.", param="file")]
    app = AudioApp(serving)
    response = await app.chat(user([{"type": "text", "text": "x"}, recording("x")]), **TRANSCRIBE)
    assert (response.status, response.error["param"]) == (400, "messages[0].content[1].input_audio")
    assert len(serving.requests) == 1


async def test_other_fields_are_checked_before_recordings_are_transcribed() -> None:
    """A request that is wrong elsewhere costs no transcription."""
    app = AudioApp()
    response = await app.chat(recording(HEARD), **TRANSCRIBE, temperature=3)
    assert (response.status, response.error["param"]) == (400, "temperature")
    assert not app.serving.requests


async def test_a_caller_who_leaves_ends_the_transcription() -> None:
    """When the client disconnects, the transcription is cancelled, and its file deleted."""
    serving = AudioServing()
    serving.before_transcript = [asyncio.Event()]
    app = AudioApp(serving)
    async with app.client(recording(HEARD), **TRANSCRIBE):
        await opened(serving, 1)
    assert serving.streams[0].closed.is_set()
    assert not serving.transcribed[0].audio.local_path.exists()
    assert len(serving.requests) == 1


@pytest.mark.parametrize("value", ["transcribe", None])
async def test_the_extension_without_recordings_changes_nothing(value: str | None) -> None:
    """A chat without recordings may have the field."""
    app = AudioApp()
    assert (await app.chat(audio_input=value)).status == 200
    assert len(app.serving.requests) == 1


async def test_another_value_of_the_extension_is_refused() -> None:
    """Only `transcribe` exists."""
    response = await AudioApp().chat(recording(HEARD), audio_input="whisper")
    assert (response.status, response.error["param"]) == (400, "audio_input")
