"""What a model reads of the items of MCP servers: calls with their results, and calls that the caller has refused.

Knows nothing of messages, of servers, or of how calls are executed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from homeport.api.responses.hosted_exchange import HostedExchange
from homeport.api.responses.item_schema import InputItem, McpApprovalRequest, McpApprovalResponse, McpCall
from homeport.api.responses.tool_names import mcp_name
from homeport.domain.errors import InvalidRequest, excerpt

_REFUSED = "The user did not approve this call, so it was not made."


class Approvals:
    """The requests for approval in a history, and the caller's answers to them."""

    def __init__(self, items: Sequence[InputItem]) -> None:
        self._requests = {item.id: item for item in items if isinstance(item, McpApprovalRequest)}
        self._answers: dict[str, McpApprovalResponse] = {}
        self._called = {item.approval_request_id for item in items if isinstance(item, McpCall)}

    def add(self, item: McpApprovalResponse, place: str, *, is_new: bool) -> HostedExchange | None:
        """Add an answer; return what the model reads of a refused call.

        Raises InvalidRequest naming a new answer without a request, or to one that has an answer. Earlier ones of that
        kind are ignored: items of conversations can be deleted.
        """
        request_id = item.approval_request_id
        request = self._requests.get(request_id)
        if not is_new and (request is None or request_id in self._answers):
            return None
        if request is None:
            raise InvalidRequest(
                f"No approval request found with id '{excerpt(request_id, 100)}'.", param=place, code="invalid_value"
            )
        if request_id in self._answers:
            raise InvalidRequest(
                f"The approval request '{excerpt(request_id, 100)}' has two answers.", param=place, code="invalid_value"
            )
        self._answers[request_id] = item
        if item.approve:
            return None
        reason = f" Reason: {item.reason}" if item.reason else ""
        return HostedExchange(
            mcp_name(request.name, request.server_label), _object(request.arguments), _REFUSED + reason
        )

    def approved(self, server_label: str | None = None) -> Iterator[McpApprovalRequest]:
        """Yield the requests that were approved, and whose calls were not made, in the order of the answers.

        `server_label`: those of one server only.
        """
        for request_id, answer in self._answers.items():
            request = self._requests[request_id]
            if answer.approve and request_id not in self._called and server_label in (None, request.server_label):
                yield request


def read_approvals(items: Sequence[InputItem]) -> Approvals:
    """Return the approvals of a checked history."""
    approvals = Approvals(items)
    for item in items:
        if isinstance(item, McpApprovalResponse):
            approvals.add(item, "input", is_new=False)
    return approvals


def call_exchange(item: McpCall) -> HostedExchange | None:
    """Return what the model reads of a call; None: nothing, because it was cut before it was made."""
    if item.status in ("in_progress", "calling", "incomplete"):
        return None
    result = item.output or "" if not item.error else f"The call failed. {_reason(item.error)}"
    return HostedExchange(mcp_name(item.name, item.server_label), _object(item.arguments), result)


def _object(arguments: str) -> str:
    """Return arguments that are JSON of an object; an empty one for others."""
    try:
        msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return "{}"
    return arguments


def _reason(error: Mapping[str, Any] | str) -> str:
    if isinstance(error, str):
        return error
    if isinstance(error.get("message"), str):
        return str(error["message"])
    content = error.get("content")
    if isinstance(content, list):
        return "\n\n".join(str(each["text"]) for each in content if isinstance(each, dict) and "text" in each)
    return str(content or "")
