"""Keeps the grammars compiled last, and those refused. Knows nothing of how they are compiled."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from homeport.engines.text.grammar.matcher import LlguidanceGrammar

Compiled = LlguidanceGrammar | str
"""A grammar, or the reason why it is refused."""

MAX_GRAMMARS = 256
MAX_BYTES = 256 << 20
_BYTES_PER_GRAMMAR = 200_000  # measured: small grammars take less …
_BYTES_PER_CHARACTER = 80  # … large ones up to 60 times their source


class CompiledCache:
    """The least recently used ones are dropped beyond a number and an estimated size. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, tuple[Future[Compiled], int]] = OrderedDict()
        self._bytes = 0

    def get(self, source: str, compile: Callable[[str], Compiled]) -> Compiled:
        """Return what `compile` returned for a source, now or earlier; a second thread waits for the first.

        Raises what `compile` raises, and then forgets the source.
        """
        key = hashlib.sha256(source.encode(errors="surrogatepass")).digest()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            else:
                future: Future[Compiled] = Future()
                self._add(key, future, _BYTES_PER_GRAMMAR + _BYTES_PER_CHARACTER * len(source))
        if entry is not None:
            return entry[0].result()
        try:
            compiled = compile(source)
        except BaseException as error:
            with self._lock:
                self._remove(key)
            future.set_exception(error)
            raise
        future.set_result(compiled)
        return compiled

    def _add(self, key: bytes, future: "Future[Compiled]", size: int) -> None:
        self._entries[key] = (future, size)
        self._bytes += size
        while len(self._entries) > 1 and (len(self._entries) > MAX_GRAMMARS or self._bytes > MAX_BYTES):
            self._remove(next(iter(self._entries)))

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry[1]
