"""The work itself: inputs of all open requests packed into batches by tokens, each request in its turn.

A step reads a little of every request that is not read yet, then computes one batch. Batches are filled an input of
each request at a time, beginning where the last batch had no more room, so a request of thousands of inputs, or of long
ones, holds no other up. Knows nothing of where requests come from.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import EngineFailed, HomeportError
from homeport.domain.events import (
    Admitted,
    Done,
    EmbeddingVectors,
    Event,
    Failed,
    Usage,
)
from homeport.engines.embeddings.tokenization import InputTokenizer, TokenIds
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder
from homeport.engines.round_robin import ActiveRequest

_READING_S = 0.02  # of a step, over all requests

logger = logging.getLogger("homeport.embeddings")
EventList = list[tuple[int, Event]]


class _ActiveRequest:
    """A request under way: `waiting` are the ids of inputs read and not computed yet, `done` counts those computed."""

    def __init__(self, id: int, reader: Iterator[TokenIds | None], dimensions: int) -> None:
        self.id = id
        self.reader: Iterator[TokenIds | None] | None = reader
        self.dimensions = dimensions
        self.waiting: deque[TokenIds] = deque()
        self.done = 0
        self.tokens = 0

    def tokenize_more(self) -> bool:
        """Read a piece more; whether all is read now. Raises what is wrong with the request."""
        for ids in self.reader or ():
            if ids is not None:
                self.waiting.append(ids)
                self.tokens += len(ids)
            return False
        self.reader = None
        return True


class EmbeddingBatcher:
    """Fulfils `turns.Work` for embeddings. Takes ownership of the encoder."""

    def __init__(self, model: EmbeddingEncoder, reader: InputTokenizer) -> None:
        self._model = model
        self._reader = reader
        self._open: dict[int, _ActiveRequest] = {}
        self._next = 0  # the request that the next batch begins with, by id
        self._last_read = 0

    def step(self, requests: Sequence[ActiveRequest[EmbeddingRequest]]) -> Iterable[tuple[int, Event]]:
        """Read a little, then compute a batch."""
        told: EventList = []
        for turn in requests:
            if turn.id not in self._open:
                self._begin(turn, told)
        here = [self._open[turn.id] for turn in requests if turn.id in self._open]
        self._read([each for each in here if each.reader is not None], told)
        ready = [each for each in here if each.reader is None and each.id in self._open]
        if ready:
            self._compute(self._build_batch(ready), told)
        return told

    def drop(self, id: int) -> None:
        """Forget a request."""
        self._open.pop(id, None)
        if not self._open:
            self._model.release_large_contexts()

    def close(self) -> None:
        """Free the model."""
        self._open.clear()
        self._model.close()

    def _begin(self, turn: ActiveRequest[EmbeddingRequest], told: EventList) -> None:
        try:
            dimensions = self._reader.dimensions(turn.request.dimensions)
        except HomeportError as error:
            told.append((turn.id, Failed(error.info)))
            return
        self._open[turn.id] = _ActiveRequest(turn.id, self._reader.tokenize(turn.request), dimensions)

    def _read(self, unread: list[_ActiveRequest], told: EventList) -> None:
        """Read pieces of the requests in turn while the time for it lasts; admit those that are read whole."""
        end = time.monotonic() + _READING_S
        waiting = deque(sorted(unread, key=lambda each: (each.id <= self._last_read, each.id)))
        while waiting:
            each = waiting.popleft()
            self._last_read = each.id
            try:
                if each.tokenize_more():
                    told.append((each.id, Admitted(each.tokens)))
                else:
                    waiting.append(each)
            except HomeportError as error:
                self.drop(each.id)
                told.append((each.id, Failed(error.info)))
            if time.monotonic() > end:
                return

    def _build_batch(self, ready: list[_ActiveRequest]) -> list[tuple[_ActiveRequest, list[TokenIds]]]:
        """A batch: requests and the inputs of theirs that it takes, in order, at least one."""
        first = next((at for at, each in enumerate(ready) if each.id >= self._next), 0)
        order = deque([*ready[first:], *ready[:first]])
        taken: dict[int, list[TokenIds]] = {each.id: [] for each in order}
        tokens = count = 0
        while order and count < self._model.sequences:
            each = order[0]
            at = len(taken[each.id])
            size = len(each.waiting[at]) if at < len(each.waiting) else 0
            if count and tokens + size > self._model.batch:
                self._next = each.id
                break
            order.popleft()
            if size:
                taken[each.id].append(each.waiting[at])
                tokens, count = tokens + size, count + 1
                order.append(each)
        else:
            self._next = order[0].id if order else 0
        return [(each, taken[each.id]) for each in ready if taken[each.id]]

    def _compute(self, batch: list[tuple[_ActiveRequest, list[TokenIds]]], told: EventList) -> None:
        try:
            rows = self._model.encode([ids for _, inputs in batch for ids in inputs])
        except EngineFailed as error:
            logger.exception("a batch of %d requests failed", len(batch))
            for each, _ in batch:
                self.drop(each.id)
                told.append((each.id, Failed(error.info)))
            return
        start = 0
        for each, inputs in batch:
            data = _truncate_dimensions(rows[start : start + len(inputs)], each.dimensions).astype("<f4").tobytes()
            told.append((each.id, EmbeddingVectors(each.done, len(inputs), each.dimensions, data)))
            start += len(inputs)
            each.done += len(inputs)
            for _ in inputs:
                each.waiting.popleft()
            if not each.waiting:
                told.append((each.id, Done(Usage(each.tokens))))


def _truncate_dimensions(rows: encoder.Vectors, dimensions: int) -> encoder.Vectors:
    """The beginnings of these vectors, of length 1 again."""
    if dimensions == rows.shape[1]:
        return rows
    cut = rows[:, :dimensions]
    return np.asarray(cut / np.linalg.norm(cut, axis=1, keepdims=True), np.float32)
