"""The names that a model sees of tools: one flat name each, also of those inside a namespace.

The name depends on nothing but the tool's own names, so that calls in a history have the names of the declared tools.
"""

import hashlib
import re

from homeport.domain.tool_fields import MAX_NAME_CHARS, check_name

MAX_GIVEN_CHARS = 128
"""The maximum length of a tool's or namespace's name as the caller writes it."""

MAX_MCP_NAME_CHARS = 256
"""The maximum length of a tool's name as an MCP server writes it."""

_HASH_CHARS = 8
_OTHER_CHARS = re.compile(r"[^a-zA-Z0-9_-]")


def model_name(name: str, namespace: str | None = None) -> str:
    """Return the name that a model sees: at most 64 characters, the end of a longer one replaced by its hash."""
    full = name if namespace is None else f"{namespace}__{name}"
    if len(full) <= MAX_NAME_CHARS:
        return full
    return f"{full[: MAX_NAME_CHARS - _HASH_CHARS - 1]}_{_hash(full)}"


def mcp_name(name: str, server_label: str) -> str:
    """Return the name that a model sees of an MCP server's tool, which may have other characters there."""
    plain = _OTHER_CHARS.sub("_", name)
    return model_name(name if plain == name else f"{plain}_{_hash(name)}", server_label)


def hosted_name(name: str) -> str:
    """Return the name that a model sees of a hosted function whose own name the caller's tools have."""
    return model_name(name, "hosted")


def check_names(name: str | None, namespace: str | None, place: str) -> str:
    """Return the name that a model sees of checked names. Raises InvalidRequest naming the field of `place`."""
    if namespace is not None:
        check_name(namespace, f"{place}.namespace", MAX_GIVEN_CHARS)
    return model_name(check_name(name, f"{place}.name", MAX_GIVEN_CHARS), namespace)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]
