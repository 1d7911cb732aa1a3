"""The messages of a conversation in Anthropic's format, and whether calls and results of tools belong together.

Knows nothing of templates or of tools' declarations. Results of tools, which are blocks of the user's message here, are
messages of their own for a model.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.messages.blocks import BlockReader, check_blocks
from homeport.api.messages.schema import ContentBlock, MessageParam
from homeport.api.responses.tool_names import MAX_GIVEN_CHARS, model_name
from homeport.domain import validation
from homeport.domain.content import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    list_images,
    text_message,
)
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.format_fields import MAX_JSON_CHARS, check_depth, too_large
from homeport.domain.tool_fields import MAX_TOOLS, check_name

MAX_MESSAGES = 2048
_ID_CHARS = 1024
_ROLES = ("user", "assistant", "system")
_CONTENT = ("text", "image", "document", "search_result")
_KINDS = {
    "user": (*_CONTENT, "tool_result"),
    "assistant": ("text", "thinking", "redacted_thinking", "tool_use"),
    "system": ("text",),
}
_RESULT_KINDS = (*_CONTENT, "tool_reference")

OpenThinking = Callable[[str], str | None]
"""Returns the thinking that a signature of this server holds; None for any other."""


def to_messages(
    system: str, messages: Sequence[MessageParam], open_thinking: OpenThinking, images: ImageInputs | None = None
) -> tuple[Message, ...]:
    """Convert all messages. `system`: instructions that precede them; `images` None: images are refused.

    Raises InvalidRequest naming the message and its block.
    """
    validation.check_items("messages", messages, MAX_MESSAGES, 1)
    history = _History(open_thinking, BlockReader(images))
    for at, message in enumerate(messages):
        history.add(message, f"messages[{at}]")
    read = history.finish()
    if messages[-1].role == "assistant":
        raise validation.unsupported_field(
            f"messages[{len(messages) - 1}]",
            "A last message of the assistant is not continued: end with the user's, or bind the answer with "
            "'output_config.format'.",
        )
    if images is not None:
        images.select(list_images(read), "messages")
    return (text_message("system", system), *read) if system else tuple(read)


class _History:
    """Collects messages. The calls of the assistant wait for their results, in the messages of the user after it."""

    def __init__(self, open_thinking: OpenThinking, blocks: BlockReader) -> None:
        self._open_thinking = open_thinking
        self._blocks = blocks
        self._messages: list[Message] = []
        self._unanswered: list[str] = []
        self._rest: list[Message] = []

    def add(self, message: MessageParam, place: str) -> None:
        """Add the next message."""
        validation.check_choice(f"{place}.role", message.role, _ROLES)
        content: list[tuple[ContentBlock, str]]
        if isinstance(message.content, str):
            content = [(ContentBlock(type="text", text=message.content), f"{place}.content")]
        else:
            content = check_blocks(message.content, _KINDS[message.role], f"{place}.content")
        if message.role == "assistant":
            self._end_results(place)
            self._messages.append(self._answer(content, place))
            return
        results = [each for each in content if each[0].type == "tool_result"]
        self._messages += [self._result(*each) for each in results]
        parts = self._blocks.read(each for each in content if each[0].type != "tool_result")
        if parts or not results:
            # What follows the calls comes after all of their results, which templates need right after them.
            self._rest.append(Message(message.role, tuple(parts) or (TextPart(""),)))
        if not self._unanswered:
            self._flush()

    def finish(self) -> Sequence[Message]:
        """Return all messages. Raises InvalidRequest if a call has no result."""
        self._end_results("messages")
        return self._messages

    def _end_results(self, place: str) -> None:
        if self._unanswered:
            raise InvalidRequest(
                "Each 'tool_use' block needs a 'tool_result' block in the user's next message. These ids have none: "
                f"{excerpt(', '.join(self._unanswered))}.",
                param=place,
                code="invalid_value",
            )
        self._flush()

    def _flush(self) -> None:
        self._messages += self._rest
        self._rest = []

    def _answer(self, content: Sequence[tuple[ContentBlock, str]], place: str) -> Message:
        """Return the assistant's message: its thinking, its text, and its calls."""
        thoughts = [self._thinking(block) for block, _ in content if block.type in ("thinking", "redacted_thinking")]
        texts = self._blocks.read(each for each in content if each[0].type == "text")
        calls = [_to_call(block, inside) for block, inside in content if block.type == "tool_use"]
        validation.check_items(f"{place}.content", calls, MAX_TOOLS)
        ids = [call.id for call in calls]
        if len(set(ids)) < len(ids):
            raise InvalidRequest(
                "Each 'tool_use' block must have an 'id' of its own.", param=f"{place}.content", code="invalid_value"
            )
        self._unanswered = ids
        parts: list[Part] = []
        if thought := "\n\n".join(filter(None, thoughts)):
            parts.append(ReasoningPart(thought))
        if not texts and not calls:
            texts = [TextPart("")]
        return Message("assistant", (*parts, *texts, *calls))

    def _thinking(self, block: ContentBlock) -> str:
        """Return the thinking of a block, or that of its signature if the block shows none.

        What another server has sealed is left out: nobody else can read it.
        """
        if block.thinking:
            return block.thinking
        return self._open_thinking(block.signature or block.data or "") or ""

    def _result(self, block: ContentBlock, place: str) -> Message:
        """Return a result of a tool: one text, which its images follow."""
        call_id = block.tool_use_id or ""
        if call_id not in self._unanswered:
            raise InvalidRequest(
                f"Invalid '{place}.tool_use_id': '{excerpt(call_id)}' is not the id of a 'tool_use' block of the "
                "assistant's message before, or has a result already.",
                param=f"{place}.tool_use_id",
                code="invalid_value",
            )
        self._unanswered.remove(call_id)
        content = block.content or ""
        if isinstance(content, str):
            parts: list[TextPart | ImagePart] = [TextPart(content)]
        else:
            parts = self._blocks.read(check_blocks(content, _RESULT_KINDS, f"{place}.content"))
        text = "\n\n".join(part.text for part in parts if isinstance(part, TextPart))
        if block.is_error:
            text = f"Error: {text}" if text else "Error"
        return Message(
            "tool", (ToolResultPart(call_id, text), *(part for part in parts if isinstance(part, ImagePart)))
        )


def _to_call(block: ContentBlock, place: str) -> ToolCallPart:
    validation.check_length(f"{place}.id", block.id, _ID_CHARS, 1)
    name = model_name(check_name(block.name, f"{place}.name", MAX_GIVEN_CHARS))
    return ToolCallPart(block.id or "", name, _to_arguments(block.input, f"{place}.input"))


def _to_arguments(given: Any, place: str) -> str:
    """Return the input of a call as JSON text."""
    if given is None:
        return "{}"
    if not isinstance(given, dict):
        raise InvalidRequest(f"Invalid type for '{place}': expected an object.", param=place, code="invalid_type")
    check_depth(given, place)
    text = msgspec.json.encode(given).decode()
    if len(text) > MAX_JSON_CHARS:
        raise too_large(place, len(text))
    return text
