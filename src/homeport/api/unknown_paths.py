"""The error for paths that do not exist, which suggests the path that was probably meant.

Nothing is redirected: clients would turn a POST into a GET, or drop their key.
"""

from collections.abc import Sequence

from starlette.routing import Route

from homeport.api.access import is_administrative
from homeport.domain.errors import NotFound

_VERSION = "v1"
_DEEPEST = 12


def is_tidy(path: str) -> bool:
    """Whether a path has neither an empty segment nor a trailing slash."""
    return "//" not in path and (path == "/" or not path.endswith("/"))


def unknown(method: str, path: str, routes: Sequence[Route]) -> NotFound:
    """Make the error for a path that does not exist; `routes` are those that do."""
    said = f"Invalid URL ({method} {path[:200]})"
    if (meant := _meant(path, routes)) is not None:
        said += f". Did you mean {meant[:200]}? A client's base URL ends in /{_VERSION}, without a trailing slash."
    return NotFound(said, code="unknown_url")


def _meant(path: str, routes: Sequence[Route]) -> str | None:
    """The longest suffix of a path that exists, with or without `/v1`; ignores extra slashes, prefixes and `/v1`."""
    parts = [part for part in path[:1000].split("/") if part]
    for start in range(min(len(parts), _DEEPEST)):
        rest = parts[start:]
        while rest[:1] == [_VERSION]:
            rest = rest[1:]
        for candidate in ("/".join(["", _VERSION, *rest]), "/".join(["", *rest])):
            if rest and candidate != path and _is_there(candidate, routes):
                return candidate
    return None


def _is_there(path: str, routes: Sequence[Route]) -> bool:
    return not is_administrative(path) and any(route.path_regex.match(path) for route in routes)
