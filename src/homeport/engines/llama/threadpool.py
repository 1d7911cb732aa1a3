"""Keeps the kernels' threads between batches, for builds that would start new ones for each: those without OpenMP.

Their threads wait for each other by spinning, and a newly started thread may be on the same processor as another one.
Then both spin on it until the system's scheduler separates them: 20 ms for a batch of 4. Threads that are kept are
already on different processors. Before each batch, a context's number of threads is set: fewer while other programs are
busy (`processors`). Knows nothing of models. Source: ggml/include/ggml.h and ggml-cpu.h.
"""

import logging
from typing import Any

from homeport.engines.llama.library import LlamaLibrary
from homeport.engines.processors import MANY_BARRIERS, ProcessorMonitor, Tolerance

logger = logging.getLogger("homeport.llama")

_PARAMS = """
typedef struct {
    bool processors[512];
    int32_t n_threads;
    int32_t priority;
    uint32_t poll;
    bool is_bound, is_paused;
    uint64_t spare[8];
} threadpool_params;
void ggml_threadpool_params_init(threadpool_params *params, int n_threads);
"""
_NEW, _FREE = "ggml_threadpool_new", "ggml_threadpool_free"
_POLL = 50  # ggml's default, by which the struct layout is recognized


class LlamaThreadpool:
    """At most `threads` threads for the contexts of one model, of which one has several at a time. Free these first.

    `tolerance`: of other programs. If a build lacks the functions for this, it keeps starting threads of its own.
    """

    def __init__(self, library: LlamaLibrary, threads: int, tolerance: Tolerance = MANY_BARRIERS) -> None:
        self.threads = threads
        self._library = library
        self._pool = 0 if threads == 1 or "OPENMP" in library.features else self._ensure_started()
        self._monitor = ProcessorMonitor(threads, tolerance)

    @property
    def count(self) -> int:
        """The number of threads that compute now."""
        return self._monitor.count

    def prepare(self, context: object, threads: int, *, is_alone: bool = True) -> int:
        """Set a context's number of threads to the current one and return it; `threads`: the former one, 0 if new.

        Called before each batch, by the thread that computes it. `is_alone`: no other context computes meanwhile;
        otherwise only the calling thread computes.
        """
        count = self._monitor.count if is_alone else 1
        if count != threads:
            api = self._library.api
            api.llama_set_n_threads(context, count, count)
            if self._pool and count > 1:
                pool = self._library.ffi.cast("void *", self._pool)
                api.llama_attach_threadpool(context, pool, pool)
            elif self._pool:
                api.llama_detach_threadpool(context)  # otherwise each batch would wake threads that it does not use
        return count

    def close(self) -> None:
        """End the threads. May be called twice."""
        self._monitor.close()
        if self._pool:
            free = self._library.ffi.cast("void (*)(void *)", self._library.cpu_function(_FREE))
            free(self._library.ffi.cast("void *", self._pool))
            self._pool = 0

    def _ensure_started(self) -> int:
        """Start ggml's thread pool and return its address; 0 if the build does not support it."""
        ffi, api = self._library.functions(_PARAMS)
        params = ffi.new("threadpool_params *")
        api.ggml_threadpool_params_init(params, self.threads)
        new = self._library.cpu_function(_NEW)
        if not new or not self._library.cpu_function(_FREE) or not _is_known(params, self.threads):
            logger.warning("these kernels have no known thread pool: they start new threads for each batch")
            return 0
        params.poll = 0  # threads that wait for the next batch sleep, because other programs need the processors
        return int(ffi.cast("uintptr_t", ffi.cast("void *(*)(threadpool_params *)", new)(params)))


def _is_known(params: Any, threads: int) -> bool:
    """Return whether ggml's defaults are where they are expected."""
    return (
        (params.n_threads, params.priority, params.poll) == (threads, 0, _POLL)
        and not (params.is_bound or params.is_paused)
        and not any(params.processors)
        and not any(params.spare)
    )
