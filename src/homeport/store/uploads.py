"""Uploads in parts: each part is a blob, and all are assembled into a file at the end. Synchronous."""

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.files import File, NewFile, NewUpload, Upload, UploadPart
from homeport.store import rows
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.schema import UPLOAD_PARTS, UPLOADS

_FOLDER = "uploads"
_OPEN_S = 3600


class SqlUploadRepository:
    """The uploads of a database and its blobs. `now`: the wall clock in seconds."""

    def __init__(
        self, database: Database, blobs: BlobStore, files: SqlFileRepository, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._files = files
        self._now = now

    def create(self, new_upload: NewUpload) -> Upload:
        """Start an upload. Raises InvalidRequest over the project's storage limit."""
        now = int(self._now())
        upload = Upload(
            **msgspec.structs.asdict(new_upload),
            id=f"upload_{secrets.token_hex(12)}",
            status="pending",
            created_at=now,
            expires_at=now + _OPEN_S,
        )
        with self._database.write_transaction() as connection:
            self._files.storage.claim(connection, upload.project, upload.bytes, "bytes")
            connection.execute(sa.insert(UPLOADS).values(**msgspec.structs.asdict(upload)))
        return upload

    def get(self, project: str, upload_id: str) -> Upload:
        """Return an upload of a project. Raises NotFound, also for another project's."""
        with self._database.read_transaction() as connection:
            return self._find(connection, project, upload_id)

    def add_part(self, project: str, upload_id: str, content: Path) -> UploadPart:
        """Store a part. Raises NotFound, or InvalidRequest if the upload accepts no more parts."""
        size = content.stat().st_size
        part = UploadPart(
            id=f"part_{secrets.token_hex(12)}", upload_id=upload_id, bytes=size, created_at=int(self._now())
        )
        _check_pending(self.get(project, upload_id))
        self._files.storage.check(project, size, "data")
        self._blobs.put(_blob(upload_id, part.id), content)
        try:
            with self._database.write_transaction() as connection:
                upload = self._find(connection, project, upload_id)
                _check_pending(upload)
                stored = sa.select(sa.func.coalesce(sa.func.sum(UPLOAD_PARTS.c.bytes), 0))
                total = connection.execute(stored.where(UPLOAD_PARTS.c.upload_id == upload_id)).scalar_one()
                if total + size > upload.bytes:
                    raise InvalidRequest(
                        f"The parts are {total + size} bytes with this one, more than the upload's {upload.bytes}.",
                        param="data",
                    )
                self._files.storage.claim(connection, project, size, "data")
                connection.execute(sa.insert(UPLOAD_PARTS).values(**msgspec.structs.asdict(part)))
        except BaseException:
            self._blobs.delete(_blob(upload_id, part.id))
            raise
        return part

    def assemble(self, project: str, upload_id: str, part_ids: Sequence[str], target: Path) -> Upload:
        """Write parts to a path in this order. Raises NotFound, or InvalidRequest for unknown parts or a wrong size."""
        with self._database.read_transaction() as connection:
            upload = self._find(connection, project, upload_id)
            _check_pending(upload)
            query = sa.select(UPLOAD_PARTS).where(UPLOAD_PARTS.c.upload_id == upload_id)
            parts = {part.id: part for part in rows.values(connection.execute(query).mappings(), UploadPart)}
        for at, part_id in enumerate(part_ids):
            if part_id not in parts:
                raise InvalidRequest(f"No part of this upload is {part_id[:100]}.", param=f"part_ids[{at}]")
        size = sum(parts[part_id].bytes for part_id in part_ids)
        if size != upload.bytes:
            raise InvalidRequest(
                f"These parts are {size} bytes together, and the upload is {upload.bytes}.", param="part_ids"
            )
        for part_id in part_ids:
            self._blobs.copy(_blob(upload_id, part_id), target)
        return upload

    def complete(self, upload: Upload, content: Path) -> tuple[Upload, File]:
        """Store the file. Raises InvalidRequest if another request completed or ended the upload first."""
        new_file = NewFile(
            project=upload.project, purpose=upload.purpose, filename=upload.filename, keep_s=upload.keep_s
        )

        def complete(connection: sa.Connection, file: File) -> None:
            _check_pending(self._find(connection, upload.project, upload.id))
            values = {"status": "completed", "file_id": file.id}
            connection.execute(sa.update(UPLOADS).where(UPLOADS.c.id == upload.id).values(**values))

        file = self._files.create(new_file, content, complete)
        self._delete_parts(upload.id)
        return msgspec.structs.replace(upload, status="completed", file_id=file.id), file

    def cancel(self, project: str, upload_id: str) -> Upload:
        """Cancel an upload. Raises NotFound, or InvalidRequest for one that has ended."""
        with self._database.write_transaction() as connection:
            upload = self._find(connection, project, upload_id)
            _check_pending(upload)
            connection.execute(sa.update(UPLOADS).where(UPLOADS.c.id == upload_id).values(status="cancelled"))
        self._delete_parts(upload_id)
        return msgspec.structs.replace(upload, status="cancelled")

    def sweep(self) -> None:
        """Expire old uploads, and delete their parts."""
        late = sa.and_(UPLOADS.c.status == "pending", UPLOADS.c.expires_at <= int(self._now()))
        with self._database.read_transaction() as connection:
            expired_ids = connection.execute(sa.select(UPLOADS.c.id).where(late)).scalars().all()
        rows.each(expired_ids, self._expire)

    def _expire(self, upload_id: str) -> None:
        self._delete_parts(upload_id)  # first, because an expired upload is not checked again
        with self._database.write_transaction() as connection:
            where = sa.and_(UPLOADS.c.id == upload_id, UPLOADS.c.status == "pending")
            connection.execute(sa.update(UPLOADS).where(where).values(status="expired"))

    def _find(self, connection: sa.Connection, project: str, upload_id: str) -> Upload:
        where = sa.and_(UPLOADS.c.id == upload_id, UPLOADS.c.project == project)
        row = connection.execute(sa.select(UPLOADS).where(where).with_for_update()).mappings().first()
        if row is None:
            raise NotFound(f"No such Upload object: {upload_id[:100]}", param="upload_id", code="upload_not_found")
        upload = rows.value(row, Upload)
        if upload.status == "pending" and upload.expires_at <= self._now():
            return msgspec.structs.replace(upload, status="expired")
        return upload

    def _delete_parts(self, upload_id: str) -> None:
        with self._database.write_transaction() as connection:
            where = UPLOAD_PARTS.c.upload_id == upload_id
            parts = connection.execute(sa.select(UPLOAD_PARTS.c.id).where(where)).scalars().all()
            connection.execute(sa.delete(UPLOAD_PARTS).where(where))
        rows.each(parts, lambda part_id: self._blobs.delete(_blob(upload_id, part_id)))


def _check_pending(upload: Upload) -> None:
    if upload.status != "pending":
        raise InvalidRequest(f"The upload {upload.id} is {upload.status}.", param="upload_id", code="upload_ended")


def _blob(upload_id: str, part_id: str) -> str:
    return f"{_FOLDER}/{upload_id}/{part_id}"
