"""How many bytes each project stores, and its limit. Synchronous.

Summed at every call, without a stored total: from the rows of files and parts, and from files on disk without a row.
"""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from homeport.domain.storage import ProjectUsage
from homeport.store.database import Database
from homeport.store.keys import keys_of
from homeport.store.schema import FILES, KEYS, UPLOAD_PARTS, UPLOADS

UNLIMITED = 2**62

Sizes = Callable[[], Mapping[str, int]]


class SqlProjectStorage:
    """The storage of a database's projects. `limit`: bytes per project, unless its keys have limits of their own.

    `pictures` and `models` return the bytes of images and fine-tuned models, by project.
    """

    def __init__(
        self, database: Database, limit: int = UNLIMITED, pictures: Sizes = dict, models: Sizes = dict
    ) -> None:
        self._database = database
        self._limit = limit
        self._pictures = pictures
        self._models = models

    def of(self, project: str) -> ProjectUsage:
        """Return what a project stores."""
        with self._database.read_transaction() as connection:
            return self._sum(connection, project)

    def list_all(self) -> Sequence[ProjectUsage]:
        """Return what each project stores, by name, without projects that store nothing."""
        with self._database.read_transaction() as connection:
            names = set(connection.execute(sa.select(FILES.c.project).union(sa.select(UPLOADS.c.project))).scalars())
            names |= {*self._pictures(), *self._models()}
            usages = [self._sum(connection, name) for name in sorted(names)]
        return [usage for usage in usages if usage.total]

    def check(self, project: str, n_bytes: int, param: str | None = "file") -> None:
        """Raise InvalidRequest if `n_bytes` more exceed the project's limit."""
        self.of(project).check(n_bytes, param)

    def claim(self, connection: sa.Connection, project: str, n_bytes: int, param: str | None = "file") -> None:
        """Check within the transaction that stores them: until it ends, no other one can claim space of the project."""
        if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
            lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"storage of {project}"))
            connection.execute(sa.select(lock))
        self._sum(connection, project).check(n_bytes, param)

    def _sum(self, connection: sa.Connection, project: str) -> ProjectUsage:
        """Return what a project stores, as this connection sees it."""
        parts = sa.select(sa.func.coalesce(sa.func.sum(UPLOAD_PARTS.c.bytes), 0)).join(
            UPLOADS, UPLOADS.c.id == UPLOAD_PARTS.c.upload_id
        )
        files = sa.select(sa.func.coalesce(sa.func.sum(FILES.c.bytes), 0)).where(FILES.c.project == project)
        return ProjectUsage(
            project=project,
            files=int(connection.execute(files).scalar_one()),
            parts=int(connection.execute(parts.where(UPLOADS.c.project == project)).scalar_one()),
            pictures=self._pictures().get(project, 0),
            models=self._models().get(project, 0),
            limit=self._limit_of(connection, project),
        )

    def _limit_of(self, connection: sa.Connection, project: str) -> int:
        """The smallest limit of the project's valid keys; the general limit if none has one."""
        query = sa.select(KEYS).where(KEYS.c.project == project, KEYS.c.revoked_at.is_(None))
        limits = [key.limits.storage_bytes for key in keys_of(connection.execute(query).mappings())]
        own = [limit for limit in limits if limit is not None]
        return min(own, default=self._limit)
