"""The hosted tool `image_generation`: an installed image model makes what the text model describes.

Its fields are those of `/v1/images`, with the same checks. Knows nothing of turns, or of how items are sent.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import msgspec
from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.error_responses import error_to_report
from homeport.api.images import model_rules
from homeport.api.images.convert import fields_to_request
from homeport.api.images.render import BACKGROUND, quality_of, size_of, to_base64
from homeport.api.images.schema import ImageEditForm
from homeport.api.request_runner import engine_run
from homeport.api.responses.events import CallProgressed, PartialImageMade
from homeport.api.responses.hosted_history import IMAGE_FUNCTION
from homeport.api.responses.hosted_tools import (
    HostedCall,
    HostedDeclaration,
    HostedFunction,
    HostedOffer,
    HostedStep,
    ItemFinished,
    ItemPlace,
    ItemStarted,
    text_parameter,
)
from homeport.api.responses.output_items import OutputImageCall
from homeport.api.responses.plan import CallTarget
from homeport.api.responses.tool_checks import check_callers
from homeport.api.responses.tool_schema import ImageToolBody
from homeport.api.services import registry
from homeport.domain import validation
from homeport.domain.errors import EngineFailed, Forbidden, InvalidRequest, ModelNotFound
from homeport.domain.events import GeneratedImage
from homeport.domain.models import ResolvedModel
from homeport.domain.tools import Tool

KIND: Final = "image_generation"
ENDPOINT = "images"
"""The name of these engine requests in metrics and usage."""
MAX_PROMPT_CHARS = 1_000
"""The maximum length of a prompt that the text model writes, so that a small model finds an end."""
_EVENT = "response.image_generation_call"
_DESCRIPTION = (
    "Make an image and show it to the user. `prompt` describes the whole image: what is in it, and its style."
)
_PARAMETERS = text_parameter("prompt", MAX_PROMPT_CHARS)
_FIELDS = (
    *("quality", "size", "output_format", "output_compression", "moderation", "background"),
    *("input_fidelity", "partial_images"),
)
"""The fields that are those of `/v1/images`."""

_log = logging.getLogger("homeport.responses")


class _Arguments(msgspec.Struct):
    prompt: str


async def read_image_generation(request: Request, declared: HostedDeclaration) -> HostedOffer:
    """Check a tool of this type. Raises InvalidRequest naming the field, ModelNotFound, Forbidden."""
    place = declared.place
    body = json_codec.decode_part(declared.raw, ImageToolBody, place)
    _check_unserved(body, place)
    resolved = _resolve(request, body.model, place)
    fields: dict[str, Any] = {name: getattr(body, name) for name in _FIELDS}
    form = ImageEditForm(prompt="image", model=body.model or model_rules.DEFAULT_CURRENT_MODEL, stream=True, **fields)
    try:
        fields_to_request(form)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=f"{place}.{error.param}", code=error.code) from error
    if not declared.is_streamed:
        form = msgspec.structs.replace(form, partial_images=None)
    tool = Tool(IMAGE_FUNCTION, _DESCRIPTION, _PARAMETERS, is_strict=True, param=place)
    return HostedOffer([HostedFunction(tool, CallTarget(KIND, KIND))], ImageGenerationTool(request, resolved, form))


class ImageGenerationTool:
    """Makes the images of one declared tool. `form`: its fields, whose prompt each call replaces."""

    def __init__(self, request: Request, resolved: ResolvedModel, form: ImageEditForm) -> None:
        self._request = request
        self._resolved = resolved
        self._form = form

    async def run(self, call: HostedCall, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
        """Make one image."""
        item = OutputImageCall(id=place.item_id("ig"), status="in_progress")
        yield ItemStarted(item)
        yield _progress("in_progress", item, place)
        yield _progress("generating", item, place)
        try:
            prompt = _prompt_of(call.arguments)
            item = msgspec.structs.replace(item, revised_prompt=prompt)
            image: GeneratedImage | None = None
            async with aclosing(self._images(msgspec.structs.replace(self._form, prompt=prompt))) as images:
                async for each in images:
                    if each.partial is None:
                        image = each
                    else:
                        yield self._partial(each, item, place)
            if image is None:
                raise EngineFailed("The image model returned no image.")
        except Exception as error:
            yield ItemFinished(msgspec.structs.replace(item, status="failed", error=_reason(error)))
            return
        yield _progress("completed", item, place)
        yield ItemFinished(self._complete(image, item))

    async def _images(self, form: ImageEditForm) -> AsyncGenerator[GeneratedImage, None]:
        engine_request = fields_to_request(form)
        async with engine_run(self._request, self._resolved, engine_request, ENDPOINT) as engine:
            async for events in engine.events:
                engine.count(events)
                for event in events:
                    if isinstance(event, GeneratedImage):
                        yield event

    def _partial(self, image: GeneratedImage, item: OutputImageCall, place: ItemPlace) -> PartialImageMade:
        return PartialImageMade(
            item_id=item.id,
            output_index=place.index,
            partial_image_index=image.partial or 0,
            partial_image_b64=to_base64(image),
            size=size_of(image),
            quality=quality_of(self._form),
            background=BACKGROUND,
            output_format=self._form.format.value,
        )

    def _complete(self, image: GeneratedImage, item: OutputImageCall) -> OutputImageCall:
        return msgspec.structs.replace(
            item,
            status="completed",
            result=to_base64(image),
            revised_prompt=image.revised_prompt or item.revised_prompt,
            action="generate",
            size=size_of(image),
            quality=quality_of(self._form),
            background=BACKGROUND,
            output_format=self._form.format.value,
        )


def _progress(stage: str, item: OutputImageCall, place: ItemPlace) -> CallProgressed:
    return CallProgressed(type=f"{_EVENT}.{stage}", item_id=item.id, output_index=place.index)


def _prompt_of(arguments: str) -> str:
    """Return the prompt in the arguments of a call. Raises InvalidRequest if there is none."""
    try:
        return msgspec.json.decode(arguments, type=_Arguments).prompt
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The arguments are not those of this function: {error}", param="prompt") from error


def _reason(error: Exception) -> str:
    """Return why there is no image. An error that nobody expects is logged, and not shown."""
    if (reported := error_to_report(error)) is not None:
        return reported.message
    _log.error("an image was not made", exc_info=error)
    return "The server had an error while it made the image."


def _check_unserved(body: ImageToolBody, place: str) -> None:
    validation.check_choice(f"{place}.action", body.action, ("generate", "edit", "auto"))
    if body.action == "edit":
        raise validation.unsupported_field(
            f"{place}.action",
            "Images of the conversation are not edited: use 'generate', 'auto' or '/v1/images/edits'.",
        )
    if body.input_image_mask is not None:
        raise validation.unsupported_field(
            f"{place}.input_image_mask", "Images of a conversation are not edited: use '/v1/images/edits'."
        )
    check_callers(body, place)


def _resolve(request: Request, model: str | None, place: str) -> ResolvedModel:
    """Find the image model. Raises InvalidRequest if none is installed."""
    try:
        return registry(request).resolve(model or model_rules.DEFAULT_CURRENT_MODEL, "images")
    except ModelNotFound as error:
        if model is not None:
            raise ModelNotFound(error.message, param=f"{place}.model") from error
        raise InvalidRequest(
            f"Tools of type '{KIND}' need an image model, and there is none. {error.message}",
            param=f"{place}.type",
            code="unsupported_parameter",
        ) from error
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=f"{place}.model", code=error.code) from error
    except Forbidden as error:
        raise Forbidden(error.message, param=f"{place}.model", code=error.code) from error
