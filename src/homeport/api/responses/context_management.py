"""Compacts the context of a response whose prompt is longer than its request allows, before the model answers.

Knows nothing of how items are read: its compaction is an item that follows the input.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.request_context import context_of
from homeport.api.request_runner import count_prompt, run, window_of
from homeport.api.responses.item_ids import output_item_id
from homeport.api.responses.output_items import OutputCompaction
from homeport.api.responses.plan import FirstItems
from homeport.api.responses.sealed_text import seal
from homeport.api.responses.summaries import context_text, kept_messages, summary_request
from homeport.api.responses.summary_writer import SummaryWriter
from homeport.api.services import services
from homeport.domain.content import Message
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.responses import Item
from homeport.domain.text import ChatPrompt

_OVERFLOW = "context_length_exceeded"


class Context(NamedTuple):
    """What a response is computed from. `messages`: those of its items; `prompt`: with instructions and tools.

    `user`: the caller's own name of the end user.
    """

    response_id: str
    messages: Sequence[Message]
    prompt: ChatPrompt
    user: str | None


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
    writer = SummaryWriter()
    engine_request = summary_request(
        context.prompt.messages, resolved, context_of(request.scope), drops_oldest=context.prompt.drops_oldest
    )
    await run(request, resolved, engine_request, writer, endpoint="responses", user=context.user)
    sealed = seal(services(request).secret, context_text(writer.text, kept))
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
