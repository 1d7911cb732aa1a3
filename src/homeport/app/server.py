"""One running server: builds its parts from the settings, connects them, and stops them in order."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

import psutil
import uvloop

import homeport
from homeport.api.access_policy import AccessPolicy, Scraping
from homeport.api.application import build_application
from homeport.api.http_server import HttpServer
from homeport.api.in_process_dispatcher import InProcessDispatcher
from homeport.api.log_lines import LogLines
from homeport.api.metric_series import INTERVAL_S, MachineMemory, MetricSeries, Sources
from homeport.api.metrics import Metrics
from homeport.api.page.page_files import PageFiles
from homeport.api.page.sessions import PageSessions
from homeport.api.response_dispatcher import InProcessResponseDispatcher
from homeport.api.services import Services
from homeport.app import fine_tuning, log_setup, model_choices, options, spool, storage
from homeport.app.batches import BatchService
from homeport.app.model_library import SettingsModelLibrary
from homeport.app.model_task import model_task_launcher
from homeport.app.models import engine_files, model_registry, served_store
from homeport.app.responses import ResponseService
from homeport.app.storage import Storage
from homeport.app.vector_stores import IndexingService
from homeport.client import runfile
from homeport.domain.allowed_hosts import AllowedHosts
from homeport.domain.kinds import TEXT
from homeport.domain.models import CPU, InstalledModel, LoadedModel
from homeport.domain.operations import Announcement
from homeport.domain.ports.serving import Serving
from homeport.models.model_job_records import ModelJobFiles
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.mcp.client import HttpMcpClient
from homeport.serving.model_jobs.service import ModelJobService
from homeport.serving.remote_images import HttpRemoteImages
from homeport.serving.worker_serving import WorkerServing
from homeport.settings import Settings, check_exposure


def check_settings(settings: Settings) -> None:
    """Check what depends on the stored keys: an address that others can reach needs a key, and so does a server whose
    keys are lost. Raises SettingsError or Unavailable.
    """
    storage.check_keys_not_lost(settings)
    check_exposure(settings, has_keys=not settings.is_loopback and storage.has_keys(settings))


def serve(settings: Settings, announce: Callable[[Announcement], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. Raises what prevents the start."""
    check_settings(settings)
    log_lines = LogLines()
    handler = log_setup.lines_handler(settings, log_lines)
    log_setup.configure_logging(settings.log_level, settings.log_format, handler)
    uvloop.run(Server(settings, announce, log_lines).run())


class Server:
    """All parts of one running server. `announce` is called when it listens; `log_lines` receives what is logged."""

    def __init__(self, settings: Settings, announce: Callable[[Announcement], None], log_lines: LogLines) -> None:
        self._settings = settings
        self._announce = announce
        self._log_lines = log_lines
        self._store = served_store(settings)
        self._registry = model_registry(settings)
        self._loops = BackgroundLoops()
        self._serving = self._choose_serving()
        self._running: runfile.RunningServer | None = None
        self._token = runfile.fresh_token()
        self._page_sessions = PageSessions()
        self._spool = spool.create_spool(settings.home)
        self._storage = Storage(settings)
        self._batches = BatchService(
            self._serving, self._storage.batches, self._storage.files, self._spool, self._loops
        )
        self._indexing = IndexingService(
            self._serving,
            self._registry,
            self._storage.indexing_queue,
            self._storage.files,
            self._spool,
            self._loops,
        )
        self._responses = ResponseService(self._storage.responses, self._storage.conversations, self._loops)
        self._fine_tuning = fine_tuning.fine_tuning_service(settings, self._storage, self._registry.remove)
        self._library = SettingsModelLibrary(settings)
        self._model_jobs = ModelJobService(
            model_task_launcher(settings), ModelJobFiles(settings.home), self._library.discard_partial
        )
        self._metrics = Metrics(
            self._serving.stats,
            jobs=self._fine_tuning.counts,
            loops=self._loops,
            cluster=self._serving.cluster_stats,
        )
        process = psutil.Process()
        sources = Sources(
            self._serving.stats, self._serving.worker_bytes, lambda: process.memory_info().rss, _machine_memory
        )
        self._series = MetricSeries(self._metrics, sources)

    def _choose_serving(self) -> Serving:
        """Return what runs the requests: the cluster of the settings, else worker processes of this machine."""
        settings = self._settings
        if settings.cluster is not None:
            from homeport.app.cluster_gateway import GatewayServing  # on one machine nothing of a cluster is imported

            return GatewayServing(settings, self._store, self._loops)
        return WorkerServing(
            options.serving_options(settings),
            engine_options=partial(options.engine_options, settings, self._store),
            engine_files=partial(engine_files, self._store),
            loops=self._loops,
        )

    async def run(self) -> None:
        """Serve until a signal ends the server, then stop all parts in order."""
        services = self._services()
        application = build_application(services)
        http_server = HttpServer(
            application,
            self._settings.host,
            self._settings.port,
            on_listening=self._on_listening,
            drain=self._drain,
            limits=options.connection_limits(self._settings),
        )
        await self._serving.start()
        self._storage.start(self._loops)
        self._loops.start("series", self._series.sample, INTERVAL_S)
        fine_tuning_task = asyncio.create_task(self._fine_tuning.run(self._loops))
        try:
            await self._serving.preload(self._models_to_preload())
            dispatcher = InProcessDispatcher(application, self._advertised_host)
            self._batches.start(dispatcher, services.metrics)
            self._indexing.start(dispatcher, services.metrics)
            response_dispatcher = InProcessResponseDispatcher(application, self._advertised_host)
            self._responses.start(response_dispatcher, services.metrics)
            await http_server.run_here()
        finally:
            await self._model_jobs.shut_down()
            await self._batches.stop()
            await self._indexing.stop()
            await self._responses.stop()
            await self._storage.flush()
            fine_tuning_task.cancel()
            await asyncio.gather(fine_tuning_task, self._loops.stop(), return_exceptions=True)
            await self._serving.close()
            self._storage.close()
            spool.remove_spool(self._spool)
            if self._running is not None:
                runfile.withdraw(self._settings.home, self._running)

    def _services(self) -> Services:
        """The parts that the API's handlers use."""
        return Services(
            serving=self._serving,
            registry=self._registry,
            images=self._storage.images,
            limits=options.request_limits(self._settings),
            metrics=self._metrics,
            loops=self._loops,
            access=self._access_policy(),
            spool=self._spool,
            organization=self._settings.organization,
            list_aliases=self._settings.list_aliases,
            version=homeport.__version__,
            keys=self._storage.keys,
            ledger=self._storage.usage_ledger,
            usage=self._storage.usage,
            storage=self._storage.project_storage,
            files=self._storage.files,
            uploads=self._storage.uploads,
            batches=self._storage.batches,
            vector_stores=self._storage.vector_stores,
            store_files=self._storage.store_files,
            on_files_added=self._indexing.notify,
            vector_search=self._storage.vector_search,
            rate_limiter=self._storage.gateway.limiter,
            fine_tuning=self._fine_tuning,
            library=self._library,
            model_jobs=self._model_jobs,
            responses=self._storage.responses,
            conversations=self._storage.conversations,
            completions=self._storage.completions,
            transcripts=self._storage.transcripts,
            secret=self._storage.sealing_secret,
            response_keep_s=options.response_keep_s(self._settings),
            response_signals=self._responses.signals,
            mcp=HttpMcpClient(AllowedHosts(self._settings.mcp_hosts)),
            remote_images=self._remote_images(),
            page=PageFiles() if self._settings.page else None,
            page_sessions=self._page_sessions,
            series=self._series,
            log_lines=self._log_lines,
        )

    def _remote_images(self) -> HttpRemoteImages | None:
        """What fetches images by URL; None: nothing, because no host is allowed."""
        hosts = AllowedHosts(self._settings.image_hosts)
        return HttpRemoteImages(hosts) if hosts else None

    def _access_policy(self) -> AccessPolicy:
        """Who may call the server. This user's own commands send a token that is accepted everywhere."""
        settings = self._settings
        policy = AccessPolicy.from_keys(
            settings.api_keys,
            settings.cors_origins,
            admin_keys=[settings.admin_key] if settings.admin_key else (),
            tool_tokens=[self._token],
            key_cache=self._storage.key_cache,
            scraping=Scraping.of(settings.metrics, settings.metrics_key),
        )
        return dataclasses.replace(policy, is_session=self._page_sessions.is_valid) if settings.page else policy

    async def _drain(self) -> None:
        self._series.recent.close()
        self._log_lines.close()
        self._fine_tuning.shut_down()
        self._responses.stop_claiming()
        await self._model_jobs.shut_down()
        await self._batches.stop()
        await self._indexing.stop()
        await self._serving.drain(self._settings.drain_s)
        await self._responses.stop()

    def _models_to_preload(self) -> Sequence[InstalledModel]:
        """The models to load before listening: those of the settings, else the default text model.

        For a fine-tuned model, its base model is loaded. In a cluster, the default model is loaded when it is used.
        """
        default = self._registry.defaults.get(TEXT) if self._settings.cluster is None else None
        names = self._settings.models or ((default,) if default else ())
        models = [model for name in names if (model := self._store.find(name))]
        return [
            model if model.parent is None else self._registry.resolve(model.facts.name, "").model for model in models
        ]

    def _on_listening(self, port: int) -> None:
        """Publish the run file and announce the server."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{port}"
        self._running = runfile.publish(settings.home, url, port, self._token)
        loaded = [found for model in self._models_to_preload() if (found := self._serving.loaded(model.facts.name))]
        first = [found.model for found in loaded]
        bases = [model.facts.name for model in self._store.installed() if model.parent is None]
        self._announce(
            Announcement(
                url=url,
                key=self._displayed_key(),
                page=url if settings.page else None,
                models=(*first, *(name for name in bases if name not in first)),
                aliases={alias.name: alias.target for alias in self._registry.aliases()},
                kernels=_describe_kernels(loaded[0]) if loaded else "loaded with the first model",
                notes=tuple(note for found in loaded for note in found.notes),
                n_fine_tuned=len(self._store.names()) - len(bases),
                offer=model_choices.offer(settings, self._registry.defaults.get(TEXT, "")),
            )
        )

    def _displayed_key(self) -> str | None:
        if self._settings.api_keys:
            return self._settings.api_keys[0]
        return "KEY  # as printed by `homeport keys create`" if self._storage.key_cache.requires_key else None

    def _advertised_host(self) -> str:
        return urlsplit(self._running.url).netloc if self._running else "localhost"


def _machine_memory() -> MachineMemory:
    memory = psutil.virtual_memory()
    return MachineMemory(memory.total - memory.available, memory.total)


def _describe_kernels(loaded: LoadedModel) -> str:
    """The kernels of a loaded model, and its GPUs if there are any."""
    return loaded.kernels if loaded.device == CPU else f"{loaded.kernels}; on {loaded.device}"
