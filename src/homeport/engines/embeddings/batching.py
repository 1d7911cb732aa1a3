"""Packs inputs of all open requests into batches by tokens, and computes them.

A step tokenizes a little of every request that is not fully tokenized yet, begins a batch on each free thread of the
encoder, and returns what has been computed; it waits only if it has nothing to return. So no thread waits for the batch
of another one, and requests are tokenized while batches are computed. A batch takes one input of each request in turn,
beginning with the request that the last batch had no room for. So a request with thousands of inputs, or with long
ones, does not hold up others. Knows nothing of where requests come from.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import NamedTuple

import numpy as np

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import EngineFailed, HomeportError
from homeport.domain.events import (
    Admitted,
    Done,
    EmbeddingVectors,
    Event,
    Failed,
    TokenCounts,
    Usage,
)
from homeport.engines.embeddings.dimensions import truncate
from homeport.engines.embeddings.tokenization import InputTokenizer, TokenIds
from homeport.engines.llama.encoder import EmbeddingEncoder, Vectors
from homeport.engines.round_robin import ActiveRequest

_TOKENIZING_S = 0.02  # per step, for all requests
_COUNTED_S = 1.0
"""How long texts that were counted are expected: documents are counted before they are embedded, one after another."""

logger = logging.getLogger("homeport.embeddings")
EventList = list[tuple[int, Event]]


class _ActiveRequest:
    """One open request. `waiting`: the ids of tokenized inputs that no batch has yet.

    `taken`: number of inputs that batches have or had; `done`: number whose vectors are sent; `computed`: vectors that
    wait for those of earlier inputs, by the number of their first input. `counts_only`: nothing is computed.
    """

    def __init__(
        self, id: int, inputs: Iterator[TokenIds | None], dimensions: int, *, counts_only: bool = False
    ) -> None:
        self.id = id
        self.counts_only = counts_only
        self.inputs: Iterator[TokenIds | None] | None = inputs
        self.dimensions = dimensions
        self.waiting: deque[TokenIds] = deque()
        self.n_inputs = 0
        self.taken = 0
        self.done = 0
        self.computed: dict[int, Vectors] = {}
        self.tokens = 0

    def tokenize_more(self) -> bool:
        """Tokenize one more piece; return whether all inputs are tokenized. Raises errors of the request."""
        for ids in self.inputs or ():
            if ids is not None:
                self.waiting.append(ids)
                self.n_inputs += 1
                self.tokens += len(ids)
            return False
        self.inputs = None
        return True

    def take(self) -> TokenIds:
        """Take the next input for a batch."""
        self.taken += 1
        return self.waiting.popleft()

    def put_back(self, inputs: Sequence[TokenIds]) -> None:
        """Put back the inputs that were taken last."""
        self.taken -= len(inputs)
        self.waiting.extendleft(reversed(inputs))

    def take_computed(self) -> list[Vectors]:
        """Take the vectors that come next in the order of the inputs."""
        rows: list[Vectors] = []
        end = self.done
        while (more := self.computed.pop(end, None)) is not None:
            rows.append(more)
            end += len(more)
        return rows


class _Part(NamedTuple):
    """What a batch has of a request: its inputs from number `first` on."""

    request: _ActiveRequest
    first: int
    inputs: list[TokenIds]


Batch = list[_Part]


class EmbeddingBatcher:
    """Implements `round_robin.EngineWork` for embeddings. Owns the encoder."""

    def __init__(self, model: EmbeddingEncoder, tokenizer: InputTokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._open: dict[int, _ActiveRequest] = {}
        self._running: dict[Future[Vectors], Batch] = {}
        self._next = 0  # id of the request that the next batch begins with
        self._last_tokenized = 0
        self._counted_at = -_COUNTED_S

    def step(self, requests: Sequence[ActiveRequest[EmbeddingRequest]]) -> Iterable[tuple[int, Event]]:
        """Tokenize a little, begin batches, and return what is computed."""
        events: EventList = []
        for active in requests:
            if active.id not in self._open:
                self._begin(active, events)
        current = [self._open[active.id] for active in requests if active.id in self._open]
        self._tokenize([each for each in current if each.inputs is not None], events)
        ready = [each for each in current if each.inputs is None and each.id in self._open]
        self._begin_batches(ready, events)
        self._collect(events)
        return events

    def drop(self, id: int) -> None:
        """Drop a request."""
        self._open.pop(id, None)
        if not self._open:
            self._model.release_large_contexts()

    def close(self) -> None:
        """Free the model."""
        self._open.clear()
        self._model.close()

    def _begin(self, active: ActiveRequest[EmbeddingRequest], events: EventList) -> None:
        try:
            dimensions = self._tokenizer.dimensions(active.request.dimensions)
        except HomeportError as error:
            events.append((active.id, Failed(error.info)))
            return
        counts_only = active.request.counts_only
        inputs = self._tokenizer.count(active.request) if counts_only else self._tokenizer.tokenize(active.request)
        self._open[active.id] = _ActiveRequest(active.id, inputs, dimensions, counts_only=counts_only)

    def _tokenize(self, requests: list[_ActiveRequest], events: EventList) -> None:
        """Tokenize pieces of the requests in turn for a limited time; admit those that are complete."""
        end = time.monotonic() + _TOKENIZING_S
        waiting = deque(sorted(requests, key=lambda each: (each.id <= self._last_tokenized, each.id)))
        while waiting:
            each = waiting.popleft()
            self._last_tokenized = each.id
            try:
                if not each.tokenize_more():
                    waiting.append(each)
                elif each.counts_only:
                    self._finish_counting(each, events)
                else:
                    events.append((each.id, Admitted(each.tokens)))
            except HomeportError as error:
                self.drop(each.id)
                events.append((each.id, Failed(error.info)))
            if time.monotonic() > end:
                return

    def _finish_counting(self, request: _ActiveRequest, events: EventList) -> None:
        self.drop(request.id)
        self._counted_at = time.monotonic()
        counts = TokenCounts(tuple(map(len, request.waiting)), self._tokenizer.most_tokens)
        events += [(request.id, event) for event in (Admitted(0), counts, Done(Usage(0)))]

    def _begin_batches(self, ready: list[_ActiveRequest], events: EventList) -> None:
        """Begin a batch on each free thread, as long as requests have inputs for it.

        All threads compute one batch together if it is long, or the only one and none is expected soon.
        """
        while len(self._running) < self._model.batches_at_once and any(each.waiting for each in ready):
            batch = self._build_batch(ready)
            is_long = sum(len(ids) for part in batch for ids in part.inputs) > self._model.tokens_at_once
            if is_long and self._running:
                self._put_back(batch)
                return
            is_only = not self._running and not any(each.waiting for each in ready) and not self._expects_more()
            if is_long or is_only or self._model.batches_at_once == 1:
                self._compute_alone(batch, events)
                return
            self._running[self._model.start(_inputs(batch))] = batch

    def _expects_more(self) -> bool:
        return time.monotonic() - self._counted_at < _COUNTED_S

    def _put_back(self, batch: Batch) -> None:
        """Undo the building of a batch; the next one begins with the same request."""
        for part in batch:
            part.request.put_back(part.inputs)
        self._next = batch[0].request.id

    def _build_batch(self, ready: list[_ActiveRequest]) -> Batch:
        """Take inputs for a batch, at least one."""
        first = next((at for at, each in enumerate(ready) if each.id >= self._next), 0)
        order = deque([*ready[first:], *ready[:first]])
        chosen: dict[int, list[TokenIds]] = {each.id: [] for each in order}
        tokens = count = 0
        while order and count < self._model.sequences:
            each = order[0]
            size = len(each.waiting[0]) if each.waiting else 0
            if count and tokens + size > self._model.batch:
                self._next = each.id
                break
            order.popleft()
            if size:
                chosen[each.id].append(each.take())
                tokens, count = tokens + size, count + 1
                order.append(each)
        else:
            self._next = order[0].id if order else 0
        taken = [(each, chosen[each.id]) for each in ready if chosen[each.id]]
        return [_Part(each, each.taken - len(inputs), inputs) for each, inputs in taken]

    def _compute_alone(self, batch: Batch, events: EventList) -> None:
        try:
            rows = self._model.encode(_inputs(batch))
        except EngineFailed as error:
            self._fail(batch, error, events)
        else:
            self._deliver(batch, rows, events)

    def _collect(self, events: EventList) -> None:
        """Take the results of batches that are computed. Waits for the first one if there are no other events."""
        if self._running and not events:
            wait(self._running, return_when=FIRST_COMPLETED)
        for future in [each for each in self._running if each.done()]:
            batch = self._running.pop(future)
            try:
                rows = future.result()
            except EngineFailed as error:
                self._fail(batch, error, events)
            else:
                self._deliver(batch, rows, events)

    def _fail(self, batch: Batch, error: EngineFailed, events: EventList) -> None:
        logger.error("a batch of %d requests failed", len(batch), exc_info=error)
        for part in batch:
            if self._is_open(part.request):
                self.drop(part.request.id)
                events.append((part.request.id, Failed(error.info)))

    def _deliver(self, batch: Batch, rows: Vectors, events: EventList) -> None:
        """Add the vectors of a batch to their requests, and emit what is next of each. `rows`: in the batch's order."""
        start = 0
        for request, first, inputs in batch:
            request.computed[first] = rows[start : start + len(inputs)]
            start += len(inputs)
            next_rows = request.take_computed()
            if not next_rows or not self._is_open(request):
                continue
            vectors = np.concatenate(next_rows)
            data = truncate(vectors, request.dimensions).astype("<f4").tobytes()
            events.append((request.id, EmbeddingVectors(request.done, len(vectors), request.dimensions, data)))
            request.done += len(vectors)
            if request.done == request.n_inputs:
                events.append((request.id, Done(Usage(request.tokens))))

    def _is_open(self, request: _ActiveRequest) -> bool:
        """Return whether a request was not dropped since its batch began."""
        return self._open.get(request.id) is request


def _inputs(batch: Batch) -> list[TokenIds]:
    return [ids for part in batch for ids in part.inputs]
