"""The body of a chat request."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import accepted, refused, served
from homeport.api.text_generation.schema import GenerationFields


class CacheBreakpoint(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A hint where a cached prefix may end. It changes nothing: prefixes are matched token by token."""

    mode: str


class ContentPartBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Any = None
    input_audio: Any = None
    file: Any = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class ChatMessageParam(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message: the fields of every role, with those that clients send back from an answer (`AnswerFields`)."""

    role: Annotated[str, served("system, developer, user, assistant; tool and function are not served yet.")]
    content: Annotated[
        str | list[ContentPartBody] | None, served("A string or up to 2048 text parts; may be null for role assistant.")
    ] = None
    name: Annotated[str | None, served("Up to 1024 characters; passed to the model's template.")] = None
    refusal: Annotated[str | None, served("Used as the content of an assistant message that has none.")] = None
    audio: Annotated[Any, refused("Not served yet; null is accepted.")] = None
    tool_calls: Annotated[Any, refused("Not served yet; null and an empty array are accepted.")] = None
    tool_call_id: Annotated[Any, refused("Not served yet.")] = None
    function_call: Annotated[Any, refused("Not served yet; null is accepted.")] = None
    annotations: Annotated[Any, accepted("Accepted because answers contain it; ignored.")] = None
    parsed: Annotated[Any, accepted("The client's parse of an answer; ignored.")] = None
    reasoning_content: Annotated[Any, accepted("Extension. Ignored: earlier reasoning is not read.")] = None
    reasoning: Annotated[Any, accepted("Extension. Another name of `reasoning_content`; ignored.")] = None
    id: Annotated[Any, accepted("Part of a stored completion's message; ignored.")] = None
    content_parts: Annotated[Any, accepted("Part of a stored completion's message; ignored.")] = None


class ResponseFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The format of the answer."""

    type: str
    json_schema: Any = None


class CacheOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How OpenAI caches the prompt."""

    ttl: str | None = None
    mode: str | None = None


class ChatBody(GenerationFields, forbid_unknown_fields=True, kw_only=True):
    """The body. Fields typed `Any` are refused unless their value has no effect."""

    messages: Annotated[list[ChatMessageParam], served("1 to 2048.")]
    max_tokens: Annotated[int | None, served("Default: to the end of the context window.")] = None
    max_completion_tokens: Annotated[int | None, served("Current name of `max_tokens`; give only one of them.")] = None
    logprobs: Annotated[bool | None, served("True adds each token's log-probability.")] = None
    top_logprobs: Annotated[int | None, served("0 to 20; only with `logprobs`.")] = None
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs; returned in answers that are not streamed.")] = (
        None
    )
    service_tier: Annotated[str | None, accepted("auto and default, which mean the same here; others are refused.")] = (
        None
    )
    safety_identifier: Annotated[
        str | None, accepted("Up to 64 characters; identifies your end user, does not change the answer.")
    ] = None
    prompt_cache_key: Annotated[
        str | None, accepted("Up to 1024 characters; has no effect: shared prefixes are found by their tokens.")
    ] = None
    prompt_cache_retention: Annotated[
        str | None, accepted("in_memory, which is how prompts are cached; 24h is refused.")
    ] = None
    prompt_cache_options: Annotated[
        CacheOptions | None, accepted("Mode implicit and ttl 30m have no effect; others are refused.")
    ] = None
    modalities: Annotated[list[str] | None, refused("Only ['text'] is accepted.")] = None
    response_format: Annotated[ResponseFormat | None, refused("Only {'type': 'text'} is accepted.")] = None
    store: Annotated[bool | None, refused("Completions are not stored yet; false is accepted.")] = None
    verbosity: Annotated[str | None, refused("Only medium, the default, is accepted.")] = None
    parallel_tool_calls: Annotated[bool | None, accepted("Has no effect without tools.")] = None
    tools: Annotated[list[Any] | None, refused("Not served yet; an empty array is accepted.")] = None
    tool_choice: Annotated[Any, refused("Only none and auto are accepted.")] = None
    functions: Annotated[list[Any] | None, refused("Not served yet; an empty array is accepted.")] = None
    function_call: Annotated[Any, refused("Only none and auto are accepted.")] = None
    audio: Annotated[Any, refused("Not served yet.")] = None
    moderation: Annotated[Any, refused("Not served yet.")] = None
    prediction: Annotated[Any, refused("Not served yet.")] = None
    reasoning_effort: Annotated[Any, refused("Not served yet.")] = None
    web_search_options: Annotated[Any, refused("Web search is not available.")] = None
