"""The tools `local_shell`, `shell` and `apply_patch`, which the caller executes, as functions that a model can call.

The arguments of such a function are the fields of the call's `action` (without its `type`), or of its `operation`.
Knows nothing of how answers or histories are made of them.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from homeport.api.responses.item_schema import LocalShellAction, LocalShellCall, PatchOperation, ShellCall
from homeport.api.responses.plan import CallKind
from homeport.domain.tools import Tool

_INTEGER: Final = {"type": "integer", "minimum": 0}
_STRINGS: Final = {"type": "array", "items": {"type": "string"}}


def _schema(properties: Mapping[str, Any], *required: str) -> str:
    fields = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return msgspec.json.encode(fields).decode()


_TOOLS: Mapping[str, tuple[CallKind, str, str]] = {
    "local_shell": (
        "local_shell",
        "Run a command on the user's machine. `command` is the program and its arguments.",
        _schema(
            {
                "command": {**_STRINGS, "minItems": 1},
                "working_directory": {"type": "string"},
                "timeout_ms": _INTEGER,
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "command",
        ),
    ),
    "shell": (
        "shell",
        "Run shell commands on the user's machine, in order.",
        _schema(
            {"commands": {**_STRINGS, "minItems": 1}, "timeout_ms": _INTEGER, "max_output_length": _INTEGER},
            "commands",
        ),
    ),
    "apply_patch": (
        "apply_patch",
        "Create, update or delete one file. `path` is relative to the workspace; `diff` is a diff of the file in V4A "
        "format, and is not needed to delete it.",
        _schema(
            {
                "type": {"enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string", "minLength": 1},
                "diff": {"type": "string"},
            },
            "type",
            "path",
        ),
    ),
}

CLIENT_TOOLS = tuple(_TOOLS)
"""The types of these tools, which are also their names for a model."""


def client_tool(kind: str, place: str) -> tuple[CallKind, Tool]:
    """Return a tool of one of `CLIENT_TOOLS` and what its calls are. `place` names it in errors."""
    call_kind, description, parameters = _TOOLS[kind]
    return call_kind, Tool(kind, description, parameters, param=place)


def shell_arguments(call: ShellCall) -> str:
    """Return the arguments with which a model makes a `shell` call, as JSON."""
    action = call.action
    limits = {"timeout_ms": action.timeout_ms, "max_output_length": action.max_output_length}
    return _encode({"commands": action.commands, **limits})


def local_shell_arguments(call: LocalShellCall) -> str:
    """Return the arguments with which a model makes a `local_shell` call, as JSON."""
    action: LocalShellAction = call.action
    return _encode(
        {
            "command": action.command,
            "working_directory": action.working_directory,
            "timeout_ms": action.timeout_ms,
            "env": action.env or None,
        }
    )


def patch_arguments(operation: PatchOperation) -> str:
    """Return the arguments with which a model makes an `apply_patch` call, as JSON."""
    return _encode({"type": operation.type, "path": operation.path, "diff": operation.diff})


def _encode(arguments: Mapping[str, Any]) -> str:
    return msgspec.json.encode({name: value for name, value in arguments.items() if value is not None}).decode()
