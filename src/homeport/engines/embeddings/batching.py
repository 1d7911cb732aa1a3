"""Packs inputs of all open requests into batches by tokens, and computes them.

A step tokenizes a little of every request that is not fully tokenized yet, then computes one batch. A batch takes one
input of each request in turn, beginning with the request that the last batch had no room for. So a request with
thousands of inputs, or with long ones, does not hold up others. Knows nothing of where requests come from.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

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
from homeport.engines.llama.encoder import EmbeddingEncoder
from homeport.engines.round_robin import ActiveRequest

_TOKENIZING_S = 0.02  # per step, for all requests

logger = logging.getLogger("homeport.embeddings")
EventList = list[tuple[int, Event]]


class _ActiveRequest:
    """One open request. `waiting`: the ids of tokenized inputs that are not computed yet; `done`: number computed.

    `counts_only`: nothing is computed.
    """

    def __init__(
        self, id: int, inputs: Iterator[TokenIds | None], dimensions: int, *, counts_only: bool = False
    ) -> None:
        self.id = id
        self.counts_only = counts_only
        self.inputs: Iterator[TokenIds | None] | None = inputs
        self.dimensions = dimensions
        self.waiting: deque[TokenIds] = deque()
        self.done = 0
        self.tokens = 0

    def tokenize_more(self) -> bool:
        """Tokenize one more piece; return whether all inputs are tokenized. Raises errors of the request."""
        for ids in self.inputs or ():
            if ids is not None:
                self.waiting.append(ids)
                self.tokens += len(ids)
            return False
        self.inputs = None
        return True


class EmbeddingBatcher:
    """Implements `round_robin.EngineWork` for embeddings. Owns the encoder."""

    def __init__(self, model: EmbeddingEncoder, tokenizer: InputTokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._open: dict[int, _ActiveRequest] = {}
        self._next = 0  # id of the request that the next batch begins with
        self._last_tokenized = 0

    def step(self, requests: Sequence[ActiveRequest[EmbeddingRequest]]) -> Iterable[tuple[int, Event]]:
        """Tokenize a little, then compute a batch."""
        events: EventList = []
        for active in requests:
            if active.id not in self._open:
                self._begin(active, events)
        current = [self._open[active.id] for active in requests if active.id in self._open]
        self._tokenize([each for each in current if each.inputs is not None], events)
        ready = [each for each in current if each.inputs is None and each.id in self._open]
        if ready:
            self._compute(self._build_batch(ready), events)
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
        counts = TokenCounts(tuple(map(len, request.waiting)), self._tokenizer.most_tokens)
        events += [(request.id, event) for event in (Admitted(0), counts, Done(Usage(0)))]

    def _build_batch(self, ready: list[_ActiveRequest]) -> list[tuple[_ActiveRequest, list[TokenIds]]]:
        """Return a batch: requests, each with the inputs that the batch takes, in order; at least one."""
        first = next((at for at, each in enumerate(ready) if each.id >= self._next), 0)
        order = deque([*ready[first:], *ready[:first]])
        chosen: dict[int, list[TokenIds]] = {each.id: [] for each in order}
        tokens = count = 0
        while order and count < self._model.sequences:
            each = order[0]
            at = len(chosen[each.id])
            size = len(each.waiting[at]) if at < len(each.waiting) else 0
            if count and tokens + size > self._model.batch:
                self._next = each.id
                break
            order.popleft()
            if size:
                chosen[each.id].append(each.waiting[at])
                tokens, count = tokens + size, count + 1
                order.append(each)
        else:
            self._next = order[0].id if order else 0
        return [(each, chosen[each.id]) for each in ready if chosen[each.id]]

    def _compute(self, batch: list[tuple[_ActiveRequest, list[TokenIds]]], events: EventList) -> None:
        try:
            rows = self._model.encode([ids for _, inputs in batch for ids in inputs])
        except EngineFailed as error:
            logger.exception("a batch of %d requests failed", len(batch))
            for each, _ in batch:
                self.drop(each.id)
                events.append((each.id, Failed(error.info)))
            return
        start = 0
        for each, inputs in batch:
            data = truncate(rows[start : start + len(inputs)], each.dimensions).astype("<f4").tobytes()
            events.append((each.id, EmbeddingVectors(each.done, len(inputs), each.dimensions, data)))
            start += len(inputs)
            each.done += len(inputs)
            for _ in inputs:
                each.waiting.popleft()
            if not each.waiting:
                events.append((each.id, Done(Usage(each.tokens))))
