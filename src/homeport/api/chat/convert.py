"""From the body of a chat request to the engine request, checks included. Knows no template and no model."""

from homeport.api.chat.audio_output import MAX_SPOKEN_TOKENS, check_audio, is_spoken
from homeport.api.chat.content_parts import MessageMedia
from homeport.api.chat.messages import MAX_MESSAGES, add_verbosity, parse_messages, parse_prediction
from homeport.api.chat.reasoning import to_reasoning
from homeport.api.chat.recordings import NO_AUDIO, AudioHistory
from homeport.api.chat.response_format import to_answer_format
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.tool_use import to_tool_use
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.convert import check_caching, check_generation, check_tier, to_sampling, to_stopping
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, TextRequest

MAX_TOP_LOGPROBS = 20


def to_request(
    body: ChatBody,
    resolved: ResolvedModel,
    context: RequestContext,
    images: ImageInputs,
    default_tokens: int | None = None,
    audio: AudioHistory = NO_AUDIO,
) -> TextRequest:
    """Make the engine request. `default_tokens` bounds the answer if the body does not, but not below `min_tokens`.

    The messages' images are added to `images`, which makes their files later. `audio`: what the audio in the messages
    stands for. Raises InvalidRequest naming the field.
    """
    _check(body)
    source_field = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    max_tokens = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    if is_spoken(body):
        default_tokens = min(default_tokens or MAX_SPOKEN_TOKENS, MAX_SPOKEN_TOKENS)
        max_tokens = None if max_tokens is None else min(max_tokens, MAX_SPOKEN_TOKENS)
    return TextRequest(
        prompts=(_to_prompt(body, images, audio),),
        sampling=to_sampling(body),
        stopping=to_stopping(body, max_tokens, source_field, default_tokens),
        n=body.choices,
        best_of=body.choices,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
        output_format=to_answer_format(body),
    )


def _to_prompt(body: ChatBody, images: ImageInputs, audio: AudioHistory) -> ChatPrompt:
    tools = to_tool_use(body)  # before the messages, which cost more
    return ChatPrompt(
        add_verbosity(parse_messages(body.messages, MessageMedia(images, audio)), body.verbosity),
        tools,
        to_reasoning(body),
        parse_prediction(body.prediction),
    )


def _check(body: ChatBody) -> None:
    check_generation(body)
    validation.check_items("messages", body.messages, MAX_MESSAGES, 1)
    validation.check_integer("max_tokens", body.max_tokens, 1, validation.TOKEN_ID_MAX)
    validation.check_integer("max_completion_tokens", body.max_completion_tokens, 1, validation.TOKEN_ID_MAX)
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    validation.check_integer("top_logprobs", body.top_logprobs, 0, MAX_TOP_LOGPROBS)
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidRequest(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    _check_labels(body)
    check_audio(body)
    _refuse_unserved(body)


def _check_labels(body: ChatBody) -> None:
    """Check the fields that identify the request, and how its prompt is cached."""
    validation.check_length("safety_identifier", body.safety_identifier, 64)
    check_caching(body.prompt_cache_key, body.prompt_cache_retention, body.prompt_cache_options)
    validation.check_metadata("metadata", body.metadata)


def _refuse_unserved(body: ChatBody) -> None:
    """Refuse features that are not served; values that ask for no more than plain text pass."""
    for name in ("moderation", "web_search_options"):
        if getattr(body, name) is not None:
            raise validation.unsupported_field(name, "This feature is not served yet.")
    check_tier(body.service_tier)
