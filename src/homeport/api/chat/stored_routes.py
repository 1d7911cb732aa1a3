"""`/v1/chat/completions` of the past: list, describe, update and delete stored completions, and list their messages.

A project sees only its own. `answer_store` is what stores them.
"""

import asyncio
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.chat.render import ChatCompletion
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.stored_completions import render_completion, to_message_page, to_stored_completion
from homeport.api.compatibility import served
from homeport.api.files.render import DeletedObject
from homeport.api.json_response import JsonResponse
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.query_params import METADATA_FILTER, read_metadata_filter
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.api.text_generation.writers import StoreAnswer
from homeport.domain import validation
from homeport.domain.errors import Unavailable
from homeport.domain.ports.responses import CompletionRepository
from homeport.domain.responses import StoredCompletion

MAX_PAGE_SIZE = 100
_ORDERS = ("asc", "desc")


class MessagesQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of messages."""

    order: str = "asc"


class CompletionsQuery(MessagesQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of completions, besides `metadata[key]`."""

    model: str | None = None


class CompletionUpdateBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that changes a stored completion."""

    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs, which replace the former ones; null: none.")]


def answer_store(request: Request, body: ChatBody) -> StoreAnswer | None:
    """Return what stores the answer to a body; None if its caller does not ask for it.

    Raises InvalidRequest if this server stores no completions. What is returned raises InvalidRequest over the
    project's storage limit, and StorageFull.
    """
    if not body.store:
        return None
    completions, keep_s = services(request).completions, services(request).response_keep_s
    if completions is None or keep_s == 0:
        raise validation.unsupported_field("store", "This server is configured to store no chat completions.")
    project = caller(request).project

    def add(answer: ChatCompletion) -> None:
        completions.add(to_stored_completion(answer, body.messages, project, keep_s))

    async def store(answer: msgspec.Struct) -> None:
        if isinstance(answer, ChatCompletion):
            await asyncio.to_thread(add, answer)

    return store


async def list_completions(request: Request) -> Response:
    """List the project's completions, oldest first unless `order` is `desc`; with `metadata[key]=value`, those only."""
    query = parse_page(request, CompletionsQuery, max_limit=MAX_PAGE_SIZE, ignore=METADATA_FILTER)
    metadata = read_metadata_filter(request)
    validation.check_metadata("metadata", metadata)
    page = await asyncio.to_thread(
        _repository(request).list_page,
        caller(request).project,
        query.to_page_request(is_newest_first=_is_newest_first(query)),
        model=query.model,
        metadata=metadata or None,
    )
    return render_page(page, render_completion)


async def retrieve(request: Request) -> Response:
    """Describe a completion. Raises NotFound."""
    return JsonResponse(render_completion(await _find(request)))


async def update(request: Request) -> Response:
    """Replace the metadata of a completion. Raises NotFound, InvalidRequest."""
    body = await read_json(request, CompletionUpdateBody)
    validation.check_metadata("metadata", body.metadata)
    changed = await asyncio.to_thread(
        _repository(request).update, caller(request).project, _completion_id(request), body.metadata or {}
    )
    return JsonResponse(render_completion(changed))


async def delete(request: Request) -> Response:
    """Delete a completion. Raises NotFound."""
    completion_id = _completion_id(request)
    await asyncio.to_thread(_repository(request).delete, caller(request).project, completion_id)
    return JsonResponse(DeletedObject(id=completion_id, object="chat.completion.deleted"))


async def list_messages(request: Request) -> Response:
    """List the messages of a completion's request, the first one first unless `order` is `desc`. Raises NotFound."""
    query = parse_page(request, MessagesQuery, max_limit=MAX_PAGE_SIZE)
    page_request = query.to_page_request(is_newest_first=_is_newest_first(query))
    page = await asyncio.to_thread(to_message_page, await _find(request), page_request)
    return render_page(page, lambda message: message.body)


def _is_newest_first(query: MessagesQuery) -> bool:
    validation.check_choice("order", query.order, _ORDERS)
    return query.order == "desc"


def _completion_id(request: Request) -> str:
    completion_id: str = request.path_params["completion_id"]
    return completion_id


async def _find(request: Request) -> StoredCompletion:
    return await asyncio.to_thread(_repository(request).get, caller(request).project, _completion_id(request))


def _repository(request: Request) -> CompletionRepository:
    completions = services(request).completions
    if completions is None:
        raise Unavailable("This server does not store chat completions.")
    return completions
