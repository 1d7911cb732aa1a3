"""Files: their rows in the database, their contents as blobs. A project sees only its own files. Synchronous.

Content is written before the row and deleted after it, so a row always has content. Content without a row, left by a
process that ended between the two, is deleted later.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import NotFound
from homeport.domain.files import File, NewFile
from homeport.domain.paging import Page, PageRequest
from homeport.store import rows
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.paging import fetch_page, of_project
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.schema import FILES, VECTOR_STORE_FILES
from homeport.store.vector_store_rows import remove_files

_FOLDER = "files"
_ORPHAN_AGE_S = 6 * 3600.0

InSameTransaction = Callable[[sa.Connection, File], None]


class SqlFileRepository:
    """The files of a database and its blobs. `now`: the wall clock in seconds."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        now: Callable[[], float] = time.time,
        storage: SqlProjectStorage | None = None,
    ) -> None:
        self.storage = storage or SqlProjectStorage(database)
        self._database = database
        self._blobs = blobs
        self._now = now

    def create(self, new_file: NewFile, content: Path, in_transaction: InSameTransaction | None = None) -> File:
        """Store a file.

        `in_transaction` runs in the same transaction. A file with it is made from data that the server stores already,
        so the project's limit does not apply. Raises StorageFull, Unavailable, or InvalidRequest over the limit; then
        nothing is stored.
        """
        now = int(self._now())
        file = File(
            id=f"file-{secrets.token_hex(12)}",
            project=new_file.project,
            purpose=new_file.purpose,
            filename=new_file.filename,
            bytes=content.stat().st_size,
            created_at=now,
            expires_at=None if new_file.keep_s is None else now + new_file.keep_s,
        )
        if in_transaction is None:
            self.storage.check(file.project, file.bytes)
        self._blobs.put(_blob(file.id), content)
        try:
            with self._database.write_transaction() as connection:
                if in_transaction is None:
                    self.storage.claim(connection, file.project, file.bytes)
                connection.execute(sa.insert(FILES).values(**msgspec.structs.asdict(file)))
                if in_transaction is not None:
                    in_transaction(connection, file)
        except BaseException:
            self._blobs.delete(_blob(file.id))
            raise
        return file

    def check_room(self, project: str, n_bytes: int) -> None:
        """Raise InvalidRequest if `n_bytes` more exceed the project's limit."""
        self.storage.check(project, n_bytes)

    def list_page(self, project: str | None, page: PageRequest, purpose: str | None = None) -> Page[File]:
        """Return a page of a project's files (None: of all projects) of a purpose (None: any).

        Raises InvalidRequest for an unknown `after`.
        """
        filters = [self._is_not_expired(), *([] if purpose is None else [FILES.c.purpose == purpose])]
        with self._database.read_transaction() as connection:
            return fetch_page(
                connection,
                FILES,
                page,
                of_project(FILES, project),
                lambda records: rows.values(records, File),
                *filters,
            )

    def get(self, project: str, file_id: str) -> File:
        """Return a file of a project. Raises NotFound, also for another project's."""
        query = sa.select(FILES).where(FILES.c.id == file_id, FILES.c.project == project, self._is_not_expired())
        with self._database.read_transaction() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"No such File object: {file_id[:100]}", param="id", code="file_not_found")
        return rows.value(row, File)

    def delete(self, project: str, file_id: str) -> None:
        """Delete a file of a project, also from its vector stores. Raises NotFound."""
        self.get(project, file_id)
        with self._database.write_transaction() as connection:
            remove_files(connection, VECTOR_STORE_FILES.c.project == project, [file_id])
            connection.execute(sa.delete(FILES).where(FILES.c.id == file_id, FILES.c.project == project))
        self._blobs.delete(_blob(file_id))

    def read(self, file: File) -> AsyncGenerator[bytes, None]:
        """Yield a file's content in chunks. Raises NotFound before the first one."""
        return self._blobs.read(_blob(file.id))

    def copy(self, file: File, target: Path) -> None:
        """Write a file's content to a path."""
        target.unlink(missing_ok=True)
        self._blobs.copy(_blob(file.id), target)

    def sweep(self) -> None:
        """Delete expired files, and contents without a file."""
        expired = sa.select(FILES.c.id).where(FILES.c.expires_at <= int(self._now()))
        with self._database.read_transaction() as connection:
            expired_ids = connection.execute(expired).scalars().all()
        rows.each(expired_ids, self._expire)
        rows.each(list(self._blobs.list_older(_FOLDER, _ORPHAN_AGE_S)), self._delete_orphan)

    def _expire(self, file_id: str) -> None:
        with self._database.write_transaction() as connection:
            remove_files(connection, sa.true(), [file_id])
            connection.execute(sa.delete(FILES).where(FILES.c.id == file_id))
        self._blobs.delete(_blob(file_id))

    def _delete_orphan(self, name: str) -> None:
        with self._database.read_transaction() as connection:
            row = connection.execute(sa.select(FILES.c.seq).where(FILES.c.id == name.rpartition("/")[2])).first()
        if row is None:
            self._blobs.delete(name)

    def _is_not_expired(self) -> sa.ColumnElement[bool]:
        return sa.or_(FILES.c.expires_at.is_(None), FILES.c.expires_at > int(self._now()))


def _blob(file_id: str) -> str:
    return f"{_FOLDER}/{file_id}"
