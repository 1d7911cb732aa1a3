"""Trains models and installs them: takes accepted tasks, returns installed models.

Implements `domain.ports.tuning.TrainingService`. Knows nothing of records, nor of where models are stored
(`AdapterStore`).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.domain.models import ADAPTER, InstalledModel
from homeport.domain.training import (
    MAX_CHECKPOINTS,
    CheckpointSaved,
    Method,
    TrainingEvent,
    TrainingFinished,
    TrainingResult,
    TrainingSpec,
    TrainingTask,
)
from homeport.training import dataset, metrics_table
from homeport.training.process import OnEvent, TrainingProcess, require_torch

MAX_SUFFIX_CHARACTERS = 64  # like OpenAI's
_WEIGHTS, _REST = "weights", "weights-2"
_CHECKPOINT = ":ckpt-step-"


class TrainingEnvironment(msgspec.Struct, frozen=True):
    """The settings of training runs. `folder`: their working folder; `environment`: their processes'.

    The other fields are those of `TrainingSpec`.
    """

    organization: str
    folder: Path
    reader: str
    library: Path | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    environment: Mapping[str, str] | None = None


class AdapterStore(Protocol):
    """The models, with their weights in the original layout."""

    def find(self, name: str) -> InstalledModel | None:
        """Return the model of this name, or None."""
        ...

    def install(
        self, name: str, parent: str, files: Mapping[str, Path], source: str, project: str | None
    ) -> InstalledModel:
        """Install a fine-tuned model: its files by role are moved; `source` is its origin as text."""
        ...

    def parent(self, tuned: InstalledModel) -> InstalledModel | None:
        """Return the base model of a fine-tuned one, if the files that it was trained on are installed."""
        ...

    def remove(self, name: str) -> None:
        """Delete a model. Raises ModelNotFound."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all models."""
        ...


class LocalTrainingService:
    """Trains models. Any number of training runs may run at once, each in its own process."""

    def __init__(self, environment: TrainingEnvironment, store: AdapterStore) -> None:
        self._environment = environment
        self._store = store

    def check_model(self, model: str) -> str:
        """Return the digest of a model that can be trained. Raises Unavailable, ModelNotFound, InvalidRequest."""
        require_torch()
        return _digest(*self._find_model(model))

    def model_name(self, model: str, suffix: str | None, identity: str) -> str:
        """Return `ft:model:organization:suffix:identity`, with the base model's name. Raises InvalidRequest."""
        if suffix is not None and len(suffix) > MAX_SUFFIX_CHARACTERS:
            raise InvalidRequest(f"A suffix has at most {MAX_SUFFIX_CHARACTERS} characters.", param="suffix")
        known = self._store.find(model)
        base = known.parent if known and known.parent else model
        return ":".join(("ft", base, _slug(self._environment.organization), _slug(suffix or ""), identity))

    def check_file(self, file: Path, method: Method, param: str) -> None:
        """Check that a file holds examples for a method. Raises InvalidRequest that names the field and the line."""
        dataset.check(file, method, param)

    def prepare_run(self, task: TrainingTask) -> "LocalTrainingRun":
        """Return the training run of a task. Raises InvalidRequest if its model has changed since it was accepted."""
        model, start = self._find_model(task.model)
        if _digest(model, start) != task.digest:
            raise InvalidRequest(f"The files of `{task.model}` have changed since the job was created.", param="model")
        environment = self._environment
        spec = TrainingSpec(
            environment.folder / task.id,
            model.files[_WEIGHTS],
            task.digest,
            environment.reader,
            task.training_file,
            task.validation_file,
            task.hyperparameters,
            environment.library,
            environment.threads,
            environment.memory_bytes,
            start.files[ADAPTER] if start else None,
        )
        return LocalTrainingRun(
            msgspec.structs.replace(task, model=model.facts.name),
            TrainingProcess(spec, environment.environment),
            self._store,
        )

    def _find_model(self, name: str) -> tuple[InstalledModel, InstalledModel | None]:
        """Return the base model to train, and the fine-tuned one to start from, if one is named."""
        model = self._store.find(name)
        start = model if model and model.parent else None
        if start:
            model = self._store.parent(start)
        if model is None:
            raise ModelNotFound(f"The model `{name}`, or its base model, is not installed.", param="model")
        if _REST in model.files or _WEIGHTS not in model.files:
            raise InvalidRequest(f"`{name}` cannot be fine-tuned: its weights must be one GGUF file.", param="model")
        return model, start


class LocalTrainingRun:
    """One training run. `stop` may be called from any thread; the rest blocks."""

    def __init__(self, task: TrainingTask, process: TrainingProcess, store: AdapterStore) -> None:
        self._task = task
        self._process = process
        self._store = store

    def run(self, on_event: OnEvent) -> TrainingResult | None:
        """Train to the end and install the result; None if it was stopped. A finished result is returned at once."""
        name = self._task.name
        if (installed := self._store.find(name)) is None:
            result = self._process.run(lambda event: on_event(self._install_checkpoint(event)))
            if result is None:
                return None
            installed = self._install(name, result)
        self._process.discard()
        table = installed.files[metrics_table.ROLE]
        return TrainingResult(name, table, metrics_table.trained_tokens(table.read_text(encoding="utf-8")))

    def stop(self) -> None:
        """End the run after the current step, or before it starts; a later run of the same task resumes."""
        self._process.stop()

    def discard(self) -> None:
        """Delete all that the run wrote, except its final model. Not while it runs."""
        self._process.discard()
        for name in self._checkpoints().values():
            self._store.remove(name)

    def _install(self, name: str, result: TrainingFinished) -> InstalledModel:
        folder, task = self._process.folder, self._task
        files = {ADAPTER: folder / result.adapter, metrics_table.ROLE: folder / result.results}
        source = f"fine-tuned here on {task.training_file.name}"
        return self._store.install(name, task.model, files, source, task.project)

    def _install_checkpoint(self, event: TrainingEvent) -> TrainingEvent:
        """Install a saved checkpoint as a model, if wanted, and delete the oldest; return the event with its name."""
        task = self._task
        if not isinstance(event, CheckpointSaved) or not task.keeps_checkpoints:
            return event
        name = f"{task.name}{_CHECKPOINT}{event.step}"
        if self._store.find(name) is None:
            files = {ADAPTER: self._process.folder / event.file}
            self._store.install(name, task.model, files, f"step {event.step} of {task.name}", task.project)
        checkpoints = self._checkpoints()
        for step in sorted(checkpoints)[:-MAX_CHECKPOINTS]:
            self._store.remove(checkpoints[step])
        return msgspec.structs.replace(event, model=name)

    def _checkpoints(self) -> dict[int, str]:
        """Return the names of its checkpoints' models, by step."""
        start = f"{self._task.name}{_CHECKPOINT}"
        return {int(name.removeprefix(start)): name for name in self._store.names() if name.startswith(start)}


def _digest(model: InstalledModel, start: InstalledModel | None) -> str:
    return f"{model.digest}+{start.digest}" if start else model.digest


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")
