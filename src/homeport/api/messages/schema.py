"""The bodies of `/v1/messages` and of its count of tokens, with Anthropic's fields.

Fields typed `Any` are refused, or ignored, as their notes say. A field that a type of block does not have is refused
when blocks are read.
"""

from typing import Annotated, Any

import msgspec

from homeport.api.compatibility import accepted, refused, served


class CacheControl(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a cached prefix may end. It changes nothing: prefixes are matched token by token."""

    type: str
    ttl: str | None = None
    scope: str | None = None


class SourceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where an image or a document comes from."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: "str | list[ContentBlock] | None" = None


class CitationsBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether the answer cites a document, which it never does here."""

    enabled: bool | None = None


class ContentBlock(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One block of a message, of a tool's result, or of a document: the fields of every type."""

    type: str
    text: str | None = None
    source: str | SourceBody | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None
    content: "str | list[ContentBlock] | None" = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    title: str | None = None
    context: str | None = None
    tool_name: str | None = None
    citations: Any = None
    caller: Any = None
    toolset_name: str | None = None
    transformations: Any = None
    cache_control: CacheControl | None = None


class SystemBlock(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One block of the instructions: text only."""

    type: str
    text: str | None = None
    citations: Any = None
    cache_control: CacheControl | None = None


class MessageParam(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message."""

    role: Annotated[str, served("user or assistant; system for instructions in the middle of a conversation.")]
    content: Annotated[
        str | list[ContentBlock],
        served(
            "A string or up to 2048 blocks. User: text, image, document with text, search_result, tool_result. "
            "Assistant: text, thinking, redacted_thinking, tool_use. Blocks of Anthropic's server tools are refused."
        ),
    ]


class ToolType(msgspec.Struct, kw_only=True):
    """The type of a tool, whatever its other fields are."""

    type: str | None = None


class ToolBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One tool of the caller."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: Any = None
    strict: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    cache_control: CacheControl | None = None
    eager_input_streaming: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class ToolChoiceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which tools may or must be called."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether the model thinks, and what is shown of it."""

    type: Annotated[str, served("enabled, adaptive or disabled; between_tools is refused.")]
    budget_tokens: Annotated[
        int | None, served("With enabled, which needs it: the most tokens of thinking, less than `max_tokens`.")
    ] = None
    display: Annotated[
        str | None,
        served("summarized: the whole thinking, which is not summarized. omitted: only its signature, which holds it."),
    ] = None


class OutputFormatBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of the answer's text."""

    type: str
    schema: Any = None


class OutputConfig(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How much effort the answer takes, and its form."""

    effort: Annotated[
        str | None, served("low, medium, high, xhigh, max: how much the model thinks, if it thinks. Default: high.")
    ] = None
    format: Annotated[
        OutputFormatBody | None, served("json_schema with `schema`, which the answer's text always matches.")
    ] = None
    task_budget: Annotated[Any, refused("Not served.")] = None


class MetadataBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who the request is for."""

    user_id: Annotated[str | None, accepted("Up to 1024 characters: the user in the records of usage.")] = None


class ContextEdit(msgspec.Struct, kw_only=True):
    """One edit of the context. Fields that its type does not have are refused when it is read."""

    type: str
    keep: Any = None


class ContextManagement(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the context is edited before the model reads it."""

    edits: Annotated[
        list[ContextEdit] | None,
        accepted("clear_thinking_20251015 with `keep` all or none, which changes nothing. Other edits are refused."),
    ] = None


class PromptBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a prompt is made of: the fields of messages and of the count of their tokens."""

    model: Annotated[
        str | None,
        served("A model's own name, or a name of Anthropic's or OpenAI's, which stands for the default model."),
    ] = None
    messages: Annotated[list[MessageParam], served("1 to 2048; the last one is not the assistant's.")]
    system: Annotated[str | list[SystemBlock] | None, served("Instructions: a string, or blocks of text.")] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        served(
            "Up to 128 tools with `name`, `description`, `input_schema`, `strict` and `input_examples`. Anthropic's "
            "own tools (web_search, bash, text_editor, computer and others) are refused."
        ),
    ] = None
    tool_choice: Annotated[
        ToolChoiceBody | None,
        served("auto, any, tool with `name`, or none; `disable_parallel_tool_use`: at most one call. Default: auto."),
    ] = None
    thinking: Annotated[ThinkingBody | None, served("Default: disabled.")] = None
    output_config: Annotated[OutputConfig | None, served("Effort, and the form of the answer.")] = None
    output_format: Annotated[OutputFormatBody | None, served("Former name of `output_config.format`.")] = None
    cache_control: Annotated[
        CacheControl | None, accepted("Here and in blocks; has no effect: shared prefixes are found by their tokens.")
    ] = None
    context_management: Annotated[ContextManagement | None, accepted("Edits that change nothing.")] = None
    speed: Annotated[str | None, accepted("standard; fast is refused.")] = None
    mcp_servers: Annotated[Any, refused("Not served here: `/v1/responses` uses MCP servers.")] = None


class MessagesBody(PromptBody, forbid_unknown_fields=True, kw_only=True):
    """The body of a message to be answered."""

    max_tokens: Annotated[
        int | None,
        served("Required, at least 1, with the thinking. If the window has less room, the answer ends there."),
    ] = None
    stream: Annotated[bool | None, served("Server-sent events, each with its name.")] = None
    stop_sequences: Annotated[
        list[str] | None, served("Up to 64 strings of 1 to 4096 characters; they never appear in the text.")
    ] = None
    temperature: Annotated[float | None, served("0 to 2; 0 always chooses the most likely token. Default: 1.")] = None
    top_p: Annotated[float | None, served("0 to 1. Default: 1.")] = None
    top_k: Annotated[int | None, served("0 or -1: off. Default: off.")] = None
    metadata: Annotated[MetadataBody | None, accepted("The user of the request.")] = None
    service_tier: Annotated[str | None, accepted("auto and standard_only, which mean the same here.")] = None
    inference_geo: Annotated[str | None, accepted("Up to 1024 characters: all is computed on this machine.")] = None
    diagnostics: Annotated[Any, accepted("Ignored: the answer has no `diagnostics`.")] = None
    container: Annotated[Any, refused("Code is not executed.")] = None
    compaction: Annotated[Any, refused("Not served here: use `/v1/responses` with `context_management`.")] = None
    fallbacks: Annotated[Any, refused("A name is never silently replaced by another.")] = None
    thread: Annotated[Any, refused("Not served: send all messages.")] = None


class CountTokensBody(PromptBody, forbid_unknown_fields=True, kw_only=True):
    """The body of a prompt whose tokens are to be counted."""
