"""Computes the inputs of all open requests in batches of texts or of images, one input of each request in turn.

A step reads a little of every request that is not read completely yet: it tokenizes texts and checks the headers of
images. Then it computes one batch. So a request with many images does not hold up others, and an image is decoded only
right before it is computed. Knows nothing of where requests come from, or of networks.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from homeport.domain.content import ImagePart
from homeport.domain.embeddings import EmbeddingInput, EmbeddingRequest
from homeport.domain.errors import ContextOverflow, EngineFailed, HomeportError, InvalidRequest
from homeport.domain.events import Admitted, Done, EmbeddingVectors, Event, Failed, Usage
from homeport.domain.text import TextPrompt
from homeport.engines import encodings, image_decoding
from homeport.engines.embeddings.dimensions import choose_dimensions
from homeport.engines.embeddings.dual_encoder.towers import DualEncoder, Pixels, TokenIds, Vectors
from homeport.engines.embeddings.tokenization import decode_foreign_ids
from homeport.engines.round_robin import ActiveRequest

_READING_S = 0.02  # per step, for all requests
_BATCH_PIXELS = 24_000_000  # of the images that one batch decodes: some tenths of a second

logger = logging.getLogger("homeport.embeddings")
EventList = list[tuple[int, Event]]


class _Text(msgspec.Struct, frozen=True):
    """A tokenized text. `index`: its place among the inputs."""

    index: int
    ids: TokenIds


class _Image(msgspec.Struct, frozen=True):
    """An image whose header is right. `size`: its pixels, before they are resized."""

    index: int
    part: ImagePart
    size: int


class _OpenRequest:
    """One request: what is not read yet, what is read and waits, and the number of inputs that have no vector yet."""

    def __init__(self, active: ActiveRequest[EmbeddingRequest]) -> None:
        self.active = active
        self.id = active.id
        self.inputs: Iterator[tuple[int, EmbeddingInput]] | None = iter(enumerate(active.request.inputs))
        self.texts: deque[_Text] = deque()
        self.images: deque[_Image] = deque()
        self.left = len(active.request.inputs)
        self.tokens = 0


class DualEncoderBatcher:
    """Implements `round_robin.EngineWork`. Owns the model."""

    def __init__(self, model: DualEncoder) -> None:
        self._model = model
        self._open: dict[int, _OpenRequest] = {}
        self._last = 0  # id of the request that the last batch began with

    def step(self, requests: Sequence[ActiveRequest[EmbeddingRequest]]) -> Iterable[tuple[int, Event]]:
        """Read a little, then compute a batch."""
        events: EventList = []
        for active in requests:
            if active.id not in self._open:
                self._begin(active, events)
        current = [self._open[active.id] for active in requests if active.id in self._open]
        self._read([each for each in current if each.inputs is not None], events)
        ready = [each for each in current if each.inputs is None and each.id in self._open]
        if ready:
            first = next((at for at, each in enumerate(ready) if each.id > self._last), 0)
            order = [*ready[first:], *ready[:first]]
            self._last = order[0].id
            if order[0].texts:
                self._compute_texts(order, events)
            else:
                self._compute_images(order, events)
        return events

    def drop(self, id: int) -> None:
        """Drop a request."""
        self._open.pop(id, None)

    def close(self) -> None:
        """Free the model."""
        self._open.clear()
        self._model.close()

    def _begin(self, active: ActiveRequest[EmbeddingRequest], events: EventList) -> None:
        try:
            choose_dimensions(active.request.dimensions, self._model.dimensions, None)
        except HomeportError as error:
            events.append((active.id, Failed(error.info)))
            return
        self._open[active.id] = _OpenRequest(active)

    def _read(self, requests: list[_OpenRequest], events: EventList) -> None:
        """Read inputs of the requests in turn for a limited time; admit those that are complete."""
        end = time.monotonic() + _READING_S
        waiting = deque(requests)
        while waiting:
            each = waiting.popleft()
            try:
                if self._read_input(each):
                    waiting.append(each)
                else:
                    events.append((each.id, Admitted(each.tokens)))
            except HomeportError as error:
                self._fail(each, error, events)
            if time.monotonic() > end:
                return

    def _read_input(self, each: _OpenRequest) -> bool:
        """Read the next input; return whether there was one. Raises InvalidRequest and ContextOverflow."""
        for index, input in each.inputs or ():
            if isinstance(input, ImagePart):
                size = image_decoding.count_pixels(input.image.local_path, input.param)
                each.images.append(_Image(index, input, size))
                each.tokens += self._model.images.patches
            else:
                request = each.active.request
                param = "input" if len(request.inputs) == 1 else f"input[{index}]"
                ids = self._ids(input, request, param)
                each.texts.append(_Text(index, ids))
                each.tokens += len(ids)
            return True
        each.inputs = None
        return False

    def _ids(self, input: EmbeddingInput, request: EmbeddingRequest, param: str) -> TokenIds:
        try:
            ids = self._tokenize(input, request, param)
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=param) from None
        window = self._model.texts.window
        if len(ids) > window:
            raise ContextOverflow(
                f"This model's maximum context length is {window} tokens, however you requested {len(ids)} tokens or "
                f"more in '{param}'. Please reduce the length of the input.",
                param=param,
            )
        if not ids:
            raise InvalidRequest(f"'{param}' has no text that this model can read.", param=param)
        return ids

    def _tokenize(self, input: EmbeddingInput, request: EmbeddingRequest, param: str) -> TokenIds:
        texts = self._model.texts
        if isinstance(input, TextPrompt):
            return texts.tokenize(input.text)
        if isinstance(input, ImagePart):
            raise InvalidRequest("An image has no tokens.", param=param)
        if request.encoding is None:
            return texts.complete(input.ids)
        text = decode_foreign_ids(input.ids, encodings.load(request.encoding), param)
        return texts.tokenize(text)

    def _compute_texts(self, order: Sequence[_OpenRequest], events: EventList) -> None:
        batch: list[tuple[_OpenRequest, _Text]] = []
        waiting = deque(each for each in order if each.texts)
        while waiting and len(batch) < self._model.texts.batch:
            each = waiting.popleft()
            batch.append((each, each.texts.popleft()))
            if each.texts:
                waiting.append(each)
        try:
            rows = self._model.texts.encode([text.ids for _, text in batch])
        except EngineFailed as error:
            self._fail_all([each for each, _ in batch], error, events)
            return
        self._finish([(each, text.index) for each, text in batch], rows, events)

    def _compute_images(self, order: Sequence[_OpenRequest], events: EventList) -> None:
        """Decode and compute a batch. An image that cannot be decoded fails its own request only."""
        batch: list[tuple[_OpenRequest, int]] = []
        pixels: list[Pixels] = []
        waiting = deque(each for each in order if each.images)
        size = 0
        while waiting and len(batch) < self._model.images.batch:
            each = waiting.popleft()
            if each.active.is_canceled:
                continue
            if pixels and size + each.images[0].size > _BATCH_PIXELS:
                break
            image = each.images.popleft()
            size += image.size
            try:
                decoded = image_decoding.decode_rgb(image.part.image.local_path, image.part.param)
            except HomeportError as error:
                self._fail(each, error, events)
                continue
            pixels.append(self._model.images.preprocess(decoded))
            batch.append((each, image.index))
            if each.images:
                waiting.append(each)
        # A request may have failed with an image after one that is in the batch already.
        kept = [at for at, (each, _) in enumerate(batch) if each.id in self._open]
        if not kept:
            return
        try:
            rows = self._model.images.encode([pixels[at] for at in kept])
        except EngineFailed as error:
            self._fail_all([batch[at][0] for at in kept], error, events)
            return
        self._finish([batch[at] for at in kept], rows, events)

    def _finish(self, places: Sequence[tuple[_OpenRequest, int]], rows: Vectors, events: EventList) -> None:
        """Add the vectors, normalized to length 1, to the events of their requests."""
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            self._fail_all([each for each, _ in places], EngineFailed("The model returned no direction."), events)
            return
        data = np.asarray(rows / lengths, "<f4")
        by_request: dict[int, tuple[_OpenRequest, list[tuple[int, bytes]]]] = {}
        for (each, index), row in zip(places, data, strict=True):
            by_request.setdefault(each.id, (each, []))[1].append((index, row.tobytes()))
        for each, vectors in by_request.values():
            for first, count, joined in _runs(vectors):
                events.append((each.id, EmbeddingVectors(first, count, self._model.dimensions, joined)))
            each.left -= len(vectors)
            if not each.left:
                events.append((each.id, Done(Usage(each.tokens))))

    def _fail(self, each: _OpenRequest, error: HomeportError, events: EventList) -> None:
        self.drop(each.id)
        events.append((each.id, Failed(error.info)))

    def _fail_all(self, requests: Iterable[_OpenRequest], error: HomeportError, events: EventList) -> None:
        failed = list({each.id: each for each in requests}.values())
        logger.error("a batch of %d requests failed: %s", len(failed), error.message)
        for each in failed:
            self._fail(each, error, events)


def _runs(vectors: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """Join the vectors of consecutive inputs: yield the first index, the number and the bytes of each run."""
    start = 0
    for at in range(1, len(vectors) + 1):
        if at == len(vectors) or vectors[at][0] != vectors[at - 1][0] + 1:
            yield vectors[start][0], at - start, b"".join(data for _, data in vectors[start:at])
            start = at
