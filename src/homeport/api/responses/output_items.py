"""The JSON of the items that a model writes: messages, reasoning, summaries, and calls of tools. Fields only."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.text_generation.token_logprobs import TokenLogprob


class OutputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    """The text of a message."""

    text: str
    annotations: Sequence[Any] = ()
    logprobs: Sequence[TokenLogprob] = ()


class ReasoningText(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    """The text of reasoning."""

    text: str


class SummaryText(msgspec.Struct, frozen=True, tag_field="type", tag="summary_text"):
    """Reasoning as its summary."""

    text: str


class OutputMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A message of the model."""

    id: str
    status: str
    role: str = "assistant"
    content: Sequence[OutputText] = ()


class OutputReasoning(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    """What the model wrote before its answer: as the content, or as the summary."""

    id: str
    status: str
    summary: Sequence[SummaryText] = ()
    content: Sequence[ReasoningText] | UnsetType = UNSET
    encrypted_content: str | UnsetType | None = UNSET


class OutputFunctionCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a function. `arguments`: JSON, incomplete if the status says so."""

    id: str
    status: str
    arguments: str
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET


class OutputCustomCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="custom_tool_call"):
    """A call of a custom tool."""

    id: str
    status: str
    call_id: str
    input: str
    name: str
    namespace: str | UnsetType = UNSET


class OutputLocalShellCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="local_shell_call"):
    """A call of the caller's `local_shell`."""

    id: str
    status: str
    call_id: str
    action: Any


class OutputShellCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="shell_call"):
    """A call of the caller's `shell`."""

    id: str
    status: str
    call_id: str
    action: Any
    environment: Any


class OutputPatchCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="apply_patch_call"):
    """A call of the caller's `apply_patch`."""

    id: str
    status: str
    call_id: str
    operation: Any


class OutputImageCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="image_generation_call"):
    """An image that the server makes. The fields after `result` are known when it is made.

    `error`, an extension: why there is no image.
    """

    id: str
    status: str
    result: str | None = None
    revised_prompt: str | UnsetType = UNSET
    action: str | UnsetType = UNSET
    size: str | UnsetType = UNSET
    quality: str | UnsetType = UNSET
    background: str | UnsetType = UNSET
    output_format: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class OutputFileSearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of a file that was found."""

    file_id: str
    filename: str
    text: str
    score: float
    attributes: Mapping[str, Any]


class OutputFileSearchCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="file_search_call"):
    """A search of vector stores that the server makes. `error`, an extension: why nothing could be searched."""

    id: str
    status: str
    queries: Sequence[str] = ()
    results: Sequence[OutputFileSearchResult] | None = None
    error: str | UnsetType = UNSET


class FileCitation(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="file_citation"):
    """A file that supports a sentence of a message. `index`: where the sentence ends, in characters.

    `quote`, an extension: what the file says.
    """

    file_id: str
    filename: str
    index: int
    quote: str


class OutputCompaction(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="compaction"):
    """A summary of what precedes it, which only this server can read."""

    id: str
    encrypted_content: str


OutputCall = OutputFunctionCall | OutputCustomCall | OutputLocalShellCall | OutputShellCall | OutputPatchCall
OutputItem = OutputMessage | OutputReasoning | OutputCompaction | OutputCall
