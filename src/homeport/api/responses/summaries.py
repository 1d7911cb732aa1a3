"""Summaries of conversations: how a model is asked for one, and which messages take the place of what it replaces.

The text of a compaction is a summary, which replaces what is not the user's or the developer's; or, if the response
itself compacted its context, a summary with all messages that were kept, which replaces everything before it. Knows
nothing of items, of sealing or of HTTP.
"""

from collections.abc import Callable, Sequence

import msgspec

from homeport.api.image_inputs.collection import ImageSource
from homeport.api.request_context import RequestContext
from homeport.domain.content import ImagePart, Message, TextPart, text_message
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, SamplingParams, StoppingCriteria, TextRequest
from homeport.domain.tools import Reasoning

SUMMARY = "Summary of the earlier conversation: "
"""What the developer's message begins with that a summary becomes."""
MAX_SUMMARY_TOKENS = 1000
INSTRUCTION = (
    "Summarize the conversation so far for somebody who continues it without having read it. State what was asked, "
    "what was found and decided, the results of tools that still matter, names and numbers exactly, and what remains "
    "to be done. Write only the summary."
)
"""The last message that the model reads."""

_INSTRUCTING = ("system", "developer")
_CONTEXT = "\0"
"""The first character of the text of a whole context: no summary begins with it."""


class _Image(msgspec.Struct):
    """An image of a message that was kept: where it comes from."""

    source: ImageSource
    detail: str


class _Context(msgspec.Struct, array_like=True):
    """A summary, and the messages that were kept: their roles and texts, with images their parts."""

    summary: str
    messages: list[tuple[str, str | list[str | _Image]]]


def summary_request(
    messages: Sequence[Message],
    resolved: ResolvedModel,
    context: RequestContext,
    *,
    drops_oldest: bool = False,
    max_tokens: int | None = None,
) -> TextRequest:
    """Make the engine request for a summary. `max_tokens`: of the summary; None: `MAX_SUMMARY_TOKENS`, if they fit."""
    prompt = ChatPrompt(
        (*messages, text_message("user", INSTRUCTION)),
        reasoning=Reasoning("none"),
        drops_oldest=drops_oldest,
        param="input",
    )
    return TextRequest(
        prompts=(prompt,),
        sampling=SamplingParams(temperature=0),
        stopping=StoppingCriteria(max_tokens=max_tokens, default_tokens=MAX_SUMMARY_TOKENS),
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
    )


def kept_messages(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages that a compacted context keeps: instructions, and the user's last message."""
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=None)
    return [
        message
        for at, message in enumerate(messages)
        if at == last or (message.role in _INSTRUCTING and not _is_summary(message))
    ]


def context_text(summary: str, kept: Sequence[Message], source_of: Callable[[ImagePart], ImageSource]) -> str:
    """Return the text of a compaction that replaces everything before it by a summary and these messages.

    `source_of` returns where an image of them comes from.
    """
    context = _Context(summary, [(message.role, _to_content(message, source_of)) for message in kept])
    return _CONTEXT + msgspec.json.encode(context).decode()


def replace_earlier(
    messages: Sequence[Message], text: str, to_image: Callable[[ImageSource, str], ImagePart]
) -> Sequence[Message]:
    """Return the messages that take the place of `messages`, which a compaction with this text follows.

    `to_image` makes the image of a source and a detail.
    """
    context = _read_context(text)
    if context is None:
        kept = [each for each in messages if each.role in (*_INSTRUCTING, "user") and not _is_summary(each)]
        return [*kept, _to_message(text)]
    kept = [_from_content(role, each, to_image) for role, each in context.messages]
    # Before the user's last message, which is what the model answers.
    at = max((at for at, message in enumerate(kept) if message.role == "user"), default=len(kept))
    return [*kept[:at], _to_message(context.summary), *kept[at:]]


def _to_content(message: Message, source_of: Callable[[ImagePart], ImageSource]) -> str | list[str | _Image]:
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text
    content: list[str | _Image] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append(part.text)
        elif isinstance(part, ImagePart):
            content.append(_Image(source_of(part), part.detail))
    return content


def _from_content(
    role: str, content: str | list[str | _Image], to_image: Callable[[ImageSource, str], ImagePart]
) -> Message:
    if isinstance(content, str):
        return text_message(role, content)
    parts = (TextPart(each) if isinstance(each, str) else to_image(each.source, each.detail) for each in content)
    return Message(role, tuple(parts))


def _read_context(text: str) -> _Context | None:
    """Return the whole context that a text holds; None: it is a summary."""
    if not text.startswith(_CONTEXT):
        return None
    try:
        return msgspec.json.decode(text.removeprefix(_CONTEXT), type=_Context)
    except msgspec.DecodeError:  # a sealed text of another purpose
        return None


def _to_message(summary: str) -> Message:
    return text_message("developer", SUMMARY + summary)


def _is_summary(message: Message) -> bool:
    return message.role == "developer" and message.text.startswith(SUMMARY)
