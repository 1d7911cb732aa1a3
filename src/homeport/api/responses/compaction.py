"""`POST /v1/responses/compact`: a conversation becomes its user's messages and a sealed summary by the model."""

import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.request_body import read_json
from homeport.api.request_context import RequestContext, context_of
from homeport.api.request_runner import resolve, run
from homeport.api.responses.checks import check_state
from homeport.api.responses.item_ids import new_response_id
from homeport.api.responses.prompt_reader import PromptSource, read_prompt
from homeport.api.responses.render import to_usage
from homeport.api.responses.response_object import ResponseUsage
from homeport.api.responses.schema import CompactBody
from homeport.api.responses.sealed_text import seal
from homeport.api.responses.state import load_earlier
from homeport.api.services import services
from homeport.api.text_generation.choices import ChoicesCollector
from homeport.api.text_generation.convert import check_caching, check_tier
from homeport.api.text_generation.writers import CHANGES_HEADER
from homeport.api.writer import AnswerMetadata, CollectingWriter
from homeport.domain.content import Message, text_message
from homeport.domain.events import Event
from homeport.domain.models import ResolvedModel
from homeport.domain.responses import Item
from homeport.domain.text import ChatPrompt, SamplingParams, StoppingCriteria, TextRequest
from homeport.domain.tools import Reasoning

MAX_SUMMARY_TOKENS = 1000
INSTRUCTION = (
    "Summarize the conversation so far for somebody who continues it without having read it. State what was asked, "
    "what was found and decided, the results of tools that still matter, names and numbers exactly, and what remains "
    "to be done. Write only the summary."
)
"""The last message that the model reads."""


class CompactionItem(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of earlier turns, which only this server can read."""

    id: str
    type: str = "compaction"
    encrypted_content: str


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
    content = await read_prompt(request, PromptSource(body.instructions, body.input, earlier))
    kept = [item for item in (*earlier, *content.items) if _is_user_message(item)]
    writer = _CompactionWriter(kept, functools.partial(seal, services(request).secret))
    engine_request = _to_request(content.messages, resolved, context)
    return await run(request, resolved, engine_request, writer, endpoint="responses")


def _to_request(messages: Sequence[Message], resolved: ResolvedModel, context: RequestContext) -> TextRequest:
    prompt = ChatPrompt((*messages, text_message("user", INSTRUCTION)), reasoning=Reasoning("none"), param="input")
    return TextRequest(
        prompts=(prompt,),
        sampling=SamplingParams(temperature=0),
        stopping=StoppingCriteria(default_tokens=MAX_SUMMARY_TOKENS),
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
    )


class _ItemKind(msgspec.Struct):
    type: str
    role: str | None = None


def _is_user_message(item: Item) -> bool:
    kind = msgspec.json.decode(item.body, type=_ItemKind)
    return kind.type == "message" and kind.role == "user"


class _CompactionWriter(CollectingWriter):
    """Renders the kept items and the summary."""

    def __init__(self, kept: Sequence[Item], seal: Callable[[str], str]) -> None:
        self._kept = kept
        self._seal = seal
        self._collector = ChoicesCollector()

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        super().on_admitted(answer)
        return {CHANGES_HEADER: ", ".join(answer.admitted.changes)} if answer.admitted.changes else {}

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the summary."""
        self._collector.add(events)

    async def finish(self) -> bytes:
        """Return the body."""
        summary = "".join(choice.text for choice in self._collector.choices)
        item = CompactionItem(id=f"cmp_{uuid.uuid4().hex}", encrypted_content=self._seal(summary))
        body = CompactedConversation(
            id=new_response_id(),
            created_at=self.answer.created,
            output=[*(msgspec.Raw(each.body.encode()) for each in self._kept), item],
            usage=to_usage(self.usage),
        )
        return json_codec.encode(body)
