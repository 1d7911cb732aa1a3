"""The JSON of input items, as callers send it and as it is returned. Fields only: `items` checks their values.

A struct holds the fields of one item type, and those that answers and clients add to it. Fields that are None are not
returned, except those that OpenAI's schema requires: they are UNSET until `items` completes the item.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What the structs of this module have in common: unknown fields are refused, absent ones are not returned."""


class ItemFields(Fields, frozen=True, kw_only=True):
    """The fields of every item."""

    id: str | None = None
    type: str | None = None
    status: str | None = None
    created_by: str | None = None


class CacheBreakpoint(Fields, frozen=True, kw_only=True):
    """A hint where a cached prefix may end. It changes nothing: prefixes are matched token by token."""

    mode: str


class ContentPart(Fields, frozen=True, kw_only=True):
    """A part of a message or of a call's output: the fields of every type. `parsed`: the client's parse of the text."""

    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: list[dict[str, Any]] | None = None
    logprobs: list[dict[str, Any]] | None = None
    parsed: Any = None
    image_url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class MessageItem(ItemFields, frozen=True, kw_only=True):
    """A message. Content that is a string when it is sent is one part when it is returned."""

    role: str
    content: str | tuple[ContentPart, ...]
    phase: str | None = None

    @property
    def parts(self) -> tuple[ContentPart, ...]:
        """The content's parts."""
        if isinstance(self.content, str):
            return (ContentPart(type="output_text" if self.role == "assistant" else "input_text", text=self.content),)
        return self.content


class Caller(Fields, frozen=True, kw_only=True):
    """What called a tool: the model itself (`direct`), or a program that it wrote."""

    type: str
    caller_id: str | None = None


class FunctionCall(ItemFields, frozen=True, kw_only=True):
    """A call of a function. `parsed_arguments`: the client's parse of the arguments."""

    call_id: str
    name: str
    arguments: str
    namespace: str | None = None
    caller: Caller | None = None
    parsed_arguments: Any = None


class FunctionCallOutput(ItemFields, frozen=True, kw_only=True):
    """The result of a function's call. `name`, `namespace`: those of the function."""

    call_id: str
    output: str | tuple[ContentPart, ...]
    name: str | None = None
    namespace: str | None = None
    caller: Caller | None = None


class CustomCall(ItemFields, frozen=True, kw_only=True):
    """A call of a custom tool."""

    call_id: str
    name: str
    input: str
    namespace: str | None = None
    caller: Caller | None = None


class CustomCallOutput(ItemFields, frozen=True, kw_only=True):
    """The result of a custom tool's call."""

    call_id: str
    output: str | tuple[ContentPart, ...]
    name: str | None = None
    namespace: str | None = None
    caller: Caller | None = None


class ReasoningText(Fields, frozen=True, kw_only=True):
    """A part of reasoning."""

    type: str
    text: str


class ReasoningItem(ItemFields, frozen=True, kw_only=True):
    """What the model wrote before its answer: itself, its summary, or this server's own sealed form of it."""

    summary: tuple[ReasoningText, ...] | None = None
    content: tuple[ReasoningText, ...] | None = None
    encrypted_content: str | None = None


class LocalShellAction(Fields, frozen=True, kw_only=True):
    """The command of a `local_shell` call."""

    type: str
    command: tuple[str, ...]
    env: dict[str, str] | None = None
    timeout_ms: int | None = None
    working_directory: str | None = None
    user: str | None = None


class LocalShellCall(ItemFields, frozen=True, kw_only=True):
    """A call of the caller's `local_shell`. Without `call_id`, `id` identifies the call."""

    action: LocalShellAction
    call_id: str | None = None


class LocalShellCallOutput(ItemFields, frozen=True, kw_only=True):
    """The result of a `local_shell` call. Without `call_id`, `id` is that of the call."""

    output: str
    call_id: str | None = None


class ShellAction(Fields, frozen=True, kw_only=True, omit_defaults=False):
    """The commands of a `shell` call."""

    commands: tuple[str, ...]
    timeout_ms: int | None = None
    max_output_length: int | None = None


class Environment(Fields, frozen=True, kw_only=True):
    """Where a shell runs. Only `local` is served: on the caller's machine."""

    type: str
    skills: list[dict[str, Any]] | None = None
    container_id: str | None = None


class ShellCall(ItemFields, frozen=True, kw_only=True):
    """A call of the caller's `shell`."""

    call_id: str
    action: ShellAction
    environment: Environment | UnsetType | None = UNSET
    caller: Caller | None = None


class ShellOutcome(Fields, frozen=True, kw_only=True):
    """How a shell's command ended: `exit` with its code, or `timeout`."""

    type: str
    exit_code: int | None = None


class ShellOutput(Fields, frozen=True, kw_only=True):
    """What one command of a shell wrote."""

    stdout: str
    stderr: str
    outcome: ShellOutcome
    created_by: str | None = None


class ShellCallOutput(ItemFields, frozen=True, kw_only=True):
    """The result of a `shell` call, one entry per command."""

    call_id: str
    output: tuple[ShellOutput, ...]
    max_output_length: int | UnsetType | None = UNSET
    caller: Caller | None = None


class PatchOperation(Fields, frozen=True, kw_only=True):
    """A change of one file. `delete_file` has no `diff`."""

    type: str
    path: str
    diff: str | None = None


class PatchCall(ItemFields, frozen=True, kw_only=True):
    """A call of the caller's `apply_patch`."""

    call_id: str
    operation: PatchOperation
    caller: Caller | None = None


class PatchCallOutput(ItemFields, frozen=True, kw_only=True):
    """The result of an `apply_patch` call."""

    call_id: str
    output: str | None = None
    caller: Caller | None = None


class Compaction(ItemFields, frozen=True, kw_only=True):
    """A summary of earlier turns, sealed by this server."""

    encrypted_content: str


class CompactionTrigger(ItemFields, frozen=True, kw_only=True):
    """Asks for a compaction in place of an answer. Nothing of it is stored."""


class WebSearchCall(ItemFields, frozen=True, kw_only=True):
    """A search in the web that another server made. The model does not see it."""

    action: dict[str, Any] | None = None


class ImageGenerationCall(ItemFields, frozen=True, kw_only=True):
    """An image that the server made when the model asked for it. `result`: the file in base64; None: there is none.

    `revised_prompt`: the prompt that the model wrote. `error`, an extension: why there is no image.
    """

    result: str | UnsetType | None = UNSET
    revised_prompt: str | None = None
    action: str | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    error: str | None = None


class FileSearchResult(Fields, frozen=True, kw_only=True):
    """A chunk of a file that was found."""

    file_id: str | None = None
    filename: str | None = None
    text: str | None = None
    score: float | None = None
    attributes: dict[str, Any] | None = None


class FileSearchCall(ItemFields, frozen=True, kw_only=True):
    """A search that the server made. `results`: None if they were not asked for. `error`, an extension: what failed."""

    queries: tuple[str, ...] = ()
    results: tuple[FileSearchResult, ...] | UnsetType | None = UNSET
    error: str | None = None


class McpListedTool(Fields, frozen=True, kw_only=True):
    """A tool of an MCP server."""

    name: str
    input_schema: dict[str, Any]
    description: str | UnsetType | None = UNSET
    annotations: dict[str, Any] | UnsetType | None = UNSET


class McpListTools(ItemFields, frozen=True, kw_only=True):
    """The tools of an MCP server, which are not listed again while this item is in the history. The model sees them."""

    server_label: str
    tools: tuple[McpListedTool, ...]
    error: str | None = None


class McpCall(ItemFields, frozen=True, kw_only=True):
    """A call that the server made of a tool of an MCP server, and its result.

    `error`: an object, or a text as it was in the past. `approval_request_id`: what the caller has approved.
    """

    server_label: str
    name: str
    arguments: str
    output: str | UnsetType | None = UNSET
    error: dict[str, Any] | str | UnsetType | None = UNSET
    approval_request_id: str | UnsetType | None = UNSET


class McpApprovalRequest(ItemFields, frozen=True, kw_only=True):
    """A call of a tool of an MCP server that waits for the caller's approval."""

    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(ItemFields, frozen=True, kw_only=True):
    """Whether a call may be made. `request_id` repeats `approval_request_id`: the specification requires both."""

    approval_request_id: str
    approve: bool
    reason: str | UnsetType | None = UNSET
    request_id: str | None = None


class AdditionalTools(ItemFields, frozen=True, kw_only=True):
    """Tools that are declared within the input, besides those of the request."""

    role: str
    tools: tuple[msgspec.Raw, ...]


class ItemReference(Fields, frozen=True, kw_only=True):
    """Stands for a stored item."""

    id: str
    type: str | None = None


ToolCall = FunctionCall | CustomCall | LocalShellCall | ShellCall | PatchCall
ToolOutput = FunctionCallOutput | CustomCallOutput | LocalShellCallOutput | ShellCallOutput | PatchCallOutput
McpItem = McpListTools | McpCall | McpApprovalRequest | McpApprovalResponse
HostedItem = ImageGenerationCall | FileSearchCall | McpItem
"""What the server made in a response: a call of a hosted tool with its result, and what belongs to such calls."""
InputItem = (
    MessageItem
    | ReasoningItem
    | ToolCall
    | ToolOutput
    | HostedItem
    | Compaction
    | CompactionTrigger
    | WebSearchCall
    | AdditionalTools
    | ItemReference
)
