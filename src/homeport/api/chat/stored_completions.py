"""Chat completions that are stored at their caller's request: made from an answer, and rendered for its caller.

Knows nothing of HTTP, or of where they are stored.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.api.chat.render import ChatCompletion
from homeport.api.chat.schema import ChatMessageParam
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.paging import Page, PageRequest
from homeport.domain.responses import StoredCompletion

_CLIENT_FIELDS = ("id", "content_parts", "parsed")
"""Fields of a message that only clients use, and that are not stored."""


class StoredMessage(msgspec.Struct, frozen=True):
    """A message of a stored completion's request. `body`: its JSON."""

    id: str
    body: msgspec.Raw


def to_stored_completion(
    answer: ChatCompletion,
    messages: Sequence[ChatMessageParam],
    project: str,
    keep_s: int | None,
) -> StoredCompletion:
    """Make the record of an answer. `keep_s`: the seconds until it expires; None: it never does."""
    return StoredCompletion(
        id=answer.id,
        project=project,
        created_at=answer.created,
        model=answer.model,
        body=json_codec.encode(msgspec.structs.replace(answer, metadata=msgspec.UNSET)).decode(),
        messages=tuple(_to_text(message) for message in messages),
        metadata=dict(answer.metadata or {}),
        expires_at=None if keep_s is None else answer.created + keep_s,
    )


def render_completion(completion: StoredCompletion) -> msgspec.Raw:
    """Render a completion: the answer that was sent, with its metadata."""
    metadata = json_codec.encode(completion.metadata)
    return msgspec.Raw(completion.body.encode().removesuffix(b"}") + b',"metadata":' + metadata + b"}")


def to_message_page(completion: StoredCompletion, page: PageRequest) -> Page[StoredMessage]:
    """Return a page of the messages of a completion's request. Raises InvalidRequest for an unknown `after`."""
    numbers = list(range(len(completion.messages)))
    if page.is_newest_first:
        numbers.reverse()
    if page.after is not None:
        ids = [_message_id(completion, number) for number in numbers]
        if page.after not in ids:
            raise InvalidRequest(
                f"Invalid 'after': the list has no object with the id '{excerpt(page.after)}'. Use the id of an "
                "object in the list.",
                param="after",
            )
        numbers = numbers[ids.index(page.after) + 1 :]
    shown = numbers if page.limit is None else numbers[: page.limit]
    items = tuple(_render_message(completion, number) for number in shown)
    return Page(items=items, has_more=len(shown) < len(numbers))


def _to_text(message: ChatMessageParam) -> str:
    own = msgspec.structs.replace(message, **dict.fromkeys(_CLIENT_FIELDS))
    return msgspec.json.encode(own).decode()


def _message_id(completion: StoredCompletion, number: int) -> str:
    return f"{completion.id}-{number}"


def _render_message(completion: StoredCompletion, number: int) -> StoredMessage:
    """Render a message as OpenAI's list does: the text of its parts as `content`, and the parts themselves."""
    fields = msgspec.json.decode(completion.messages[number], type=dict[str, Any])
    content = fields.get("content")
    parts = content if isinstance(content, list) else None
    own = {
        "id": _message_id(completion, number),
        "name": None,
        "refusal": None,
        **fields,
        "content": content if parts is None else "".join(part.get("text") or part.get("refusal", "") for part in parts),
        "content_parts": parts,
    }
    return StoredMessage(own["id"], msgspec.Raw(json_codec.encode(own)))
