"""The time of a database, which is the same for all servers that share it, whatever their own clocks say."""

import time
from collections.abc import Callable

import sqlalchemy as sa

from homeport.store.database import Database


class DatabaseClock:
    """The wall clock of a database. `measure` it regularly; `now` never blocks.

    That of SQLite is this machine's. `monotonic`: a clock that nobody sets.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._offset_s = time.time() - monotonic()
        self._round_trip_s = float("inf")

    def now(self) -> float:
        """Return the database's time in seconds since 1970."""
        return time.time() if self._database.is_sqlite else self._monotonic() + self._offset_s

    def measure(self) -> None:
        """Compare the clocks. Raises Unavailable."""
        if self._database.is_sqlite:
            return
        with self._database.read_transaction() as connection:
            began = self._monotonic()
            answer = connection.execute(sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))).scalar_one()
            ended = self._monotonic()
        # The answer was given between the two moments. A slow one says less than an earlier quick one, unless that is
        # wrong by now, as after this machine slept.
        earliest_s, latest_s = float(answer) - ended, float(answer) - began
        if ended - began <= self._round_trip_s or not earliest_s <= self._offset_s <= latest_s:
            self._offset_s = (earliest_s + latest_s) / 2
            self._round_trip_s = ended - began
