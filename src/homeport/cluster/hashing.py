"""Hashes of a request's prompt in blocks, by which requests with the same beginning are recognized.

A block's hash covers everything before it, the project and the adapter: equal hashes mean equal beginnings of one
project. Every gateway computes the same hashes. They choose replicas and nothing else, so a collision costs at most
time: engines compare tokens. Knows nothing of replicas, tokenizers or templates.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from homeport.domain.content import Message, Part, TextPart, ToolCallPart, ToolResultPart
from homeport.domain.text import ChatPrompt, EditPrompt, InfillPrompt, Prompt, TextPrompt, TextRequest, TokenPrompt
from homeport.domain.tools import ToolUse
from homeport.domain.worker_messages import EngineRequest

BLOCK_BYTES = 1024
"""Bytes of UTF-8 in a block: about 256 tokens."""
BLOCK_TOKENS = 256
"""Token ids in a block."""
MAX_BLOCKS = 256
"""Blocks of a prompt that are hashed; what follows does not change where it is sent."""
_MASK = (1 << 64) - 1
_encode_ids = msgspec.msgpack.Encoder().encode


def hash_request(request: EngineRequest) -> list[int]:
    """Return the hashes of the blocks of a text request's first prompt; none for requests without reusable prefixes.

    A block ends at the end of each message, so that a conversation's next turn has all blocks of the turn before.
    """
    if not isinstance(request, TextRequest) or not request.prompts:
        return []
    adapter = request.adapter.digest if request.adapter else ""
    last = hash_name(f"{request.project}\0{adapter}\0{request.encoding or ''}")
    hashes: list[int] = []
    for block in islice(_blocks(request.prompts[0]), MAX_BLOCKS):
        last = mixed(last, zlib.crc32(block))
        hashes.append(last)
    return hashes


def hash_name(name: str) -> int:
    """Return a 64-bit hash of a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def mixed(first: int, second: int) -> int:
    """Return a 64-bit hash of two integers (the finalizer of SplitMix64; Steele, Lea and Flood, 2014)."""
    value = (first * 0x9E3779B97F4A7C15 + second + 0x632BE59BD9B4E019) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _blocks(prompt: Prompt) -> Iterator[bytes | memoryview]:
    """Yield the blocks of a prompt in order."""
    match prompt:
        case TextPrompt(text):
            yield from _cut(text)
        case TokenPrompt(ids):
            for start in range(0, len(ids), BLOCK_TOKENS):
                yield _encode_ids(ids[start : start + BLOCK_TOKENS])
        case InfillPrompt(prefix, suffix):
            yield from _blocks(prefix)
            yield from _cut(f"\0{suffix}")
        case EditPrompt(text, instruction):
            yield from _cut(f"{instruction}\0{text}")
        case ChatPrompt(messages=messages, tools=tools):
            if tools is not None:
                yield from _cut(_tools_text(tools))
            for message in messages:
                yield from _cut(_message_text(message))


def _cut(text: str) -> Sequence[bytes | memoryview]:
    """Return a text in blocks of UTF-8, with lone surrogates, of which JSON may hold any."""
    data = text[: MAX_BLOCKS * BLOCK_BYTES].encode("utf-8", "surrogatepass")
    if len(data) <= BLOCK_BYTES:
        return (data,) if data else ()
    view = memoryview(data)
    return [view[start : start + BLOCK_BYTES] for start in range(0, len(view), BLOCK_BYTES)]


def _tools_text(tools: ToolUse) -> str:
    return "\0".join(part for tool in tools.tools for part in (tool.name, tool.description, tool.parameters or ""))


def _message_text(message: Message) -> str:
    return "\0".join((message.role, message.name or "", *map(_part_text, message.parts)))


def _part_text(part: Part) -> str:
    """Return a part's text. Images and audio are only named: each request has files of its own."""
    if isinstance(part, TextPart | ToolResultPart):
        return part.text
    if isinstance(part, ToolCallPart):
        return f"{part.name}\0{part.arguments}"
    return type(part).__name__
