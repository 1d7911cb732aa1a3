"""What there is to prepare in a request: the texts and media of its prompts. Knows nothing of tokens."""

from collections.abc import Iterator, Sequence

from homeport.domain.content import Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from homeport.domain.text import (
    ChatPrompt,
    EditPrompt,
    EmptyPrompt,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TextRequest,
    TokenPrompt,
    TokenRequest,
)
from homeport.engines.text.templates.media_marks import list_media

_PART_CHARACTERS = 64  # one more message or prompt takes as long as this many characters of text


def texts_of(prompt: Prompt) -> Sequence[str]:
    """Return the texts of a prompt."""
    match prompt:
        case ChatPrompt(messages):
            return [*(text for message in messages for text in _texts_of(message)), *_tool_texts(prompt)]
        case EditPrompt(input, instruction):
            return (input, instruction)
        case InfillPrompt(before, after):
            return (*texts_of(before), after)
        case TextPrompt(text):
            return (text,)
        case TokenPrompt() | EmptyPrompt():
            return ()


def _texts_of(message: Message) -> Iterator[str]:
    """Yield the texts of a message's parts; one for each part, since a part without text also takes tokens."""
    for part in message.parts:
        match part:
            case TextPart(text) | ReasoningPart(text) | ToolResultPart(_, text):
                yield text
            case ToolCallPart(_, name, arguments):
                yield name + arguments


def _tool_texts(prompt: ChatPrompt) -> Iterator[str]:
    for tool in prompt.tools.tools if prompt.tools else ():
        yield tool.name + tool.description + (tool.parameters or "")


def has_media(request: TextRequest | TokenRequest) -> bool:
    """Return whether a request has pictures or sound, which take much longer to prepare than texts."""
    chats = (prompt for prompt in request.prompts if isinstance(prompt, ChatPrompt))
    return any(list_media(prompt.messages) for prompt in chats)


def estimate_work(request: TextRequest | TokenRequest) -> int:
    """Estimate the work of preparing a request, in characters."""
    return sum(_estimate_prompt(prompt) for prompt in request.prompts)


def _estimate_prompt(prompt: Prompt) -> int:
    parts = texts_of(prompt)
    tokens = len(prompt.ids) if isinstance(prompt, TokenPrompt) else 0
    return sum(map(len, parts)) + _PART_CHARACTERS * len(parts) + tokens
