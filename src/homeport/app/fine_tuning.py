"""Fine-tuning, built from the settings: the training service, the fine-tuning jobs, a local run.

Knows nothing of HTTP.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from homeport.app.models import kernel_library, model_registry
from homeport.app.storage import Storage, data_folder
from homeport.domain.child_environment import low_priority_environment
from homeport.domain.models import InstalledModel
from homeport.domain.training import TrainingEvent, TrainingRequest
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models import fine_tuned
from homeport.models.model_store import ModelStore
from homeport.serving.fine_tuning.attempt import FineTuningDeps
from homeport.serving.fine_tuning.service import FineTuningService
from homeport.settings import Settings
from homeport.training import local_run
from homeport.training.service import LocalTrainingService, TrainingEnvironment

_READER = "homeport.engines.text.executors.llama.training_reader:load"
_RUNS_FOLDER, _JOBS_SUFFIX = "tuning", "fine-tunes"


def training_service(settings: Settings) -> LocalTrainingService:
    """The service that trains models on this machine, in processes of low priority."""
    environment = TrainingEnvironment(
        settings.organization,
        settings.home / _RUNS_FOLDER,
        _READER,
        kernel_library(settings),
        settings.threads,
        environment=low_priority_environment(),
    )
    return LocalTrainingService(environment, _AdapterStore(settings.home))


def fine_tuning_service(settings: Settings, storage: Storage, remove_model: Callable[[str], None]) -> FineTuningService:
    """The service that runs fine-tuning jobs. `remove_model` deletes a fine-tuned model by its name."""
    deps = FineTuningDeps(
        training=training_service(settings),
        jobs=storage.fine_tuning_jobs,
        queue=storage.training_queue,
        files=storage.files,
        remove_model=remove_model,
        folder=data_folder(settings, _JOBS_SUFFIX),
    )
    return FineTuningService(deps, settings.max_tuning_queue)


def train_locally(
    settings: Settings, training_request: TrainingRequest, on_event: Callable[[TrainingEvent], None]
) -> InstalledModel:
    """Train a model on a file in this process's child, and install the result.

    If the same request was interrupted before, it resumes. Raises ModelNotFound, InvalidRequest, or Unavailable.
    """
    registry = model_registry(settings)
    model = registry.resolve(training_request.model, "completions").served_model.facts.name
    result = local_run.train_locally(
        msgspec.structs.replace(training_request, model=model), training_service(settings), on_event
    )
    return registry.resolve(result.model, "").served_model


class _AdapterStore(ModelStore):
    """The model store as training uses it: models in their original layout, whatever layout is served."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, ORIGINAL)

    def install(
        self, name: str, parent: str, files: Mapping[str, Path], source: str, project: str | None
    ) -> InstalledModel:
        """Install a fine-tuned model: its adapter and other files by role."""
        return fine_tuned.install(self, name, parent, files, source, project)
