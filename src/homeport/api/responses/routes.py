"""`/v1/responses`: create, retrieve and delete responses, and list the items of their input."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.forms import respond_and_hold
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.json_response import JsonResponse
from homeport.api.paging import parse_page, render_page
from homeport.api.query_params import read_query
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.responses import background
from homeport.api.responses.checks import check_body, check_include, check_stored
from homeport.api.responses.citations import cite
from homeport.api.responses.context_management import Context, compact_if_long
from homeport.api.responses.conversation_lock import ConversationLock
from homeport.api.responses.convert import (
    ENCRYPTED_REASONING,
    PromptFields,
    conversation_id,
    has_logprobs,
    summary_of,
    to_prompt,
    to_request,
    to_response,
)
from homeport.api.responses.hosted_tools import closing
from homeport.api.responses.included import with_images_asked_for, with_sealed_reasoning
from homeport.api.responses.input_pages import page_of_items
from homeport.api.responses.item_ids import new_response_id
from homeport.api.responses.plan import NOTHING_FIRST, FirstItems, ResponsePlan
from homeport.api.responses.prompt_reader import PromptContent, PromptSource, read_prompt
from homeport.api.responses.response_object import ResponseObject
from homeport.api.responses.schema import InputItemsQuery, ResponseBody, ResponseQuery
from homeport.api.responses.sealed_text import seal
from homeport.api.responses.state import (
    can_store,
    conversation_repository,
    load_earlier,
    response_repository,
    storing,
)
from homeport.api.responses.stored_response import render_stored
from homeport.api.responses.summaries import summary_request
from homeport.api.responses.tool_reader import DeclaredTools, read_tools
from homeport.api.responses.tool_turns import TurnPlan, first_request, to_turns
from homeport.api.responses.tools import ResponseTools
from homeport.api.responses.writer import response_writer
from homeport.api.services import caller, services
from homeport.api.storage_limit import check_room
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.responses import StoredResponse
from homeport.domain.text import ChatPrompt, TextRequest

ENDPOINT = "responses"
"""The name in metrics and usage."""
MAX_PAGE_SIZE = 100


class _Checked(NamedTuple):
    """A request that passed all checks: the response as it begins, its input's items, and what the model computes.

    `turns`: those of the hosted tools; None: there are no such tools.
    """

    base: ResponseObject
    source: PromptSource
    content: PromptContent
    tools: ResponseTools
    engine_request: TextRequest
    turns: TurnPlan | None


async def create(request: Request) -> Response:
    """Answer input items, which may continue a stored response or a conversation."""
    body = await read_json(request, ResponseBody)
    resolved = resolve(request, body.model, "chat")
    await run_in_thread_if_large(request, check_body, body)
    # The run of a stored background response was checked when it was stored.
    run_of = context_of(request.scope).response_id
    is_stored = bool(run_of) or check_stored(body, can_store=can_store(request))
    if is_stored and not run_of:
        await check_room(request)

    async def respond_with(images: ImageInputs) -> Response:
        if body.background and not run_of:
            return await _start(request, body, resolved, images)
        respond = _responder(request, body, resolved, images, is_stored=is_stored)
        conversation = conversation_id(body.conversation)
        if conversation is None:
            return await respond(None)
        response_id = run_of or new_response_id()
        lock = ConversationLock(
            conversation_repository(request), caller(request).project, conversation, response_id, is_kept=bool(run_of)
        )
        return await respond_and_hold(lock, respond)

    return await respond_and_hold(images_of(request, resolved), respond_with)


async def retrieve(request: Request) -> Response:
    """Return a stored response, or the stream of a background one. Raises NotFound."""
    query = read_query(request, ResponseQuery)
    check_include(query.include)
    if query.starting_after is not None and not query.stream:
        raise InvalidRequest(
            "The 'starting_after' parameter is only allowed when 'stream' is enabled.", param="starting_after"
        )
    if query.include_obfuscation and query.stream:
        raise validation.unsupported_field(
            "include_obfuscation", "Events are sent as they were made: give it in 'stream_options' of the request."
        )
    response = await _find(request)
    if query.stream:
        return await background.follow(request, response, query.starting_after)
    if ENCRYPTED_REASONING in query.include:
        sealed = with_sealed_reasoning(response.output, functools.partial(seal, services(request).secret))
        response = msgspec.structs.replace(response, output=sealed)
    return Response(render_stored(response), media_type="application/json")


async def delete(request: Request) -> Response:
    """Delete a stored response. Raises NotFound."""
    project, response_id = caller(request).project, request.path_params["response_id"]
    await asyncio.to_thread(response_repository(request).delete, project, response_id)
    return JsonResponse({"id": response_id, "object": "response", "deleted": True})


async def input_items(request: Request) -> Response:
    """List the items of a response's own input, newest first by default. Raises NotFound."""
    query = parse_page(request, InputItemsQuery, max_limit=MAX_PAGE_SIZE)
    check_include(query.include)
    page = page_of_items((await _find(request)).input, query)
    items = await asyncio.to_thread(with_images_asked_for, page.items, query.include)
    page = msgspec.structs.replace(page, items=items)
    return render_page(page, lambda item: msgspec.Raw(item.body.encode()))


async def _find(request: Request) -> StoredResponse:
    project, response_id = caller(request).project, request.path_params["response_id"]
    return await asyncio.to_thread(response_repository(request).get, project, response_id)


async def _start(request: Request, body: ResponseBody, resolved: ResolvedModel, images: ImageInputs) -> Response:
    """Accept a background response, when all checks have passed that need no model."""
    checked = await _check(request, body, resolved, images, new_response_id(), is_stored=True)
    return await background.start(
        request,
        checked.base,
        checked.content.items,
        json_codec.encode(body),
        is_streamed=bool(body.stream),
        previous_id=body.previous_response_id,
        conversation_id=conversation_id(body.conversation),
    )


def _responder(
    request: Request, body: ResponseBody, resolved: ResolvedModel, images: ImageInputs, *, is_stored: bool
) -> Callable[[ConversationLock | None], Awaitable[Response]]:
    """Return what answers, given the lock of the conversation."""
    context = context_of(request.scope)
    includes_reasoning = ENCRYPTED_REASONING in (body.include or ())

    async def respond(lock: ConversationLock | None) -> Response:
        response_id = lock.owner if lock else context.response_id or new_response_id()
        checked = await _check(request, body, resolved, images, response_id, is_stored=is_stored)
        engine_request, first = checked.engine_request, None
        if body.context_management and not checked.content.asks_summary:
            first = await _compact(request, body, resolved, checked, images)
            if first is not None:
                engine_request = await _after_compaction(request, body, checked, first, images)
        seal_text = functools.partial(seal, services(request).secret)
        has_end = is_stored and not context.response_id
        plan = ResponsePlan(
            base=checked.base,
            targets=checked.tools.targets,
            is_streamed=bool(body.stream or context.response_id),
            is_padded=body.is_padded,
            has_logprobs=has_logprobs(body),
            has_summary=summary_of(body.reasoning) is not None,
            seal=seal_text if includes_reasoning else None,
            seal_summary=seal_text if checked.content.asks_summary else None,
            first=first or NOTHING_FIRST,
            cite=cite if any(target.kind == "file_search" for target in checked.tools.targets.values()) else None,
            on_end=storing(request, checked.base, checked.content.items, lock) if has_end else None,
        )
        writer = response_writer(plan, context, checked.turns)
        user = body.safety_identifier or body.user

        async def answer(_: None = None) -> Response:
            return await run(request, resolved, engine_request, writer, endpoint=ENDPOINT, user=user)

        return await (respond_and_hold(closing(checked.tools.offers), answer) if checked.tools.offers else answer())

    return respond


async def _check(
    request: Request,
    body: ResponseBody,
    resolved: ResolvedModel,
    images: ImageInputs,
    response_id: str,
    *,
    is_stored: bool,
) -> _Checked:
    """Check items and tools, and make the engine request. Raises InvalidRequest naming the field, NotFound."""
    context = context_of(request.scope)
    earlier = await load_earlier(request, body.previous_response_id, conversation_id(body.conversation))
    source = PromptSource(body.instructions, body.input, earlier, response_id)
    content = await read_prompt(request, source, images)
    declared = DeclaredTools(body.tools, body.tool_choice, body.parallel_tool_calls, body.include or ())
    tools = await read_tools(request, declared, content, is_streamed=bool(body.stream or body.background))
    fields = _prompt_fields(body)
    prompt = to_prompt(content.messages, tools.use, fields)
    default_tokens = services(request).limits.answer_tokens
    engine_request = await run_in_thread_if_large(request, to_request, body, prompt, resolved, context, default_tokens)
    if content.asks_summary:
        engine_request = summary_request(
            content.messages,
            resolved,
            context,
            drops_oldest=prompt.drops_oldest,
            max_tokens=body.max_output_tokens,
        )
    created_at = await _created_at(request)
    base = to_response(body, response_id, created_at, tools=tools.echo, is_stored=is_stored)
    turns = None
    if tools.offers and not content.asks_summary:
        turns = to_turns(engine_request, tools, content, fields, body.max_tool_calls)
        engine_request = first_request(turns)
    return _Checked(base, source, content, tools, engine_request, turns)


async def _compact(
    request: Request, body: ResponseBody, resolved: ResolvedModel, checked: _Checked, images: ImageInputs
) -> FirstItems | None:
    """Return a compaction of the context, if it is longer than the body allows."""
    own = checked.content.messages[1 if body.instructions else 0 :]
    [prompt] = checked.engine_request.prompts
    threshold = next((each.compact_threshold for each in body.context_management or ()), None)
    user = body.safety_identifier or body.user
    context = Context(checked.base.id, own, cast("ChatPrompt", prompt), user, images.source_of)
    return await compact_if_long(request, resolved, context, threshold)


async def _after_compaction(
    request: Request, body: ResponseBody, checked: _Checked, first: FirstItems, images: ImageInputs
) -> TextRequest:
    """Return the engine request with the prompt that follows from a compaction, as later responses read it."""
    content = await read_prompt(request, checked.source._replace(compactions=first.items), images)
    [before] = checked.engine_request.prompts
    prompt = to_prompt(content.messages, cast("ChatPrompt", before).tools, _prompt_fields(body))
    return msgspec.structs.replace(checked.engine_request, prompts=(prompt,))


def _prompt_fields(body: ResponseBody) -> PromptFields:
    return PromptFields(body.text, body.reasoning, body.truncation)


async def _created_at(request: Request) -> int:
    """Return when the response was created: a background one when it was accepted."""
    response_id = context_of(request.scope).response_id
    if not response_id:
        return int(services(request).now())
    stored = await asyncio.to_thread(response_repository(request).get, caller(request).project, response_id)
    return stored.created_at
