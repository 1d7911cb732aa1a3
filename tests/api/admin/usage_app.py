"""An application with usage of three days, for tests of an operator's questions."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.usage import UsageRecord
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.usage import SqlUsageRepository
from homeport.store.usage_ledger import FileUsageLedger
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services

ADMIN = "the-operators-own-key"
DAY = 86_400


class UsageApp:
    """An application with usage of three days in its database. `now`: the wall clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 200.0 * DAY
        database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(database)
        self.ledger = FileUsageLedger(folder / "usage")
        self.record(at=100 * DAY + 5, key="k1", cached_tokens=4)
        self.record(at=100 * DAY + 3700, key="k2", user="u")
        self.record(at=102 * DAY, endpoint="edits", model="other")
        self.record(at=102 * DAY, endpoint="embeddings", completion_tokens=0)
        self.record(at=102 * DAY, endpoint="speech", amount=11.0)
        self.record(at=102 * DAY, endpoint="transcribe", amount=2.6)
        access = AccessPolicy.from_keys(["sk-a-callers-key"], admin_keys=[ADMIN])
        usage = SqlUsageRepository(database, folder / "usage")
        self.app = build_application(services(access=access, usage=usage, now=lambda: self.now))

    def record(self, **changes: Any) -> None:
        """Record a request, by default on the day 104."""
        plain = UsageRecord(
            at=104 * DAY, request="r", project="p", model="tiny", endpoint="chat", prompt_tokens=10, completion_tokens=2
        )
        self.ledger.write(msgspec.structs.replace(plain, **changes))

    async def ask(self, path: str, *query: tuple[str, object], key: str = ADMIN) -> AsgiResponse:
        """Send a request with an admin key."""

        async def with_query(scope: dict[str, object], receive: object, send: object) -> None:
            await self.app({**scope, "query_string": urlencode(query).encode()}, receive, send)  # type: ignore[arg-type]

        return await call(with_query, "GET", path, headers={"authorization": f"Bearer {key}"})  # type: ignore[arg-type]
