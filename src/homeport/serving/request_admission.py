"""Admits requests while a server accepts any, and waits for their ends when it drains. Knows nothing of workers."""

import asyncio
import logging

from homeport.domain.errors import Unavailable
from homeport.serving.admission import Admission, AdmissionTicket
from homeport.serving.options import ServingOptions

_log = logging.getLogger(__name__)


class RequestAdmission:
    """The admitted requests of one server. On one event loop."""

    def __init__(self, options: ServingOptions) -> None:
        self.accepts = False
        self._admission = Admission(options.slots, options.max_queue)
        self._drained = asyncio.Event()

    def admit(self, model: str, holder: str, *, is_background: bool, workers: int = 1) -> AdmissionTicket:
        """Admit a request. Raises Unavailable while the server accepts none, or Overloaded.

        A background request takes no caller's place. Holders share a model's places, of which it has more if it has
        several workers.
        """
        if not self.accepts:
            raise Unavailable("The server is shutting down.", retry_after_s=5.0)
        if is_background:
            ticket = self._admission.admit(f"{model} in the background", workers=workers)
        else:
            ticket = self._admission.admit(model, holder, workers)

        def release() -> None:
            ticket.release()
            if not self._admission.total:
                self._drained.set()

        return AdmissionTicket(release)

    async def finish(self, timeout_s: float) -> None:
        """Accept no more requests, and wait up to `timeout_s` for the end of those that were admitted."""
        self.accepts = False
        self._drained.clear()
        if self._admission.total:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._drained.wait()
            except TimeoutError:
                _log.warning("%d requests were not finished within %g s", self._admission.total, timeout_s)
