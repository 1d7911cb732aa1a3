"""A fake model file for training: bytes as tokens, turns between two marks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.domain.content import Message, ToolCallPart, ToolResultPart
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import ToolUse

BEGIN, END, DOCUMENT_END = 256, 257, 258


def _text(message: Message) -> str:
    """Return the text of a message, with its calls as `name(arguments)` and its result as it is."""
    texts = [message.text]
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            texts.append(f"{part.name}({part.arguments})")
        elif isinstance(part, ToolResultPart):
            texts.append(part.text)
    return "".join(texts)


class Bytes:
    """Implements `ModelReader`. `forgets`: its template omits earlier answers, as those of reasoning models do."""

    window = 100
    parameters = 0
    metadata: Mapping[str, str] = {}
    ends = frozenset({END, DOCUMENT_END})
    start: tuple[int, ...] = ()
    document_end = DOCUMENT_END

    def __init__(self, *, forgets: bool = False) -> None:
        self._forgets = forgets

    def tokenize_plain(self, text: str) -> list[int]:
        return list(text.encode())

    def render_conversation(self, messages: Sequence[Message], tools: ToolUse | None = None) -> list[int]:
        ids: list[int] = [BEGIN, *tools.tools[0].name.encode(), END] if tools else []
        for message in messages:
            if message.role == "system" and ids:
                raise InvalidRequest("no place for a message of role 'system'")
            content = "" if self._forgets and message.role == "assistant" else _text(message)
            ids += [BEGIN, *message.role[0].encode(), *content.encode(), END]
        return [*ids, BEGIN, *b"a"]

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        yield from ()

    def adapter(self, file: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
        yield from ()

    def close(self) -> None:
        """Nothing is loaded."""
