"""Checks of a response's fields that need nothing but the body. Errors name the field."""

from collections.abc import Sequence

from homeport.api.chat.convert import MAX_TOP_LOGPROBS
from homeport.api.responses.convert import (
    ENCRYPTED_REASONING,
    LOGPROBS,
    PromptFields,
    check_prompt_fields,
    conversation_id,
)
from homeport.api.responses.included import IMAGE_URLS, SEARCH_RESULTS
from homeport.api.responses.mcp_declaration import check_stored as check_stored_servers
from homeport.api.responses.schema import ResponseBody
from homeport.api.text_generation.convert import (
    check_caching,
    check_sampling,
    check_tier,
    stream_options_without_stream,
)
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest

INCLUDES = (
    LOGPROBS,
    ENCRYPTED_REASONING,
    IMAGE_URLS,
    SEARCH_RESULTS,
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)
"""What may be included. All but the first four belong to tools that are not served: they have no effect."""
_MAX_INCLUDES = 64
_MAX_CLIENT_METADATA = 64
_ID_CHARS = 256
MIN_THRESHOLD = 1000
"""The fewest tokens of a prompt for which its context may be compacted."""


def check_body(body: ResponseBody) -> None:
    """Check all fields but items, tools, and those that need storage. Raises InvalidRequest naming the field."""
    check_sampling(body)
    check_state("previous_response_id", body.previous_response_id, conversation_id(body.conversation))
    validation.check_integer("max_output_tokens", body.max_output_tokens, 1, validation.TOKEN_ID_MAX)
    validation.check_integer("max_tool_calls", body.max_tool_calls, 0, validation.TOKEN_ID_MAX)
    validation.check_integer("top_logprobs", body.top_logprobs, 0, MAX_TOP_LOGPROBS)
    if body.stream_options is not None and not body.stream:
        raise stream_options_without_stream()
    check_include(body.include or ())
    check_prompt_fields(PromptFields(body.text, body.reasoning, body.truncation))
    validation.check_metadata("metadata", body.metadata)
    validation.check_length("safety_identifier", body.safety_identifier, 64)
    validation.check_entries("client_metadata", body.client_metadata, _MAX_CLIENT_METADATA)
    check_caching(body.prompt_cache_key, body.prompt_cache_retention, body.prompt_cache_options)
    check_tier(body.service_tier)
    _check_context_management(body)
    if body.background:
        check_stored_servers((f"tools[{at}]", raw) for at, raw in enumerate(body.tools or ()))
    _refuse_unserved(body)


def check_stored(body: ResponseBody, *, can_store: bool) -> bool:
    """Return whether the response is stored. `can_store`: this server stores responses.

    Raises InvalidRequest for `store` without storage, and for what needs `store` without it.
    """
    if body.store and not can_store:
        raise validation.unsupported_field(
            "store", "This server is configured to store no responses: use 'store': false and send all items again."
        )
    is_stored = can_store if body.store is None else body.store
    for name in ("background", "conversation"):
        if getattr(body, name) and not is_stored:
            raise InvalidRequest(
                f"'{name}' needs 'store': true, because it keeps the answer on this server.",
                param=name,
                code="invalid_parameter_combination",
            )
    return is_stored


def check_state(name: str, previous_id: str | None, conversation: str | None) -> None:
    """Check what a response continues. `name` is the field of `previous_id`. Raises InvalidRequest naming the field."""
    if previous_id is not None and conversation is not None:
        raise InvalidRequest(
            "Mutually exclusive parameters: give either 'previous_response_id' or 'conversation'.",
            param=name,
            code="mutually_exclusive_parameters",
        )
    validation.check_length(name, previous_id, _ID_CHARS, 1)
    validation.check_length("conversation", conversation, _ID_CHARS, 1)


def check_include(include: Sequence[str]) -> None:
    """Check what is to be included. Raises InvalidRequest naming the value."""
    validation.check_items("include", include, _MAX_INCLUDES)
    for at, each in enumerate(include):
        validation.check_choice(f"include[{at}]", each, INCLUDES)


def _check_context_management(body: ResponseBody) -> None:
    validation.check_items("context_management", body.context_management, 1)
    for at, entry in enumerate(body.context_management or ()):
        place = f"context_management[{at}]"
        if entry.type is None:
            raise validation.missing(f"{place}.type")
        validation.check_choice(f"{place}.type", entry.type, ("compaction",))
        threshold = f"{place}.compact_threshold"
        validation.check_integer(threshold, entry.compact_threshold, MIN_THRESHOLD, validation.TOKEN_ID_MAX)


def _refuse_unserved(body: ResponseBody) -> None:
    if body.moderation is not None:
        raise validation.unsupported_field("moderation", "Use '/v1/moderations'.")
    if body.prompt is not None:
        raise validation.unsupported_field("prompt", "Stored prompt templates are not served: send 'instructions'.")
