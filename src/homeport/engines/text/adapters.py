"""Which adapters are loaded beside a model: on first use, while it runs, and the latest few kept when nobody uses them.

Called by the step thread alone. Knows nothing of what an adapter changes, nor of batches.
"""

from collections import Counter
from pathlib import Path
from typing import Protocol

from homeport.domain.errors import InvalidRequest
from homeport.domain.models import Adapter

MAX_IDLE_ADAPTERS = 8  # that nobody uses; each takes some megabytes


class AdapterHost(Protocol):
    """The part of an executor that holds adapters."""

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load an adapter. Raises Unavailable where it does not fit the model."""
        ...

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter that no batch will name any more."""
        ...


class AdapterCache:
    """The adapters of one model, by their files' SHA-256: a name may get another file, its prefixes must not mix."""

    def __init__(self, executor: AdapterHost, *, is_possible: bool) -> None:
        self._executor = executor
        self._is_possible = is_possible
        self._users: Counter[str] = Counter()
        self._loaded: dict[str, None] = {}  # least recently used first

    def acquire(self, adapter: Adapter | None) -> str:
        """Have an adapter loaded until as many `leave`; give what batches call it (empty: none is wanted).

        Raises InvalidRequest where this model takes none, and Unavailable where this one does not load.
        """
        if adapter is None:
            return ""
        if not self._is_possible:
            raise InvalidRequest("This model takes no adapters.", param="model")
        key = adapter.digest
        if key not in self._loaded:
            self._executor.load_adapter(key, adapter.file.local_path)
        self._loaded.pop(key, None)
        self._loaded[key] = None
        self._users[key] += 1
        return key

    def release(self, key: str) -> None:
        """A request that used an adapter has ended."""
        if not key:
            return
        self._users[key] -= 1
        idle = [other for other in self._loaded if not self._users[other]]
        for other in idle[: max(0, len(idle) - MAX_IDLE_ADAPTERS)]:
            self._executor.unload_adapter(other)
            del self._loaded[other], self._users[other]
