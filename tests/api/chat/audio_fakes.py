"""A chat application on fakes that hears and speaks: its recordings are the words in them, and so is its speech."""

import asyncio
import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.types import Message, Scope

from homeport.api.application import build_application
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, AudioChunk, Done, RecordingInfo, TranscriptSegment, Usage
from homeport.domain.models import Alias
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.transcription import TranscriptionRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.asgi import LOCAL, AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, Step, answer, installed, services

PATH = "/v1/chat/completions"
VOICE = {"voice": "alloy", "format": "mp3"}
SPOKEN: dict[str, Any] = {"modalities": ["text", "audio"], "audio": VOICE}
STREAMED: dict[str, Any] = {
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "pcm16"},
    "stream": True,
}
REFUSAL = InvalidRequest("Only English and Mandarin can be spoken.", param="input", code="invalid_value")


def recording(words: str, format: str = "wav") -> dict[str, Any]:
    """Make the part of a message in which these words are spoken."""
    return {"type": "input_audio", "input_audio": {"data": encoded(words.encode()), "format": format}}


def encoded(data: bytes) -> str:
    """Return data as base64."""
    return base64.b64encode(data).decode()


def spoken(text: str) -> bytes:
    """Return the speech of a text: whole samples."""
    data = text.encode()
    return data + b" " * (len(data) % 2)


@dataclass
class FakeTranscripts:
    """Transcripts in memory: text and expiry by project and id."""

    kept: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    def add(self, project: str, audio_id: str, transcript: str, expires_at: int) -> None:
        """Keep a transcript."""
        self.kept[project, audio_id] = (transcript, expires_at)

    def find(self, project: str, audio_ids: Collection[str]) -> Mapping[str, str]:
        """Return the transcripts of a project."""
        return {each: self.kept[project, each][0] for each in audio_ids if (project, each) in self.kept}

    def sweep(self) -> int:
        """Do nothing."""
        return 0


class AudioServing(FakeServing):
    """Answers chats with `script`; a recording is transcribed as what its file holds, and a text is spoken as itself.

    `before_speech`: steps that precede the audio of each text. `refusals`: what the speech model refuses, by text.
    """

    def __init__(self, script: Script | None = None) -> None:
        super().__init__(self._answer)
        self.chat = answer("Hello there") if script is None else script
        self.before_transcript: list[Step] = []
        self.before_speech: list[Step] = []
        self.refusals: dict[str, InvalidRequest] = {}

    def _answer(self, request: EngineRequest) -> Script:
        if isinstance(request, TranscriptionRequest):
            words = request.audio.local_path.read_text()
            segment = TranscriptSegment(0, 0.0, 2.0, f" {words}", (1, 2), 0.0, 0.0, 1.0, 0.0)
            heard: Script = [[RecordingInfo("en", 2.0)], [segment], [Done(Usage(100, 2))]]
            return [[Admitted(100)], *self.before_transcript, *heard]
        if isinstance(request, SpeechRequest):
            if request.text in self.refusals:
                return [self.refusals[request.text]]
            if not request.text:
                return [[Admitted(0, (0,))], [Done(Usage())]]
            audio = AudioChunk(spoken(request.text))
            return [[Admitted(9)], *self.before_speech, [audio], [Done(Usage(9, 40))]]
        return self.chat

    @property
    def transcribed(self) -> list[TranscriptionRequest]:
        """What the transcription model was asked for."""
        return [request for _, request in self.requests if isinstance(request, TranscriptionRequest)]

    @property
    def texts(self) -> list[str]:
        """What the speech model was asked to speak; an empty text is the check of the voice."""
        return [request.text for _, request in self.requests if isinstance(request, SpeechRequest)]

    @property
    def prompt(self) -> ChatPrompt:
        """What the text model was asked."""
        [request] = [request for _, request in self.requests if isinstance(request, TextRequest)]
        [prompt] = request.prompts
        assert isinstance(prompt, ChatPrompt)
        return prompt


class AudioApp:
    """An application with a text model, a transcription model and a speech model. `hears`: of the text model."""

    def __init__(self, serving: AudioServing | None = None, *, hears: bool = False, **changes: Any) -> None:
        self.serving = serving or AudioServing()
        self.transcripts = FakeTranscripts()
        models = [
            installed("tiny", ("chat", "audio_input") if hears else ("chat",)),
            installed("whisper-base", ("transcriptions", "translations")),
            installed("kokoro-82m", ("speech",)),
        ]
        given: dict[str, Any] = {
            "registry": FakeRegistry(models, [Alias("whisper-1", "whisper-base"), Alias("tts-1", "kokoro-82m")]),
            "transcripts": self.transcripts,
            "now": lambda: 1_000.5,
            **changes,
        }
        self.services = services(self.serving, **given)
        self.app = build_application(self.services)

    async def chat(self, *messages: Any, headers: Mapping[str, str] | None = None, **fields: Any) -> AsgiResponse:
        """Send a chat: messages, or the content of one of the user."""
        return await call(self.app, "POST", PATH, self._body(messages, fields), headers)

    def client(self, *messages: Any, **fields: Any) -> "LeavingClient":
        """Return a client that sends a chat and may leave."""
        return LeavingClient(self, self._body(messages, fields))

    def _body(self, messages: tuple[Any, ...], fields: dict[str, Any]) -> bytes:
        own = [each if isinstance(each, dict) and "role" in each else user(each) for each in messages or ("Hello",)]
        return json.dumps({"model": "tiny", "messages": own, **fields}).encode()


def user(content: Any) -> dict[str, Any]:
    """Make a message of the user; one part need not be a list."""
    return {"role": "user", "content": [content] if isinstance(content, dict) else content}


class LeavingClient:
    """A client that leaves at the end of a block."""

    def __init__(self, app: AudioApp, body: bytes) -> None:
        self._app = app
        self._inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._has_left = asyncio.Event()
        self.body = b""
        self.received = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Send the request."""
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", LOCAL["host"].encode()), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8080),
        }
        self._task = asyncio.create_task(self._app.app(scope, self._receive, self._send))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave, and wait until the server has ended the request."""
        self._has_left.set()
        async with asyncio.timeout(10):
            await asyncio.gather(self._task, return_exceptions=True)

    async def _receive(self) -> Message:
        if self._inbox:
            return self._inbox.pop()
        await self._has_left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.body += message.get("body", b"")
        self.received.set()


async def opened(serving: FakeServing, n: int) -> None:
    """Wait until a serving has received `n` requests, and the last one waits for an event."""
    async with asyncio.timeout(10):
        while len(serving.streams) < n:
            serving.opened.clear()
            await serving.opened.wait()
        await serving.streams[n - 1].waits.wait()
