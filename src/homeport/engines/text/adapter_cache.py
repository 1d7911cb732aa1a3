"""Loads LoRA adapters on first use and keeps the most recently used idle ones.

Only the step thread calls it. Knows nothing of what an adapter changes, or of batches.
"""

from collections import Counter

from homeport.domain.errors import InvalidRequest
from homeport.domain.models import Adapter
from homeport.engines.text.executor import AdapterHost

MAX_IDLE_ADAPTERS = 8  # each needs a few megabytes


class AdapterCache:
    """The adapters of one model, keyed by their files' SHA-256, because a name's file may change.

    Prefixes are separated by the same key, so those of different files never mix.
    """

    def __init__(self, executor: AdapterHost, *, is_possible: bool) -> None:
        self._executor = executor
        self._is_possible = is_possible
        self._users: Counter[str] = Counter()
        self._loaded: dict[str, None] = {}  # least recently used first

    def acquire(self, adapter: Adapter | None) -> str:
        """Load an adapter until it is released as often as acquired; return its name in batches (empty for None).

        Raises InvalidRequest if the model does not support adapters, and Unavailable if this one does not load.
        """
        if adapter is None:
            return ""
        if not self._is_possible:
            raise InvalidRequest("This model does not support adapters.", param="model")
        key = adapter.digest
        if key not in self._loaded:
            self._executor.load_adapter(key, adapter.file.local_path)
        self._loaded.pop(key, None)
        self._loaded[key] = None
        self._users[key] += 1
        return key

    def release(self, key: str) -> None:
        """End a request's use of an adapter."""
        if not key:
            return
        self._users[key] -= 1
        idle = [other for other in self._loaded if not self._users[other]]
        for other in idle[: max(0, len(idle) - MAX_IDLE_ADAPTERS)]:
            self._executor.unload_adapter(other)
            del self._loaded[other], self._users[other]
