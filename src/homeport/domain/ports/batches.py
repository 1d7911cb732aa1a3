"""The sockets between who keeps batches, who works on them and who runs their requests. `app` plugs them together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.batches import Batch, BatchError, Outcome, Reply


class BatchBook(Protocol):
    """Batches as they are kept; a project sees its own alone. Synchronous.

    Who works on a batch owns it, for as long as it says so: what it writes for one that it has lost raises Missing.
    """

    def create(self, batch: Batch) -> Batch:
        """Make a batch; its id, status and times are made here."""
        ...

    def show(self, project: str, batch_id: str) -> Batch:
        """One batch of a project. Raises Missing, also for another project's."""
        ...

    def every(self, project: str, limit: int, after: str | None) -> tuple[Sequence[Batch], bool]:
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

    def begin(self, owner: str, batch_id: str, total: int, model: str | None) -> Batch:
        """Its lines are looked through, and are done from now on. Raises Missing."""
        ...

    def record(self, owner: str, batch_id: str, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes; of a line that has one, the first stays. Raises Missing."""
        ...

    def lines(self, batch_id: str) -> set[int]:
        """The numbers of the lines that have an outcome."""
        ...

    def finalise(
        self, owner: str, batch_id: str, *, errors: Sequence[BatchError] = (), expired: Sequence[Outcome] = ()
    ) -> Batch:
        """No more outcomes are to come but `expired`, for which it is too late; files are next. Raises Missing."""
        ...

    def outcomes(self, batch_id: str, *, are_answers: bool) -> Iterator[str]:
        """The texts of answers, or of the others, in the order of the lines."""
        ...

    def keep(self, owner: str, batch: Batch, content: Path, *, are_answers: bool) -> Batch:
        """Make one of its files, in the same moment in which it gets its id. Raises Missing."""
        ...

    def close(self, owner: str, batch_id: str) -> Batch:
        """It has ended; its outcomes stand in its files. Raises Missing."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many batches there are of each status but ended ones, and how many `lines` these have left."""
        ...


class Dispatch(Protocol):
    """Runs a request as if it had come over the network, in the background, and gives the whole answer."""

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> Reply:
        """POST a JSON body to a path, in the name of a project and of the stored key with this id (empty: none)."""
        ...


class Gap(Protocol):
    """Tells when background work may begin: while nobody waits."""

    async def opened(self) -> None:
        """Wait until work may begin."""
        ...
