"""`POST /v1/chat/completions`."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.chat.audio_chat import AudioChat, has_audio, prepare_audio_chat
from homeport.api.chat.convert import to_request
from homeport.api.chat.render import chat_writer
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.stored_routes import answer_store
from homeport.api.forms import respond_and_hold
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.services import services
from homeport.api.storage_limit import check_room
from homeport.domain.text import TextRequest

ENDPOINT = "chat"
"""The name of this endpoint in metrics and usage."""


async def create(request: Request) -> Response:
    """Answer a conversation, and store the answer if the caller asks for it."""
    body = await read_json(request, ChatBody)
    context = context_of(request.scope)
    resolved = resolve(request, body.model, "chat")
    store = answer_store(request, body)
    if store is not None:
        await check_room(request)
    user = body.safety_identifier or body.user
    images = images_of(request, resolved)
    if has_audio(body):

        async def answer(chat: AudioChat) -> Response:
            return await run(request, resolved, chat.engine_request, chat.writer, endpoint=ENDPOINT, user=user)

        return await respond_and_hold(prepare_audio_chat(request, body, resolved, images, store), answer)
    default_tokens = services(request).limits.answer_tokens
    engine_request: TextRequest = await run_in_thread_if_large(
        request, to_request, body, resolved, context, images, default_tokens
    )
    writer = chat_writer(body, context, store)

    async def respond(images: ImageInputs) -> Response:
        await images.save()
        return await run(request, resolved, engine_request, writer, endpoint=ENDPOINT, user=user)

    return await (respond(images) if images.is_empty else respond_and_hold(images, respond))
