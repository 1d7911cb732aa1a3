"""How many bytes each project stores, and its limit. Synchronous.

Summed without a stored total: from the rows of files, parts, responses, conversations, stored completions and files of
vector stores, and from files on disk without a row. Only small rows of a project that is far from its limit are added
to a recent sum instead.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from homeport.domain.storage import ProjectUsage
from homeport.store.database import Database
from homeport.store.keys import keys_of
from homeport.store.schema import (
    CONVERSATION_ITEMS,
    CONVERSATIONS,
    FILES,
    KEYS,
    RESPONSE_EVENTS,
    RESPONSES,
    STORED_COMPLETIONS,
    UPLOAD_PARTS,
    UPLOADS,
    VECTOR_STORE_FILES,
)

UNLIMITED = 2**62
ESTIMATE_S = 10.0
"""How long a sum is used for rows of a project that is far from its limit."""
_ROWS = (RESPONSES, RESPONSE_EVENTS, CONVERSATIONS, CONVERSATION_ITEMS, STORED_COMPLETIONS)

Sizes = Callable[[], Mapping[str, int]]


@dataclass
class _Estimate:
    """The last sum of a project with what this process has claimed since, until a monotonic time."""

    total: int
    limit: int
    until: float


class SqlProjectStorage:
    """The storage of a database's projects. `limit`: bytes per project, unless its keys have limits of their own.

    `pictures` and `models` return the bytes of images and fine-tuned models, by project. `clock`: monotonic seconds.
    """

    def __init__(
        self,
        database: Database,
        limit: int = UNLIMITED,
        pictures: Sizes = dict,
        models: Sizes = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._limit = limit
        self._pictures = pictures
        self._models = models
        self._clock = clock
        self._estimates: dict[str, _Estimate] = {}
        self._guard = threading.Lock()

    def of(self, project: str) -> ProjectUsage:
        """Return what a project stores."""
        with self._database.read_transaction() as connection:
            return self._sum(connection, project)

    def list_all(self) -> Sequence[ProjectUsage]:
        """Return what each project stores, by name, without projects that store nothing."""
        with self._database.read_transaction() as connection:
            owners = sa.union(*(sa.select(table.c.project) for table in (FILES, UPLOADS, VECTOR_STORE_FILES, *_ROWS)))
            names = set(connection.execute(owners).scalars())
            names |= {*self._pictures(), *self._models()}
            usages = [self._sum(connection, name) for name in sorted(names)]
        return [usage for usage in usages if usage.total]

    def check(self, project: str, n_bytes: int, param: str | None = "file") -> None:
        """Raise InvalidRequest if `n_bytes` more exceed the project's limit."""
        self.of(project).check(n_bytes, param)

    def claim(self, connection: sa.Connection, project: str, n_bytes: int, param: str | None = "file") -> None:
        """Check within the transaction that stores them: until it ends, no other one can claim space of the project."""
        self._lock(connection, project)
        self._sum(connection, project).check(n_bytes, param)

    def claim_quickly(self, connection: sa.Connection, project: str, n_bytes: int, param: str | None) -> None:
        """Like `claim`, for a row among many: a project under half of its limit is summed every `ESTIMATE_S` only.

        Summing all rows and folders would cost more than adding the row.
        """
        if self._claim_estimate(project, n_bytes):
            return
        self._lock(connection, project)
        self._estimate(self._sum(connection, project), n_bytes, n_bytes, param)

    def check_room(self, project: str, param: str | None) -> None:
        """Raise InvalidRequest naming `param` if a project is at its limit; summed as seldom as by `claim_quickly`."""
        if not self._claim_estimate(project, 0):
            self._estimate(self.of(project), 0, 1, param)

    def _claim_estimate(self, project: str, n_bytes: int) -> bool:
        """Add bytes to a recent sum of a project that is far from its limit; return False if there is none."""
        with self._guard:
            estimate = self._estimates.get(project)
            if estimate is None or estimate.until <= self._clock() or (estimate.total + n_bytes) * 2 > estimate.limit:
                return False
            estimate.total += n_bytes
            return True

    def _estimate(self, usage: ProjectUsage, claimed: int, wanted: int, param: str | None) -> None:
        """Remember a sum with what is `claimed`. Raises InvalidRequest if there is no room for what is `wanted`."""
        usage.check(wanted, param)
        with self._guard:
            until = self._clock() + ESTIMATE_S
            self._estimates[usage.project] = _Estimate(usage.total + claimed, usage.limit, until)

    def _lock(self, connection: sa.Connection, project: str) -> None:
        if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
            lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"storage of {project}"))
            connection.execute(sa.select(lock))

    def _sum(self, connection: sa.Connection, project: str) -> ProjectUsage:
        """Return what a project stores, as this connection sees it."""
        parts = sa.select(sa.func.coalesce(sa.func.sum(UPLOAD_PARTS.c.bytes), 0)).join(
            UPLOADS, UPLOADS.c.id == UPLOAD_PARTS.c.upload_id
        )
        return ProjectUsage(
            project=project,
            files=_sum_rows(connection, FILES, project),
            parts=int(connection.execute(parts.where(UPLOADS.c.project == project)).scalar_one()),
            pictures=self._pictures().get(project, 0),
            models=self._models().get(project, 0),
            vector_stores=_sum_rows(connection, VECTOR_STORE_FILES, project),
            responses=sum(_sum_rows(connection, table, project) for table in _ROWS),
            limit=self._limit_of(connection, project),
        )

    def _limit_of(self, connection: sa.Connection, project: str) -> int:
        """The smallest limit of the project's valid keys; the general limit if none has one."""
        query = sa.select(KEYS).where(KEYS.c.project == project, KEYS.c.revoked_at.is_(None))
        limits = [key.limits.storage_bytes for key in keys_of(connection.execute(query).mappings())]
        own = [limit for limit in limits if limit is not None]
        return min(own, default=self._limit)


def _sum_rows(connection: sa.Connection, table: sa.Table, project: str) -> int:
    query = sa.select(sa.func.coalesce(sa.func.sum(table.c.bytes), 0)).where(table.c.project == project)
    return int(connection.execute(query).scalar_one())
