"""What the rooms above need of the store: keys, usage, files, uploads, batches, images, fine-tuning jobs."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.batches import (
    Batch,
    BatchError,
    LineResult,
)
from homeport.domain.files import (
    File,
    FilePageRequest,
    Upload,
    UploadPart,
)
from homeport.domain.fine_tuning import FineTuningCheckpoint, FineTuningEvent, FineTuningJob, PageRequest
from homeport.domain.images import ImageFormat
from homeport.domain.keys import (
    LOCAL_PROJECT,
    IssuedKey,
    Key,
    NewKey,
)
from homeport.domain.storage import ProjectUsage
from homeport.domain.usage import UsageQuery, UsageRecord, UsageTotal


class BatchRepository(Protocol):
    """Batches as they are kept; a project sees its own alone. Synchronous.

    Who works on a batch owns it, for as long as it says so: what it writes for one that it has lost raises Missing.
    """

    def create(self, batch: Batch) -> Batch:
        """Make a batch; its id, status and times are made here."""
        ...

    def get(self, project: str, batch_id: str) -> Batch:
        """One batch of a project. Raises Missing, also for another project's."""
        ...

    def list_page(self, project: str, limit: int, after: str | None) -> tuple[Sequence[Batch], bool]:
        """A project's batches, the newest first, and whether there are more. Raises InvalidRequest for `after`."""
        ...

    def cancel(self, project: str, batch_id: str) -> Batch:
        """Have a batch end early. Raises Missing, or InvalidRequest for one that has ended."""
        ...

    def claim(self, owner: str, lease_s: float) -> Batch | None:
        """Own the oldest batch that is to be worked on and that nobody owns; None: there is none."""
        ...

    def renew(self, owner: str, batch_id: str, lease_s: float) -> Batch:
        """Own a batch for longer; give it as it stands. Raises Missing."""
        ...

    def release(self, owner: str, batch_id: str) -> None:
        """Own a batch no longer."""
        ...

    def start(self, owner: str, batch_id: str, total: int, model: str | None) -> Batch:
        """Its lines are looked through, and are done from now on. Raises Missing."""
        ...

    def add_results(self, owner: str, batch_id: str, outcomes: Sequence[LineResult]) -> None:
        """Keep outcomes; of a line that has one, the first stays. Raises Missing."""
        ...

    def finished_lines(self, batch_id: str) -> set[int]:
        """The numbers of the lines that have an outcome."""
        ...

    def start_finalizing(
        self, owner: str, batch_id: str, *, errors: Sequence[BatchError] = (), expired: Sequence[LineResult] = ()
    ) -> Batch:
        """No more outcomes are to come but `expired`, for which it is too late; files are next. Raises Missing."""
        ...

    def iterate_results(self, batch_id: str, *, are_answers: bool) -> Iterator[str]:
        """The texts of answers, or of the others, in the order of the lines."""
        ...

    def create_output_file(self, owner: str, batch: Batch, content: Path, *, are_answers: bool) -> Batch:
        """Make one of its files, in the same moment in which it gets its id. Raises Missing."""
        ...

    def finish(self, owner: str, batch_id: str) -> Batch:
        """It has ended; its outcomes stand in its files. Raises Missing."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many batches there are of each status but ended ones, and how many `lines` these have left."""
        ...


class FineTuningRepository(Protocol):
    """Jobs as callers see them; a project sees its own alone. Synchronous: on the event loop called through a thread.

    Whatever names a job raises Missing for one that is not there, also for another project's.
    """

    def create(self, job: FineTuningJob, max_waiting: int) -> FineTuningJob:
        """Keep a new job; its times are made here. Raises Overloaded where its server has so many that wait."""
        ...

    def list_page(self, project: str, page: PageRequest) -> tuple[Sequence[FineTuningJob], bool]:
        """A project's jobs, and whether there are more. Raises InvalidRequest for an unknown `after`."""
        ...

    def get(self, project: str, job_id: str) -> FineTuningJob:
        """One job."""
        ...

    def list_events(self, project: str, job_id: str, page: PageRequest) -> tuple[Sequence[FineTuningEvent], bool]:
        """What was told of a job, and whether there is more. Raises InvalidRequest for an unknown `after`."""
        ...

    def list_checkpoints(
        self, project: str, job_id: str, page: PageRequest
    ) -> tuple[Sequence[FineTuningCheckpoint], bool]:
        """What a job has left on its way, and whether there is more. Raises InvalidRequest for an unknown `after`."""
        ...

    def cancel(self, project: str, job_id: str) -> FineTuningJob:
        """End a job for good. Raises InvalidRequest for one that has ended."""
        ...

    def pause(self, project: str, job_id: str) -> FineTuningJob:
        """Have a job wait until it is resumed. Raises InvalidRequest for one that has ended or waits so already."""
        ...

    def resume(self, project: str, job_id: str) -> FineTuningJob:
        """Put a paused job back into the queue. Raises InvalidRequest for one that is not paused."""
        ...


class ImageStore(Protocol):
    """Keeps pictures for a while, under names that nobody can guess. Both may block: call them in a thread."""

    def save(self, data: bytes, format: ImageFormat, project: str = LOCAL_PROJECT) -> str:
        """Keep a project's picture and give its name, which ends in `.<format>`. Raises InvalidRequest over a limit."""
        ...

    def find(self, name: str) -> bytes | None:
        """Give a picture by its name; None where it has expired or never was, whatever the name is."""
        ...


class KeyCache(Protocol):
    """The keys as they are known in memory. Never waits."""

    @property
    def requires_key(self) -> bool:
        """Whether a key was ever made: then nobody comes in without one, also if all are revoked."""
        ...

    def find(self, secret: str) -> Key | None:
        """The key with this secret, if it opens anything now."""
        ...

    def find_by_id(self, key_id: str) -> Key | None:
        """The key with this id, if it opens anything now."""
        ...

    async def refresh(self) -> None:
        """See at once what has just been changed."""
        ...


class KeyRepository(Protocol):
    """The keys as they are kept. Synchronous: on the event loop it is called through a thread."""

    def create(self, new_key: NewKey) -> IssuedKey:
        """Make a key; its `models` are real names. Raises InvalidRequest naming the field."""
        ...

    def list_all(self) -> Sequence[Key]:
        """All keys, the oldest first, those that no longer open anything included."""
        ...

    def get(self, key_id: str) -> Key:
        """One key. Raises Missing."""
        ...

    def revoke(self, key_id: str) -> Key:
        """Have a key open nothing from now on. Raises Missing."""
        ...

    def rotate(self, key_id: str) -> IssuedKey:
        """Give a key a new secret; the old one opens nothing from now on. Raises Missing, or InvalidRequest."""
        ...


class UsageLedger(Protocol):
    """Where usage is written down at once, to survive the end of the process. Fast enough for the event loop."""

    def write(self, record: UsageRecord) -> None:
        """Write a record down. Raises StorageFull; then it is not written."""
        ...

    async def kept(self) -> None:
        """Wait, for a moment at most, until what was written would survive a power cut."""
        ...


class UsageRepository(Protocol):
    """Usage as it is kept. Synchronous: on the event loop it is called through a thread."""

    def import_ledgers(self) -> int:
        """Take in what ledgers have written since; give the number of records."""
        ...

    def sum_usage(self, usage_query: UsageQuery) -> Sequence[UsageTotal]:
        """Sum up, by span of time and group, in this order."""
        ...


class FileRepository(Protocol):
    """Files as they are kept; a project sees its own alone. Synchronous but for `content`."""

    def create(self, file: File, content: Path) -> File:
        """Keep a file; its id and times are made here, `expires_at` of the one given counts from now.

        Raises StorageFull, Unavailable, or InvalidRequest over the project's limit; then nothing is kept.
        """
        ...

    def check_room(self, project: str, n_bytes: int) -> None:
        """Raise InvalidRequest where a project may not keep so many bytes more."""
        ...

    def list_page(self, project: str, page: FilePageRequest) -> tuple[Sequence[File], bool]:
        """A project's files, and whether there are more. Raises InvalidRequest for an unknown `after`."""
        ...

    def get(self, project: str, file_id: str) -> File:
        """One file of a project. Raises Missing, also for another project's."""
        ...

    def delete(self, project: str, file_id: str) -> None:
        """Forget a file of a project. Raises Missing."""
        ...

    def read(self, file: File) -> AsyncGenerator[bytes, None]:
        """A file's content, piece by piece. Raises Missing before the first."""
        ...

    def copy(self, file: File, target: Path) -> None:
        """Write a file's content to a path, for what reads it by path."""
        ...


class ProjectStorage(Protocol):
    """What projects keep. Synchronous: on the event loop it is called through a thread."""

    def every(self) -> Sequence[ProjectUsage]:
        """What every project keeps that keeps anything."""
        ...


class UploadRepository(Protocol):
    """Uploads in parts as they are kept; a project sees its own alone. Synchronous."""

    def create(self, upload: Upload) -> Upload:
        """Begin an upload; its id, times and status are made here. Raises InvalidRequest over the project's limit."""
        ...

    def get(self, project: str, upload_id: str) -> Upload:
        """One upload of a project, as it stands. Raises Missing, also for another project's."""
        ...

    def add_part(self, project: str, upload_id: str, content: Path) -> UploadPart:
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
