"""Fields of a message besides role and text, in chats and in training examples.

Clients send an answer's message back as they received it, with all fields. `history_reader` makes messages of them.
Knows nothing of endpoints or of training.
"""

from typing import Any

import msgspec


class FunctionCallFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A called function. `parsed_arguments` is the client's own parse of the arguments, and is ignored."""

    name: str | None = None
    arguments: str | None = None
    parsed_arguments: Any = None


class CustomCallFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A called custom tool."""

    name: str | None = None
    input: str | None = None


class ToolCallFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One of a message's `tool_calls`. `index` is that of a stream's chunks, and is ignored."""

    id: str | None = None
    type: str | None = None
    function: FunctionCallFields | None = None
    custom: CustomCallFields | None = None
    index: Any = None


class AnswerFields(msgspec.Struct, kw_only=True):
    """The fields of a message as OpenAI's answers, its clients and this server write them; null in any role.

    `reasoning` is another name of `reasoning_content`. `annotations`, `parsed`, `id` and `content_parts` add nothing to
    the text and are ignored: the last two are those of stored completions, `parsed` is the client's parse of the text.
    """

    refusal: str | None = None
    audio: Any = None
    tool_calls: list[ToolCallFields] | None = None
    function_call: FunctionCallFields | None = None
    annotations: Any = None
    parsed: Any = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    id: Any = None
    content_parts: Any = None
