"""The composition root: settings in, one running server (or one finished command) out.

The only module that knows every room. It builds, connects and names; whatever has a rule of its own lives in a room.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

import homeport
from homeport.api.access import Access, Scraping
from homeport.api.application import build
from homeport.api.dispatcher import Dispatch
from homeport.api.http_server import Listener
from homeport.api.metrics import Meters
from homeport.api.services import Services
from homeport.app import (
    doctor,
    fine_tuning,
    log_setup,
    native_probes,
    options,
    spool,
)
from homeport.app import storage as accounts  # `accounts` is a part of what the commands call
from homeport.app.batches import Jobs
from homeport.app.storage import Accounts
from homeport.app.workers import Workers
from homeport.client import runfile
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.keys import Issued, Wanted
from homeport.domain.models import Alias, Installed
from homeport.domain.operations import Announcement, Finding, Progress
from homeport.domain.storage import Stored
from homeport.domain.training import Told as TuningTold
from homeport.domain.training import TuningOrder
from homeport.domain.weight_layouts import ORIGINAL, Outcome, Wish
from homeport.formats import gguf_reader
from homeport.models import catalogue, weight_layouts
from homeport.models import pull as pulling
from homeport.models.kernels import Variant, installed_kernels
from homeport.models.kernels import has_kernels as has_unpacked_kernels
from homeport.models.kernels import install_kernels as unpack_kernels
from homeport.models.model_store import Store
from homeport.models.pull_options import PullOptions
from homeport.models.registry import Registry
from homeport.models.sources import reachability
from homeport.serving.background_loops import Supervisor
from homeport.serving.local import LocalServing
from homeport.settings import Settings, check_reach
from homeport.store.images import Pictures

_STOP_WAIT_S = 30.0
_REACH_S = 5.0
_PICTURES_S = 60.0
_TEXT, _ON_LLAMA = "text", ("embeddings", "moderation")
_PICTURES, _IMAGES, _PAINTER = "pictures", "images", "dall-e-2"


def missing(settings: Settings) -> Sequence[str]:
    """Give what `serve` must fetch first: models asked for and not installed; the starters if there is none at all."""
    store = Store(settings.home)
    wanted = settings.models
    if not wanted and not store.names():
        wanted = catalogue.built_in().starters
    return [reference for reference in wanted if not store.find(reference)]


def check(settings: Settings) -> None:
    """Check what settings alone do not tell: an address that others can reach needs a key, and so does a server whose
    keys are lost. Raises SettingsError or Unavailable.
    """
    accounts.check_kept(settings)
    check_reach(settings, has_keys=not settings.is_loopback and accounts.has_keys(settings))


def serve(settings: Settings, announce: Callable[[Announcement], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. Raises what keeps it from starting."""
    check(settings)
    log_setup.begin(settings.log_level, settings.log_format)
    uvloop.run(_House(settings, announce).stand())


class _House:
    """Everything of one running server, put together."""

    def __init__(self, settings: Settings, announce: Callable[[Announcement], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._store = _store(settings)
        self._registry = registry(settings)
        self._loops = Supervisor()
        self._serving = LocalServing(
            options.serving(settings), job_options=self._job_options, job_files=self._job_files, loops=self._loops
        )
        self._running: runfile.Running | None = None
        self._token = runfile.fresh_token()
        self._spool = spool.begin(settings.home)
        self._pictures = Pictures(settings.home / _PICTURES, settings.picture_url_s)
        self._accounts = Accounts(settings, self._pictures.sizes, partial(_tuned_sizes, settings))
        self._pictures.check = partial(self._accounts.storage.check, param=None)
        self._jobs = Jobs(self._serving, self._accounts.batches, self._accounts.files, self._spool, self._loops)
        self._tuner = fine_tuning.tuner(settings, self._accounts, _library(settings), self._registry.remove)

    async def stand(self) -> None:
        """Build the application and listen until told to stop."""
        settings = self._settings
        services = Services(
            serving=self._serving,
            registry=self._registry,
            pictures=self._pictures,
            limits=options.request_limits(settings),
            meters=Meters(self._serving.gauges, jobs=self._tuner.counts, loops=self._loops),
            loops=self._loops,
            access=self._access(),
            spool=self._spool,
            organization=settings.organization,
            list_aliases=settings.list_aliases,
            version=homeport.__version__,
            operations=Workers(self._serving, _STOP_WAIT_S),
            book=self._accounts.book,
            ledger=self._accounts.ledger,
            usage=self._accounts.usage,
            storage=self._accounts.storage,
            files=self._accounts.files,
            uploads=self._accounts.uploads,
            batches=self._accounts.batches,
            quotas=self._accounts.quotas,
            tuner=self._tuner,
        )
        application = build(services)
        listener = Listener(
            application,
            settings.host,
            settings.port,
            on_listening=self._on_listening,
            drain=self._drain,
            limits=options.connection_limits(settings),
        )
        await self._serving.start()
        self._accounts.start(self._loops)
        self._loops.start("pictures", partial(asyncio.to_thread, self._pictures.sweep), _PICTURES_S)
        tuning = asyncio.create_task(self._tuner.run(self._loops))
        try:
            await self._serving.preload(self._preloaded())
            self._jobs.start(Dispatch(application, self._host), services.meters)
            await listener.run_here()
        finally:
            await self._jobs.stop()
            tuning.cancel()
            await asyncio.gather(tuning, self._loops.stop(), return_exceptions=True)
            await self._serving.close()
            self._accounts.close()
            spool.end(self._spool)
            self._pictures.sweep()
            if self._running is not None:
                runfile.withdraw(settings.home, self._running)

    async def _drain(self) -> None:
        self._tuner.dismiss()
        await self._jobs.stop()
        await self._serving.drain(self._settings.drain_s)

    def _host(self) -> str:
        return urlsplit(self._running.url).netloc if self._running else "localhost"

    def _preloaded(self) -> Sequence[Installed]:
        """The models to load before listening: those asked for, else the one that OpenAI's text names stand for."""
        names = self._settings.models or tuple(name for name in (self._registry.defaults.get(_TEXT),) if name)
        found = [model for name in names if (model := self._store.find(name))]
        return [
            model if model.parent is None else self._registry.resolve(model.facts.name, "").model for model in found
        ]

    def _on_listening(self, port: int) -> None:
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{port}"
        self._running = runfile.publish(settings.home, url, port, self._token)
        loaded = [found for model in self._preloaded() if (found := self._serving.loaded(model.facts.name))]
        first = [found.model for found in loaded]
        bases = [model.facts.name for model in self._store.installed() if model.parent is None]
        self._announce(
            Announcement(
                url=url,
                key=self._key_to_say(),
                models=(*first, *(name for name in bases if name not in first)),
                aliases={alias.name: alias.target for alias in self._registry.aliases()},
                kernels=loaded[0].kernels if loaded else "loaded with the first model",
                notes=tuple(note for found in loaded for note in found.notes),
                tuned=len(self._store.names()) - len(bases),
            )
        )

    def _key_to_say(self) -> str | None:
        if self._settings.api_keys:
            return self._settings.api_keys[0]
        return "KEY  # one that `homeport keys create` told" if self._accounts.ring.is_closed else None

    def _job_files(self, model: Installed) -> Mapping[str, Path]:
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

    def _job_options(self, model: Installed) -> Mapping[str, str | int | float | bool | None]:
        """What an engine is told at its start, by kind: each takes its own options only."""
        settings = self._settings
        library = _library(settings)
        kernels = {"library": str(library) if library else None, "threads": settings.threads}
        if model.facts.kind in _ON_LLAMA:
            return kernels
        if model.facts.kind != _TEXT:
            return {"threads": settings.threads, **self._store.manifest(model.facts.name).options}
        return {**options.text(settings, model.facts.name), **kernels}

    def _access(self) -> Access:
        """Who may come in. This user's own tools hold a token, which opens everything."""
        settings = self._settings
        return Access.of(
            settings.api_keys,
            settings.cors_origins,
            admins=[settings.admin_key] if settings.admin_key else (),
            tools=[self._token],
            ring=self._accounts.ring,
            scraping=Scraping.of(settings.metrics, settings.metrics_key),
        )


def registry(settings: Settings) -> Registry:
    """The names as these settings have them.

    OpenAI's stand, in each kind, for the default model, the first one served, the catalogue's own, or the one there is.
    """
    known, store = catalogue.built_in(), _store(settings)
    defaults: dict[str, str] = {}
    starters = [found for name in known.starters if (found := store.find(name))]
    served = [found for name in settings.models if (found := store.find(name))]
    for model in (*served, *starters, *(model for model in store.installed() if model.parent is None)):
        defaults.setdefault(model.facts.kind, model.facts.name)
    if settings.default_model:
        defaults[_TEXT] = settings.default_model
    return Registry(store, known, defaults=defaults, overrides=settings.aliases)


def _store(settings: Settings) -> Store:
    """The models as they are to be loaded."""
    return Store(settings.home, None if settings.layout == "auto" else ORIGINAL)


def _library(settings: Settings) -> Path | None:
    return settings.llama_lib or installed_kernels(settings.home)


def pull(settings: Settings, reference: str, progress: Progress) -> Installed:
    """Fetch a model; at once if it is installed and whole."""
    options = PullOptions(
        offline=settings.offline,
        hubs=settings.hub_order,
        hf_endpoint=settings.hf_endpoint,
        hf_token=settings.hf_token,
        ms_endpoint=settings.ms_endpoint,
        ms_token=settings.ms_token,
        template_fault=lambda source: native_probes.template(source).fault,
    )
    return pulling.pull(reference, _store(settings), options, progress)


def optimise(settings: Settings, name: str, wish: Wish, progress: Progress) -> Outcome:
    """Lay a model's weights out for this CPU, as measured, or as asked; give what became of it."""
    library = _library(settings)
    wish = msgspec.structs.replace(wish, library=str(library) if library else None, threads=settings.threads)
    measure = partial(native_probes.measured, hear=progress.message)
    return weight_layouts.optimise(Store(settings.home), name, wish, measure, progress)


def finetune(settings: Settings, order: TuningOrder, hear: Callable[[TuningTold], None]) -> Installed:
    """Train a model on a file, here and now, and install what comes of it; the same order goes on where it was cut."""
    return fine_tuning.finetune(settings, order, registry(settings), _library(settings), hear)


def is_starter(reference: str) -> bool:
    """Whether a reference names a text model of the catalogue: these are optimised when they are fetched."""
    entry = catalogue.built_in().find(reference)
    return entry is not None and entry.kind == _TEXT


def installed(settings: Settings) -> Sequence[Installed]:
    """List the installed models."""
    return _store(settings).installed()


def aliases(settings: Settings) -> Sequence[Alias]:
    """List the names that stand for installed models."""
    return registry(settings).aliases()


def painter(settings: Settings) -> str:
    """Name the model that paints where none is named. Raises ModelMissing, telling which can be fetched."""
    known = registry(settings)
    return known.defaults.get(_IMAGES) or known.resolve(_PAINTER, _IMAGES).model.facts.name


def show(settings: Settings, name: str) -> Mapping[str, object]:
    """Tell everything known of an installed model. Raises ModelMissing."""
    made = Store(settings.home).manifest(name)
    found = msgspec.to_builtins(made.facts)
    files = [f"{file.name}  {file.size} bytes  sha256 {file.sha256}" for file in made.every]
    tried = [f"{kept.trial}; on {kept.kernels}, {kept.machine}" for kept in made.layouts]
    source = f"{made.source}{f' at {made.revision}' if made.revision else ''}"
    names = [alias.name for alias in aliases(settings) if alias.target == name]
    found |= {"parent": made.parent.name} if made.parent else {}
    if made.facts.kind == _TEXT and not made.parent:
        model = made.installed(Store(settings.home).folder(name))
        try:
            found["template"] = native_probes.template_lines(gguf_reader.read(model.files["weights"]).template)
        except InvalidRequest as error:
            found["template"] = [error.message]
    return {**found, "source": source, "layout": made.active, "layouts": tried, "files": files, "aliases": names}


def create_key(settings: Settings, wanted: Wanted) -> Issued:
    """Make a key; it opens the models that its aliases stand for now. Raises InvalidRequest, ModelMissing."""
    known = registry(settings)
    models = tuple(dict.fromkeys(known.resolve(name, "").meant.facts.name for name in wanted.models))
    return accounts.create_key(settings, msgspec.structs.replace(wanted, models=models))


def remove(settings: Settings, name: str) -> int:
    """Delete a model's files; give the bytes freed."""
    store = Store(settings.home)
    freed = sum(file.size for file in store.manifest(name).every) if store.find(name) else 0
    store.remove(name)
    return freed


def storage(settings: Settings) -> Sequence[Stored]:
    """What every project keeps, in the database and beside it."""
    pictures = Pictures(settings.home / _PICTURES, settings.picture_url_s)
    return accounts.storage(settings, pictures.sizes, partial(_tuned_sizes, settings))


def _tuned_sizes(settings: Settings) -> Mapping[str, int]:
    """The bytes of each project's fine-tuned models."""
    found: Counter[str] = Counter()
    for model in _store(settings).installed():
        if model.project is not None:
            found[model.project] += model.facts.size_bytes
    return found


def install_kernels(settings: Settings, flavour: str, file: Path | None, progress: Progress) -> str:
    """Install kernels (`cpu`, `cuda`, `vulkan`), fetched by npm or from a file; give their description."""
    unpack_kernels(settings.home, cast("Variant", flavour), file, progress, offline=settings.offline)
    return kernels(settings)


def has_kernels(settings: Settings, flavour: str) -> bool:
    """Tell whether kernels of this release, or of another flavour than this, are installed."""
    return has_unpacked_kernels(settings.home, cast("Variant", flavour))


def kernels(settings: Settings) -> str:
    """Describe the kernels that would be used. Raises Unavailable where they do not load."""
    return native_probes.kernels(_library(settings))


def diagnose(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """Examine the machine and the installation, one finding at a time. Touches the network only if `online`."""
    store = Store(settings.home)
    endpoints = {"hf": settings.hf_endpoint, "ms": settings.ms_endpoint}
    probes = doctor.Probes(
        kernels=lambda: kernels(settings),
        models=store.installed,
        verify=lambda model: store.verify(model.facts.name),
        hubs=[hub for hub in settings.hub_order if hub in endpoints],
        reach=lambda hub: _reach(endpoints[hub]),
    )
    return doctor.examine(settings, probes, online=online)


def _reach(endpoint: str) -> str:
    if reason := reachability.why_not(endpoint, _REACH_S):
        raise Unavailable(f"{endpoint} cannot be reached: {reason}")
    return f"{endpoint} answers"
