"""Sessions of the page, and the one-time links that begin them. In memory only: a restart ends all of them.

A session has the rights of this user's own commands: every model of the project `local`, and `/admin`. Knows nothing of
requests.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from homeport.domain.errors import Unauthenticated

LINK_S = 120
SESSION_S = 12 * 3600
_MAX_LINKS = 16
_MAX_SESSIONS = 256


class IssuedToken(NamedTuple):
    """A token, which is shown only now, and the seconds until it expires."""

    token: str
    expires_in_s: int


class PageSessions:
    """Links and sessions, as digests of their tokens. If there are too many, the oldest end. `now`: seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._links: dict[bytes, float] = {}
        self._sessions: dict[bytes, float] = {}

    def create_link(self) -> IssuedToken:
        """Create the token of a link."""
        return self._issue(self._links, LINK_S, _MAX_LINKS)

    def begin(self, link: str) -> IssuedToken:
        """Exchange the token of a link, which then ends, for that of a session. Raises Unauthenticated."""
        expires = self._links.pop(_digest(link), 0.0)
        if self._now() >= expires:
            raise Unauthenticated(
                "This link has expired or was used before. Run `homeport open` to get a new one.",
                code="invalid_page_link",
            )
        return self._issue(self._sessions, SESSION_S, _MAX_SESSIONS)

    def is_valid(self, token: str) -> bool:
        """Return whether a token is that of a session that has neither ended nor expired."""
        return bool(self._sessions) and self._now() < self._sessions.get(_digest(token), 0.0)

    def end(self, token: str) -> None:
        """End a session; a token of none changes nothing."""
        self._sessions.pop(_digest(token), None)

    def _issue(self, tokens: dict[bytes, float], lifetime_s: int, limit: int) -> IssuedToken:
        now = self._now()
        for digest in [digest for digest, expires in tokens.items() if expires <= now]:
            del tokens[digest]
        while len(tokens) >= limit:
            del tokens[next(iter(tokens))]
        token = secrets.token_urlsafe(32)
        tokens[_digest(token)] = now + lifetime_s
        return IssuedToken(token, lifetime_s)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
