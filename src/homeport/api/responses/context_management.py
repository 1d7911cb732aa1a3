"""Compacts the context of a response whose prompt is longer than its request allows, before the model answers.

Knows nothing of how items are read: its compaction is an item that follows the input.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.image_inputs.collection import ImageSource
from homeport.api.request_context import context_of
from homeport.api.request_runner import count_prompt, run, window_of
from homeport.api.responses.item_ids import output_item_id
from homeport.api.responses.output_items import OutputCompaction
from homeport.api.responses.plan import FirstItems
from homeport.api.responses.sealed_text import MAX_TEXT_BYTES, seal
from homeport.api.responses.summaries import context_text, kept_messages, summary_request
from homeport.api.responses.summary_writer import SummaryWriter
from homeport.api.services import services
from homeport.domain.content import ImagePart, Message
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.responses import Item
from homeport.domain.text import ChatPrompt

_OVERFLOW = "context_length_exceeded"
_SUMMARY_BYTES = 100_000
"""What is left for the summary in a compaction that holds other messages, too."""


class Context(NamedTuple):
    """What a response is computed from. `messages`: those of its items; `prompt`: with instructions and tools.

    `user`: the caller's own name of the end user; `source_of` returns where an image comes from.
    """

    response_id: str
    messages: Sequence[Message]
    prompt: ChatPrompt
    user: str | None
    source_of: Callable[[ImagePart], ImageSource]


async def compact_if_long(
    request: Request, resolved: ResolvedModel, context: Context, threshold: int | None
) -> FirstItems | None:
    """Return a compaction of a context of more than `threshold` tokens (None: three quarters of the window).

    None: it is shorter, or has nothing that a compaction replaces. Raises InvalidRequest for a prompt that does not fit
    the window, unless the oldest turns may be dropped, and what running a model raises.
    """
    kept = kept_messages(context.messages)
    if len(kept) == len(context.messages) or not await _is_long(request, resolved, context.prompt, threshold):
        return None
    if len(context_text("", kept, context.source_of).encode()) > MAX_TEXT_BYTES - _SUMMARY_BYTES:
        raise InvalidRequest(
            "The instructions and the user's last message, with its images, are a part of the compaction, which has at "
            f"most {MAX_TEXT_BYTES} bytes: they are larger. Upload the images, and send their 'file_id'.",
            param="context_management",
            code="invalid_value",
        )
    writer = SummaryWriter()
    engine_request = summary_request(
        context.prompt.messages, resolved, context_of(request.scope), drops_oldest=context.prompt.drops_oldest
    )
    await run(request, resolved, engine_request, writer, endpoint="responses", user=context.user)
    sealed = seal(services(request).secret, context_text(writer.text, kept, context.source_of))
    item = OutputCompaction(id=output_item_id("cmp", context.response_id, 0), encrypted_content=sealed)
    return FirstItems((Item(item.id, json_codec.encode(item).decode()),), writer.usage, writer.answer.admitted.changes)


async def _is_long(request: Request, resolved: ResolvedModel, prompt: ChatPrompt, threshold: int | None) -> bool:
    try:
        n_tokens = await count_prompt(request, resolved, msgspec.structs.replace(prompt, drops_oldest=False))
    except InvalidRequest as error:
        if prompt.drops_oldest and error.code == _OVERFLOW:
            return True
        raise
    window = window_of(request, resolved)
    limit = threshold if threshold is not None or window is None else window * 3 // 4
    return limit is not None and n_tokens > limit
