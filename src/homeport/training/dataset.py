"""Reads training files: JSON lines of prompt and completion, of chat messages, or of preferences between answers.

Every error names its line. Knows nothing of tokens: what needs the model is checked in `tokenization`.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from homeport.domain.content import Message, ReasoningPart
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.history import AnswerFields
from homeport.domain.history_reader import HistoryReader
from homeport.domain.json_text import foreign_encoding, strip_bom
from homeport.domain.tool_fields import FunctionFields, ToolFields, to_functions, to_tools
from homeport.domain.tools import ToolUse
from homeport.domain.training import Method

PARAM = "training_file"
LINE_BYTES = 4 << 20  # of one example; a longer line means a file of another kind


class CompletionExample(msgspec.Struct, frozen=True):
    """A prompt and its continuation, as raw text."""

    prompt: str
    completion: str


class ConversationExample(msgspec.Struct, frozen=True):
    """A chat; `trained_turns` are the indexes of the answers to learn, `tools` those that they may call."""

    messages: tuple[Message, ...]
    trained_turns: tuple[int, ...]
    tools: ToolUse | None = None


class PreferenceExample(msgspec.Struct, frozen=True):
    """A chat up to an answer, a preferred answer and a rejected one."""

    messages: tuple[Message, ...]
    preferred: str
    rejected: str
    tools: ToolUse | None = None


Example = CompletionExample | ConversationExample | PreferenceExample


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["text", "refusal"]
    text: str | None = None
    refusal: str | None = None


class _MessageLine(AnswerFields, forbid_unknown_fields=True, kw_only=True):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[_Part, ...] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    weight: Literal[0, 1] | None = None

    def text(self) -> str:
        """Return the message's text. Raises _InvalidLine for content that cannot be trained on."""
        if self.audio:
            raise _InvalidLine("training on `audio` is not supported yet")
        if isinstance(self.content, str):
            return self.content
        texts = [self.refusal] if self.content is None else [part.text or part.refusal for part in self.content]
        if self.role not in ("assistant", "function") and None in texts:
            raise _InvalidLine(f"a message of role `{self.role}` has no `content`")
        return "".join(text or "" for text in texts)


class _ChatLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    messages: tuple[_MessageLine, ...]
    tools: tuple[ToolFields, ...] | None = None
    functions: tuple[FunctionFields, ...] | None = None
    parallel_tool_calls: bool | None = None

    def tool_use(self) -> ToolUse | None:
        """Return the declared tools; None without any. Raises InvalidRequest for wrong ones."""
        if tools := to_tools(self.tools or ()):
            return ToolUse(tools, is_parallel=self.parallel_tool_calls is not False)
        functions = to_functions(self.functions or ())
        return ToolUse(functions, is_parallel=False) if functions else None


class _PreferenceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input: _ChatLine
    preferred_output: tuple[_MessageLine, ...]
    non_preferred_output: tuple[_MessageLine, ...]


class _CompletionLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prompt: str
    completion: str


def read(path: Path, method: Method, param: str = PARAM) -> Sequence[Example]:
    """Read every example of a file. Raises InvalidRequest that names the line, or what is wrong with the whole file."""
    with path.open("rb") as file:
        return parse(_lines(file, param), method, param)


def check(path: Path, method: Method, param: str = PARAM) -> None:
    """Raise what `read` would raise, without holding more than a line in memory."""
    with path.open("rb") as file:
        for _ in _examples(_lines(file, param), method, param):
            pass


def parse(lines: Iterable[bytes], method: Method, param: str = PARAM) -> Sequence[Example]:
    """Parse lines in the same way. Empty ones are skipped."""
    return list(_examples(lines, method, param))


def _examples(lines: Iterable[bytes], method: Method, param: str) -> Iterator[Example]:
    kind: type[Example] | None = None
    for number, line in enumerate(map(strip_bom, lines), 1):
        if not line.strip():
            continue
        try:
            example = _example(line, method)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidRequest, _InvalidLine) as error:
            why = foreign_encoding(line) or error
            raise InvalidRequest(
                f"Line {number} of the file is not an example: {excerpt(str(why)).rstrip('.')}.", param=param
            ) from error
        if kind not in (None, type(example)):
            raise InvalidRequest(f"Line {number} of the file has another form than those before it.", param=param)
        kind = type(example)
        yield example
    if kind is None:
        raise InvalidRequest("The file holds no examples.", param=param)


class _InvalidLine(Exception):
    """What is wrong with a line, as text."""


def _lines(file: Iterable[bytes], param: str) -> Iterator[bytes]:
    for number, line in enumerate(file, 1):
        if len(line) > LINE_BYTES:
            raise InvalidRequest(f"Line {number} of the file is longer than {LINE_BYTES} bytes.", param=param)
        yield line


def _example(line: bytes, method: Method) -> Example:
    fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    if method == "dpo":
        if "input" not in fields:
            raise _InvalidLine("preferences are {input, preferred_output, non_preferred_output}")
        return _preference(msgspec.json.decode(line, type=_PreferenceLine))
    if "messages" in fields:
        return _conversation(msgspec.json.decode(line, type=_ChatLine))
    if "prompt" in fields:
        decoded = msgspec.json.decode(line, type=_CompletionLine)
        if not decoded.completion:
            raise _InvalidLine("the completion is empty")
        return CompletionExample(decoded.prompt, decoded.completion)
    raise _InvalidLine("it has neither `messages` nor `prompt` and `completion`")


def _conversation(chat: _ChatLine) -> ConversationExample:
    answers = [at for at, turn in enumerate(chat.messages) if turn.role == "assistant"]
    if any(turn.weight is not None and turn.role != "assistant" for turn in chat.messages):
        raise _InvalidLine("only messages of the assistant have a `weight`")
    trained_turns = tuple(at for at in answers if chat.messages[at].weight != 0)
    if not trained_turns:
        raise _InvalidLine("no message of the assistant is trained on")
    if trained_turns[0] == 0:
        raise _InvalidLine("it begins with a message of the assistant")
    return ConversationExample(_messages(chat.messages), trained_turns, chat.tool_use())


def _preference(decoded: _PreferenceLine) -> PreferenceExample:
    if not decoded.input.messages or decoded.input.messages[-1].role == "assistant":
        raise _InvalidLine("`input` must end with a message to answer")
    answers = []
    for name in ("preferred_output", "non_preferred_output"):
        turns: tuple[_MessageLine, ...] = getattr(decoded, name)
        if len(turns) != 1 or turns[0].role != "assistant":
            raise _InvalidLine(f"`{name}` must be one message of the assistant")
        if turns[0].tool_calls or turns[0].function_call:
            raise _InvalidLine(f"training on tool calls in `{name}` is not supported yet")
        answers.append(turns[0].text())
    preferred, rejected = answers
    return PreferenceExample(_messages(decoded.input.messages), preferred, rejected, decoded.input.tool_use())


def _messages(turns: Iterable[_MessageLine]) -> tuple[Message, ...]:
    """Convert messages. The last calls need no results, and earlier reasoning is not read."""
    reader = HistoryReader()
    return tuple(_without_reasoning(reader.read(turn, turn.text())) for turn in turns)


def _without_reasoning(message: Message) -> Message:
    parts = tuple(part for part in message.parts if not isinstance(part, ReasoningPart))
    return Message(message.role, parts, message.name)
