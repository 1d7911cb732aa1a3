"""The blocks of an answer, collected from its events: thinking, text and calls, in the order in which they are written.

Knows nothing of streams: a listener is notified of what begins, grows and ends.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from homeport.api.messages.render import Block, TextBlock, ThinkingBlock, ToolUseBlock
from homeport.domain.events import ChoiceFinished, Event, ReasoningDelta, TextDelta, ToolCallDelta, Usage

_NO_INPUT = msgspec.Raw(b"{}")


class OpenBlock:
    """One block, as far as it is written. `kind`: text, thinking or tool_use; the last has `call_id` and `name`."""

    def __init__(self, index: int, kind: str, call: int = -1, call_id: str = "", name: str = "") -> None:
        self.index = index
        self.kind = kind
        self.call = call
        self.call_id = call_id
        self.name = name
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        """All of its text so far: that of a call is JSON."""
        return "".join(self.pieces)


class OutputListener(Protocol):
    """What is notified of blocks, one after the other."""

    def on_open(self, block: OpenBlock) -> None:
        """A block begins."""
        ...

    def on_text(self, block: OpenBlock, text: str) -> None:
        """A block grows."""
        ...

    def on_close(self, block: OpenBlock) -> None:
        """A block is complete."""
        ...


class OutputRules(NamedTuple):
    """How blocks are rendered.

    `seal` makes the signature of thinking; `shows_thinking`: the thinking itself is returned, too. `given_names`: the
    names of tools that the caller knows, by those that the model sees.
    """

    seal: Callable[[str], str]
    shows_thinking: bool = True
    given_names: Mapping[str, str] = {}


class MessageOutput:
    """The blocks of one answer. `reason` None: it is not complete; `stop`: the stop sequence that ended it."""

    def __init__(self, rules: OutputRules, listener: OutputListener | None = None) -> None:
        self._rules = rules
        self._listener = listener
        self._blocks: list[OpenBlock] = []
        self._open: OpenBlock | None = None
        self._end: ChoiceFinished | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks."""
        return tuple(render_block(block, self._rules) for block in self._blocks)

    @property
    def is_cut(self) -> bool:
        """Whether a limit of the key ended the answer."""
        return self._end is not None and self._end.is_cut

    def add(self, events: Iterable[Event]) -> None:
        """Add a batch of events; those of no choice are ignored."""
        for event in events:
            if isinstance(event, TextDelta):
                self._append("text", event.text)
            elif isinstance(event, ReasoningDelta):
                self._append("thinking", event.text)
            elif isinstance(event, ToolCallDelta):
                self._add_call(event)
            elif isinstance(event, ChoiceFinished):
                self._close()
                self._end = event

    def stop_reason(self, usage: Usage, max_tokens: int) -> tuple[str, str | None]:
        """Return why a complete answer ended, and the stop sequence that ended it."""
        end = self._end
        if end is not None and end.reason == "length":
            has_room = not end.is_cut and usage.completion_tokens < max_tokens
            return ("model_context_window_exceeded" if has_room else "max_tokens"), None
        if any(block.kind == "tool_use" for block in self._blocks):
            return "tool_use", None
        if end is not None and end.stop:
            return "stop_sequence", end.stop
        return "end_turn", None

    def _add_call(self, event: ToolCallDelta) -> None:
        block = self._open
        if block is None or block.call != event.index:
            self._begin(
                OpenBlock(len(self._blocks), "tool_use", event.index, _call_id(event.id), self._given_name(event.name))
            )
        if event.arguments:
            self._write(event.arguments)

    def _given_name(self, name: str) -> str:
        return self._rules.given_names.get(name, name)

    def _append(self, kind: str, text: str) -> None:
        if not text:
            return
        if self._open is None or self._open.kind != kind:
            self._begin(OpenBlock(len(self._blocks), kind))
        self._write(text)

    def _begin(self, block: OpenBlock) -> None:
        self._close()
        self._blocks.append(block)
        self._open = block
        if self._listener is not None:
            self._listener.on_open(block)

    def _write(self, text: str) -> None:
        if self._open is not None:
            self._open.pieces.append(text)
            if self._listener is not None:
                self._listener.on_text(self._open, text)

    def _close(self) -> None:
        if self._open is not None and self._listener is not None:
            self._listener.on_close(self._open)
        self._open = None


def render_block(block: OpenBlock, rules: OutputRules) -> Block:
    """Render a complete block. The input of a call that was cut is an empty object."""
    if block.kind == "thinking":
        return ThinkingBlock(block.text if rules.shows_thinking else "", rules.seal(block.text))
    if block.kind == "tool_use":
        return ToolUseBlock(block.call_id, block.name, _to_input(block.text))
    return TextBlock(block.text)


def open_block(block: OpenBlock) -> Block:
    """Render a block that begins."""
    if block.kind == "thinking":
        return ThinkingBlock("", "")
    if block.kind == "tool_use":
        return ToolUseBlock(block.call_id, block.name, _NO_INPUT)
    return TextBlock("")


def _call_id(call_id: str) -> str:
    """Return the id of a call with Anthropic's prefix."""
    return f"toolu_{call_id.removeprefix('call_')}"


def _to_input(arguments: str) -> msgspec.Raw:
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return _NO_INPUT
    return msgspec.Raw(arguments.encode()) if isinstance(value, dict) else _NO_INPUT
