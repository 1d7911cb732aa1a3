"""Jobs that several servers claim at the same time: each is claimed once, and again after its lease."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homeport.domain.batches import NewBatch
from homeport.store.batches import SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.indexing_queue import SqlIndexingQueue
from homeport.store.responses import SqlResponseRepository
from tests.fake_clock import FakeClock
from tests.store.response_store import NOW, ResponseStore
from tests.store.vector_stores import VectorStores

N_JOBS, N_SERVERS, LEASE_S = 12, 3, 5.0

Claim = Callable[[str], str | None]
Jobs = Callable[[Database, Path, FakeClock], list[Claim]]


def batches(database: Database, folder: Path, clock: FakeClock) -> list[Claim]:
    files = SqlFileRepository(database, BlobStore(str(folder / "blobs")), clock)
    for _ in range(N_JOBS):
        wanted = NewBatch(project="one", endpoint="/v1/completions", input_file_id="file-1", key="key_1")
        SqlBatchRepository(database, files, clock).create(wanted)

    def claims() -> Claim:
        repository = SqlBatchRepository(database, files, clock)
        return lambda owner: batch.id if (batch := repository.claim(owner, LEASE_S)) else None

    return [claims() for _ in range(N_SERVERS)]


def responses(database: Database, folder: Path, clock: FakeClock) -> list[Claim]:
    del folder
    store = ResponseStore(database)
    for at in range(N_JOBS):
        store.queued(f"resp_{at}")

    def claims() -> Claim:
        repository = SqlResponseRepository(database, store.storage, clock)
        return lambda owner: found.id if (found := repository.claim(owner, LEASE_S)) else None

    return [claims() for _ in range(N_SERVERS)]


def indexing(database: Database, folder: Path, clock: FakeClock) -> list[Claim]:
    VectorStores(database, folder).create(files=[f"file-{at}" for at in range(N_JOBS)])

    def claims() -> Claim:
        queue = SqlIndexingQueue(database, now=clock)
        return lambda owner: str(found[0][0].seq) if (found := queue.claim(owner, LEASE_S)) else None

    return [claims() for _ in range(N_SERVERS)]


@pytest.mark.parametrize("jobs", [batches, responses, indexing])
def test_each_job_is_claimed_once(database: Database, tmp_path: Path, jobs: Jobs) -> None:
    """Servers that claim together until nothing is left have each job once; when their leases are over, all again."""
    clock = FakeClock(float(NOW))
    servers = jobs(database, tmp_path, clock)

    def claim_all(number: int) -> list[str]:
        claimed: list[str] = []
        misses = 0
        while misses < N_JOBS:  # a job that another server is just taking is skipped, and others may be left
            found = servers[number](f"server-{number}")
            if found is None:
                misses += 1
            else:
                claimed.append(found)
        return claimed

    for _ in range(2):
        with ThreadPoolExecutor(N_SERVERS) as threads:
            shares = list(threads.map(claim_all, range(N_SERVERS)))
        claimed = [job for share in shares for job in share]
        assert len(claimed) == len(set(claimed)) == N_JOBS
        clock.now += LEASE_S
