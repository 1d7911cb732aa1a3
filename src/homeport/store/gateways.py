"""The register of the gateways that share a database, and the leases of the work that one does for all. Synchronous.

A gateway is a row that it renews; one that stops renewing it is dead, and what it held belongs to nobody.
"""

import uuid
from collections.abc import Collection

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from homeport.domain.errors import Unavailable
from homeport.store.database import Database
from homeport.store.database_clock import DatabaseClock
from homeport.store.gateway_schema import GATEWAYS, LEASES

ALIVE_S, RENEW_INTERVAL_S = 5.0, 1.0
"""How long a gateway counts as alive that renews nothing, and how often it renews."""


class GatewayInfo(msgspec.Struct, frozen=True):
    """What others see of a gateway. `name`: for operators; `storage`: where it stores files, as text.

    `keys` identifies the secret of the keys, `blobs` the storage of files; both are the same for all.
    """

    name: str
    version: str
    keys: str
    blobs: str
    storage: str


class SqlGateways:
    """The gateways of a database, of which this process is one from `register` to `remove`."""

    def __init__(self, database: Database, clock: DatabaseClock, info: GatewayInfo) -> None:
        self.id = uuid.uuid4().hex
        self._database = database
        self._clock = clock
        self._info = info
        self._started_at = int(clock.now())
        self._seen: Collection[str] = ()

    def now(self) -> float:
        """Return the database's time."""
        return self._clock.now()

    def seen(self) -> Collection[str]:
        """Return the ids of those that ran at the last `renew`."""
        return self._seen

    def read_alive(self) -> Collection[str]:
        """Return the ids of those that run now. Raises Unavailable."""
        with self._database.read_transaction() as connection:
            return self._alive_ids(connection)

    def list_alive(self) -> Collection[str]:
        """Return the names of those that run now, for operators. Raises Unavailable."""
        with self._database.read_transaction() as connection:
            query = sa.select(GATEWAYS.c.name).where(self._is_alive()).order_by(GATEWAYS.c.name)
            return connection.execute(query).scalars().all()

    def register(self) -> None:
        """Join the others. Raises Unavailable if this one shares neither their secret of keys nor their files."""
        self._clock.measure()
        with self._database.write_transaction() as connection:
            if not self._database.is_sqlite:
                connection.execute(sa.text("LOCK TABLE gateways IN SHARE ROW EXCLUSIVE MODE"))
            connection.execute(sa.delete(GATEWAYS).where(sa.not_(self._is_alive())))
            for other in connection.execute(sa.select(GATEWAYS)).mappings():
                self._check(other)
            self._insert(connection)
            self._seen = self._alive_ids(connection)

    def renew(self) -> bool:
        """Show that this gateway runs. False: it was dead to the others for a while. Raises Unavailable."""
        self._clock.measure()
        with self._database.write_transaction() as connection:
            own = sa.and_(GATEWAYS.c.id == self.id, self._is_alive())
            changed = sa.update(GATEWAYS).where(own).values(alive_until=self.now() + ALIVE_S)
            was_alive = connection.execute(changed).rowcount > 0
            if not was_alive:
                connection.execute(sa.delete(GATEWAYS).where(GATEWAYS.c.id == self.id))
                self._insert(connection)
            self._seen = self._alive_ids(connection)
        return was_alive

    def remove(self) -> None:
        """Leave the others, which have at once what this one held. Raises Unavailable."""
        with self._database.write_transaction() as connection:
            connection.execute(sa.delete(GATEWAYS).where(GATEWAYS.c.id == self.id))

    def take(self, name: str, lease_s: float) -> bool:
        """Take or keep the lease of a work for `lease_s`; False: another gateway has it. Raises Unavailable."""
        values = {"owner": self.id, "owned_until": self.now() + lease_s}
        is_free = sa.or_(LEASES.c.owner == self.id, LEASES.c.owned_until <= self.now())
        with self._database.write_transaction() as connection:
            query = sa.update(LEASES).where(LEASES.c.name == name, is_free)
            if connection.execute(query.values(**values)).rowcount:
                return True
            if connection.execute(sa.select(LEASES.c.name).where(LEASES.c.name == name)).first() is not None:
                return False
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(LEASES).values(name=name, **values))
            except IntegrityError:  # another one was first
                return False
            return True

    def _check(self, other: sa.RowMapping) -> None:
        if other["keys"] != self._info.keys:
            raise Unavailable(
                f"The gateway {other['name']} uses this database with another secret of keys: copy the file "
                "`key-secret` of its home into this one's, so that both accept the same keys."
            )
        if other["blobs"] != self._info.blobs:
            raise Unavailable(
                f"The gateway {other['name']} uses this database and stores files elsewhere than in "
                f"{self._info.storage}: set HOMEPORT_BLOBS to the same bucket (s3://BUCKET/PREFIX), or the same shared "
                "folder, for both."
            )

    def _insert(self, connection: sa.Connection) -> None:
        info = msgspec.structs.asdict(self._info)
        del info["storage"]
        row = {**info, "id": self.id, "started_at": self._started_at, "alive_until": self.now() + ALIVE_S}
        connection.execute(sa.insert(GATEWAYS).values(**row))

    def _alive_ids(self, connection: sa.Connection) -> Collection[str]:
        return set(connection.execute(sa.select(GATEWAYS.c.id).where(self._is_alive())).scalars())

    def _is_alive(self) -> sa.ColumnElement[bool]:
        return GATEWAYS.c.alive_until > self.now()
