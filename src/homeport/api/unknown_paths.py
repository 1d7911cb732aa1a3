"""The error for paths that do not exist, which suggests the path that was probably meant.

Nothing is redirected: clients would turn a POST into a GET, or drop their key.
"""

from collections.abc import Sequence

from starlette.routing import Route

from homeport.api.access_policy import is_administrative
from homeport.domain.errors import NotFound

_VERSION = "v1"
_MAX_DEPTH = 12


def is_normalized(path: str) -> bool:
    """Return whether a path has neither an empty segment nor a trailing slash."""
    return "//" not in path and (path == "/" or not path.endswith("/"))


def unknown_url(method: str, path: str, routes: Sequence[Route] = ()) -> NotFound:
    """Return the error for a path that does not exist. `routes`: those of which one may be suggested."""
    message = f"Invalid URL ({method} {path[:200]})"
    if (similar := _similar_path(path, routes)) is not None:
        message += f". Did you mean {similar[:200]}? A client's base URL ends in /{_VERSION}, without a trailing slash."
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
