"""The JSON of links and sessions. Knows nothing of requests."""

import msgspec

from homeport.api.page.sessions import IssuedToken


class TokenObject(msgspec.Struct, kw_only=True):
    """A token of a link or a session."""

    object: str
    token: str
    expires_in_s: int


def render_token(kind: str, issued: IssuedToken) -> TokenObject:
    """Render a token that was just issued. `kind`: `link` or `session`."""
    return TokenObject(object=f"page.{kind}", token=issued.token, expires_in_s=issued.expires_in_s)
