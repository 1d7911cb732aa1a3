"""The error for paths that do not exist, which suggests the path that was probably meant.

Nothing is redirected: clients would turn a POST into a GET, or drop their key.
"""

from collections.abc import Sequence

from starlette.routing import Route

from homeport.api.access_policy import is_administrative
from homeport.api.error_formats import is_messages_path
from homeport.domain.errors import NotFound

_VERSION = "v1"
_MAX_DEPTH = 12
_ASSISTANTS = ("assistants", "threads")
"""What the paths of the Assistants API begin with, after the version."""


def is_normalized(path: str) -> bool:
    """Return whether a path has neither an empty segment nor a trailing slash."""
    return "//" not in path and (path == "/" or not path.endswith("/"))


def unknown_url(method: str, path: str, routes: Sequence[Route] = ()) -> NotFound:
    """Return the error for a path that does not exist. `routes`: those of which one may be suggested."""
    message = f"Invalid URL ({method} {path[:200]})"
    if path.startswith(f"/{_VERSION}/") and path.split("/", 3)[2] in _ASSISTANTS:
        message += ". The Assistants API is not served: use /v1/responses, with the tool file_search for files."
        return NotFound(message, code="unknown_url")
    if (similar := _similar_path(path, routes)) is not None:
        ends = f"ends in /{_VERSION}, without a trailing slash"
        if is_messages_path(similar):
            ends = f"has no /{_VERSION}, because it adds that itself"
        message += f". Did you mean {similar[:200]}? A client's base URL {ends}."
    return NotFound(message, code="unknown_url")


def _similar_path(path: str, routes: Sequence[Route]) -> str | None:
    """Return the longest suffix of a path that exists, with or without `/v1`. Ignores extra slashes and prefixes."""
    parts = [part for part in path[:1000].split("/") if part]
    for start in range(min(len(parts), _MAX_DEPTH)):
        rest = parts[start:]
        while rest[:1] == [_VERSION]:
            rest = rest[1:]
        for candidate in ("/".join(["", _VERSION, *rest]), "/".join(["", *rest])):
            if rest and candidate != path and _exists(candidate, routes):
                return candidate
    return None


def _exists(path: str, routes: Sequence[Route]) -> bool:
    return not is_administrative(path) and any(route.path_regex.match(path) for route in routes)
