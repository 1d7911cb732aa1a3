"""The accounts of limits that several gateways share, as rows. Synchronous. Knows nothing of what is in them."""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from homeport.domain.ports.limits import States
from homeport.store.database import Database
from homeport.store.gateway_schema import LIMIT_ACCOUNTS as TABLE


class SqlLimitAccounts:
    """The accounts of a database. All transactions lock rows in the order of their keys, so that none is a deadlock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = sqlite.insert if database.is_sqlite else postgresql.insert

    def change(self, key_ids: Sequence[str], change: Callable[[States], Mapping[str, bytes]]) -> None:
        """Replace the states of accounts by what `change` makes of them; nobody else changes them meanwhile.

        Raises Unavailable; then it is unknown whether they are changed.
        """
        with self._database.write_transaction() as connection:
            found = self._lock(connection, key_ids)
            if len(found) < len(key_ids):
                missing = [{"key": key_id, "state": b""} for key_id in sorted(set(key_ids) - found.keys())]
                connection.execute(self._insert(TABLE).on_conflict_do_nothing(), missing)
                found = self._lock(connection, key_ids)
            changed = change({key_id: state or None for key_id, state in found.items()})
            if changed:
                query = sa.update(TABLE).where(TABLE.c.key == sa.bindparam("of_key"))
                connection.execute(query, [{"of_key": key_id, "state": state} for key_id, state in changed.items()])

    def read(self, key_id: str) -> bytes | None:
        """Return the state of one account. Raises Unavailable."""
        with self._database.read_transaction() as connection:
            query = sa.select(TABLE.c.state).where(TABLE.c.key == key_id)
            return bytes(connection.execute(query).scalar() or b"") or None

    def _lock(self, connection: sa.Connection, key_ids: Sequence[str]) -> dict[str, bytes]:
        query = sa.select(TABLE.c.key, TABLE.c.state).where(TABLE.c.key.in_(key_ids)).order_by(TABLE.c.key)
        return {key_id: bytes(state) for key_id, state in connection.execute(query.with_for_update())}
