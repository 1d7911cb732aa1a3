"""A gateway's end of the link to one replica: the streams on it, and what the replica says of itself.

Never reconnects; `replica_connection` does. Knows nothing of other replicas.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from homeport.cluster.blobs import BlobSender
from homeport.cluster.handshake import HandshakeFailed, connect_to_host
from homeport.cluster.messages import FRAME_MARGIN, LINK_LOST, OtherRequests, ReplicaReply, ReplicaStatus
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import EngineFailed, HomeportError, Unavailable
from homeport.domain.ports.serving import More
from homeport.domain.worker_messages import EngineRequest, ModelReady
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import MAX_REPLY_BYTES
from homeport.serving.workers.link import FrameLink
from homeport.serving.workers.link_session import LinkSession
from homeport.serving.workers.stream import WorkerStream

_log = logging.getLogger(__name__)

CONNECT_S = 10.0
"""A connection and its handshake that take longer fail."""


class ReplicaSession(LinkSession):
    """A link to a replica. `loaded` may be read once `is_loaded`. `on_change` is called when `accepts` may differ."""

    def __init__(self, address: ReplicaAddress, options: ServingOptions, on_change: Callable[[], None]) -> None:
        super().__init__(address.model, options)
        self.status: ReplicaStatus | None = None
        self._address = address
        self._on_change = on_change
        self._others = 0
        self._replica_link: FrameLink[ReplicaReply] = FrameLink(
            ReplicaReply, self._on_reply, self._end, options.frame_bytes, MAX_REPLY_BYTES + FRAME_MARGIN
        )
        self._blobs = BlobSender(self._replica_link)

    @classmethod
    async def connect(cls, address: ReplicaAddress, options: ServingOptions, on_change: Callable[[], None]) -> Self:
        """Connect to a replica, loaded or not. Raises Unavailable."""
        session = cls(address, options, on_change)
        try:
            async with asyncio.timeout(CONNECT_S):
                sock = await connect_to_host((address.host, address.port), address.secret)
        except TimeoutError as error:
            raise Unavailable(f"The replica did not answer within {CONNECT_S:g} s.") from error
        except (HandshakeFailed, OSError) as error:
            raise Unavailable(f"The replica cannot be reached: {error}") from error
        try:
            await asyncio.get_running_loop().create_connection(lambda: session._replica_link, sock=sock)
        except BaseException:
            sock.close()
            raise
        session._link = session._replica_link
        session._watch_task = asyncio.create_task(session._watch())
        return session

    @property
    def is_loaded(self) -> bool:
        """Whether its model was loaded at least once."""
        return self._ready.done() and not self._ready.cancelled()

    @property
    def accepts(self) -> bool:
        """Whether it takes requests now."""
        return self.is_loaded and self.is_healthy and self.status is not None and self.status.accepts

    @property
    def load(self) -> int:
        """The requests on the replica: this gateway's, and those of others when it last told."""
        return len(self._streams) + self._others

    async def open(
        self,
        request: EngineRequest,
        on_end: Callable[[], None],
        on_first: Callable[[], None] | None = None,
        *,
        is_paused: bool = False,
        is_background: bool = False,
        more: More | None = None,
    ) -> WorkerStream:
        """Send a request's files, and then the request, as `LinkSession.open` does."""
        ends = _Once(on_end)
        try:
            async with self._blobs.sent(request) as named:
                return await super().open(
                    named, ends.call, on_first, is_paused=is_paused, is_background=is_background, more=more
                )
        except BaseException:
            ends.call()
            raise

    async def stop(self, reason: str) -> None:
        """End the link. Open streams fail."""
        self._end(reason)
        await self.wait_ended()

    def _on_reply(self, message: ReplicaReply) -> None:
        if isinstance(message, ReplicaStatus):
            self.status = message
            self._replica_link.limit = min(self._options.frame_bytes, message.frame_bytes)
            self._on_change()
        elif isinstance(message, OtherRequests):
            self._others = message.count
        else:
            self._on_message(message)
            if isinstance(message, ModelReady):
                self.loaded = message.loaded
                self._on_change()

    def _stream_error(self, reason: str) -> HomeportError:
        why = f" ({reason})" if reason else ""
        return EngineFailed(f"The replica of the model was lost{why}.", code=LINK_LOST)

    async def _wait_until_responsive(self) -> None:
        """Return at once: a host answers pings from the beginning."""

    async def _watch(self) -> HomeportError:
        """Supervise the link until it ends."""
        reason = await self._supervise()
        self._ready.cancel()
        _log.info("The link to %s on %s ended: %s", self._address.replica, self._address.node, reason)
        return self._stream_error(reason)


class _Once:
    """A function that is called at most once."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def call(self) -> None:
        """Call the function, the first time."""
        if self._function is not None:
            function, self._function = self._function, None
            function()
