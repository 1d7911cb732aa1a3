"""`POST /v1/responses/compact`: a conversation becomes its user's messages and a sealed summary by the model."""

import functools
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.forms import respond_and_hold
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.request_body import read_json
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.responses.checks import check_state
from homeport.api.responses.item_ids import new_response_id
from homeport.api.responses.output_items import OutputCompaction
from homeport.api.responses.prompt_reader import PromptSource, read_prompt
from homeport.api.responses.render import to_usage
from homeport.api.responses.response_object import ResponseUsage
from homeport.api.responses.schema import CompactBody
from homeport.api.responses.sealed_text import seal
from homeport.api.responses.state import load_earlier
from homeport.api.responses.summaries import summary_request
from homeport.api.responses.summary_writer import SummaryWriter
from homeport.api.services import services
from homeport.api.text_generation.convert import check_caching, check_tier
from homeport.domain.responses import Item


class CompactedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the items with which the conversation continues."""

    id: str
    object: str = "response.compaction"
    created_at: int
    output: Sequence[Any]
    usage: ResponseUsage


async def compact(request: Request) -> Response:
    """Summarize a conversation. Nothing is stored."""
    body = await read_json(request, CompactBody)
    context = context_of(request.scope)
    resolved = resolve(request, body.model, "chat")
    check_state("previous_response_id", body.previous_response_id, None)
    check_caching(body.prompt_cache_key, body.prompt_cache_retention, body.prompt_cache_options)
    check_tier(body.service_tier)
    earlier = await load_earlier(request, body.previous_response_id, None)

    async def respond(images: ImageInputs) -> Response:
        content = await read_prompt(request, PromptSource(body.instructions, body.input, earlier), images)
        kept = [item for item in (*earlier, *content.items) if _is_user_message(item)]
        writer = _CompactionWriter(kept, functools.partial(seal, services(request).secret))
        engine_request = summary_request(content.messages, resolved, context)
        return await run(request, resolved, engine_request, writer, endpoint="responses")

    return await respond_and_hold(images_of(request, resolved), respond)


class _ItemKind(msgspec.Struct):
    type: str
    role: str | None = None


def _is_user_message(item: Item) -> bool:
    kind = msgspec.json.decode(item.body, type=_ItemKind)
    return kind.type == "message" and kind.role == "user"


class _CompactionWriter(SummaryWriter):
    """Renders the kept items and the summary."""

    def __init__(self, kept: Sequence[Item], seal: Callable[[str], str]) -> None:
        super().__init__()
        self._kept = kept
        self._seal = seal

    async def finish(self) -> bytes:
        """Return the body."""
        item = OutputCompaction(id=f"cmp_{uuid.uuid4().hex}", encrypted_content=self._seal(self.text))
        body = CompactedConversation(
            id=new_response_id(),
            created_at=self.answer.created,
            output=[*(msgspec.Raw(each.body.encode()) for each in self._kept), item],
            usage=to_usage(self.usage),
        )
        return json_codec.encode(body)
