"""Fine-tuning put together from settings, for `app` and its commands.

What `app` is for everything, this is for what trains. Knows nothing of HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.app import storage
from homeport.app.storage import Accounts
from homeport.domain.models import Installed
from homeport.domain.training import Told, TuningOrder
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models import fine_tuned
from homeport.models.model_store import Store
from homeport.models.registry import Registry
from homeport.serving.fine_tuning.attempt import Bench
from homeport.serving.fine_tuning.service import Tuner
from homeport.settings import Settings, patient_environment
from homeport.training import local_run
from homeport.training.service import Ground, Workshop

_READER = "homeport.engines.text.executors.llama.training_reader:load"
_FOLDER, _JOBS = "tuning", "fine-tunes"


def workshop(settings: Settings, library: Path | None) -> Workshop:
    """Where models are trained; `library`: the kernels that read their files. Fills `domain.ports.Trainings`."""
    folder = settings.home / _FOLDER
    ground = Ground(
        settings.organization, folder, _READER, library, settings.threads, environment=patient_environment()
    )
    return Workshop(ground, _Shelf(settings))


def tuner(settings: Settings, kept: Accounts, library: Path | None, forget: Callable[[str], None]) -> Tuner:
    """Who takes jobs and has them trained; `forget` deletes a fine-tuned model by its name."""
    bench = Bench(
        trainings=workshop(settings, library),
        book=kept.fine_tunes,
        log=kept.training_log,
        files=kept.files,
        forget=forget,
        folder=storage.beside(settings, _JOBS),
    )
    return Tuner(bench, settings.max_tuning_queue)


def finetune(
    settings: Settings, order: TuningOrder, registry: Registry, library: Path | None, hear: Callable[[Told], None]
) -> Installed:
    """Train a model on a file, here and now, and install what comes of it; the same order goes on where it was cut."""
    real = registry.resolve(order.model, "completions").meant.facts.name
    done = local_run.train(msgspec.structs.replace(order, model=real), workshop(settings, library), hear)
    return registry.resolve(done.model, "").meant


class _Shelf:
    """The store, with every model as it was fetched, in whatever layout it is served. Fills `tuning.workshop.Shelf`."""

    def __init__(self, settings: Settings) -> None:
        self._store = Store(settings.home, ORIGINAL)

    def find(self, name: str) -> Installed | None:
        """The model of this name, or None."""
        return self._store.find(name)

    def names(self) -> Sequence[str]:
        """The names of all models."""
        return self._store.names()

    def install(self, name: str, parent: str, files: Mapping[str, Path], source: str, project: str | None) -> Installed:
        """Install what adapts a model."""
        return fine_tuned.install(self._store, name, parent, files, source, project)

    def parent(self, tuned: Installed) -> Installed | None:
        """The model that a fine-tuned one adapts, if it is as it was then."""
        return self._store.parent(tuned)

    def remove(self, name: str) -> None:
        """Delete a model. Raises ModelMissing."""
        self._store.remove(name)
