"""`POST /v1/messages` and `POST /v1/messages/count_tokens`."""

import functools

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.forms import respond_and_hold
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.messages.convert import ReadPrompt, check_body, to_prompt, to_request
from homeport.api.messages.output import OutputRules
from homeport.api.messages.schema import CountTokensBody, MessagesBody, PromptBody
from homeport.api.messages.writers import MessagePlan, message_writer
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.request_runner import resolve, run
from homeport.api.responses.sealed_text import open_sealed, seal
from homeport.api.services import services
from homeport.api.tokenize.render import TokenWriter
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import TokenizeResult
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TextRequest, TokenRequest

ENDPOINT = "messages"
"""The name of this endpoint in metrics and usage."""


async def create(request: Request) -> Response:
    """Answer a conversation."""
    body = await read_json(request, MessagesBody)
    context = context_of(request.scope)
    resolved = resolve(request, body.model, "chat")
    images = images_of(request, resolved)
    read, engine_request = await run_in_thread_if_large(request, _read, request, body, resolved, images)
    rules = OutputRules(
        functools.partial(seal, services(request).secret),
        shows_thinking=body.thinking is None or body.thinking.display != "omitted",
        given_names=read.tools.given_names,
    )
    writer = message_writer(MessagePlan(body.max_tokens or 0, rules), context, is_streamed=bool(body.stream))
    user = body.metadata.user_id if body.metadata else None

    async def respond(images: ImageInputs) -> Response:
        await images.save()
        return await run(request, resolved, engine_request, writer, endpoint=ENDPOINT, user=user)

    return await (respond(images) if images.is_empty else respond_and_hold(images, respond))


async def count_tokens(request: Request) -> Response:
    """Count the tokens of a prompt, which is not computed."""
    body = await read_json(request, CountTokensBody)
    resolved = resolve(request, body.model, "chat")
    images = images_of(request, resolved)
    read = await run_in_thread_if_large(request, _read_prompt, request, body, images)

    async def respond(images: ImageInputs) -> Response:
        await images.save()
        # Only the number is returned, so it does not matter whose ids an alias promises: no encoding.
        engine_request = TokenRequest((read.prompt,))
        return await run(request, resolved, engine_request, TokenWriter(_render_count), endpoint="tokenize")

    return await (respond(images) if images.is_empty else respond_and_hold(images, respond))


def _read(
    request: Request, body: MessagesBody, resolved: ResolvedModel, images: ImageInputs
) -> tuple[ReadPrompt, TextRequest]:
    """Check the body, and make the engine request. Raises InvalidRequest naming the field."""
    check_body(body)
    read = _read_prompt(request, body, images)
    return read, to_request(body, read.prompt, resolved, context_of(request.scope))


def _read_prompt(request: Request, body: PromptBody, images: ImageInputs) -> ReadPrompt:
    return to_prompt(body, functools.partial(_open_thinking, services(request).secret), images)


def _open_thinking(secret: bytes, signature: str) -> str | None:
    """Return the thinking that a signature holds; None if this server did not make it."""
    try:
        return open_sealed(secret, signature)
    except InvalidRequest:
        return None


def _render_count(result: TokenizeResult, _window: int | None) -> dict[str, object]:
    return {"input_tokens": len(result.ids)}
