"""Requests for vectors, each with the chunks of several files: as few as keep the model busy.

Files whose chunks share a request are of one project, key and model, so that usage and limits are theirs. A request
that fails is repeated for each of its files alone, so that no file fails because of another. Knows nothing of stores.
"""

import asyncio
import base64
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec

from homeport.domain.batches import DispatchedResponse
from homeport.domain.ports.batches import RequestDispatcher
from homeport.domain.ports.serving import IdleGate

TEXTS_AT_ONCE = 16
"""Of one request: few enough that little is computed again after a restart."""
REQUESTS_AT_ONCE = 4
"""While some are computed, the next ones are tokenized and the last ones stored."""
_PATH = "/v1/embeddings"


class RequestOwner(NamedTuple):
    """Whose request it is: `key` is the id of a stored key."""

    project: str
    key: str
    model: str


class Refused(Exception):
    """The server answered the request of one file with an error."""

    def __init__(self, response: DispatchedResponse) -> None:
        super().__init__(f"status {response.status}")
        self.response = response


class _Row(msgspec.Struct):
    index: int
    embedding: str


class _Rows(msgspec.Struct):
    data: list[_Row]


@dataclass(eq=False)
class _Wanted:
    """Texts of one file, and their vectors when they are there. `is_alone`: they share no request."""

    texts: Sequence[str]
    vectors: "asyncio.Future[Sequence[bytes]]"
    is_alone: bool


class EmbeddingRequests:
    """Sends requests for vectors in the background, at most `REQUESTS_AT_ONCE` at the same time. On one event loop."""

    def __init__(self, dispatch: RequestDispatcher, idle_gate: IdleGate) -> None:
        self._dispatch = dispatch
        self._idle_gate = idle_gate
        self._waiting: dict[RequestOwner, deque[_Wanted]] = {}  # owners in the order of their turns
        self._running: set[asyncio.Task[None]] = set()

    async def embed(self, owner: RequestOwner, texts: Sequence[str], *, is_alone: bool = False) -> Sequence[bytes]:
        """Return the vector of each text, at most `TEXTS_AT_ONCE`: little-endian 32-bit floats.

        `is_alone`: in a request without texts of other files. Raises Refused.
        """
        wanted = _Wanted(texts, asyncio.get_running_loop().create_future(), is_alone)
        self._waiting.setdefault(owner, deque()).append(wanted)
        self._start()
        return await wanted.vectors

    def _start(self) -> None:
        """Send as many requests as may run. What nobody waits for any more is neither sent nor continued."""
        while self._waiting and len(self._running) < REQUESTS_AT_ONCE:
            owner = next(iter(self._waiting))
            group = self._take(owner)
            if not group:
                continue
            task = asyncio.create_task(self._send(owner, group))
            self._running.add(task)
            task.add_done_callback(self._on_end)
            for each in group:
                each.vectors.add_done_callback(partial(_cancel_unwanted, task, group))

    def _take(self, owner: RequestOwner) -> Sequence[_Wanted]:
        """Take what shares the owner's next request; its turn is then after those of the others."""
        waiting = self._waiting.pop(owner)
        group: list[_Wanted] = []
        n_texts = 0
        while waiting:
            first = waiting[0]
            if first.vectors.done():
                waiting.popleft()
                continue
            if group and (first.is_alone or group[0].is_alone or n_texts + len(first.texts) > TEXTS_AT_ONCE):
                break
            group.append(waiting.popleft())
            n_texts += len(first.texts)
        if waiting:
            self._waiting[owner] = waiting
        return group

    async def _send(self, owner: RequestOwner, group: Sequence[_Wanted]) -> None:
        texts = [text for each in group for text in each.texts]
        body = msgspec.json.encode({"model": owner.model, "input": texts, "encoding_format": "base64"})
        try:
            await self._idle_gate.wait_open()
            response = await self._dispatch(owner.project, owner.key, _PATH, body)
            if response.status == 200:
                _hand_out(response, group)
            elif len(group) == 1:
                _fail(group, Refused(response))
            else:
                self._send_alone(owner, group)
        except Exception as error:
            _fail(group, error)

    def _send_alone(self, owner: RequestOwner, group: Sequence[_Wanted]) -> None:
        for each in group:
            each.is_alone = True
        self._waiting.setdefault(owner, deque()).extendleft(reversed(group))

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()


def _hand_out(response: DispatchedResponse, group: Sequence[_Wanted]) -> None:
    rows = sorted(msgspec.json.decode(response.body, type=_Rows).data, key=lambda row: row.index)
    vectors = [base64.b64decode(row.embedding) for row in rows]
    start = 0
    for each in group:
        end = start + len(each.texts)
        if not each.vectors.done():
            each.vectors.set_result(vectors[start:end])
        start = end


def _fail(group: Sequence[_Wanted], error: Exception) -> None:
    for each in group:
        if not each.vectors.done():
            each.vectors.set_exception(error)


def _cancel_unwanted(task: "asyncio.Task[None]", group: Sequence[_Wanted], _: object) -> None:
    """Cancel a request if all who waited for it were cancelled. One that has ended is not affected."""
    if all(each.vectors.done() for each in group):
        task.cancel()
