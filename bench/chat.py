"""A client of streamed chat completions that notes when each piece arrives. Knows nothing of what is measured with it.

Lines are parsed as in `bench.load`; one connection per request.
"""

import asyncio
import contextlib
import json
import time
from typing import Any

import msgspec

from bench.load import Address

_LINE_BYTES = 1 << 22
_SHOWN_BYTES = 300


class ToolCall(msgspec.Struct):
    """A call, joined from its pieces."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class ChatReply(msgspec.Struct):
    """The answer to one request. Times as of `time.perf_counter`.

    `stamps`: when each piece with text, reasoning or a part of a call arrived; `ended_s`: when the stream ended;
    `cached_tokens`: those of the prompt that the server had kept.
    """

    sent_s: float = 0.0
    stamps: list[float] = msgspec.field(default_factory=list)
    ended_s: float = 0.0
    content: str = ""
    calls: list[ToolCall] = msgspec.field(default_factory=list)
    finish: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    failure: str = ""

    @property
    def ttft_s(self) -> float:
        """Seconds from sending to the first piece; nan if there is none."""
        return self.stamps[0] - self.sent_s if self.stamps else float("nan")

    @property
    def wall_s(self) -> float:
        """Seconds from sending to the end."""
        return self.ended_s - self.sent_s

    @property
    def decode_s(self) -> float:
        """Seconds from the first piece to the last; 0 with fewer than two."""
        return self.stamps[-1] - self.stamps[0] if self.stamps else 0.0

    def message(self) -> dict[str, Any]:
        """The answer as a message of the conversation, as a client sends it back."""
        made: dict[str, Any] = {"role": "assistant", "content": self.content or None}
        if self.calls:
            made["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.calls
            ]
        return made


class _FunctionDelta(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _FunctionDelta = msgspec.field(default_factory=_FunctionDelta)


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


_decoder = msgspec.json.Decoder(_Chunk)


async def send(to: Address, body: dict[str, Any], reply: ChatReply | None = None) -> ChatReply:
    """Send a request, streamed with usage, and record its stream in `reply`. A failure is recorded, not raised."""
    reply = reply or ChatReply()
    streamed = {"model": to.model, **body, "stream": True, "stream_options": {"include_usage": True}}
    content = json.dumps(streamed).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {to.host}:{to.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {to.key}\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    writer: asyncio.StreamWriter | None = None
    reply.sent_s = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(to.host, to.port, limit=_LINE_BYTES)
        writer.write(head.encode() + content)
        status = (await reader.readline()).split(maxsplit=2)
        if status[1:2] != [b"200"]:
            rest = (await reader.read()).partition(b"\r\n\r\n")[2]
            shown = b" ".join([*status, rest[:_SHOWN_BYTES]])
            reply.failure = shown.decode("utf-8", "replace").strip() or "no answer"
            return reply
        while line := (await reader.readline()):
            if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                _record(reply, line[6:])
    except (OSError, ValueError, msgspec.DecodeError) as error:
        reply.failure = str(error)
    finally:
        reply.ended_s = time.perf_counter()
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return reply


def _record(reply: ChatReply, line: bytes) -> None:
    now = time.perf_counter()
    chunk = _decoder.decode(line)
    if chunk.usage:
        reply.prompt_tokens = chunk.usage.prompt_tokens
        reply.completion_tokens = chunk.usage.completion_tokens
        details = chunk.usage.prompt_tokens_details
        reply.cached_tokens = (details and details.cached_tokens) or 0
    for choice in chunk.choices:
        delta = choice.delta
        if delta.content or delta.reasoning_content or delta.tool_calls:
            reply.stamps.append(now)
        reply.content += delta.content or ""
        for part in delta.tool_calls or ():
            _join(reply, part)
        reply.finish = choice.finish_reason or reply.finish


def _join(reply: ChatReply, part: _CallDelta) -> None:
    while len(reply.calls) <= part.index:
        reply.calls.append(ToolCall())
    call = reply.calls[part.index]
    call.id = call.id or part.id or ""
    call.name += part.function.name or ""
    call.arguments += part.function.arguments or ""
