"""Makes the vectors of an index of images, and of queries, by a running server.

Requests are bounded by images and bytes. An image that the server refuses is noted with the reason, and the others are
embedded. Knows nothing of where the index is kept.
"""

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from homeport.client import http_client
from homeport.client.image_index import ImageIndex, ModelStamp, NewImage
from homeport.client.runfile import RunningServer
from homeport.domain.errors import HomeportError

_BATCH_IMAGES, _BATCH_BYTES = 16, 12_000_000
"""Of one request: as base64, these bytes are below the default limit of a body."""
_SAVE_EVERY = 10  # requests: an update that is interrupted continues near where it was

_PLACE = re.compile(r"input(?:\[(\d+)\])?")
_TOO_LARGE = "request_too_large"

Batch = Sequence[tuple[NewImage, bytes]]
"""Images with the content of their files."""


class ImageEmbedder:
    """Embeds by one model of a running server."""

    def __init__(self, server: RunningServer, key: str, model: str) -> None:
        self._server = server
        self._key = key
        self._model = model

    def describe_model(self) -> ModelStamp:
        """Return what tells the model from others. Raises the server's error for an unknown one."""
        described = http_client.request_json(
            self._server, self._key, "GET", f"/v1/models/{quote(self._model, safe='')}"
        )
        return ModelStamp(described["root"], described["created"], described["size_bytes"])

    def embed(self, query: object) -> bytes:
        """Return the vector of a text, or of an image part, as little-endian floats. Raises the server's error."""
        return self._vectors([query])[0]

    def update(self, index: ImageIndex, on_progress: Callable[[int, int], None]) -> int:
        """Make the vectors that an index lacks; return their number. `on_progress`: images done, of how many.

        Raises the server's errors that are not about one image; what was done until then is kept.
        """
        new = index.scan()
        done = 0
        try:
            for number, batch in enumerate(_batches(index, new), 1):
                self._embed_batch(index, batch)
                done += len(batch)
                on_progress(done, len(new))
                if number % _SAVE_EVERY == 0:
                    index.save()
        finally:
            index.save()
        return done

    def _embed_batch(self, index: ImageIndex, batch: Batch) -> None:
        while batch:
            try:
                vectors = self._vectors([http_client.image_part(data) for _, data in batch])
            except HomeportError as error:
                if error.code == _TOO_LARGE and len(batch) > 1:
                    self._embed_batch(index, batch[: len(batch) // 2])
                    batch = batch[len(batch) // 2 :]
                    continue
                at = _place(error)
                if at is None or at >= len(batch):
                    raise
                index.add(batch[at][0], fault=error.message)
                batch = [*batch[:at], *batch[at + 1 :]]
            else:
                for (image, _), vector in zip(batch, vectors, strict=True):
                    index.add(image, vector)
                return

    def _vectors(self, inputs: Sequence[object]) -> list[bytes]:
        answer = http_client.embed(self._server, self._key, self._model, inputs, "base64")
        return [base64.b64decode(each["embedding"]) for each in answer["data"]]


def _batches(index: ImageIndex, new: Sequence[NewImage]) -> Iterator[Batch]:
    """Read the files of new images, in batches. One that cannot be read is left out, and tried again next time."""
    batch: list[tuple[NewImage, bytes]] = []
    size = 0
    for image in new:
        data = _read(index.folder / image.states[0].path)
        if data is None:
            continue
        if batch and (len(batch) == _BATCH_IMAGES or size + len(data) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((image, data))
        size += len(data)
    if batch:
        yield batch


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _place(error: HomeportError) -> int | None:
    """Return which input an error is about; None for an error of the whole request."""
    if error.code == _TOO_LARGE:
        return 0  # of a request with one image
    match = _PLACE.match(error.param or "")
    return int(match[1] or 0) if match else None
