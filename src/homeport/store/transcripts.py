"""The transcripts of spoken answers, until they expire. Synchronous.

They are not counted in a project's storage: each is short, and is kept for about an hour.
"""

import time
from collections.abc import Callable, Collection, Mapping

import sqlalchemy as sa

from homeport.store.database import Database
from homeport.store.schema import TRANSCRIPTS as TABLE


class SqlTranscriptRepository:
    """The transcripts of a database. `now`: the wall clock in seconds."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def add(self, project: str, audio_id: str, transcript: str, expires_at: int) -> None:
        """Keep a transcript until `expires_at`, in Unix seconds. Raises StorageFull."""
        with self._database.write_transaction() as connection:
            connection.execute(
                sa.insert(TABLE).values(id=audio_id, project=project, expires_at=expires_at, text=transcript)
            )

    def find(self, project: str, audio_ids: Collection[str]) -> Mapping[str, str]:
        """Return those transcripts of a project that have not expired, by id."""
        query = sa.select(TABLE.c.id, TABLE.c.text).where(
            TABLE.c.id.in_(audio_ids), TABLE.c.project == project, TABLE.c.expires_at > int(self._now())
        )
        with self._database.read_transaction() as connection:
            return {row.id: row.text for row in connection.execute(query)}

    def sweep(self) -> int:
        """Delete what has expired; return the number of transcripts."""
        is_expired = TABLE.c.expires_at <= int(self._now())
        with self._database.read_transaction() as connection:
            if connection.execute(sa.select(TABLE.c.id).where(is_expired).limit(1)).first() is None:
                return 0
        with self._database.write_transaction() as connection:
            deleted = connection.execute(sa.delete(TABLE).where(is_expired)).rowcount
        self._database.erase_deleted()
        return deleted
