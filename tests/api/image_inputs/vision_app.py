"""An application with a model that sees and one that does not, and images for them."""

import base64
import io
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

from homeport.api.application import build_application
from homeport.domain.content import ImagePart
from homeport.domain.files import NewFile
from homeport.domain.keys import LOCAL_PROJECT
from homeport.domain.models import Alias
from homeport.domain.text import ChatPrompt, TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from homeport.store import migration
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import TEXT, FakeRegistry, FakeServing, Script, installed, services
from tests.api.text_generation.calls import every_choice

SEEING, BLIND = "eye", "tiny"


def png(colour: str = "red", format: str = "PNG") -> bytes:
    """Return a small image."""
    data = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(data, format)
    return data.getvalue()


def huge_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """Return an image whose header says that it is huge."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def data_url(image: bytes, kind: str = "image/png") -> str:
    """Return an image as a data: URL."""
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def shown(url: str, **fields: str) -> dict[str, Any]:
    """Return a part of a chat's message with an image."""
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a chat of one message with these parts."""
    return [{"role": "user", "content": list(parts)}]


RED, BLUE = data_url(png("red")), data_url(png("blue"))


class SeeingServing(FakeServing):
    """Answers as every fake does, and records the bytes of each image that a request has, in order."""

    def __init__(self) -> None:
        super().__init__(self._read)
        self.seen: list[list[bytes]] = []
        self.files: list[Path] = []

    @property
    def prompts(self) -> Sequence[ChatPrompt]:
        """The prompts of all requests."""
        return [prompt for _, request in self.requests for prompt in _prompts(request)]

    def _read(self, request: EngineRequest) -> Script:
        paths = [image.image.local_path for prompt in _prompts(request) for image in images(prompt)]
        self.files += paths
        self.seen.append([path.read_bytes() for path in paths])
        return every_choice(request)


def _prompts(request: EngineRequest) -> Sequence[ChatPrompt]:
    assert isinstance(request, TextRequest | TokenRequest)
    return [prompt for prompt in request.prompts if isinstance(prompt, ChatPrompt)]


def images(prompt: ChatPrompt) -> Sequence[ImagePart]:
    """Return the images of a prompt, in order."""
    return [part for message in prompt.messages for part in message.parts if isinstance(part, ImagePart)]


def vision_services(spool: Path, *, has_eye: bool = True) -> dict[str, Any]:
    """Return the services that differ. `has_eye`: the model that sees is installed, and `gpt-4o` stands for it."""
    models = [installed(BLIND), *([installed(SEEING, (*TEXT, "vision"))] if has_eye else [])]
    aliases = [Alias("gpt-3.5-turbo", BLIND), Alias("gpt-4o", SEEING)]
    return {"registry": FakeRegistry(models, aliases[: 1 + has_eye]), "spool": spool}


def vision_app(serving: FakeServing, spool: Path, *, has_eye: bool = True, **changes: Any) -> Any:
    """Build the application. `changes` replace fields of its services."""
    return build_application(services(serving, **vision_services(spool, has_eye=has_eye), **changes))


async def post(app: Any, path: str, body: Mapping[str, Any]) -> AsgiResponse:
    """Send a JSON body."""
    return await call(app, "POST", path, msgspec.json.encode(body))


def uploaded(folder: Path, content: bytes) -> tuple[SqlFileRepository, str]:
    """Return the files of a server, and the id of the only one."""
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/homeport.db")
    migration.prepare_database(database)
    files = SqlFileRepository(database, BlobStore(str(folder / "blobs")), time.time)
    source = folder / "source"
    source.write_bytes(content)
    return files, files.create(NewFile(project=LOCAL_PROJECT, purpose="vision", filename="a.png"), source).id
