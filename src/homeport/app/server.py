"""One running server: builds its parts from the settings, connects them, and stops them in order."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

import homeport
from homeport.api.access import AccessPolicy, Scraping
from homeport.api.application import build_application
from homeport.api.dispatcher import InProcessDispatcher
from homeport.api.http_server import HttpServer
from homeport.api.metrics import Metrics
from homeport.api.services import Services
from homeport.app import (
    fine_tuning,
    log_setup,
    options,
    spool,
)
from homeport.app import storage as accounts  # `accounts` is a part of what the commands call
from homeport.app.batches import BatchService
from homeport.app.models import IMAGES_FOLDER, TEXT_KIND, fine_tuned_sizes, kernel_library, model_registry, served_store
from homeport.app.storage import Storage
from homeport.app.workers import LocalWorkerOperations
from homeport.client import runfile
from homeport.domain.errors import Unavailable
from homeport.domain.models import InstalledModel
from homeport.domain.operations import Announcement
from homeport.models import catalogue
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.local import LocalServing
from homeport.settings import Settings, check_exposure
from homeport.store.images import ImageFolder

_STOP_WAIT_S = 30.0
_LLAMA_KINDS = ("embeddings", "moderation")


_IMAGE_SWEEP_INTERVAL_S = 60.0


def check_settings(settings: Settings) -> None:
    """Check what settings alone do not tell: an address that others can reach needs a key, and so does a server whose
    keys are lost. Raises SettingsError or Unavailable.
    """
    accounts.check_kept(settings)
    check_exposure(settings, has_keys=not settings.is_loopback and accounts.has_keys(settings))


def serve(settings: Settings, announce: Callable[[Announcement], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. Raises what keeps it from starting."""
    check_settings(settings)
    log_setup.configure_logging(settings.log_level, settings.log_format)
    uvloop.run(Server(settings, announce).run())


class Server:
    """Everything of one running server, put together."""

    def __init__(self, settings: Settings, announce: Callable[[Announcement], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._store = served_store(settings)
        self._registry = model_registry(settings)
        self._loops = BackgroundLoops()
        self._serving = LocalServing(
            options.serving(settings), job_options=self._engine_options, job_files=self._engine_files, loops=self._loops
        )
        self._running: runfile.RunningServer | None = None
        self._token = runfile.fresh_token()
        self._spool = spool.create_spool(settings.home)
        self._pictures = ImageFolder(settings.home / IMAGES_FOLDER, settings.picture_url_s)
        self._accounts = Storage(settings, self._pictures.sizes, partial(fine_tuned_sizes, settings))
        self._pictures.check = partial(self._accounts.storage.check, param=None)
        self._jobs = BatchService(self._serving, self._accounts.batches, self._accounts.files, self._spool, self._loops)
        self._tuner = fine_tuning.fine_tuning_service(
            settings, self._accounts, kernel_library(settings), self._registry.remove
        )

    async def run(self) -> None:
        """Build the application and listen until told to stop."""
        settings = self._settings
        services = Services(
            serving=self._serving,
            registry=self._registry,
            images=self._pictures,
            limits=options.request_limits(settings),
            metrics=Metrics(self._serving.stats, jobs=self._tuner.counts, loops=self._loops),
            loops=self._loops,
            access=self._access_policy(),
            spool=self._spool,
            organization=settings.organization,
            list_aliases=settings.list_aliases,
            version=homeport.__version__,
            operations=LocalWorkerOperations(self._serving, _STOP_WAIT_S),
            keys=self._accounts.keys,
            ledger=self._accounts.usage_ledger,
            usage=self._accounts.usage,
            storage=self._accounts.storage,
            files=self._accounts.files,
            uploads=self._accounts.uploads,
            batches=self._accounts.batches,
            rate_limiter=self._accounts.rate_limiter,
            fine_tuning=self._tuner,
        )
        application = build_application(services)
        listener = HttpServer(
            application,
            settings.host,
            settings.port,
            on_listening=self._on_listening,
            drain=self._drain,
            limits=options.connection_limits(settings),
        )
        await self._serving.start()
        self._accounts.start(self._loops)
        self._loops.start("pictures", partial(asyncio.to_thread, self._pictures.sweep), _IMAGE_SWEEP_INTERVAL_S)
        tuning = asyncio.create_task(self._tuner.run(self._loops))
        try:
            await self._serving.preload(self._models_to_preload())
            self._jobs.start(InProcessDispatcher(application, self._advertised_host), services.metrics)
            await listener.run_here()
        finally:
            await self._jobs.stop()
            tuning.cancel()
            await asyncio.gather(tuning, self._loops.stop(), return_exceptions=True)
            await self._serving.close()
            self._accounts.close()
            spool.remove_spool(self._spool)
            self._pictures.sweep()
            if self._running is not None:
                runfile.withdraw(settings.home, self._running)

    async def _drain(self) -> None:
        self._tuner.shut_down()
        await self._jobs.stop()
        await self._serving.drain(self._settings.drain_s)

    def _advertised_host(self) -> str:
        return urlsplit(self._running.url).netloc if self._running else "localhost"

    def _models_to_preload(self) -> Sequence[InstalledModel]:
        """The models to load before listening: those asked for, else the one that OpenAI's text names stand for."""
        names = self._settings.models or tuple(name for name in (self._registry.defaults.get(TEXT_KIND),) if name)
        found = [model for name in names if (model := self._store.find(name))]
        return [
            model if model.parent is None else self._registry.resolve(model.facts.name, "").model for model in found
        ]

    def _on_listening(self, port: int) -> None:
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
                models=(*first, *(name for name in bases if name not in first)),
                aliases={alias.name: alias.target for alias in self._registry.aliases()},
                kernels=loaded[0].kernels if loaded else "loaded with the first model",
                notes=tuple(note for found in loaded for note in found.notes),
                tuned=len(self._store.names()) - len(bases),
            )
        )

    def _displayed_key(self) -> str | None:
        if self._settings.api_keys:
            return self._settings.api_keys[0]
        return "KEY  # one that `homeport keys create` told" if self._accounts.key_cache.requires_key else None

    def _engine_files(self, model: InstalledModel) -> Mapping[str, Path]:
        """A model's own files by role, and those of the models it needs as `<model>/<role>`."""
        files = dict(model.files)
        entry = catalogue.built_in().find(model.facts.name)
        for name in entry.needs if entry else ():
            needed = self._store.find(name)
            if needed is None:
                raise Unavailable(
                    f"{model.facts.name} needs {name}, which is not installed: run `homeport pull {name}`."
                )
            files |= {f"{name}/{role}": path for role, path in needed.files.items()}
        return files

    def _engine_options(self, model: InstalledModel) -> Mapping[str, str | int | float | bool | None]:
        """What an engine is told at its start, by kind: each takes its own options only."""
        settings = self._settings
        library = kernel_library(settings)
        kernels = {"library": str(library) if library else None, "threads": settings.threads}
        if model.facts.kind in _LLAMA_KINDS:
            return kernels
        if model.facts.kind != TEXT_KIND:
            return {"threads": settings.threads, **self._store.manifest(model.facts.name).options}
        return {**options.text(settings, model.facts.name), **kernels}

    def _access_policy(self) -> AccessPolicy:
        """Who may come in. This user's own tools hold a token, which opens everything."""
        settings = self._settings
        return AccessPolicy.from_keys(
            settings.api_keys,
            settings.cors_origins,
            admin_keys=[settings.admin_key] if settings.admin_key else (),
            tool_tokens=[self._token],
            key_cache=self._accounts.key_cache,
            scraping=Scraping.of(settings.metrics, settings.metrics_key),
        )
