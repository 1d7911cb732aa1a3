"""An application that stores files in a folder of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.services import Limits
from homeport.domain.keys import NewKey
from homeport.store import migration
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.key_cache import SqlKeyCache
from homeport.store.keys import SqlKeyRepository
from homeport.store.uploads import SqlUploadRepository
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services
from tests.api.form_bodies import HEADERS, form

LINES = b'{"prompt": "a", "completion": "b"}\n'


class FileApp:
    """Files of two projects, `one` and `other`, each with a key. `now`: the wall clock."""

    def __init__(self, folder: Path, file_bytes: int = 1_000_000) -> None:
        self.folder = folder
        self.now = 1_700_000_000.0
        database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(database)
        keys = SqlKeyRepository(database, b"s" * 32)
        self.secrets = {name: keys.create(NewKey(name=name, project=name)).secret for name in ("one", "other")}
        key_cache = SqlKeyCache(keys, b"s" * 32)
        key_cache.load()
        blobs = BlobStore(str(folder / "blobs"))
        self.files = SqlFileRepository(database, blobs, lambda: self.now)
        self.uploads = SqlUploadRepository(database, blobs, self.files, lambda: self.now)
        self.database = database
        self.services: dict[str, Any] = {
            "access": AccessPolicy.from_keys(key_cache=key_cache),
            "now": lambda: self.now,
            "files": self.files,
            "uploads": self.uploads,
            "limits": Limits(file_bytes=file_bytes),
            "spool": folder / "spool",
        }
        self.app = build_application(services(**self.services))

    async def ask(self, method: str, path: str, body: Any = None, project: str = "one", **query: Any) -> AsgiResponse:
        """Send a request with a project's key; a body is JSON."""

        async def with_query(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "query_string": urlencode(query).encode()}, receive, send)

        content = b"" if body is None else msgspec.json.encode(body)
        headers = {"authorization": f"Bearer {self.secrets[project]}"}
        return await call(with_query, method, f"/v1{path}", content, headers=headers)

    async def post(
        self,
        path: str,
        fields: Sequence[tuple[str, str]] = (),
        files: Sequence[tuple[str, bytes]] = (),
        project: str = "one",
    ) -> AsgiResponse:
        """Send a form with a project's key."""
        headers = {**HEADERS, "authorization": f"Bearer {self.secrets[project]}"}
        return await call(self.app, "POST", f"/v1{path}", form(fields, files), headers=headers)

    async def upload_file(
        self, content: bytes = LINES, purpose: str = "fine-tune", project: str = "one", **fields: str
    ) -> dict[str, Any]:
        """Send a file; return its description."""
        response = await self.post("/files", [("purpose", purpose), *fields.items()], [("file", content)], project)
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json
        return found

    def blobs(self) -> list[str]:
        """The names of all stored contents."""
        root = self.folder / "blobs"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def is_spool_empty(self) -> bool:
        """Whether no file of a form is left."""
        return not (self.folder / "spool").exists() or not any((self.folder / "spool").iterdir())
