"""Variants of a conversation for chat templates that refuse it: no system messages, or alternating roles.

The text stays the same: system messages go into the user's next message, and consecutive messages of one role are
merged, separated by a blank line. Knows nothing of templates.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from homeport.domain.content import Message, TextPart, ToolResultPart

FOLDED = "system-folded"
MERGED = "roles-merged"
_SYSTEM = ("system", "developer")


class MessageVariant(NamedTuple):
    """The messages, and the changes made to them: `FOLDED`, `MERGED`."""

    messages: Sequence[Message]
    changes: tuple[str, ...] = ()


def list_variants(messages: Sequence[Message]) -> Iterator[MessageVariant]:
    """Iterate over the unchanged conversation and its variants, the least changed first."""
    yield MessageVariant(messages)
    merged = _merge_roles(messages)
    if len(merged) < len(messages):
        yield MessageVariant(merged, (MERGED,))
    roles = [message.role in _SYSTEM for message in messages]
    starts = [start for start in (1, 0) if any(roles[start:])]
    if starts == [1, 0] and not roles[0]:
        starts.pop()  # both give the same variant
    for start in starts:
        folded = [*messages[:start], *_fold_system(messages[start:])]
        yield MessageVariant(folded, (FOLDED,))
        merged = _merge_roles(folded)
        if len(merged) < len(folded):
            yield MessageVariant(merged, (FOLDED, MERGED))


def replace_developer_role(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the role `system` instead of `developer`."""
    return [msgspec.structs.replace(m, role="system") if m.role == "developer" else m for m in messages]


def include_name(message: Message) -> Message:
    """Return the message with its name as part of the content."""
    if not message.name:
        return message
    others = [part for part in message.parts if not isinstance(part, TextPart)]
    return Message(message.role, (TextPart(f"{message.name}: {message.text}"), *others))


def _merge_roles(messages: Sequence[Message]) -> list[Message]:
    groups: list[list[Message]] = []
    for message in messages:
        is_result = any(isinstance(part, ToolResultPart) for part in message.parts)
        if groups and groups[-1][0].role == message.role and not is_result:
            groups[-1].append(message)
        else:
            groups.append([message])
    return [_join(group, group[0].role) for group in groups]


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """Merge system messages into the user's next message; at the end, they become a message of the user."""
    folded: list[Message] = []
    pending: list[Message] = []
    for message in messages:
        if message.role in _SYSTEM:
            pending.append(message)
        elif message.role == "user" and pending:
            folded.append(_join([*pending, message], "user"))
            pending = []
        else:
            folded.append(message)
    return [*folded, _join(pending, "user")] if pending else folded


def _join(messages: Sequence[Message], role: str) -> Message:
    if len(messages) == 1:
        return msgspec.structs.replace(messages[0], role=role)
    texts = [include_name(message).text for message in messages]
    others = [part for message in messages for part in message.parts if not isinstance(part, TextPart)]
    return Message(role, (TextPart("\n\n".join(text for text in texts if text)), *others))
