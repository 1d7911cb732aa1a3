"""What handlers work with, in one value: ports, limits, meters and the rule of access.

Knows nothing of any endpoint. `app` fills it once; handlers take it from the request.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from starlette.requests import Request

from homeport.api.access import Access
from homeport.api.caller_registry import Permitted
from homeport.api.metrics import Meters
from homeport.api.request_context import Caller, exchange_of
from homeport.domain.models import Resolved
from homeport.domain.ports.batches import BatchBook
from homeport.domain.ports.serving import (
    FileBook,
    KeyBook,
    Ledger,
    Operations,
    Pictures,
    Registry,
    Serving,
    Storage,
    UploadBook,
    UsageBook,
)
from homeport.serving.background_loops import Supervisor
from homeport.serving.fine_tuning.service import Tuner
from homeport.serving.rate_limits import Quotas


@dataclass(frozen=True)
class Limits:
    """How much of anything one request may take.

    `ping_s`: silence on a stream after which a comment is sent. `stall_s`: how long a reader may not read before
    its request is cancelled. `answer_tokens`: what an answer has at most where the caller names no limit; None: to
    the end of the window.
    """

    body_bytes: int = 20_000_000
    file_bytes: int = 512_000_000
    ping_s: float = 10.0
    stall_s: float = 60.0
    answer_tokens: int | None = None


@dataclass(frozen=True)
class Services:
    """Everything a handler may need.

    `now` is the wall clock in seconds; `spool` a folder for uploads under way; `pictures` keeps those that answers name
    by URL; `organization` goes out as a header; `list_aliases` (all, common, none) stand in the list of models; without
    `operations`, `book` and `usage` these parts of `/admin` say that they cannot be had; without `ledger` usage is
    counted in the meters alone; without `tuner` no models are fine-tuned; `loops`: the background loops whose state is
    shown.
    """

    serving: Serving
    registry: Registry
    pictures: Pictures
    limits: Limits = Limits()
    meters: Meters = field(default_factory=Meters)
    access: Access = field(default_factory=Access)
    now: Callable[[], float] = time.time
    spool: Path = Path("spool")
    organization: str = "homeport"
    list_aliases: str = "common"
    version: str = "0"
    operations: Operations | None = None
    book: KeyBook | None = None
    ledger: Ledger | None = None
    usage: UsageBook | None = None
    storage: Storage | None = None
    files: FileBook | None = None
    uploads: UploadBook | None = None
    batches: BatchBook | None = None
    quotas: Quotas = field(default_factory=Quotas)
    tuner: Tuner | None = None
    loops: Supervisor = field(default_factory=Supervisor)

    def fingerprint(self, resolved: Resolved) -> str:
        """OpenAI's `system_fingerprint`: changes whenever weights, kernels, device or this server's version do."""
        loaded = self.serving.loaded(resolved.model.facts.name)
        weights = resolved.model.digest + (resolved.tuned.digest if resolved.tuned else "")
        parts = (weights, self.version, loaded.kernels if loaded else "", loaded.device if loaded else "")
        return f"fp_{hashlib.sha256(repr(parts).encode()).hexdigest()[:10]}"


def services(request: Request) -> Services:
    """The services of the app this request came to."""
    return cast("Services", request.app.state.services)


def caller(request: Request) -> Caller:
    """Who sent this request."""
    return exchange_of(request.scope).caller


def registry(request: Request) -> Registry:
    """The models that the one who sent this request may ask."""
    return Permitted(services(request).registry, caller(request))
