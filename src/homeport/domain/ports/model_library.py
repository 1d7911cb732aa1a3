"""What the gateway needs to manage models: overview, checks, removal, aliases, and the records of model jobs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from homeport.domain.model_jobs import ModelJob, NewModelJob, TaskEvent
from homeport.domain.model_library import AliasEntry, LibraryOverview


class ModelLibrary(Protocol):
    """The models of this machine, for an operator. Every method blocks: call it in a thread."""

    def overview(self) -> LibraryOverview:
        """Return every model that is installed or in the catalogue."""
        ...

    def plan_pull(
        self,
        reference: str,
        projector: str | None,
        *,
        optimize: bool | None,
        reads_files: bool,
        accepts_licence: bool = False,
    ) -> NewModelJob:
        """Return the job that pulls a reference, checked as far as possible without a network.

        `optimize` None: if that is the default for the model. `reads_files`: whether a `file:` reference is allowed.
        Raises InvalidRequest, ModelNotFound, Forbidden (also for a licence that is not accepted), or Unavailable if
        nothing may be fetched.
        """
        ...

    def plan_optimization(self, name: str, layout: str | None, *, is_dry: bool) -> NewModelJob:
        """Return the job that optimizes an installed model. Raises ModelNotFound and InvalidRequest."""
        ...

    def remove(self, name: str) -> int:
        """Delete an installed model's files; return the number of bytes freed.

        Raises ModelNotFound, InvalidRequest while fine-tuned models need it, or Unavailable while it is being pulled.
        """
        ...

    def discard_partial(self, name: str) -> None:
        """Delete what an unfinished pull of this model left, unless another process pulls it now."""
        ...

    def list_aliases(self) -> Sequence[AliasEntry]:
        """Return every alias, those without an installed model and removed ones too."""
        ...

    def set_alias(self, name: str, target: str, encoding: str | None) -> AliasEntry:
        """Make a name stand for an installed model, also for other servers of this home and after restarts.

        `encoding` None: that of OpenAI's name. Raises InvalidRequest, ModelNotFound, or Conflict if a setting fixes it.
        """
        ...

    def remove_alias(self, name: str) -> None:
        """Make a name stand for nothing. Raises NotFound, or Conflict if a setting fixes it."""
        ...

    def reset_alias(self, name: str) -> AliasEntry | None:
        """Forget what was recorded of a name; return its built-in meaning, if it has one. Raises NotFound."""
        ...


class ModelJobRecords(Protocol):
    """The records of model jobs, which outlive the server. Every method blocks."""

    def load(self) -> Sequence[ModelJob]:
        """Return all recorded jobs, the oldest first."""
        ...

    def save(self, job: ModelJob) -> None:
        """Record a job, or its new state."""
        ...

    def remove(self, job_id: str) -> None:
        """Delete a record."""
        ...


class ModelTaskLauncher(Protocol):
    """Starts the process of a job."""

    def __call__(self, job: ModelJob) -> AbstractAsyncContextManager[AsyncIterator[TaskEvent]]:
        """Start a process. Inside the block its events arrive; at the end of the block it is gone."""
        ...
