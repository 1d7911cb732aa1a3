"""`POST /v1/chat/completions`."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.chat.convert import to_request
from homeport.api.chat.render import chat_writer
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.stored_routes import answer_store
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.services import services
from homeport.api.storage_limit import check_room


async def create(request: Request) -> Response:
    """Answer a conversation, and store the answer if the caller asks for it."""
    body = await read_json(request, ChatBody)
    context = context_of(request.scope)
    resolved = resolve(request, body.model, "chat")
    store = answer_store(request, body)
    if store is not None:
        await check_room(request)
    default_tokens = services(request).limits.answer_tokens
    engine_request = await run_in_thread_if_large(request, to_request, body, resolved, context, default_tokens)
    user = body.safety_identifier or body.user
    return await run(request, resolved, engine_request, chat_writer(body, context, store), endpoint="chat", user=user)
