"""The bodies that the page and `homeport open` send."""

import msgspec


class SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /page/session`. `link`: the token of a one-time link."""

    link: str
