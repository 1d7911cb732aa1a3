"""The context of a request: its id, times, caller and route.

Knows nothing of bodies. The outermost middleware creates one context per request and stores it in the ASGI scope.
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import cast

from starlette.types import Scope

from homeport.domain.errors import HomeportError
from homeport.domain.keys import LOCAL_PROJECT, Key
from homeport.serving.request_tickets import NO_LIMITS, RequestTicket

_SLOT = "homeport.request_context"
_INTERNAL_CALLER = "homeport.internal_caller"
_REFUSAL = "homeport.refusal"


@dataclass(frozen=True)
class Caller:
    """Who sends a request: a project, and its key, masked (None if none was needed). Never the key itself.

    `stored_key`: the record of the key, if it is a stored one.
    """

    project: str
    key: str | None = None
    stored_key: Key | None = None

    @property
    def key_id(self) -> str:
        """The id of the stored key; empty without one."""
        return self.stored_key.id if self.stored_key else ""

    @property
    def holder(self) -> str:
        """Whose queue share it uses: each key has its own, all callers without a key have one together."""
        return self.key_id or self.key or ""

    def may_use(self, model: str) -> bool:
        """Return whether it may use this model. `model`: its own name."""
        return self.stored_key is None or self.stored_key.may_use(model)


ANYONE = Caller(LOCAL_PROJECT)


@dataclass(frozen=True)
class InternalCaller:
    """The caller of a request that the server itself sends: a project, and the id of a stored key, empty for none.

    `response_id`: the background response that the request runs; empty: the request is a line of a batch.
    """

    project: str
    key_id: str
    response_id: str = ""


def with_internal_caller(scope: Scope, caller: InternalCaller) -> Scope:
    """Return the scope of a request that the server itself sends. No request from the network can have this scope."""
    return {**scope, _INTERNAL_CALLER: caller}


def internal_caller_of(scope: Scope) -> InternalCaller | None:
    """Return the caller of a request that the server itself sent; None for a request from the network."""
    return cast("InternalCaller | None", scope.get(_INTERNAL_CALLER))


def with_refusal(scope: Scope, error: HomeportError) -> Scope:
    """Return the scope of an invalid request, which is answered with this error."""
    return {**scope, _REFUSAL: error}


def refusal_of(scope: Scope) -> HomeportError | None:
    """Return why a request is invalid; None if it is valid."""
    return cast("HomeportError | None", scope.get(_REFUSAL))


def _fresh_id() -> str:
    return f"req_{secrets.token_hex(16)}"


@dataclass
class RequestContext:
    """What is known of a request so far. `route`: the path's template, so that logs and metrics stay bounded.

    `rate_ticket`: its share of the key's limits; `limited_by`: the limit that ended its answer; `is_background`: no
    caller waits for it; `is_large`: threads process its body; `response_id`: the stored background response whose run
    it is, empty for every other request.
    """

    id: str = field(default_factory=_fresh_id)
    began: float = field(default_factory=time.perf_counter)
    caller: Caller = ANYONE
    rate_ticket: RequestTicket = NO_LIMITS
    limited_by: str = ""
    route: str = "unknown"
    status: int | None = None
    model: str = "-"
    is_background: bool = False
    is_large: bool = False
    response_id: str = ""

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return (time.perf_counter() - self.began) * 1000


def start_context(scope: Scope) -> RequestContext:
    """Create the context of a scope."""
    context = RequestContext()
    scope[_SLOT] = context
    return context


def context_of(scope: Scope) -> RequestContext:
    """Return the context of a scope."""
    return cast("RequestContext", scope[_SLOT])
