"""One request and its answer, as the server sees them from outside: id, times, caller, route.

Knows nothing of bodies. The outermost middleware makes one exchange per request and puts it in the ASGI scope.
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import cast

from starlette.types import Scope

from homeport.domain.errors import HomeportError
from homeport.domain.keys import LOCAL_PROJECT, Key
from homeport.serving.rate_limits import UNLIMITED, RateLimitTicket

_SLOT = "homeport.exchange"
_SENDER = "homeport.sender"
_REFUSAL = "homeport.refusal"


@dataclass(frozen=True)
class Caller:
    """Who asks: a project, and the key it came with, masked (None where none was needed). Never the key itself.

    `issued`: what is known of the key, where it is a stored one.
    """

    project: str
    key: str | None = None
    stored_key: Key | None = None

    @property
    def key_id(self) -> str:
        """The id of the stored key, empty where there is none."""
        return self.stored_key.id if self.stored_key else ""

    @property
    def holder(self) -> str:
        """Whose share of a model's places it takes: each key has one, all that come without a key have one together."""
        return self.key_id or self.key or ""

    def may_use(self, model: str) -> bool:
        """Whether it may ask this model, by real name."""
        return self.stored_key is None or self.stored_key.may_use(model)


ANYONE = Caller(LOCAL_PROJECT)


@dataclass(frozen=True)
class InternalCaller:
    """In whose name this server itself sends a request: a project, and a stored key's id, empty for none."""

    project: str
    key_id: str


def with_internal_caller(scope: Scope, sender: InternalCaller) -> Scope:
    """A scope that says so. No request that comes over the network can have one."""
    return {**scope, _SENDER: sender}


def internal_caller_of(scope: Scope) -> InternalCaller | None:
    """Who of this server sent a request; None for all that came over the network."""
    return cast("InternalCaller | None", scope.get(_SENDER))


def refused_for(scope: Scope, error: HomeportError) -> Scope:
    """A scope of what came in and is no request that could be served: it is answered with this error."""
    return {**scope, _REFUSAL: error}


def refusal_of(scope: Scope) -> HomeportError | None:
    """Why what came in cannot be served at all; None for requests."""
    return cast("HomeportError | None", scope.get(_REFUSAL))


def _fresh_id() -> str:
    return f"req_{secrets.token_hex(16)}"


@dataclass
class RequestContext:
    """What is known so far. `route` is the path's template, so that logs and metrics stay bounded.

    `passage` counts what it takes of its key's limits, `limited_by` is the one that ended its answer. Nobody waits for
    one that `is_background`. What is done with the body of one that `is_large` is done in threads.
    """

    id: str = field(default_factory=_fresh_id)
    began: float = field(default_factory=time.perf_counter)
    caller: Caller = ANYONE
    rate_ticket: RateLimitTicket = UNLIMITED
    limited_by: str = ""
    route: str = "unknown"
    status: int | None = None
    model: str = "-"
    is_background: bool = False
    is_large: bool = False

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the request came in."""
        return (time.perf_counter() - self.began) * 1000


def start_context(scope: Scope) -> RequestContext:
    """Start the exchange of this scope."""
    exchange = RequestContext()
    scope[_SLOT] = exchange
    return exchange


def context_of(scope: Scope) -> RequestContext:
    """The exchange this scope belongs to."""
    return cast("RequestContext", scope[_SLOT])
