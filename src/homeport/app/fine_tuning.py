"""Fine-tuning put together from settings, for `app` and its commands.

What `app` is for everything, this is for what trains. Knows nothing of HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.app.storage import Storage, data_folder
from homeport.domain.child_environment import low_priority_environment
from homeport.domain.models import InstalledModel
from homeport.domain.training import TrainingEvent, TrainingRequest
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models import fine_tuned
from homeport.models.model_store import ModelStore
from homeport.models.registry import InstalledModelRegistry
from homeport.serving.fine_tuning.attempt import FineTuningDeps
from homeport.serving.fine_tuning.service import FineTuningService
from homeport.settings import Settings
from homeport.training import local_run
from homeport.training.service import LocalTrainingService, TrainingEnvironment

_READER = "homeport.engines.text.executors.llama.training_reader:load"
_FOLDER, _JOBS = "tuning", "fine-tunes"


def training_service(settings: Settings, library: Path | None) -> LocalTrainingService:
    """Where models are trained; `library`: the kernels that read their files. Fills `domain.ports.Trainings`."""
    folder = settings.home / _FOLDER
    ground = TrainingEnvironment(
        settings.organization, folder, _READER, library, settings.threads, environment=low_priority_environment()
    )
    return LocalTrainingService(ground, _AdapterStore(settings))


def fine_tuning_service(
    settings: Settings, storage: Storage, library: Path | None, remove_model: Callable[[str], None]
) -> FineTuningService:
    """Who takes jobs and has them trained; `forget` deletes a fine-tuned model by its name."""
    bench = FineTuningDeps(
        training=training_service(settings, library),
        jobs=storage.fine_tuning_jobs,
        queue=storage.training_queue,
        files=storage.files,
        remove_model=remove_model,
        folder=data_folder(settings, _JOBS),
    )
    return FineTuningService(bench, settings.max_tuning_queue)


def train_locally(
    settings: Settings,
    training_request: TrainingRequest,
    registry: InstalledModelRegistry,
    library: Path | None,
    on_event: Callable[[TrainingEvent], None],
) -> InstalledModel:
    """Train a model on a file, here and now, and install what comes of it; the same order goes on where it was cut."""
    real = registry.resolve(training_request.model, "completions").served_model.facts.name
    done = local_run.train_locally(
        msgspec.structs.replace(training_request, model=real), training_service(settings, library), on_event
    )
    return registry.resolve(done.model, "").served_model


class _AdapterStore:
    """The store, with every model as it was fetched, in whatever layout it is served. Fills `tuning.workshop.Shelf`."""

    def __init__(self, settings: Settings) -> None:
        self._store = ModelStore(settings.home, ORIGINAL)

    def find(self, name: str) -> InstalledModel | None:
        """The model of this name, or None."""
        return self._store.find(name)

    def names(self) -> Sequence[str]:
        """The names of all models."""
        return self._store.names()

    def install(
        self, name: str, parent: str, files: Mapping[str, Path], source: str, project: str | None
    ) -> InstalledModel:
        """Install what adapts a model."""
        return fine_tuned.install(self._store, name, parent, files, source, project)

    def parent(self, tuned: InstalledModel) -> InstalledModel | None:
        """The model that a fine-tuned one adapts, if it is as it was then."""
        return self._store.parent(tuned)

    def remove(self, name: str) -> None:
        """Delete a model. Raises ModelNotFound."""
        self._store.remove(name)
