"""The services that handlers use: ports, limits, metrics and the access policy.

Knows no endpoint. `app` creates them once; handlers get them from the request.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from starlette.requests import Request

from homeport.api.access_policy import AccessPolicy
from homeport.api.chat.transcript_cache import TranscriptCache
from homeport.api.log_lines import LogLines
from homeport.api.metric_series import MetricSeries
from homeport.api.metrics import Metrics
from homeport.api.page.page_files import PageFiles
from homeport.api.page.sessions import PageSessions
from homeport.api.request_context import Caller, context_of
from homeport.api.visible_models import CallerRegistry
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.mcp import McpClient
from homeport.domain.ports.model_library import ModelLibrary
from homeport.domain.ports.models import ModelRegistry
from homeport.domain.ports.remote_images import RemoteImages
from homeport.domain.ports.responses import (
    CompletionRepository,
    ConversationRepository,
    ResponseRepository,
    TranscriptRepository,
)
from homeport.domain.ports.serving import Serving
from homeport.domain.ports.store import (
    BatchRepository,
    FileRepository,
    ImageStore,
    KeyRepository,
    ProjectStorage,
    UploadRepository,
    UsageLedger,
    UsageRepository,
)
from homeport.domain.ports.vector_stores import StoreFileRepository, VectorSearch, VectorStoreRepository
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.fine_tuning.service import FineTuningService
from homeport.serving.model_jobs.service import ModelJobService
from homeport.serving.rate_limits import RateLimiter
from homeport.serving.request_tickets import RequestLimiter
from homeport.serving.responses.signals import ResponseSignals


@dataclass(frozen=True)
class Limits:
    """The limits of a request.

    `ping_s`: silence on a stream after which a comment is sent. `stall_s`: how long a client may read nothing before
    its request is cancelled. `answer_tokens`: the most tokens of an answer if the caller sets no limit; None: as many
    as fit in the window. `music_s`: the longest music of one request.
    """

    body_bytes: int = 20_000_000
    file_bytes: int = 512_000_000
    ping_s: float = 10.0
    stall_s: float = 60.0
    answer_tokens: int | None = None
    music_s: float = 600.0


@dataclass(frozen=True)
class Services:
    """Everything that handlers use.

    `now`: the wall clock in seconds; `spool`: the folder of uploads that are arriving; `images`: the images with URLs;
    `organization`: the value of a response header; `list_aliases`: the aliases in the list of models (all, common,
    none). Without `keys` and `usage`, these parts of `/admin` are unavailable; without `ledger`, usage is counted in
    the metrics only; without `fine_tuning`, models cannot be fine-tuned; without `library` and `model_jobs`, operators
    cannot manage models over HTTP. `loops`: the background loops to report. `on_files_added`: called when files are
    added to vector stores.
    `response_keep_s`: how long responses are stored; None: until they are deleted, 0: they are not stored.
    `mcp`: talks to MCP servers; None: this server uses none. `remote_images`: fetches images by URL; None: it fetches
    none. `secret`: seals what callers keep for the server. `page`: the files of the page in the browser; None: it is
    turned off. `series`: the metrics of the last minutes; `log_lines`: the latest lines of the log; None: they are not
    kept.
    `response_signals`: what the runner of background responses and their streams tell each other.
    """

    serving: Serving
    registry: ModelRegistry
    images: ImageStore
    limits: Limits = Limits()
    metrics: Metrics = field(default_factory=Metrics)
    access: AccessPolicy = field(default_factory=AccessPolicy)
    now: Callable[[], float] = time.time
    spool: Path = Path("spool")
    organization: str = "homeport"
    list_aliases: str = "common"
    version: str = "0"
    keys: KeyRepository | None = None
    ledger: UsageLedger | None = None
    usage: UsageRepository | None = None
    storage: ProjectStorage | None = None
    files: FileRepository | None = None
    uploads: UploadRepository | None = None
    batches: BatchRepository | None = None
    vector_stores: VectorStoreRepository | None = None
    store_files: StoreFileRepository | None = None
    on_files_added: Callable[[], None] = lambda: None
    vector_search: VectorSearch | None = None
    rate_limiter: RequestLimiter = field(default_factory=RateLimiter)
    fine_tuning: FineTuningService | None = None
    library: ModelLibrary | None = None
    model_jobs: ModelJobService | None = None
    loops: BackgroundLoops = field(default_factory=BackgroundLoops)
    responses: ResponseRepository | None = None
    conversations: ConversationRepository | None = None
    completions: CompletionRepository | None = None
    transcripts: TranscriptRepository | None = None
    transcript_cache: TranscriptCache = field(default_factory=TranscriptCache)
    secret: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    response_keep_s: int | None = 30 * 86_400
    response_signals: ResponseSignals = field(default_factory=ResponseSignals)
    mcp: McpClient | None = None
    remote_images: RemoteImages | None = None
    page: PageFiles | None = None
    page_sessions: PageSessions = field(default_factory=PageSessions)
    series: MetricSeries | None = None
    log_lines: LogLines | None = None

    def fingerprint(self, resolved: ResolvedModel) -> str:
        """OpenAI's `system_fingerprint`: changes whenever weights, kernels, device or this server's version do."""
        loaded = self.serving.loaded(resolved.model.facts.name)
        weights = resolved.model.digest + (resolved.fine_tuned.digest if resolved.fine_tuned else "")
        backend = (loaded.kernels, loaded.device, loaded.prompts) if loaded else ("", "", "")
        parts = (weights, self.version, *backend)
        return f"fp_{hashlib.sha256(repr(parts).encode()).hexdigest()[:10]}"


def services(request: Request) -> Services:
    """Return the services of the request's application."""
    return cast("Services", request.app.state.services)


def caller(request: Request) -> Caller:
    """Return the caller of the request."""
    return context_of(request.scope).caller


def registry(request: Request) -> ModelRegistry:
    """Return the models that the caller of the request may use."""
    return CallerRegistry(services(request).registry, caller(request))
