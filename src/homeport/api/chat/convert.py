"""From the body of a chat request to the engine request, checks included. Knows no template and no model."""

from homeport.api import validation
from homeport.api.chat.messages import MAX_MESSAGES, parse_messages
from homeport.api.chat.schema import CacheOptions, ChatBody
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.convert import check_generation, to_sampling, to_stopping
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, TextRequest

MAX_TOP_LOGPROBS = 20
MAX_TOOLS = 128
TIERS = ("auto", "default")


def to_request(
    body: ChatBody, resolved: ResolvedModel, context: RequestContext, default_tokens: int | None = None
) -> TextRequest:
    """Make the engine request. `default_tokens` bounds the answer if the body does not, but not below `min_tokens`.

    Raises InvalidRequest naming the field.
    """
    _check(body)
    source_field = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    max_tokens = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    return TextRequest(
        prompts=(ChatPrompt(parse_messages(body.messages)),),
        sampling=to_sampling(body),
        stopping=to_stopping(body, max_tokens, source_field, default_tokens),
        n=body.choices,
        best_of=body.choices,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
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
    _refuse_unserved(body)
    _refuse_tools(body)


def _check_labels(body: ChatBody) -> None:
    """Check the fields that only identify the request."""
    validation.check_length("safety_identifier", body.safety_identifier, 64)
    validation.check_length("prompt_cache_key", body.prompt_cache_key, validation.LABEL_CHARS)
    validation.check_metadata("metadata", body.metadata)


def _refuse_unserved(body: ChatBody) -> None:
    """Refuse features that are not served; values that ask for no more than plain text pass."""
    for name in ("audio", "moderation", "prediction", "reasoning_effort", "web_search_options"):
        if getattr(body, name) is not None:
            raise validation.unsupported_field(name, "This feature is not served yet.")
    if body.store:
        raise validation.unsupported_field("store", "Completions are not stored yet.")
    if body.modalities not in (None, ["text"]):
        raise validation.unsupported_field("modalities", "Only ['text'] is served yet.")
    if body.response_format and (body.response_format.type != "text" or body.response_format.json_schema):
        raise validation.unsupported_field("response_format", "Only {'type': 'text'} is served yet.")
    if body.verbosity not in (None, "medium"):
        raise validation.unsupported_field("verbosity", "Only 'medium', the default, is served.")
    if body.service_tier not in (None, *TIERS):
        raise validation.unsupported_field(
            "service_tier", "There is one service tier: 'auto' and 'default' both select it."
        )
    if body.prompt_cache_retention not in (None, "in_memory"):
        raise validation.unsupported_field(
            "prompt_cache_retention", "Prompts are cached in memory only: use 'in_memory'."
        )
    options = body.prompt_cache_options or CacheOptions()
    if options.mode not in (None, "implicit") or options.ttl not in (None, "30m"):
        raise validation.unsupported_field("prompt_cache_options", "Only mode 'implicit' and ttl '30m' are served.")


def _refuse_tools(body: ChatBody) -> None:
    for name in ("tools", "functions"):
        validation.check_items(name, getattr(body, name), MAX_TOOLS)
        if getattr(body, name):
            raise validation.unsupported_field(name, "Tool calls are not served yet.")
    for name, list_name in (("tool_choice", "tools"), ("function_call", "functions")):
        if getattr(body, name) not in (None, "none", "auto"):
            raise InvalidRequest(
                f"Invalid value for '{name}': '{name}' is only allowed when '{list_name}' are specified.",
                param=name,
                code="unsupported_parameter",
            )
