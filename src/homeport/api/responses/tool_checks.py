"""Checks of the fields that all types of tools have. Errors name the field."""

from homeport.api.responses.tool_schema import ToolBody
from homeport.domain import validation


def check_callers(body: ToolBody, place: str) -> None:
    """Check who may call a tool. Raises InvalidRequest unless the model itself may."""
    if body.allowed_callers is not None and "direct" not in body.allowed_callers:
        raise validation.unsupported_field(
            f"{place}.allowed_callers", "Only the model itself calls tools: 'direct' must be among them."
        )
