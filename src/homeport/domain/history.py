"""Fields of an answer's message besides role and text, which clients send back in chats and in training examples.

Clients send an answer's message back as they received it, with all fields. Knows nothing of endpoints or of training.
"""

from typing import Any

import msgspec

_UNSERVED = ("audio", "tool_calls", "function_call")


class AnswerFields(msgspec.Struct, kw_only=True):
    """The fields of a message as OpenAI's answers, its clients and this server write them; null in any role.

    Those after `function_call` add nothing to the text and are ignored. `content_parts` and `id` are
    those of stored completions, `parsed` is the client's parse of the text.
    """

    refusal: str | None = None
    audio: Any = None
    tool_calls: Any = None
    function_call: Any = None
    annotations: Any = None
    parsed: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    id: Any = None
    content_parts: Any = None


def find_unserved(message: msgspec.Struct) -> str | None:
    """Return the first field of a message whose content is not supported, if there is one."""
    return next((name for name in _UNSERVED if getattr(message, name)), None)
