"""Has the embeddings model of a store count tokens and make vectors, as requests in the background.

Vectors are asked for like a caller's: authorized, limited and counted as those of the project and key that added the
file. Knows nothing of files or chunks.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing

import msgspec

from homeport.domain.batches import DispatchedResponse
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import HomeportError, NotFound, Unavailable
from homeport.domain.events import TokenCounts
from homeport.domain.models import InstalledModel
from homeport.domain.ports.models import ModelRegistry
from homeport.domain.ports.serving import Serving
from homeport.domain.text import TextPrompt
from homeport.domain.vector_stores import StoreFile, VectorStore
from homeport.serving.vector_stores.requests import EmbeddingRequests, Refused, RequestOwner

MAX_ATTEMPTS = 6
"""How often vectors are asked for if the server fails; while it is only busy, for as long as that takes."""
_BUSY = 429
_FULL = "insufficient_quota"
_RETRY_INTERVAL_S = 1.0
_MAX_PAUSE_S = 60.0

_log = logging.getLogger("homeport.vector_stores")


class EmbeddingFailed(Exception):
    """The model does not embed the chunks of a file, and asking again cannot change that."""


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    code: str | None = None


class _Envelope(msgspec.Struct):
    error: _Error = _Error()


class StoreEmbedder:
    """Makes the vectors of one store for the project and key of a file."""

    def __init__(
        self,
        registry: ModelRegistry,
        serving: Serving,
        requests: EmbeddingRequests,
        store: VectorStore,
        file: StoreFile,
    ) -> None:
        self._serving = serving
        self._requests = requests
        self._file = file
        self._model = _find_model(registry, store)
        self._owner = RequestOwner(file.project, file.key, store.model)

    async def count(self, texts: Sequence[str]) -> TokenCounts:
        """Count the tokens of texts. Raises EmbeddingFailed."""
        request = EmbeddingRequest(tuple(map(TextPrompt, texts)), counts_only=True)
        for attempt in range(MAX_ATTEMPTS):
            try:
                await self._serving.idle_gate.wait_open()
                return await self._count(request)
            except HomeportError as error:
                _log.info("counting the tokens of %s is tried again: %s", self._file.id, error)
                if attempt == MAX_ATTEMPTS - 1:
                    raise EmbeddingFailed(error.message) from error
                await asyncio.sleep(error.retry_after_s or _RETRY_INTERVAL_S * 2**attempt)
        raise AssertionError

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return the vector of each text. Raises EmbeddingFailed."""
        n_attempts, is_refused = 0, False
        while True:
            try:
                return await self._requests.embed(self._owner, texts, is_alone=is_refused)
            except Refused as refused:
                response, is_refused = refused.response, True
            n_attempts += response.status != _BUSY
            is_final = response.status < 500 and (response.status != _BUSY or response.code == _FULL)
            if is_final or n_attempts >= MAX_ATTEMPTS:
                raise EmbeddingFailed(_message(response))
            await asyncio.sleep(min(response.retry_after_s or _RETRY_INTERVAL_S * 2**n_attempts, _MAX_PAUSE_S))

    async def _count(self, request: EmbeddingRequest) -> TokenCounts:
        stream = await self._serving.open(self._model, request, is_background=True)
        async with aclosing(stream):
            await stream.admitted()
            async for events in stream:
                for event in events:
                    if isinstance(event, TokenCounts):
                        return event
        raise Unavailable("The model counted no tokens.")


def _find_model(registry: ModelRegistry, store: VectorStore) -> InstalledModel:
    """Return the model that made the store's vectors. Raises EmbeddingFailed if it is not there as it was."""
    try:
        model = registry.resolve(store.model, "embeddings").model
    except (NotFound, HomeportError) as error:
        raise EmbeddingFailed(f"The vectors of this store are made by `{store.model}`: {error.message}") from error
    if model.digest != store.digest:
        raise EmbeddingFailed(
            f"The vectors of this store are made by other weights than those that `{store.model}` has now, and vectors "
            "of two models cannot be compared: create a new store."
        )
    return model


def _message(response: DispatchedResponse) -> str:
    try:
        message = msgspec.json.decode(response.body, type=_Envelope).error.message
    except msgspec.DecodeError:
        message = ""
    return message or f"The embeddings model answered with status {response.status}."
