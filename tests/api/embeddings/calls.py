"""Send bodies to the embeddings endpoint in process, to a worker that plays a script."""

import json
import struct
from typing import Any

from homeport.api.application import build_application
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.events import (
    Admitted,
    Done,
    EmbeddingVectors,
    Usage,
)
from homeport.domain.models import Alias
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, services

PATH = "/v1/embeddings"
MODEL = "tiny-vectors"
CLIP = "tiny-clip"


def row(index: int) -> list[float]:
    """Return a vector of four numbers without short decimal forms."""
    return list(struct.unpack("<4f", struct.pack("<4f", 0.1 + index, -1 / 3, 1e-8, 2 / 7)))


def vectors(first: int, count: int) -> EmbeddingVectors:
    """Return the vectors of some inputs."""
    data = b"".join(struct.pack("<4f", *row(index)) for index in range(first, first + count))
    return EmbeddingVectors(first, count, 4, data)


def each_input(request: Any) -> Script:
    """Answer each input of a request, two vectors per event."""
    count = len(request.inputs)
    pairs = [[vectors(first, min(2, count - first))] for first in range(0, count, 2)]
    return [[Admitted(7 * count)], *pairs, [Done(Usage(7 * count))]]


def application(serving: FakeServing) -> Any:
    """Build the application with two embedding models, one of which embeds images, a text model, and OpenAI's names."""
    models = [installed(MODEL, ("embeddings",)), installed(CLIP, ("embeddings", "image_embeddings")), installed("tiny")]
    aliases = [
        Alias("text-embedding-ada-002", MODEL, "cl100k_base"),
        Alias("text-search-ada-query-001", MODEL, "r50k_base"),
        Alias("text-search-ada-doc-001", MODEL, "r50k_base"),
        Alias("code-search-ada-text-001", MODEL, "r50k_base"),
        Alias("code-search-ada-code-001", MODEL, "r50k_base"),
        Alias("text-similarity-ada-001", MODEL, "r50k_base"),
        Alias("gpt-4", "tiny", "cl100k_base"),
    ]
    return build_application(services(serving, registry=FakeRegistry(models, aliases)))


async def post(serving: FakeServing | None = None, path: str = PATH, **changes: Any) -> AsgiResponse:
    """Send a plain body with some fields changed; `...` omits a field."""
    body = {"model": MODEL, "input": "Hello", **changes}
    sent = {key: value for key, value in body.items() if value is not ...}
    return await call(application(serving or FakeServing(each_input)), "POST", path, json.dumps(sent).encode())


async def sent_request(**changes: Any) -> EmbeddingRequest:
    """Return the engine request that a body becomes."""
    serving = FakeServing(each_input)
    response = await post(serving, **changes)
    assert response.status == 200, response.body
    ((_, request),) = serving.requests
    assert isinstance(request, EmbeddingRequest)
    return request
