"""An application with batches of two projects, which run on a scripted model."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.in_process_dispatcher import InProcessDispatcher
from homeport.domain.keys import KeyLimits, NewKey
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.batches.runner import BatchRunner
from homeport.serving.rate_limits import RateLimiter
from homeport.store import migration
from homeport.store.batches import SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.key_cache import SqlKeyCache
from homeport.store.keys import SqlKeyRepository
from homeport.store.usage import SqlUsageRepository
from homeport.store.usage_ledger import FileUsageLedger
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, services
from tests.api.form_bodies import HEADERS, form

_MID_MONTH = datetime(2026, 11, 15, 12, tzinfo=UTC).timestamp()


class OpenGate:
    """An idle gate that is always open."""

    is_open = True

    async def wait_open(self) -> None:
        """Return at once."""


def line(name: str, **body: Any) -> dict[str, Any]:
    """A request for a completion."""
    asked = {"model": "tiny", "prompt": name, **body}
    return {"custom_id": name, "method": "POST", "url": "/v1/completions", "body": asked}


class BatchApp:
    """Two projects, `one` and `other`, each with a key of the same limits."""

    def __init__(self, folder: Path, limits: KeyLimits = KeyLimits(), models: tuple[str, ...] = ()) -> None:  # noqa: B008 - frozen
        self.folder = folder
        database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(database)
        self.keys = SqlKeyRepository(database, b"s" * 32)
        wanted = [NewKey(name=name, project=name, limits=limits, models=models) for name in ("one", "other")]
        self.issued = {each.name: self.keys.create(each) for each in wanted}
        self.key_cache = SqlKeyCache(self.keys, b"s" * 32)
        self.key_cache.load()
        self.files = SqlFileRepository(database, BlobStore(str(folder / "blobs")))
        self.repository = SqlBatchRepository(database, self.files)
        self.usage = SqlUsageRepository(database, folder / "usage")
        # In the middle of a month: on its last day, lines over a month's limit would wait for the next one.
        self.quotas = RateLimiter(now=lambda: _MID_MONTH)
        self.serving = FakeServing()
        self.app = build_application(
            services(
                self.serving,
                access=AccessPolicy.from_keys(key_cache=self.key_cache),
                files=self.files,
                batches=self.repository,
                rate_limiter=self.quotas,
                ledger=FileUsageLedger(folder / "usage"),
                spool=folder / "spool",
            )
        )

    async def ask(
        self, method: str, path: str, body: Any = None, project: str = "one", query: str = ""
    ) -> AsgiResponse:
        """Send a request with a project's key; a body is JSON."""

        async def with_query(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "query_string": query.encode()}, receive, send)

        content = b"" if body is None else msgspec.json.encode(body)
        headers = {"authorization": f"Bearer {self.issued[project].secret}"}
        return await call(with_query, method, f"/v1/batches{path}", content, headers=headers)

    async def upload_lines(self, lines: Sequence[Any], project: str = "one", purpose: str = "batch") -> str:
        """Send a file of lines; return its id."""
        content = "\n".join(json.dumps(each) for each in lines).encode()
        headers = {**HEADERS, "authorization": f"Bearer {self.issued[project].secret}"}
        body = form([("purpose", purpose)], [("file", content)])
        response = await call(self.app, "POST", "/v1/files", body, headers=headers)
        assert response.status == 200, response.body
        return str(response.json["id"])

    async def create_batch(self, lines: Sequence[Any], project: str = "one", **changed: Any) -> dict[str, Any]:
        """Create a batch of these lines."""
        response = await self.ask("POST", "", await self.batch_body(lines, project, **changed), project)
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json
        return found

    async def batch_body(
        self, lines: Sequence[Any] = (line("a"),), project: str = "one", **changed: Any
    ) -> dict[str, Any]:
        """Return the body that creates a batch of these lines."""
        file_id = await self.upload_lines(lines, project)
        return {"input_file_id": file_id, "endpoint": "/v1/completions", "completion_window": "24h", **changed}

    @asynccontextmanager
    async def run_batches(self) -> AsyncIterator[None]:
        """Run batches, through the application, until the end of the block."""
        dispatch = InProcessDispatcher(self.app, lambda: "here:1")
        runner = BatchRunner(self.repository, self.files, dispatch, OpenGate(), self.folder / "work", BackgroundLoops())
        work = asyncio.create_task(runner.run())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def wait_until_ended(self, batch_id: str, project: str = "one") -> dict[str, Any]:
        """Return the batch once it has ended."""
        async with asyncio.timeout(30):
            while True:
                response: dict[str, Any] = (await self.ask("GET", f"/{batch_id}", project=project)).json
                if response["status"] in ("completed", "failed", "expired", "cancelled"):
                    return response
                await asyncio.sleep(0.01)

    async def lines(self, file_id: str, project: str = "one") -> list[dict[str, Any]]:
        """Return the lines of a file."""
        pieces = [piece async for piece in self.files.read(self.files.get(project, file_id))]
        return [json.loads(text) for text in b"".join(pieces).splitlines()]
