"""The bodies and queries of `/v1/responses`. Input items and tools stay JSON: other modules read them."""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import MODEL, accepted, refused, served
from homeport.api.paging import PageQuery
from homeport.api.text_generation.schema import (
    CacheOptions,
    ParallelToolCalls,
    PromptCacheKey,
    PromptCacheOptions,
    PromptCacheRetention,
    SafetyIdentifier,
    SamplingFields,
    ServiceTier,
)

_TEXT_FORMATS = "text, json_object or json_schema. The answer always matches the schema, with `strict` or without."
_VERBOSITY = "As in chats: low and high add a sentence to the system message."
_EFFORT = "none, minimal, low, medium, high, xhigh; max means xhigh. Default: that of the model's template."


class TextFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The format of the answer's text. Only `schema` changes the answer."""

    type: str | None = None
    name: str | None = None
    description: str | None = None
    schema: Any = None
    strict: bool | None = None


class TextBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the answer's text is like."""

    format: Annotated[TextFormat | None, served(_TEXT_FORMATS)] = None
    verbosity: Annotated[str | None, served(_VERBOSITY)] = None


class ReasoningBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much the model thinks, and what is returned of it."""

    effort: Annotated[str | None, served(_EFFORT)] = None
    summary: Annotated[
        str | None,
        served(
            "auto and detailed return the reasoning itself as the summary; concise is refused. Default: as content."
        ),
    ] = None
    generate_summary: Annotated[str | None, served("Former name of `summary`.")] = None
    mode: Annotated[str | None, accepted("standard; other modes are refused.")] = None
    context: Annotated[
        str | None,
        served(
            "current_turn leaves out reasoning before the user's last message. auto and all_turns: the model's "
            "template decides which earlier reasoning it keeps."
        ),
    ] = None


class ResponseStreamOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the events of a stream contain."""

    include_obfuscation: Annotated[bool | None, served("Random `obfuscation` in each delta; off by default.")] = None


class ConversationBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A conversation."""

    id: str


class ContextManagement(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When the context is compacted."""

    type: Annotated[str | None, served("compaction.")] = None
    compact_threshold: Annotated[
        int | None, served("Tokens of a prompt, at least 1000. Default: three quarters of the model's window.")
    ] = None


class ResponseBody(SamplingFields, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The body of a response. Fields typed `Any` are refused unless they have no effect, or are read elsewhere."""

    input: Annotated[
        str | list[msgspec.Raw] | None,
        served(
            "A text, or up to 8192 items: messages, calls, their outputs, reasoning, references. Messages and outputs "
            "may have up to 64 images: data: URLs, URLs of hosts that the operator allows, file ids."
        ),
    ] = None
    instructions: Annotated[
        str | None, served("A system message before all others. Not carried over to the next response.")
    ] = None
    previous_response_id: Annotated[
        str | None, served("Continues a stored response: all items of it and of those before it.")
    ] = None
    conversation: Annotated[
        str | ConversationBody | None,
        served("A conversation whose items precede the input, and to which input and output are added."),
    ] = None
    stream: Annotated[bool | None, served("Server-sent events; the last one has the whole response.")] = None
    store: Annotated[
        bool | None,
        served("Default: true. False: nothing is stored, so the response cannot be continued or retrieved."),
    ] = None
    background: Annotated[bool | None, served("True: the answer is computed later; needs `store`.")] = None
    stream_options: Annotated[ResponseStreamOptions | None, served("Only with `stream`.")] = None
    max_output_tokens: Annotated[
        int | None, served("At least 1, reasoning included. Default: to the end of the context window.")
    ] = None
    max_tool_calls: Annotated[
        int | None, served("Limits the calls of hosted tools that are executed; further ones are ignored.")
    ] = None
    text: Annotated[TextBody | None, served("The format and the length of the text.")] = None
    reasoning: Annotated[ReasoningBody | None, served("How much the model thinks, and what is returned of it.")] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        served(
            "Up to 128: functions, custom tools, namespaces, local_shell, shell, apply_patch; image_generation, "
            "file_search and mcp, which the server executes; offline web_search."
        ),
    ] = None
    tool_choice: Annotated[Any, served("none, auto, required, a tool, or allowed_tools. Default: auto.")] = None
    parallel_tool_calls: ParallelToolCalls = None
    include: Annotated[
        list[str] | None,
        served(
            "message.output_text.logprobs, reasoning.encrypted_content; message.input_image.image_url for lists of "
            "items. The values for tools that are not served have no effect."
        ),
    ] = None
    top_logprobs: Annotated[int | None, served("0 to 20 alternatives; above 0 they are included.")] = None
    truncation: Annotated[
        str | None, served("auto drops the oldest turns that do not fit in the window; disabled (default) refuses.")
    ] = None
    metadata: Annotated[dict[str, str] | None, served("Up to 16 pairs, returned with the response.")] = None
    service_tier: ServiceTier = None
    safety_identifier: SafetyIdentifier = None
    prompt_cache_key: PromptCacheKey = None
    prompt_cache_retention: PromptCacheRetention = None
    prompt_cache_options: PromptCacheOptions = None
    client_metadata: Annotated[
        dict[str, Any] | None, accepted("Sent by Codex; up to 64 pairs, does not change the answer.")
    ] = None
    context_management: Annotated[
        list[ContextManagement] | None,
        served("One entry of type compaction: a prompt over its threshold is compacted before the answer."),
    ] = None
    moderation: Annotated[Any, refused("Not served yet.")] = None
    prompt: Annotated[Any, refused("Stored prompt templates are not served.")] = None

    @property
    def is_padded(self) -> bool:
        """Whether the events of a stream are padded."""
        return bool(self.stream_options and self.stream_options.include_obfuscation)


class InputFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a model reads."""

    model: Annotated[str | None, MODEL] = None
    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None


class InputTokensBody(InputFields, forbid_unknown_fields=True, kw_only=True):
    """What is counted: the fields of a response that become part of the prompt."""

    conversation: str | ConversationBody | None = None
    text: TextBody | None = None
    reasoning: ReasoningBody | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    truncation: str | None = None
    personality: str | None = None


class CompactBody(InputFields, forbid_unknown_fields=True, kw_only=True):
    """The conversation that is compacted."""

    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: CacheOptions | None = None


class ResponseQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query of one response."""

    include: tuple[str, ...] = ()
    stream: bool = False
    starting_after: int | None = None
    include_obfuscation: bool | None = None


class InputItemsQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query of a page of input items."""

    order: str = "desc"
    include: tuple[str, ...] = ()
