"""The engine's letter box: requests are prepared on threads of their own, so neither the link nor a step waits.

There is one for short requests and one for long ones, so that the first pass the second; each takes its requests in
the order in which they came. Templates and tokenising happen here, before `Admitted`. Knows nothing of scheduling;
what the step thread has to know of arrivals, refusals, credit and cancellations it takes from here between two steps.
"""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from homeport.domain.errors import EngineFailed, ErrorInfo, HomeportError
from homeport.domain.events import Admitted, Done, Event, Failed, Tokenised, Usage
from homeport.domain.text import TextRequest, TokenRequest
from homeport.engines.text.prompt_processor import PreparedPrompts, weight

LONG = 1 << 15
"""Characters from which on a request is long; about 20 ms of tokenising."""

logger = logging.getLogger("homeport.text")

Prepare = Callable[[TextRequest | TokenRequest, Callable[[], None]], PreparedPrompts | Tokenised]


class Abandoned(Exception):
    """Nobody waits for the request any more."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that passed all checks."""

    id: int
    request: TextRequest
    prompts: PreparedPrompts
    credit: int


@dataclass(slots=True)
class QueueUpdates:
    """What happened since the last step. Act on it field by field, in this order: an id is never used twice."""

    rejected: list[tuple[int, ErrorInfo]] = field(default_factory=list)
    tokenised: list[tuple[int, Tokenised]] = field(default_factory=list)  # and thereby answered
    prepared: list[PreparedRequest] = field(default_factory=list)
    loaded_prefixes: list[tuple[str, bytes | None]] = field(default_factory=list)
    credits: list[tuple[int, int]] = field(default_factory=list)
    grants: list[tuple[int, int]] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)

    def ended(self) -> list[tuple[int, Event]]:
        """What is said of those that need no step: refused, or answered by being prepared."""
        told: list[tuple[int, Event]] = [(id, Failed(fault)) for id, fault in self.rejected]
        for id, found in self.tokenised:
            told += [(id, event) for event in (Admitted(0), found, Done(Usage()))]
        return told

    def __bool__(self) -> bool:
        told = self.rejected or self.tokenised or self.prepared or self.loaded_prefixes
        return bool(told or self.credits or self.grants or self.cancels)


class _Lane:
    """Ids in the order in which one thread prepares them."""

    def __init__(self, lock: threading.Lock) -> None:
        self.queue: deque[int] = deque()
        self.work = threading.Condition(lock)


@dataclass(slots=True)
class _QueuedRequest:
    request: TextRequest | TokenRequest
    credit: int


class RequestQueue:
    """Every method but `take` and `forget` (the step thread's) may be called from any thread and returns at once.

    `prepare` is given a request and a check, which it calls between pieces of its work: that raises `Abandoned` where
    the request was cancelled.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._short, self._long = _Lane(self._lock), _Lane(self._lock)
        self._pending: dict[int, _QueuedRequest] = {}  # opened, not yet handed to the step thread
        self._known: set[int] = set()
        self._news = QueueUpdates()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._prepare_all, args=(lane,), name=name)
            for lane, name in ((self._short, "prepare"), (self._long, "prepare-long"))
        ]

    @property
    def waiting(self) -> int:
        """Requests that are still being prepared."""
        return len(self._pending)

    def start(self) -> None:
        """Begin to prepare."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Make `take` return None and preparing end."""
        with self._lock:
            self._closed = True
            for lane in (self._short, self._long):
                lane.work.notify_all()
            self._arrived.notify_all()

    def join(self) -> None:
        """Wait until nothing is being prepared any more."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def open(self, id: int, request: TextRequest | TokenRequest, credit: int) -> None:
        """Take a request; a known id is ignored."""
        lane = self._long if weight(request) >= LONG else self._short
        with self._lock:
            if id in self._known:
                return
            self._known.add(id)
            self._pending[id] = _QueuedRequest(request, credit)
            lane.queue.append(id)
            lane.work.notify()

    def credit(self, id: int, n: int) -> None:
        """Note more credit; an unknown id is ignored."""
        with self._lock:
            if id in self._pending:
                self._pending[id].credit += n
            elif id in self._known:
                self._news.credits.append((id, n))
                self._arrived.notify()

    def grant(self, id: int, n: int) -> None:
        """Note more quota, or that there is no more; an unknown id is ignored."""
        with self._lock:
            if id in self._known:
                self._news.grants.append((id, n))
                self._arrived.notify()

    def cancel(self, id: int) -> None:
        """Note that nobody waits any more; an unknown id is ignored."""
        with self._lock:
            if self._pending.pop(id, None) is not None:
                self._known.discard(id)
            elif id in self._known:
                self._news.cancels.append(id)
                self._arrived.notify()

    def add_loaded_prefix(self, name: str, state: bytes | None) -> None:
        """What was asked of the disk has come, or is lost."""
        with self._lock:
            self._news.loaded_prefixes.append((name, state))
            self._arrived.notify()

    def forget(self, id: int) -> None:
        """A request has ended."""
        with self._lock:
            self._known.discard(id)

    def take_updates(self, *, wait: bool) -> QueueUpdates | None:
        """What is new; with `wait`, blocks until something is. None once closed."""
        with self._lock:
            while wait and not self._news and not self._closed:
                self._arrived.wait()
            if self._closed:
                return None
            news, self._news = self._news, QueueUpdates()
            return news

    def open_ids(self) -> list[int]:
        """Every id that has not ended, whatever its phase."""
        with self._lock:
            return sorted(self._known)

    def _prepare_all(self, lane: _Lane) -> None:
        while True:
            with self._lock:
                while not lane.queue and not self._closed:
                    lane.work.wait()
                if self._closed:
                    return
                id = lane.queue.popleft()
                pending = self._pending.get(id)
            if pending is not None:
                with contextlib.suppress(Abandoned):
                    self._hand_over(id, self._prepare_one(id, pending.request))

    def _prepare_one(self, id: int, request: TextRequest | TokenRequest) -> PreparedPrompts | Tokenised | ErrorInfo:
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

    def _hand_over(self, id: int, result: PreparedPrompts | Tokenised | ErrorInfo) -> None:
        with self._lock:
            pending = self._pending.pop(id, None)
            if pending is None:  # cancelled meanwhile
                return
            if isinstance(result, ErrorInfo):
                self._known.discard(id)
                self._news.rejected.append((id, result))
            elif isinstance(result, Tokenised):
                self._known.discard(id)
                self._news.tokenised.append((id, result))
            elif isinstance(pending.request, TextRequest):
                self._news.prepared.append(PreparedRequest(id, pending.request, result, pending.credit))
            self._arrived.notify()
