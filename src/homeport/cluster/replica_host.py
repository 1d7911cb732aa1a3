"""One replica on a node: keeps one model's worker alive, and relays the requests of several gateways to it.

Knows nothing of Ray, nor of why the replica runs on this node.
"""

import asyncio
import logging
import secrets
import shutil
import socket
import time
from pathlib import Path

import msgspec

from homeport.cluster.blob_folder import BlobFolder, SpoolSpace
from homeport.cluster.gateway_link import GatewayLink
from homeport.cluster.gateway_listener import GatewayListener
from homeport.cluster.messages import FRAME_MARGIN, ReplicaCommand, ReplicaStatus
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.operations import WorkerReport
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.background_requests import BackgroundRequests
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import MAX_REPLY_BYTES, LaunchMessage
from homeport.serving.workers.link import LINK_BROKE, FrameLink
from homeport.serving.workers.link_session import LinkSession
from homeport.serving.workers.reports import report_worker, rss_bytes
from homeport.serving.workers.session import WorkerSession
from homeport.serving.workers.supervisor import WorkerSupervisor

_log = logging.getLogger(__name__)

_MEASURE_S = 5.0
"""How often the worker's memory is measured: this reads the state of every process of the machine."""
SPOOL_BYTES = 4 * 1024**3
"""Default limit of the files of all requests and adapters on one replica."""


class ReplicaHost:
    """Runs a worker and listens for gateways. Built, started and closed on one event loop.

    `spool`: a folder for the files of requests, at most `spool_bytes`; the host creates it (mode 0700) and removes it
    at its end. `replica` and `node` are the names in its reports. `secret` is what a gateway must know to connect.
    """

    def __init__(
        self,
        launch: LaunchMessage,
        options: ServingOptions,
        spool: Path,
        replica: str = "",
        node: str = "",
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        self.secret = secrets.token_bytes(32)
        self.background = BackgroundRequests()
        self._options = options
        self._launch_message = launch
        self._spool = spool
        self._space = SpoolSpace(spool_bytes)
        self._names = {"replica": replica, "node": node}
        self._supervisor = WorkerSupervisor(launch, options, self._launch)
        self._listener = GatewayListener(self.secret, self._take)
        self._loops = BackgroundLoops()
        self._gateways: set[GatewayLink] = set()
        self._n_gateways = 0
        self._to_flush: list[GatewayLink] = []
        self._loaded: LoadedModel | None = None
        self._memory_bytes = 0
        self._measured_at = -_MEASURE_S
        self._is_draining = False
        self._idle = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that it listens on; valid after `start`."""
        return self._listener.port

    @property
    def is_healthy(self) -> bool:
        """False if the worker is dead, silent or restarting. Its first load does not count."""
        return self._supervisor.is_healthy

    @property
    def is_draining(self) -> bool:
        """Whether it refuses new requests for good."""
        return self._is_draining

    @property
    def running(self) -> int:
        """The requests that gateways have on it now."""
        return sum(gateway.running for gateway in self._gateways)

    @property
    def stats(self) -> EngineStats:
        """The worker's latest stats."""
        session = self._supervisor.current
        return session.gauges if session else EngineStats()

    @property
    def session(self) -> LinkSession | None:
        """The worker that takes requests now, if one does."""
        return None if self._is_draining else self._supervisor.current

    @property
    def report(self) -> WorkerReport:
        """The worker's state as an operator sees it, with `node` and `replica`."""
        report = report_worker(self._supervisor, self._memory_bytes, state="stopping" if self._is_draining else "")
        return msgspec.structs.replace(report, **self._names)

    async def start(self, host: str, port: int = 0) -> None:
        """Listen on an address (port 0: any free one), and begin to load the model. Raises OSError."""
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._listener.start(host, port)
        self._supervisor.start()
        self._loops.start("replica", self._watch, self._options.heartbeat_s)

    async def ready(self) -> LoadedModel:
        """Wait until the model is loaded. Raises Unavailable, with the reason, if it does not load."""
        return (await self._supervisor.session()).loaded

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, and wait up to `timeout_s` for the running ones. Does not close."""
        self._is_draining = True
        self.publish()
        try:
            async with asyncio.timeout(timeout_s):
                while self.running:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            _log.warning("%s ends with %d requests on it", self._names["replica"] or "the replica", self.running)

    async def close(self) -> None:
        """End the worker and all links now. Requests fail. Safe to call twice."""
        self._is_draining = True
        await self._listener.close()
        await self._loops.stop()
        await self._supervisor.stop()
        for gateway in tuple(self._gateways):
            gateway.link.close()
            self._remove(gateway)
        self.background.close()
        await asyncio.to_thread(shutil.rmtree, self._spool, ignore_errors=True)

    def has_events(self, link: GatewayLink) -> None:
        """Note that a link has events of the current step to send."""
        self._to_flush.append(link)

    def publish(self) -> None:
        """Tell all gateways the state of the worker, if it has changed."""
        status = self._status()
        for gateway in self._gateways:
            gateway.announce(status, self._loaded)

    async def _launch(self, message: LaunchMessage, options: ServingOptions) -> WorkerSession:
        session = await WorkerSession.launch(message, options)
        session.on_step = self._flush
        self._loaded = session.loaded
        asyncio.get_running_loop().call_soon(self.publish)  # once the supervisor has the session
        return session

    def _flush(self) -> None:
        links, self._to_flush = self._to_flush, []
        for link in links:
            link.flush()

    def _status(self) -> ReplicaStatus:
        accepts = self.session is not None and self._supervisor.is_healthy
        return ReplicaStatus(self.report, accepts, self._is_draining, self._launch_message.frame_bytes)

    async def _watch(self) -> None:
        """Publish the worker's state, and end the links of gateways that have been silent for too long."""
        if (now := time.monotonic()) - self._measured_at >= _MEASURE_S:
            self._memory_bytes, self._measured_at = rss_bytes(self._supervisor), now
        self.publish()
        for gateway in tuple(self._gateways):
            gateway.silent_s += self._options.heartbeat_s
            if gateway.silent_s > self._options.heartbeat_limit_s:
                self._lose(gateway, f"it sent nothing for {gateway.silent_s:.1f} s")

    async def _take(self, sock: socket.socket, name: str) -> None:
        """Serve a gateway that has proved that it knows the secret."""
        self._n_gateways += 1
        blobs = BlobFolder(self._spool / str(self._n_gateways), self._space)
        gateway = GatewayLink(name, self._launch_message.spec.model, self, blobs, self._on_request_end)
        link: FrameLink[ReplicaCommand] = FrameLink(
            ReplicaCommand,
            gateway.on_message,
            lambda reason: self._lose(gateway, reason),
            MAX_REPLY_BYTES + FRAME_MARGIN,
            self._launch_message.frame_bytes + FRAME_MARGIN,
        )
        gateway.link = link
        await asyncio.get_running_loop().connect_accepted_socket(lambda: link, sock)
        self._gateways.add(gateway)
        gateway.announce(self._status(), self._loaded)

    def _lose(self, gateway: GatewayLink, reason: str) -> None:
        level = logging.WARNING if gateway.running or reason.startswith(LINK_BROKE) else logging.INFO
        _log.log(level, "the link to the gateway %s ended with %d requests: %s", gateway.name, gateway.running, reason)
        gateway.link.close()
        self._remove(gateway)

    def _remove(self, gateway: GatewayLink) -> None:
        self._gateways.discard(gateway)
        gateway.close()

    def _on_request_end(self) -> None:
        if not self.running:
            self._idle.set()
