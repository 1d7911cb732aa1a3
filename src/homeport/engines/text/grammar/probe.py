"""Tries grammars in a child process first, which is killed if they take too long. Knows nothing of what they mean."""

from collections.abc import Sequence

from homeport.engines.text.isolated_process import IsolatedProcess, ProcessPool, ProcessStopped

_WORKER = "homeport.engines.text.grammar.probe_worker"


class GrammarProbe:
    """Compiles grammars for a vocabulary of `size` tokens in child processes, started when first used."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._processes = ProcessPool(self._start)

    def find_failing(self, sources: Sequence[str]) -> int | None:
        """Return the index of the first grammar that does not compile, None if all do.

        Raises ProcessStopped if they take too long or too much memory.
        """
        process = self._processes.take()
        try:
            failed: int | None = process.request(list(sources)).get("failed")
        except BaseException:
            process.end()
            raise
        self._processes.keep(process)
        return failed

    def ends_in_time(self, source: str) -> bool:
        """Return whether compiling a grammar ends within the limits, with success or not."""
        try:
            self.find_failing([source])
        except ProcessStopped:
            return False
        return True

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def _start(self) -> IsolatedProcess:
        process = IsolatedProcess(_WORKER, "compiles grammars")
        try:
            process.request(self._size)
        except BaseException:
            process.end()
            raise
        return process
