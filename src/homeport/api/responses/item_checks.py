"""The values of each item type: what is allowed, and what is added so that the item is as it is returned.

Errors name the field. Knows nothing of JSON, of ids, or of what other items a history has.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec import UNSET, structs

from homeport.api import json_codec
from homeport.api.responses.content_parts import ANSWER_KINDS, INPUT_KINDS, MAX_PARTS, complete_parts
from homeport.api.responses.item_schema import (
    AdditionalTools,
    Caller,
    Compaction,
    CompactionTrigger,
    ContentPart,
    CustomCall,
    CustomCallOutput,
    FileSearchCall,
    FunctionCall,
    FunctionCallOutput,
    ImageGenerationCall,
    InputItem,
    ItemReference,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    MessageItem,
    PatchCall,
    PatchCallOutput,
    ReasoningItem,
    ReasoningText,
    ShellCall,
    ShellCallOutput,
    WebSearchCall,
)
from homeport.api.responses.tool_names import MAX_GIVEN_CHARS, MAX_MCP_NAME_CHARS, check_names
from homeport.api.responses.tool_schema import ToolHead
from homeport.domain import validation
from homeport.domain.errors import MESSAGE_CHARS, InvalidRequest
from homeport.domain.format_fields import MAX_JSON_CHARS, check_depth, to_schema_text
from homeport.domain.history import CustomCallFields, FunctionCallFields
from homeport.domain.history_reader import to_custom_call, to_function_call
from homeport.domain.tool_fields import MAX_TOOLS, check_name

ROLES = ("user", "assistant", "system", "developer")
MAX_ID_CHARS = 64

_PHASES = ("commentary", "final_answer")
_STATUSES = ("in_progress", "completed", "incomplete")
_MCP_STATUSES = ("in_progress", "completed", "incomplete", "calling", "failed")
_IMAGE_STATUSES = ("in_progress", "completed", "generating", "failed")
_SEARCH_STATUSES = ("in_progress", "searching", "completed", "incomplete", "failed")
_MAX_INT = validation.INT64[1]


def complete(item: InputItem, place: str) -> InputItem:
    """Check an item and return it with all fields that answers have, except its id. Raises InvalidRequest."""
    validation.check_length(f"{place}.id", item.id, MAX_ID_CHARS, 1)
    checked = _CHECKS[type(item)](item, place)
    return cast(InputItem, checked)


def _message(item: MessageItem, place: str) -> MessageItem:
    validation.check_choice(f"{place}.role", item.role, ROLES)
    validation.check_choice(f"{place}.phase", item.phase, _PHASES)
    kinds = ANSWER_KINDS if item.role == "assistant" else INPUT_KINDS
    parts = complete_parts(item.parts, kinds, f"{place}.content", is_known=item.id is not None)
    return structs.replace(item, type="message", status=_status(item.status, place), content=parts)


def _reasoning(item: ReasoningItem, place: str) -> ReasoningItem:
    if item.status is not None:
        _status(item.status, place)
    _check_texts(item.summary, ("summary_text",), f"{place}.summary")
    _check_texts(item.content, ("reasoning_text", "text"), f"{place}.content")
    content = item.content
    if content is not None:  # `text` is what Codex writes
        content = tuple(structs.replace(part, type="reasoning_text") for part in content)
    return structs.replace(item, summary=item.summary or (), content=content)


def _function_call(item: FunctionCall, place: str) -> FunctionCall:
    _check_call(item.call_id, item.caller, place)
    name = check_names(item.name, item.namespace, place)
    status = _status(item.status, place)
    if status == "incomplete":  # cut in the middle of its arguments
        validation.check_length(f"{place}.arguments", item.arguments, MAX_JSON_CHARS)
    else:
        to_function_call(item.call_id, FunctionCallFields(name=name, arguments=item.arguments), place)
    return structs.replace(item, status=status, parsed_arguments=None)


def _custom_call(item: CustomCall, place: str) -> CustomCall:
    _check_call(item.call_id, item.caller, place)
    to_custom_call(
        item.call_id, CustomCallFields(name=check_names(item.name, item.namespace, place), input=item.input), place
    )
    return structs.replace(item, status=_status(item.status, place))


def _function_output(item: FunctionCallOutput, place: str) -> FunctionCallOutput:
    return structs.replace(item, output=_output(item, place), status=_status(item.status, place))


def _custom_output(item: CustomCallOutput, place: str) -> CustomCallOutput:
    return structs.replace(item, output=_output(item, place), status=_status(item.status, place))


def _output(item: FunctionCallOutput | CustomCallOutput, place: str) -> str | tuple[ContentPart, ...]:
    _check_call(item.call_id, item.caller, place)
    validation.check_length(f"{place}.name", item.name, MAX_GIVEN_CHARS)
    validation.check_length(f"{place}.namespace", item.namespace, MAX_GIVEN_CHARS)
    if isinstance(item.output, str):
        return item.output
    return complete_parts(item.output, INPUT_KINDS, f"{place}.output")


def _local_shell_call(item: LocalShellCall, place: str) -> LocalShellCall:
    call_id = _call_id(item.call_id or item.id, place)
    action, inside = item.action, f"{place}.action"
    validation.check_choice(f"{inside}.type", action.type, ("exec",))
    validation.check_items(f"{inside}.command", action.command, MAX_PARTS)
    validation.check_integer(f"{inside}.timeout_ms", action.timeout_ms, 0, _MAX_INT)
    action = structs.replace(action, env=action.env or {})
    return structs.replace(item, call_id=call_id, action=action, status=_status(item.status, place))


def _local_shell_output(item: LocalShellCallOutput, place: str) -> LocalShellCallOutput:
    call_id = _call_id(item.call_id or item.id, place)
    own_id = None if item.call_id is None else item.id
    return structs.replace(item, id=own_id, call_id=call_id, status=_status(item.status, place))


def _shell_call(item: ShellCall, place: str) -> ShellCall:
    _check_call(item.call_id, item.caller, place)
    action, inside = item.action, f"{place}.action"
    validation.check_items(f"{inside}.commands", action.commands, MAX_PARTS)
    validation.check_integer(f"{inside}.timeout_ms", action.timeout_ms, 0, _MAX_INT)
    validation.check_integer(f"{inside}.max_output_length", action.max_output_length, 0, _MAX_INT)
    environment = None if item.environment is UNSET else item.environment
    if environment:
        check_local(environment.type, f"{place}.environment")
        check_depth(environment.skills or [], f"{place}.environment.skills")
    return structs.replace(item, environment=environment, status=_status(item.status, place))


def check_local(environment: str, place: str) -> None:
    """Check where a shell runs. Raises InvalidRequest unless it is the caller's machine."""
    if environment != "local":
        raise validation.unsupported_field(
            f"{place}.type", "This server has no containers: only 'local', the caller's own machine, is served."
        )


def _shell_output(item: ShellCallOutput, place: str) -> ShellCallOutput:
    _check_call(item.call_id, item.caller, place)
    validation.check_items(f"{place}.output", item.output, MAX_PARTS)
    for at, each in enumerate(item.output):
        inside = f"{place}.output[{at}].outcome"
        validation.check_choice(f"{inside}.type", each.outcome.type, ("exit", "timeout"))
        if each.outcome.type == "exit" and each.outcome.exit_code is None:
            raise validation.missing(f"{inside}.exit_code")
    length = None if item.max_output_length is UNSET else item.max_output_length
    return structs.replace(item, max_output_length=length, status=_status(item.status, place))


def _patch_call(item: PatchCall, place: str) -> PatchCall:
    _check_call(item.call_id, item.caller, place)
    operation, inside = item.operation, f"{place}.operation"
    validation.check_choice(f"{inside}.type", operation.type, ("create_file", "update_file", "delete_file"))
    validation.check_length(f"{inside}.path", operation.path, MAX_JSON_CHARS, 1)
    if operation.type != "delete_file" and operation.diff is None:
        raise validation.missing(f"{inside}.diff")
    return structs.replace(item, status=_status(item.status, place))


def _patch_output(item: PatchCallOutput, place: str) -> PatchCallOutput:
    _check_call(item.call_id, item.caller, place)
    validation.check_choice(f"{place}.status", item.status, ("completed", "failed"))
    return structs.replace(item, status=item.status or "completed")


def _additional_tools(item: AdditionalTools, place: str) -> AdditionalTools:
    """Check all but the tools themselves, which are read together with those of the request."""
    validation.check_choice(f"{place}.role", item.role, ("developer",))
    validation.check_items(f"{place}.tools", item.tools, MAX_TOOLS)
    for at, raw in enumerate(item.tools):
        inside = f"{place}.tools[{at}]"
        if json_codec.decode_part(raw, ToolHead, inside).type == "mcp":
            raise InvalidRequest(
                "MCP servers are declared in 'tools' of a request only: items are stored, with credentials.",
                param=inside,
                code="invalid_value",
            )
    return item


def _web_search(item: WebSearchCall, place: str) -> WebSearchCall:
    validation.check_length(f"{place}.status", item.status, MAX_ID_CHARS, 1)
    check_depth(item.action or {}, f"{place}.action")
    return structs.replace(item, status=item.status or "completed", action=item.action or {"type": "search"})


def _image_call(item: ImageGenerationCall, place: str) -> ImageGenerationCall:
    """Check all but the image: no model sees it."""
    validation.check_choice(f"{place}.status", item.status, _IMAGE_STATUSES)
    for name in ("action", "size", "quality", "background", "output_format"):
        validation.check_length(f"{place}.{name}", getattr(item, name), validation.LABEL_CHARS)
    validation.check_length(f"{place}.revised_prompt", item.revised_prompt, MAX_JSON_CHARS)
    validation.check_length(f"{place}.error", item.error, MESSAGE_CHARS)
    result = None if item.result is UNSET else item.result
    return structs.replace(item, status=item.status or "completed", result=result)


def _file_search(item: FileSearchCall, place: str) -> FileSearchCall:
    validation.check_choice(f"{place}.status", item.status, _SEARCH_STATUSES)
    validation.check_items(f"{place}.queries", item.queries, MAX_PARTS)
    for at, query in enumerate(item.queries):
        validation.check_length(f"{place}.queries[{at}]", query, MAX_JSON_CHARS)
    results = None if item.results is UNSET else item.results
    validation.check_items(f"{place}.results", results, MAX_PARTS)
    for at, result in enumerate(results or ()):
        inside = f"{place}.results[{at}]"
        for name in ("file_id", "filename"):
            validation.check_length(f"{inside}.{name}", getattr(result, name), validation.LABEL_CHARS)
        validation.check_length(f"{inside}.text", result.text, MAX_JSON_CHARS)
        check_depth(result.attributes or {}, f"{inside}.attributes")
    validation.check_length(f"{place}.error", item.error, MESSAGE_CHARS)
    return structs.replace(item, status=item.status or "completed", results=results)


def _mcp_list(item: McpListTools, place: str) -> McpListTools:
    check_name(item.server_label, f"{place}.server_label", MAX_GIVEN_CHARS)
    validation.check_items(f"{place}.tools", item.tools, MAX_TOOLS)
    validation.check_length(f"{place}.error", item.error, MESSAGE_CHARS)
    for at, tool in enumerate(item.tools):
        inside = f"{place}.tools[{at}]"
        validation.check_length(f"{inside}.name", tool.name, MAX_MCP_NAME_CHARS, 1)
        to_schema_text(tool.input_schema, f"{inside}.input_schema")
        check_depth(tool.annotations or {}, f"{inside}.annotations")
    return item


def _mcp_call(item: McpCall, place: str) -> McpCall:
    _check_mcp(item, place)
    validation.check_choice(f"{place}.status", item.status, _MCP_STATUSES)
    for name in ("output", "error"):
        value = getattr(item, name) or ""
        if isinstance(value, str):
            validation.check_length(f"{place}.{name}", value, MAX_JSON_CHARS)
        else:
            to_schema_text(value, f"{place}.{name}")
    validation.check_length(f"{place}.approval_request_id", item.approval_request_id or None, MAX_ID_CHARS, 1)
    given = {name: getattr(item, name) for name in ("output", "error", "approval_request_id")}
    whole = {name: None if value is UNSET else value for name, value in given.items()}
    status = item.status or ("failed" if whole["error"] else "completed")
    return structs.replace(item, status=status, **whole)


def _approval_response(item: McpApprovalResponse, place: str) -> McpApprovalResponse:
    validation.check_length(f"{place}.approval_request_id", item.approval_request_id, MAX_ID_CHARS, 1)
    reason = None if item.reason is UNSET else item.reason
    validation.check_length(f"{place}.reason", reason, MESSAGE_CHARS)
    return structs.replace(item, reason=reason, request_id=item.approval_request_id)


def _check_mcp(item: McpCall | McpApprovalRequest, place: str) -> None:
    check_name(item.server_label, f"{place}.server_label", MAX_GIVEN_CHARS)
    validation.check_length(f"{place}.name", item.name, MAX_MCP_NAME_CHARS, 1)
    validation.check_length(f"{place}.arguments", item.arguments, MAX_JSON_CHARS)


def _approval_request(item: McpApprovalRequest, place: str) -> McpApprovalRequest:
    _check_mcp(item, place)
    return item


_CHECKS: Mapping[type, Callable[[Any, str], object]] = {
    MessageItem: _message,
    ReasoningItem: _reasoning,
    FunctionCall: _function_call,
    FunctionCallOutput: _function_output,
    CustomCall: _custom_call,
    CustomCallOutput: _custom_output,
    LocalShellCall: _local_shell_call,
    LocalShellCallOutput: _local_shell_output,
    ShellCall: _shell_call,
    ShellCallOutput: _shell_output,
    PatchCall: _patch_call,
    PatchCallOutput: _patch_output,
    Compaction: lambda item, _: structs.replace(item, type="compaction"),
    CompactionTrigger: lambda item, _: structs.replace(item, type="compaction_trigger"),
    WebSearchCall: _web_search,
    ImageGenerationCall: _image_call,
    FileSearchCall: _file_search,
    McpListTools: _mcp_list,
    McpCall: _mcp_call,
    McpApprovalRequest: _approval_request,
    McpApprovalResponse: _approval_response,
    AdditionalTools: _additional_tools,
    ItemReference: lambda item, _: item,
}


def _status(status: str | None, place: str) -> str:
    validation.check_choice(f"{place}.status", status, _STATUSES)
    return status or "completed"


def _check_call(call_id: str, caller: Caller | None, place: str) -> None:
    _call_id(call_id, place)
    if caller is not None and caller.type != "direct":
        raise validation.unsupported_field(f"{place}.caller.type", "Programs of the model are not served.")


def _call_id(call_id: str | None, place: str) -> str:
    if call_id is None:
        raise validation.missing(f"{place}.call_id")
    validation.check_length(f"{place}.call_id", call_id, validation.LABEL_CHARS, 1)
    return call_id


def _check_texts(texts: tuple[ReasoningText, ...] | None, kinds: tuple[str, ...], place: str) -> None:
    validation.check_items(place, texts, MAX_PARTS)
    for at, text in enumerate(texts or ()):
        validation.check_choice(f"{place}[{at}].type", text.type, kinds)
