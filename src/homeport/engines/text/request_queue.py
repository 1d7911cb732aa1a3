"""The queue of incoming requests: its own threads prepare them, so that neither the link nor a step waits.

One thread prepares short requests, one long ones and one those with media, so that shorter ones overtake; each works
in order of arrival.
Templates are rendered and prompts tokenized here, before `Admitted`. Between two steps the step thread takes from here
what happened: prepared and rejected requests, credit, grants and cancellations. Knows nothing of scheduling.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from homeport.domain.errors import EngineFailed, ErrorInfo, HomeportError
from homeport.domain.events import Admitted, Done, Event, Failed, TokenizeResult, Usage
from homeport.domain.text import TextRequest, TokenRequest
from homeport.engines.text.prepared_prompt import PreparedPrompts
from homeport.engines.text.prompt_length_limits import Check
from homeport.engines.text.prompt_texts import estimate_work, has_media

LONG = 1 << 15
"""A request with at least this many characters is long: it takes about 20 ms to tokenize."""

logger = logging.getLogger("homeport.text")

Prepare = Callable[[TextRequest | TokenRequest, Check], PreparedPrompts | TokenizeResult]


class Abandoned(Exception):
    """The request was canceled while it was being prepared."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that passed all checks."""

    id: int
    request: TextRequest
    prompts: PreparedPrompts
    credit: int


@dataclass(slots=True)
class QueueUpdates:
    """What happened since the last step. Apply it field by field, in this order; ids are never reused."""

    rejected: list[tuple[int, ErrorInfo]] = field(default_factory=list)
    tokenized: list[tuple[int, TokenizeResult]] = field(default_factory=list)  # which ends these requests
    prepared: list[PreparedRequest] = field(default_factory=list)
    loaded_prefixes: list[tuple[str, bytes | None]] = field(default_factory=list)
    credits: list[tuple[int, int]] = field(default_factory=list)
    grants: list[tuple[int, int]] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)

    def ended(self) -> list[tuple[int, Event]]:
        """Return the events of requests that need no step: rejected ones and token requests."""
        events: list[tuple[int, Event]] = [(id, Failed(error)) for id, error in self.rejected]
        for id, tokenized in self.tokenized:
            events += [(id, event) for event in (Admitted(0), tokenized, Done(Usage()))]
        return events

    def __bool__(self) -> bool:
        results = self.rejected or self.tokenized or self.prepared or self.loaded_prefixes
        return bool(results or self.credits or self.grants or self.cancels)


class _ThreadQueue:
    """Ids in the order in which one thread prepares them."""

    def __init__(self, lock: threading.Lock) -> None:
        self.ids: deque[int] = deque()
        self.changed = threading.Condition(lock)


@dataclass(slots=True)
class _QueuedRequest:
    request: TextRequest | TokenRequest
    credit: int


class RequestQueue:
    """Prepares requests. Any thread may call its methods, which return at once.

    Exceptions: only the step thread calls `take_updates`, which may block, and `forget`. `prepare` receives a request
    and a check, which it calls between pieces of its work and which raises `Abandoned` if the request was canceled.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._updated = threading.Condition(self._lock)
        self._short, self._long, self._with_media = (_ThreadQueue(self._lock) for _ in range(3))
        self._pending: dict[int, _QueuedRequest] = {}  # opened, not yet passed to the step thread
        self._open_ids: set[int] = set()
        self._updates = QueueUpdates()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._prepare_all, args=(queue,), name=name)
            for queue, name in (
                (self._short, "prepare"),
                (self._long, "prepare-long"),
                (self._with_media, "prepare-media"),
            )
        ]

    @property
    def waiting(self) -> int:
        """Requests that are still being prepared."""
        return len(self._pending)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Make `take_updates` return None and the threads end."""
        with self._lock:
            self._closed = True
            for queue in (self._short, self._long, self._with_media):
                queue.changed.notify_all()
            self._updated.notify_all()

    def join(self) -> None:
        """Wait until the threads have ended."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def open(self, id: int, request: TextRequest | TokenRequest, credit: int) -> None:
        """Accept a request; an open id is ignored."""
        queue = self._long if estimate_work(request) >= LONG else self._short
        if has_media(request):
            queue = self._with_media
        with self._lock:
            if id in self._open_ids:
                return
            self._open_ids.add(id)
            self._pending[id] = _QueuedRequest(request, credit)
            queue.ids.append(id)
            queue.changed.notify()

    def credit(self, id: int, n: int) -> None:
        """Add credit; an unknown id is ignored."""
        with self._lock:
            if id in self._pending:
                self._pending[id].credit += n
            elif id in self._open_ids:
                self._updates.credits.append((id, n))
                self._updated.notify()

    def grant(self, id: int, n: int) -> None:
        """Add quota, or with 0 report that there is no more; an unknown id is ignored."""
        with self._lock:
            if id in self._open_ids:
                self._updates.grants.append((id, n))
                self._updated.notify()

    def cancel(self, id: int) -> None:
        """Cancel a request; an unknown id is ignored."""
        with self._lock:
            if self._pending.pop(id, None) is not None:
                self._open_ids.discard(id)
            elif id in self._open_ids:
                self._updates.cancels.append(id)
                self._updated.notify()

    def add_loaded_prefix(self, name: str, state: bytes | None) -> None:
        """Add the KV of a stored prefix, or None if it could not be read."""
        with self._lock:
            self._updates.loaded_prefixes.append((name, state))
            self._updated.notify()

    def forget(self, id: int) -> None:
        """Remove a request that has ended."""
        with self._lock:
            self._open_ids.discard(id)

    def take_updates(self, *, wait: bool) -> QueueUpdates | None:
        """Return and clear the updates; with `wait`, block until there are some. None once closed."""
        with self._lock:
            while wait and not self._updates and not self._closed:
                self._updated.wait()
            if self._closed:
                return None
            updates, self._updates = self._updates, QueueUpdates()
            return updates

    def open_ids(self) -> list[int]:
        """Return the ids of all requests that have not ended, whatever their phase."""
        with self._lock:
            return sorted(self._open_ids)

    def _prepare_all(self, queue: _ThreadQueue) -> None:
        while True:
            with self._lock:
                while not queue.ids and not self._closed:
                    queue.changed.wait()
                if self._closed:
                    return
                id = queue.ids.popleft()
                pending = self._pending.get(id)
            if pending is not None:
                with contextlib.suppress(Abandoned):
                    self._hand_over(id, self._prepare_one(id, pending.request))

    def _prepare_one(
        self, id: int, request: TextRequest | TokenRequest
    ) -> PreparedPrompts | TokenizeResult | ErrorInfo:
        def check() -> None:
            if self._closed or id not in self._pending:
                raise Abandoned

        try:
            return self._prepare(request, check)
        except HomeportError as error:
            return error.info
        except Abandoned:
            raise
        except Exception:
            logger.exception("a request could not be prepared")
            return EngineFailed("The request could not be prepared because of an internal error.").info

    def _hand_over(self, id: int, result: PreparedPrompts | TokenizeResult | ErrorInfo) -> None:
        with self._lock:
            pending = self._pending.pop(id, None)
            if pending is None:  # canceled meanwhile
                return
            if isinstance(result, ErrorInfo):
                self._open_ids.discard(id)
                self._updates.rejected.append((id, result))
            elif isinstance(result, TokenizeResult):
                self._open_ids.discard(id)
                self._updates.tokenized.append((id, result))
            elif isinstance(pending.request, TextRequest):
                self._updates.prepared.append(PreparedRequest(id, pending.request, result, pending.credit))
            self._updated.notify()
