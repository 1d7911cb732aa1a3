"""The client of streamed chat completions."""

import asyncio
from collections.abc import Sequence

from bench import chat
from bench.chat import ChatReply, ToolCall
from bench.load import Address

_CHUNKS = (
    '{"choices": [{"delta": {"role": "assistant", "content": null}}]}',
    '{"choices": [{"delta": {"content": "Look: "}}]}',
    '{"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}}]}',
    '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]}',
    '{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}',
    '{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, '
    '"prompt_tokens_details": {"cached_tokens": 3}}}',
    "[DONE]",
)


def _asked(status: str, lines: Sequence[str]) -> ChatReply:
    """Send a request to a server that answers with these lines."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n".encode() + "\n\n".join(lines).encode() + b"\n\n")
        await writer.drain()
        writer.close()

    async def both() -> ChatReply:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await chat.send(Address("127.0.0.1", port, "m"), {"messages": []})

    return asyncio.run(both())


def test_pieces_are_joined_and_their_times_noted() -> None:
    """Text and calls are joined, pieces without either have no time, and the message is what a client sends back."""
    reply = _asked("200 OK", [f"data: {chunk}" for chunk in _CHUNKS])
    assert not reply.failure
    assert reply.calls == [ToolCall("a", "f", "{}")]
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (7, 3, 5)
    assert reply.finish == "tool_calls"
    assert len(reply.stamps) == 3
    assert 0 <= reply.ttft_s <= reply.wall_s
    assert reply.message() == {
        "role": "assistant",
        "content": "Look: ",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }


def test_an_error_is_recorded_with_its_text() -> None:
    """A status other than 200 is a failure that shows what the server said."""
    reply = _asked("400 Bad Request", ["no such model"])
    assert reply.failure.startswith("HTTP/1.1 400 Bad Request")
    assert "no such model" in reply.failure
