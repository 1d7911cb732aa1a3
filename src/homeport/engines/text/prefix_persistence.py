"""Which prefixes are worth a place on disk, when they are copied there, and when they are taken back.

A prefix of 64 tokens or more that was found in memory twice is kept, such as a system prompt's from its third request
on; one that grows from turn to turn is kept again once it is a quarter longer. It is copied when the engine rests or,
where it never does, between two steps, if the copy is expected to take no longer than a twentieth of a second. A
request waits for the disk where that saves it 64 tokens. Called by the step thread alone; knows nothing of files.
"""

import logging
import time
from array import array
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Protocol

from homeport.domain.errors import EngineFailed
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.prefix_store import OnLoaded, PrefixStore, StoredPrefix
from homeport.engines.text.prefix_tree import common_length
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest

MIN_PREFIX_TOKENS = 64  # tokens: fewer are computed as fast as they are read
MIN_HITS = 2  # found in memory so often, a prefix is a regular
MIN_GROWTH_DIVISOR = 4  # one that goes on from a kept one must be this part longer, lest each turn of a chat is written
MAX_DEFERRED_STEPS = 256  # steps that a copy waits for the engine to rest
MAX_COPY_S = 0.05  # and then it may take this long
DEFAULT_COPY_S = 50e-6  # what copying a token is taken to cost before anything was copied
_MAX_WATCHED, _MAX_QUEUED = 64, 16  # prefixes watched, and waiting to be copied

logger = logging.getLogger("homeport.text")


class KVSerializer(Protocol):
    """The part of an executor that moves KV in and out."""

    def save(self, sequence: int) -> bytes:
        """A sequence's KV as bytes."""
        ...

    def restore(self, sequence: int, state: bytes) -> None:
        """Make an empty sequence hold what was saved. Raises EngineFailed, the sequence left empty."""
        ...


class PrefixHitCounter:
    """Counts how often prefixes were found again. Remembers the latest few."""

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, bytes], int] = {}  # least recently found first

    def record_hit(self, namespace: Hashable, prefix: Sequence[int]) -> int:
        """This prefix was found: the length of its longest beginning that is a regular now; 0: there is none."""
        run = array("i", prefix).tobytes()
        times, regular = 1, 0
        for (other, known), count in list(self._known.items()):
            if other != namespace or known == run:
                continue
            if known.startswith(run):  # whoever found more found this too
                times += count
            elif run.startswith(known):
                self._note((namespace, known), count + 1)
                if count + 1 >= MIN_HITS:
                    regular = max(regular, len(known))
        times += self._known.get((namespace, run), 0)
        self._note((namespace, run), times)
        return len(prefix) if times >= MIN_HITS else regular // array("i").itemsize

    def _note(self, key: tuple[Hashable, bytes], count: int) -> None:
        self._known.pop(key, None)
        self._known[key] = count
        if len(self._known) > _MAX_WATCHED:
            del self._known[next(iter(self._known))]


class PrefixPersistence:
    """Moves prefixes between a cache and a shelf. `most`: tokens of a prefix that the cache has a use for."""

    def __init__(self, cache: KVCache, state: KVSerializer, shelf: PrefixStore, *, most: int, tell: OnLoaded) -> None:
        """`tell` is handed what `arrived` is to be called with; it comes from another thread."""
        self._cache = cache
        self._state = state
        self._shelf = shelf
        self._most = most
        self._tell = tell
        self._regulars = PrefixHitCounter()
        self._due: dict[tuple[Hashable, tuple[int, ...]], None] = {}
        self._taken: deque[tuple[Hashable, tuple[int, ...]]] = deque(
            maxlen=_MAX_QUEUED
        )  # the latest, perhaps not written yet
        self._waited = 0  # steps
        self._each = DEFAULT_COPY_S
        self._awaited: dict[
            str, list[tuple[ScheduledRequest, int]]
        ] = {}  # by name: who waits, and the tokens that saves them
        self._tokens: dict[str, tuple[int, ...]] = {}
        self.queries = 0  # prompt tokens that were not in memory, …
        self.hits = 0  # … and those of them that came from disk

    def wait_for_stored_prefix(self, group: ScheduledRequest) -> bool:
        """Whether a new request had better wait for a prefix on disk; `arrived` gives it back."""
        best: tuple[int, StoredPrefix] | None = None
        for candidate in group.candidates:
            if candidate.leader is not None:
                continue
            known = self._cache.match(group.namespace, candidate.tokens, candidate.reusable)
            length = known.length if known else 0
            self.queries += len(candidate.tokens) - length
            found = self._shelf.find(group.namespace, candidate.tokens, candidate.reusable)
            if found is None or found[1] - length < MIN_PREFIX_TOKENS or len(found[0].tokens) > self._most:
                continue
            if best is None or found[1] - length > best[0]:
                best = found[1] - length, found[0]
        if best is None:
            return False
        saved, kept = best
        if kept.name not in self._awaited:
            self._awaited[kept.name] = []
            self._tokens[kept.name] = kept.tokens
            self._shelf.read_later(kept, self._tell)
        self._awaited[kept.name].append((group, saved))
        return True

    def on_loaded(self, name: str, state: bytes | None) -> list[ScheduledRequest]:
        """A prefix was read, or lost: put it into the cache, and give back the requests that waited for it."""
        waiting = self._awaited.pop(name)
        tokens = self._tokens.pop(name)
        if state is not None and self._adopt(waiting[0][0].namespace, name, tokens, state):
            self.hits += sum(saved for _, saved in waiting)
        return [group for group, _ in waiting]

    def on_prefix_hit(self, candidate: Candidate) -> None:
        """A prompt was begun with `candidate.computed` tokens found in memory: see whether they are worth keeping."""
        length = min(candidate.computed, self._most)
        if length < MIN_PREFIX_TOKENS:
            return
        namespace = candidate.group.namespace
        regular = self._regulars.record_hit(namespace, candidate.tokens[:length])
        if regular < MIN_PREFIX_TOKENS:
            return
        prefix = tuple(candidate.tokens[:regular])
        kept = self._shelf.find(namespace, prefix, regular)
        known = [common_length(other, prefix, regular) for flow, other in self._taken if flow == namespace]
        longest = max([*known, kept[1] if kept else 0])
        if regular - longest >= max(MIN_PREFIX_TOKENS, regular // MIN_GROWTH_DIVISOR) and len(self._due) < _MAX_QUEUED:
            self._due[namespace, prefix] = None
            self._taken.append((namespace, prefix))

    def copy_one(self, *, rests: bool) -> bool:
        """Copy one prefix that is due, if now is the time; whether that was done. Called behind every step."""
        if not self._due or not self._shelf.can_keep:
            return False
        namespace, tokens = key = next(iter(self._due))
        self._waited += 1
        if not rests and (self._waited < MAX_DEFERRED_STEPS or len(tokens) * self._each > MAX_COPY_S):
            return False
        self._waited = 0
        del self._due[key]
        began = time.perf_counter()
        state = self._read_kv(namespace, tokens)
        if state is not None:
            self._each = (time.perf_counter() - began) / len(tokens)
            self._shelf.write_later(namespace, tokens, state)
        return True

    def _read_kv(self, namespace: Hashable, tokens: tuple[int, ...]) -> bytes | None:
        """A prefix's KV, None where it is no longer in memory or cannot be cut out."""
        match = self._cache.match(namespace, list(tokens), len(tokens))
        slot = self._cache.allocate(namespace, match) if match and match.length == len(tokens) else None
        if slot is None:
            return None
        try:
            return self._state.save(slot) if self._cache.length(slot) == len(tokens) else None
        except EngineFailed:
            logger.exception("a prefix of %d tokens could not be saved", len(tokens))
            return None
        finally:
            self._cache.retire(slot)

    def _adopt(self, namespace: Hashable, name: str, tokens: tuple[int, ...], state: bytes) -> bool:
        """Put a prefix into the cache as if a request had left it there; False: there is no room, or it is broken."""
        slot = self._cache.allocate(namespace, None)
        if slot is None:
            return False
        has_room = self._cache.reserve(len(tokens))
        self._cache.clear_reservations()
        if not has_room:
            self._cache.drop([slot])
            return False
        try:
            self._state.restore(slot, state)
        except EngineFailed:
            logger.exception("a kept prefix of %d tokens could not be restored", len(tokens))
            self._shelf.discard(name)
            self._cache.drop([slot])
            return False
        self._cache.extend(slot, tokens)
        self._cache.retire(slot)
        return True
