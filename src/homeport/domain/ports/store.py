"""What rooms need of the store: keys, usage, files, uploads, batches, images, fine-tuning jobs."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.batches import (
    Batch,
    BatchError,
    LineResult,
    NewBatch,
)
from homeport.domain.files import (
    File,
    NewFile,
    NewUpload,
    Upload,
    UploadPart,
)
from homeport.domain.fine_tuning import FineTuningCheckpoint, FineTuningEvent, FineTuningJob
from homeport.domain.images import ImageFormat
from homeport.domain.keys import (
    LOCAL_PROJECT,
    IssuedKey,
    Key,
    KeyChanges,
    NewKey,
)
from homeport.domain.paging import Page, PageRequest
from homeport.domain.shapes import ShapeFormat
from homeport.domain.storage import ProjectUsage
from homeport.domain.usage import UsageQuery, UsageRecord, UsageTotal


class BatchRepository(Protocol):
    """Batches; a project sees only its own. Synchronous.

    The server that works on a batch owns it until its lease expires: writing to a batch that it lost raises NotFound.
    """

    def create(self, new_batch: NewBatch) -> Batch:
        """Create a batch."""
        ...

    def get(self, project: str, batch_id: str) -> Batch:
        """Return one batch of a project. Raises NotFound, also for another project's."""
        ...

    def list_page(self, project: str | None, page: PageRequest) -> Page[Batch]:
        """Return a page of a project's batches (None: of all). Raises InvalidRequest for an unknown `after`."""
        ...

    def cancel(self, project: str, batch_id: str) -> Batch:
        """Cancel a batch. Raises NotFound, or InvalidRequest if it has ended or is finalizing."""
        ...

    def claim(self, owner: str, lease_s: float) -> Batch | None:
        """Take ownership of the oldest unfinished batch without an owner; None: there is none."""
        ...

    def renew(self, owner: str, batch_id: str, lease_s: float) -> Batch:
        """Extend the ownership of a batch, and return its current state. Raises NotFound."""
        ...

    def release(self, owner: str, batch_id: str) -> None:
        """Give up the ownership of a batch."""
        ...

    def start(self, owner: str, batch_id: str, total: int, model: str | None) -> Batch:
        """Record that its lines are checked and start to run. Raises NotFound."""
        ...

    def add_results(self, owner: str, batch_id: str, results: Sequence[LineResult]) -> None:
        """Store results; if a line has one already, that one stays. Raises NotFound."""
        ...

    def finished_lines(self, batch_id: str) -> set[int]:
        """Return the numbers of the lines that have a result."""
        ...

    def start_finalizing(
        self, owner: str, batch_id: str, *, errors: Sequence[BatchError] = (), expired: Sequence[LineResult] = ()
    ) -> Batch:
        """Record that no more results follow except `expired` ones; output files are next. Raises NotFound."""
        ...

    def iterate_results(self, batch_id: str, *, are_answers: bool) -> Iterator[str]:
        """Yield the texts of answers, or of errors, in the order of the lines."""
        ...

    def create_output_file(self, owner: str, batch: Batch, content: Path, *, are_answers: bool) -> Batch:
        """Create one of its output files, in the transaction that stores the file's id. Raises NotFound."""
        ...

    def finish(self, owner: str, batch_id: str) -> Batch:
        """Record that it has ended and its results are in its files. Raises NotFound."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return the number of batches by status, without ended ones, and how many `lines` they have left."""
        ...


class FineTuningRepository(Protocol):
    """Jobs as callers see them; a project sees only its own. Synchronous: the event loop calls it through a thread.

    Every method with a job's id raises NotFound if it does not exist, also for another project's.
    """

    def create(self, job: FineTuningJob, max_waiting: int) -> FineTuningJob:
        """Store a new job; its times are set here. Raises Overloaded if `max_waiting` jobs of its server wait."""
        ...

    def list_page(
        self, project: str | None, page: PageRequest, metadata: Mapping[str, str] | None = None
    ) -> Page[FineTuningJob]:
        """Return a page of a project's jobs. Raises InvalidRequest for an unknown `after`.

        `project`: None for all, as in `list_events` and `list_checkpoints`. `metadata`: only jobs with these pairs;
        empty: only jobs without metadata; None: all.
        """
        ...

    def get(self, project: str, job_id: str) -> FineTuningJob:
        """Return one job."""
        ...

    def list_events(self, project: str | None, job_id: str, page: PageRequest) -> Page[FineTuningEvent]:
        """Return a page of a job's events. Raises InvalidRequest for an unknown `after`."""
        ...

    def list_checkpoints(self, project: str | None, job_id: str, page: PageRequest) -> Page[FineTuningCheckpoint]:
        """Return a page of a job's checkpoints. Raises InvalidRequest for an unknown `after`."""
        ...

    def cancel(self, project: str, job_id: str) -> FineTuningJob:
        """Cancel a job for good. Raises InvalidRequest if it has ended."""
        ...

    def pause(self, project: str, job_id: str) -> FineTuningJob:
        """Pause a job until it is resumed. Raises InvalidRequest if it has ended or is paused."""
        ...

    def resume(self, project: str, job_id: str) -> FineTuningJob:
        """Return a paused job to the queue. Raises InvalidRequest if it is not paused."""
        ...


class ImageStore(Protocol):
    """Stores images, and shapes, for a limited time, under unguessable names. Both methods may block."""

    def save(self, data: bytes, format: ImageFormat | ShapeFormat, project: str = LOCAL_PROJECT) -> str:
        """Store a file; return its name, which ends in `.<format>`. Raises InvalidRequest over a limit."""
        ...

    def find(self, name: str) -> bytes | None:
        """Return an image by its name; None if it has expired or never existed."""
        ...


class KeyCache(Protocol):
    """The keys in memory. Never blocks."""

    @property
    def requires_key(self) -> bool:
        """Whether a key was ever created: then every request needs one, even if all are revoked."""
        ...

    def find(self, secret: str) -> Key | None:
        """Return the valid key with this secret, if there is one."""
        ...

    def find_by_id(self, key_id: str) -> Key | None:
        """Return the valid key with this id, if there is one."""
        ...

    async def refresh(self) -> None:
        """Load the latest changes now."""
        ...


class KeyRepository(Protocol):
    """The stored keys. Synchronous: the event loop calls it through a thread."""

    def create(self, new_key: NewKey) -> IssuedKey:
        """Create a key; its `models` are real names. Raises InvalidRequest that names the field."""
        ...

    def list_all(self) -> Sequence[Key]:
        """Return all keys, the oldest first, including revoked and expired ones."""
        ...

    def get(self, key_id: str) -> Key:
        """Return one key. Raises NotFound."""
        ...

    def update(self, key_id: str, changes: KeyChanges) -> Key:
        """Change a key; its `models` are real names. Raises NotFound, or InvalidRequest that names the field."""
        ...

    def revoke(self, key_id: str) -> Key:
        """Revoke a key. Raises NotFound."""
        ...

    def rotate(self, key_id: str) -> IssuedKey:
        """Replace a key's secret; the old one is invalid from now on. Raises NotFound, or InvalidRequest."""
        ...


class UsageLedger(Protocol):
    """Records usage on disk at once, so that it survives the end of the process. Fast enough for the event loop."""

    def write(self, record: UsageRecord) -> None:
        """Append a record. Raises StorageFull; then it is not written."""
        ...

    async def wait_synced(self) -> None:
        """Wait, for a limited time, until the written records are synced to disk."""
        ...


class UsageRepository(Protocol):
    """Usage in the database. Synchronous: the event loop calls it through a thread."""

    def import_ledgers(self) -> int:
        """Import what ledgers have recorded since the last import; return the number of records."""
        ...

    def sum_usage(self, usage_query: UsageQuery) -> Sequence[UsageTotal]:
        """Sum by time bucket and group, in this order."""
        ...


class FileRepository(Protocol):
    """Files; a project sees only its own. Synchronous except for `read`."""

    def create(self, new_file: NewFile, content: Path) -> File:
        """Store a file.

        Raises StorageFull, Unavailable, or InvalidRequest over the project's limit; then nothing is stored.
        """
        ...

    def check_room(self, project: str, n_bytes: int) -> None:
        """Raise InvalidRequest if a project may not store `n_bytes` more."""
        ...

    def list_page(self, project: str | None, page: PageRequest, purpose: str | None = None) -> Page[File]:
        """Return a page of a project's files (None: of all projects) of a purpose (None: any).

        Raises InvalidRequest for an unknown `after`.
        """
        ...

    def get(self, project: str, file_id: str) -> File:
        """Return one file of a project. Raises NotFound, also for another project's."""
        ...

    def delete(self, project: str, file_id: str) -> None:
        """Delete a file of a project. Raises NotFound."""
        ...

    def read(self, file: File) -> AsyncGenerator[bytes, None]:
        """Yield a file's content in pieces. Raises NotFound before the first one."""
        ...

    def copy(self, file: File, target: Path) -> None:
        """Copy a file's content to a path."""
        ...


class ProjectStorage(Protocol):
    """What projects store. Synchronous: the event loop calls it through a thread."""

    def list_all(self) -> Sequence[ProjectUsage]:
        """Return the storage of every project that stores anything."""
        ...

    def check_room(self, project: str, param: str | None) -> None:
        """Raise InvalidRequest naming `param` if a project is at its limit.

        A project far from its limit is summed seldom, so that each of many requests may ask.
        """
        ...


class UploadRepository(Protocol):
    """Uploads in parts; a project sees only its own. Synchronous."""

    def create(self, new_upload: NewUpload) -> Upload:
        """Start an upload. Raises InvalidRequest over the project's limit."""
        ...

    def get(self, project: str, upload_id: str) -> Upload:
        """Return one upload of a project. Raises NotFound, also for another project's."""
        ...

    def add_part(self, project: str, upload_id: str, content: Path) -> UploadPart:
        """Store one part. Raises NotFound, or InvalidRequest if the upload accepts no more."""
        ...

    def assemble(self, project: str, upload_id: str, part_ids: Sequence[str], target: Path) -> Upload:
        """Write these parts, in this order, to a path. Raises NotFound, or InvalidRequest for wrong parts."""
        ...

    def complete(self, upload: Upload, content: Path) -> tuple[Upload, File]:
        """Create the file. Raises InvalidRequest if another request completed or cancelled the upload first."""
        ...

    def cancel(self, project: str, upload_id: str) -> Upload:
        """Cancel an upload. Raises NotFound, or InvalidRequest if it has ended."""
        ...
