"""`/v1/conversations`: create, describe, update and delete conversations, and their items.

A project sees only its own conversations.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.conversations.convert import to_items, to_metadata
from homeport.api.conversations.render import render_conversation, render_item
from homeport.api.conversations.schema import (
    ConversationBody,
    ConversationUpdateBody,
    IncludeQuery,
    ItemsBody,
    ItemsQuery,
)
from homeport.api.files.render import DeletedObject
from homeport.api.image_inputs.request_images import images_of
from homeport.api.json_response import JsonResponse
from homeport.api.paging import parse_page, render_page
from homeport.api.query_params import read_query
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.responses.checks import check_include
from homeport.api.responses.included import with_images_asked_for
from homeport.api.services import caller, services
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.paging import Page
from homeport.domain.ports.responses import ConversationRepository
from homeport.domain.responses import Conversation, Item

MAX_PAGE_SIZE = 100


async def create(request: Request) -> Response:
    """Create a conversation, with its first items. Raises InvalidRequest."""
    body = await read_json(request, ConversationBody)
    conversations = _growing_repository(request)
    metadata = to_metadata(body.metadata)
    items = await run_in_thread_if_large(request, to_items, body.items, images_of(request))
    made = await asyncio.to_thread(conversations.create, caller(request).project, metadata, items)
    return JsonResponse(render_conversation(made))


async def retrieve(request: Request) -> Response:
    """Describe a conversation. Raises NotFound."""
    project, conversation_id = _key(request)
    found = await asyncio.to_thread(_repository(request).get, project, conversation_id)
    return JsonResponse(render_conversation(found))


async def update(request: Request) -> Response:
    """Replace the metadata of a conversation. Raises NotFound, InvalidRequest."""
    body = await read_json(request, ConversationUpdateBody)
    metadata = to_metadata(body.metadata)
    project, conversation_id = _key(request)
    changed = await asyncio.to_thread(_repository(request).update, project, conversation_id, metadata)
    return JsonResponse(render_conversation(changed))


async def delete(request: Request) -> Response:
    """Delete a conversation and its items. Raises NotFound."""
    project, conversation_id = _key(request)
    await asyncio.to_thread(_repository(request).delete, project, conversation_id)
    return JsonResponse(DeletedObject(id=conversation_id, object="conversation.deleted"))


async def create_items(request: Request) -> Response:
    """Add items to a conversation; list them as they are stored. Raises NotFound, InvalidRequest."""
    include = read_query(request, IncludeQuery).include
    check_include(include)
    body = await read_json(request, ItemsBody)
    conversations = _growing_repository(request)
    project, conversation_id = _key(request)
    items = await run_in_thread_if_large(request, to_items, body.items, images_of(request), 1)
    await asyncio.to_thread(conversations.add_items, project, conversation_id, items)
    shown = await asyncio.to_thread(with_images_asked_for, items, include)
    return render_page(Page(items=shown), render_item)


async def list_items(request: Request) -> Response:
    """List the items of a conversation, newest first unless `order` is `asc`. Raises NotFound, InvalidRequest."""
    query = parse_page(request, ItemsQuery, max_limit=MAX_PAGE_SIZE)
    validation.check_choice("order", query.order, ("asc", "desc"))
    check_include(query.include)
    project, conversation_id = _key(request)
    page_request = query.to_page_request(is_newest_first=query.order == "desc")
    page = await asyncio.to_thread(_repository(request).list_items, project, conversation_id, page_request)
    shown = await asyncio.to_thread(with_images_asked_for, page.items, query.include)
    return render_page(msgspec.structs.replace(page, items=shown), render_item)


async def retrieve_item(request: Request) -> Response:
    """Return an item of a conversation. Raises NotFound, InvalidRequest."""
    include = read_query(request, IncludeQuery).include
    check_include(include)
    project, conversation_id = _key(request)
    item_id = request.path_params["item_id"]
    item: Item = await asyncio.to_thread(_repository(request).get_item, project, conversation_id, item_id)
    (shown,) = await asyncio.to_thread(with_images_asked_for, [item], include)
    return JsonResponse(render_item(shown))


async def delete_item(request: Request) -> Response:
    """Delete an item of a conversation, and describe the conversation. Raises NotFound."""
    return JsonResponse(render_conversation(await asyncio.to_thread(_delete_item, request)))


def _delete_item(request: Request) -> Conversation:
    project, conversation_id = _key(request)
    conversations = _repository(request)
    conversations.delete_item(project, conversation_id, request.path_params["item_id"])
    return conversations.get(project, conversation_id)


def _key(request: Request) -> tuple[str, str]:
    """Return the caller's project and the id of the conversation in the path."""
    return caller(request).project, request.path_params["conversation_id"]


def _repository(request: Request) -> ConversationRepository:
    conversations = services(request).conversations
    if conversations is None:
        raise Unavailable("This server does not store conversations.")
    return conversations


def _growing_repository(request: Request) -> ConversationRepository:
    """Return the server's conversations, to add to them. Raises InvalidRequest if nothing may be stored."""
    if services(request).response_keep_s == 0:
        raise InvalidRequest(
            "This server is configured to store no conversations: send all items with each response.",
            code="storage_disabled",
        )
    return _repository(request)
