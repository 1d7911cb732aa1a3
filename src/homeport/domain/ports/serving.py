"""The sockets of the house: Protocols that one room needs and another fills. `app` plugs them together."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from homeport.domain.events import Admitted, Event
from homeport.domain.files import File, Listing, Upload, UploadPart
from homeport.domain.images import Format
from homeport.domain.keys import (
    LOCAL,
    Issued,
    Key,
    Wanted,
)
from homeport.domain.models import Alias, Gauges, Installed, Loaded, Resolved
from homeport.domain.storage import Stored
from homeport.domain.training import (
    Method,
    Told,
    Tuned,
    TuningWork,
)
from homeport.domain.usage import Question, Spent, Sum
from homeport.domain.worker_messages import Request

Emit = Callable[[Sequence[tuple[int, Event]]], None]
More = Callable[[int, int], int]
"""How many more tokens a request gets, given the tokens used so far and the most it can still use; 0: none are left."""


class Engine(Protocol):
    """One loaded model inside a worker. Threads: `run` owns one; the others are called from the link's thread."""

    @property
    def loaded(self) -> Loaded:
        """Facts about the loaded model."""
        ...

    def open(self, id: int, request: Request, credit: int) -> None:
        """Take a request. Never blocks: checks and tokenising happen on the engine's own threads."""
        ...

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        ...

    def grant(self, id: int, n: int) -> None:
        """Answer a request's `QuotaLow`: `n` more tokens, 0 for no more at all."""
        ...

    def cancel(self, id: int) -> None:
        """Drop a request and free what it holds within one step. Unknown ids are ignored."""
        ...

    def gauges(self) -> Gauges:
        """How it stands now. Callable from any thread."""
        ...

    def run(self, emit: Emit) -> None:
        """Work until `close`; `emit` gets the events of each step, in order."""
        ...

    def close(self) -> None:
        """Make `run` return soon. Callable from any thread."""
        ...


class Stream(Protocol):
    """One request under way, as the gateway sees it. `aclose` cancels what is not finished; always call it."""

    model: str

    async def admitted(self) -> Admitted:
        """Wait until the worker has accepted the request; raise its error otherwise."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """Give the events after `Admitted`, in batches as they arrive, `Done` last. Raises what `Failed` carries."""
        ...

    async def aclose(self) -> None:
        """Cancel if unfinished and give back the lease. Safe to call twice."""
        ...


class Serving(Protocol):
    """Runs requests on models, wherever these live: child processes here, replicas in a cluster."""

    async def open(
        self,
        model: Installed,
        request: Request,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> Stream:
        """Admit a request (load the model first if need be). Raises Overloaded or Unavailable before any work.

        What is in the background rests while others ask. Holders share a model's places; `more` is asked when a
        request's quota runs low.
        """
        ...

    def loaded(self, model: str) -> Loaded | None:
        """Facts of a model that is loaded now, else None."""
        ...

    def gauges(self) -> dict[str, Gauges]:
        """The latest gauges of every loaded model, by real name."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether requests would be served now: not draining, no supervised worker dead or stuck."""
        ...


class Operations(Protocol):
    """What an operator may see of the workers, and do to them. `Serving` of one machine has these too."""

    def status(self) -> Sequence[msgspec.Struct]:
        """How every worker stands now: `model`, `pid`, `state` and what else is known, as it goes out in JSON."""
        ...

    async def stop(self, model: str) -> bool:
        """Unload a model, by real name. False where it is not loaded."""
        ...


class Registry(Protocol):
    """Knows which models are installed and which names stand for them. Never downloads, deletes on a caller's word."""

    def resolve(self, name: str, capability: str) -> Resolved:
        """Find the model behind a name, whatever it can do where `capability` is empty.

        Raises ModelMissing (with near matches) or InvalidRequest (wrong kind).
        """
        ...

    def models(self) -> Sequence[Installed]:
        """Every installed model."""
        ...

    def aliases(self) -> Sequence[Alias]:
        """Every alias whose target is installed."""
        ...

    def remove(self, name: str) -> None:
        """Delete a fine-tuned model, by its real name. Requests that it answers now are answered."""
        ...


class Pictures(Protocol):
    """Keeps pictures for a while, under names that nobody can guess. Both may block: call them in a thread."""

    def keep(self, data: bytes, format: Format, project: str = LOCAL) -> str:
        """Keep a project's picture and give its name, which ends in `.<format>`. Raises InvalidRequest over a limit."""
        ...

    def find(self, name: str) -> bytes | None:
        """Give a picture by its name; None where it has expired or never was, whatever the name is."""
        ...


class Keys(Protocol):
    """The keys as they are known in memory. Never waits."""

    @property
    def is_closed(self) -> bool:
        """Whether a key was ever made: then nobody comes in without one, also if all are revoked."""
        ...

    def find(self, secret: str) -> Key | None:
        """The key with this secret, if it opens anything now."""
        ...

    def named(self, key_id: str) -> Key | None:
        """The key with this id, if it opens anything now."""
        ...

    async def refresh(self) -> None:
        """See at once what has just been changed."""
        ...


class KeyBook(Protocol):
    """The keys as they are kept. Synchronous: on the event loop it is called through a thread."""

    def create(self, wanted: Wanted) -> Issued:
        """Make a key; its `models` are real names. Raises InvalidRequest naming the field."""
        ...

    def every(self) -> Sequence[Key]:
        """All keys, the oldest first, those that no longer open anything included."""
        ...

    def show(self, key_id: str) -> Key:
        """One key. Raises Missing."""
        ...

    def revoke(self, key_id: str) -> Key:
        """Have a key open nothing from now on. Raises Missing."""
        ...

    def rotate(self, key_id: str) -> Issued:
        """Give a key a new secret; the old one opens nothing from now on. Raises Missing, or InvalidRequest."""
        ...


class Ledger(Protocol):
    """Where usage is written down at once, to survive the end of the process. Fast enough for the event loop."""

    def write(self, spent: Spent) -> None:
        """Write a record down. Raises StorageFull; then it is not written."""
        ...

    async def kept(self) -> None:
        """Wait, for a moment at most, until what was written would survive a power cut."""
        ...


class UsageBook(Protocol):
    """Usage as it is kept. Synchronous: on the event loop it is called through a thread."""

    def fold(self) -> int:
        """Take in what ledgers have written since; give the number of records."""
        ...

    def sums(self, question: Question) -> Sequence[Sum]:
        """Sum up, by span of time and group, in this order."""
        ...


class FileBook(Protocol):
    """Files as they are kept; a project sees its own alone. Synchronous but for `content`."""

    def add(self, file: File, content: Path) -> File:
        """Keep a file; its id and times are made here, `expires_at` of the one given counts from now.

        Raises StorageFull, Unavailable, or InvalidRequest over the project's limit; then nothing is kept.
        """
        ...

    def check_room(self, project: str, n_bytes: int) -> None:
        """Raise InvalidRequest where a project may not keep so many bytes more."""
        ...

    def every(self, project: str, listing: Listing) -> tuple[Sequence[File], bool]:
        """A project's files, and whether there are more. Raises InvalidRequest for an unknown `after`."""
        ...

    def show(self, project: str, file_id: str) -> File:
        """One file of a project. Raises Missing, also for another project's."""
        ...

    def delete(self, project: str, file_id: str) -> None:
        """Forget a file of a project. Raises Missing."""
        ...

    def content(self, file: File) -> AsyncGenerator[bytes, None]:
        """A file's content, piece by piece. Raises Missing before the first."""
        ...

    def copy(self, file: File, target: Path) -> None:
        """Write a file's content to a path, for what reads it by path."""
        ...


class Storage(Protocol):
    """What projects keep. Synchronous: on the event loop it is called through a thread."""

    def every(self) -> Sequence[Stored]:
        """What every project keeps that keeps anything."""
        ...


class UploadBook(Protocol):
    """Uploads in parts as they are kept; a project sees its own alone. Synchronous."""

    def begin(self, upload: Upload) -> Upload:
        """Begin an upload; its id, times and status are made here. Raises InvalidRequest over the project's limit."""
        ...

    def show(self, project: str, upload_id: str) -> Upload:
        """One upload of a project, as it stands. Raises Missing, also for another project's."""
        ...

    def add(self, project: str, upload_id: str, content: Path) -> UploadPart:
        """Keep one part. Raises Missing, or InvalidRequest where the upload takes no more."""
        ...

    def assemble(self, project: str, upload_id: str, part_ids: Sequence[str], target: Path) -> Upload:
        """Write these parts, in this order, to a path. Raises Missing, or InvalidRequest for parts that do not fit."""
        ...

    def complete(self, upload: Upload, content: Path) -> tuple[Upload, File]:
        """Make the file. Raises InvalidRequest where another request was faster."""
        ...

    def cancel(self, project: str, upload_id: str) -> Upload:
        """End an upload without a file. Raises Missing, or InvalidRequest for one that has ended."""
        ...


class Training(Protocol):
    """One training. `stop` may be called from any thread; the rest is synchronous."""

    def run(self, hear: Callable[[Told], None]) -> Tuned | None:
        """Train to the end and install the new model; None where it was stopped. Blocks, and calls `hear` meanwhile.

        Raises whatever it failed of: InvalidRequest for files and models that do not fit, Unavailable for want of
        memory or PyTorch, EngineFailed.
        """
        ...

    def stop(self) -> None:
        """End it after the step under way, also before it runs; what was done is kept, and the same work goes on."""
        ...

    def discard(self) -> None:
        """Remove all that it wrote, checkpoints included, but not the model that it ended with. Not while it runs."""
        ...


class Trainings(Protocol):
    """Trains models in processes of low priority. Synchronous: on the event loop it is called through a thread."""

    def accept(self, model: str) -> str:
        """The hash of what would be trained, by real name.

        Raises ModelMissing, InvalidRequest for a model that cannot be trained, and Unavailable where the extra is
        missing.
        """
        ...

    def name(self, model: str, suffix: str | None, identity: str) -> str:
        """What a fine-tuned model is called: `ft:model:organization:suffix:identity`. Raises InvalidRequest."""
        ...

    def examine(self, file: Path, method: Method, param: str) -> None:
        """Read a file as examples for a method. Raises InvalidRequest that names the field `param` and the line."""
        ...

    def training(self, work: TuningWork) -> Training:
        """The training of accepted work, to be run."""
        ...
