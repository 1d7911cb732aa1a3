"""Decides which prefixes are stored on disk, when they are copied there, and when they are loaded.

A prefix of at least 64 tokens is stored once it was found in memory twice, for example a system prompt from its third
request on. One that grows from turn to turn is stored again when it is a quarter longer. It is copied when the engine
is idle or, if it never is, between two steps, provided that the copy is expected to take at most 0.05 s. A request
waits for the disk if that saves it 64 tokens. Only the step thread calls it. Knows nothing of files.
"""

import logging
import time
from array import array
from collections import deque
from collections.abc import Hashable, Sequence

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import KVSerializer
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.media.blocks import cut_outside
from homeport.engines.text.prefix_disk_store import OnLoaded, PrefixDiskStore, StoredPrefix
from homeport.engines.text.prefix_tree import common_length
from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest

MIN_PREFIX_TOKENS = 64  # computing fewer tokens is as fast as reading them
MIN_HITS = 2  # hits in memory after which a prefix is stored
# A prefix that extends a stored one must be longer by this fraction, so that not every turn of a chat is written.
MIN_GROWTH_DIVISOR = 4
MAX_DEFERRED_STEPS = 256  # steps that a copy waits for the engine to be idle
MAX_COPY_S = 0.05  # after these steps a copy may take this long
DEFAULT_COPY_S = 50e-6  # assumed time to copy one token, before anything was copied
_MAX_WATCHED, _MAX_QUEUED = 64, 16  # prefixes whose hits are counted; prefixes waiting to be copied

logger = logging.getLogger("homeport.text")


class PrefixHitCounter:
    """Counts how often the most recent prefixes were found in memory."""

    def __init__(self) -> None:
        self._hits: dict[tuple[Hashable, bytes], int] = {}  # least recently found first

    def record_hit(self, namespace: Hashable, prefix: Sequence[int]) -> int:
        """Count a hit; return the length of the longest prefix of `prefix` with enough hits, 0 if there is none."""
        run = array("i", prefix).tobytes()
        hits, longest = 1, 0
        for (other, counted), count in list(self._hits.items()):
            if other != namespace or counted == run:
                continue
            if counted.startswith(run):  # a hit of a longer prefix is one of this too
                hits += count
            elif run.startswith(counted):
                self._set((namespace, counted), count + 1)
                if count + 1 >= MIN_HITS:
                    longest = max(longest, len(counted))
        hits += self._hits.get((namespace, run), 0)
        self._set((namespace, run), hits)
        return len(prefix) if hits >= MIN_HITS else longest // array("i").itemsize

    def _set(self, key: tuple[Hashable, bytes], count: int) -> None:
        self._hits.pop(key, None)
        self._hits[key] = count
        if len(self._hits) > _MAX_WATCHED:
            del self._hits[next(iter(self._hits))]


class PrefixPersistence:
    """Moves prefixes between cache and store. `max_tokens`: longest prefix that fits the cache.

    `on_loaded` receives the arguments for the method `on_loaded` from another thread, to be passed to the step thread.
    """

    def __init__(
        self, cache: KVCache, serializer: KVSerializer, store: PrefixDiskStore, *, max_tokens: int, on_loaded: OnLoaded
    ) -> None:
        self._cache = cache
        self._serializer = serializer
        self._store = store
        self._max_tokens = max_tokens
        self._on_loaded = on_loaded
        self._hit_counter = PrefixHitCounter()
        self._due: dict[tuple[Hashable, tuple[int, ...]], None] = {}
        # The latest that were due; the store may not have written them yet.
        self._recent: deque[tuple[Hashable, tuple[int, ...]]] = deque(maxlen=_MAX_QUEUED)
        self._deferred_steps = 0
        self._seconds_per_token = DEFAULT_COPY_S
        # By name of the prefix: the waiting requests, each with the tokens it saves.
        self._waiting: dict[str, list[tuple[ScheduledRequest, int]]] = {}
        self._tokens: dict[str, tuple[int, ...]] = {}
        self.queries = 0  # prompt tokens that were not in memory, …
        self.hits = 0  # … and those of them that came from disk

    def wait_for_stored_prefix(self, request: ScheduledRequest) -> bool:
        """Return whether a new request waits for a prefix on disk; `on_loaded` then returns it later."""
        best: tuple[int, StoredPrefix] | None = None
        for candidate in request.candidates:
            if candidate.leader is not None:
                continue
            match = self._cache.match(request.namespace, candidate.tokens, candidate.reusable)
            cached = match.length if match else 0
            self.queries += len(candidate.tokens) - cached
            stored = self._store.find(request.namespace, candidate.tokens, candidate.reusable)
            if stored is None or stored[1] - cached < MIN_PREFIX_TOKENS or len(stored[0].tokens) > self._max_tokens:
                continue
            if best is None or stored[1] - cached > best[0]:
                best = stored[1] - cached, stored[0]
        if best is None:
            return False
        saved, prefix = best
        if prefix.name not in self._waiting:
            self._waiting[prefix.name] = []
            self._tokens[prefix.name] = prefix.tokens
            self._store.read_later(prefix, self._on_loaded)
        self._waiting[prefix.name].append((request, saved))
        return True

    def on_loaded(self, name: str, state: bytes | None) -> list[ScheduledRequest]:
        """Put a prefix that was read into the cache, unless `state` is None; return the requests that waited for it."""
        waiting = self._waiting.pop(name)
        tokens = self._tokens.pop(name)
        if state is not None and self._adopt(waiting[0][0].namespace, name, tokens, state):
            self.hits += sum(saved for _, saved in waiting)
        return [request for request, _ in waiting]

    def on_prefix_hit(self, candidate: Candidate) -> None:
        """Count that a prompt started with `candidate.computed` tokens found in memory; queue them if worth storing."""
        length = cut_outside(candidate.tokens, min(candidate.computed, self._max_tokens))
        if length < MIN_PREFIX_TOKENS:
            return
        namespace = candidate.request.namespace
        length = self._hit_counter.record_hit(namespace, candidate.tokens[:length])
        if length < MIN_PREFIX_TOKENS:
            return
        prefix = tuple(candidate.tokens[:length])
        stored = self._store.find(namespace, prefix, length)
        queued = [common_length(tokens, prefix, length) for other, tokens in self._recent if other == namespace]
        longest = max([*queued, stored[1] if stored else 0])
        if length - longest >= max(MIN_PREFIX_TOKENS, length // MIN_GROWTH_DIVISOR) and len(self._due) < _MAX_QUEUED:
            self._due[namespace, prefix] = None
            self._recent.append((namespace, prefix))

    def copy_one(self, *, is_idle: bool) -> bool:
        """Copy one prefix that is due, if it may be copied now; return whether it was. Called after every step."""
        if not self._due or not self._store.can_write:
            return False
        namespace, tokens = key = next(iter(self._due))
        self._deferred_steps += 1
        expected_s = len(tokens) * self._seconds_per_token
        if not is_idle and (self._deferred_steps < MAX_DEFERRED_STEPS or expected_s > MAX_COPY_S):
            return False
        self._deferred_steps = 0
        del self._due[key]
        began = time.perf_counter()
        state = self._read_kv(namespace, tokens)
        if state is not None:
            self._seconds_per_token = (time.perf_counter() - began) / len(tokens)
            self._store.write_later(namespace, tokens, state)
        return True

    def _read_kv(self, namespace: Hashable, tokens: tuple[int, ...]) -> bytes | None:
        """Return a prefix's KV; None if it is no longer in memory or cannot be cut to this length."""
        match = self._cache.match(namespace, list(tokens), len(tokens))
        slot = self._cache.allocate(namespace, match) if match and match.length == len(tokens) else None
        if slot is None:
            return None
        try:
            return self._serializer.save(slot) if self._cache.length(slot) == len(tokens) else None
        except EngineFailed:
            logger.exception("a prefix of %d tokens could not be saved", len(tokens))
            return None
        finally:
            self._cache.retire(slot)

    def _adopt(self, namespace: Hashable, name: str, tokens: tuple[int, ...], state: bytes) -> bool:
        """Put a prefix into the cache like that of a finished request; False if there is no room or it is damaged."""
        slot = self._cache.allocate(namespace, None)
        if slot is None:
            return False
        has_room = self._cache.reserve(len(tokens))
        self._cache.clear_reservations()
        if not has_room:
            self._cache.drop([slot])
            return False
        try:
            self._serializer.restore(slot, state)
        except EngineFailed:
            logger.exception("a stored prefix of %d tokens could not be restored", len(tokens))
            self._store.discard(name)
            self._cache.drop([slot])
            return False
        self._cache.extend(slot, tokens)
        self._cache.retire(slot)
        return True
