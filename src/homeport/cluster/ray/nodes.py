"""Runs this machine's part of a cluster: Ray's processes, with fixed ports, the token, and an end by process id.

Does not import Ray: its processes do. Knows nothing of models.
"""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import filelock
import msgspec
import psutil

from homeport.cluster.ray.environment import ray_variables
from homeport.cluster.ray.node_process import HOOK
from homeport.cluster.ray.start_failures import describe_failure
from homeport.cluster.ray.token_check import check_token
from homeport.domain.errors import Conflict, HomeportError, InvalidRequest, Unavailable

N_PORTS = 120
"""The ports of a node: from its first one on."""

_WORKER_PORTS = range(20, 80)
_REPLICA_PORTS = range(80, N_PORTS)
_SESSIONS = "s"
_MAX_SESSION_CHARS = 43  # a socket's path below it must stay within 107 characters
_OBJECT_STORE_BYTES = 80_000_000  # Ray's minimum is 75 MB; only ranges of model files pass through it
_START_LIMIT_S = 180.0
_STOP_LIMIT_S = 20.0
_ALONE_S = 5.0
_ORPHAN_LIMIT_S = 5.0
_REACH_TIMEOUT_S = 5.0
_POLL_S = 0.2
_LAST_CLUSTER = "ray_current_cluster"
_STARTED = "Ray runtime started"
_AGENT_ABORTS = ("Timed out waiting for file", "one Ray agent failed", "node timed out during startup")
"""What Ray says if its agent was not up within 15 seconds, as happens on a busy machine; starting again can succeed."""


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a node runs. `host`: its own address, which the others reach; `head`: the head's address, None: it is one.

    None leaves a number to Ray, which counts what the machine has. `drain_s`: the time that requests get at its end.
    """

    home: Path
    host: str
    first_port: int
    token_file: Path
    head: str | None = None
    cpus: int | None = None
    gpus: int | None = None
    memory_bytes: int | None = None
    drain_s: float = 30.0

    @property
    def address(self) -> str:
        """The address of the cluster: that of its head."""
        return self.head or f"{self.host}:{self.first_port}"


class NodeRecord(msgspec.Struct, frozen=True):
    """A node that runs from this home, as other commands find it."""

    address: str
    host: str
    first_port: int
    token_file: Path
    pid: int
    born: float

    @property
    def is_alive(self) -> bool:
        """Whether its process exists."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return abs(psutil.Process(self.pid).create_time() - self.born) < 1.0
        return False


def replica_ports(first_port: int) -> range:
    """Return the ports on which the replicas of a node listen."""
    return range(first_port + _REPLICA_PORTS.start, first_port + _REPLICA_PORTS.stop)


def find_node(home: Path) -> NodeRecord | None:
    """Return the node that runs from this home."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        record = msgspec.json.decode(_record_file(home).read_bytes(), type=NodeRecord, dec_hook=_decode_path)
        return record if record.is_alive else None
    return None


def own_address(head: str) -> str:
    """Return the address from which this machine reaches the head. Raises Unavailable."""
    host, port = split_address(head)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # connecting it sends nothing
        try:
            probe.connect((host, port))
        except OSError as error:
            raise Unavailable(f"{host} cannot be reached: {error}") from error
        return str(probe.getsockname()[0])


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port`. Raises InvalidRequest."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidRequest(f"{address!r:.200} is not the address of a cluster, such as 10.0.0.5:7380.")
    return host, int(port)


def check_head(address: str, token_file: Path) -> bytes:
    """Return what names the cluster: the same until its head is started again.

    Raises Unavailable if no head answers at the address, InvalidRequest if it does not accept the token.
    """
    try:
        socket.create_connection(split_address(address), _REACH_TIMEOUT_S).close()
    except OSError as error:
        raise Unavailable(f"No cluster answers at {address}: {error}. Is its head running?") from error
    return check_token(address, token_file)


def node_arguments(plan: NodePlan, session: Path) -> Sequence[str]:
    """Return the arguments of `ray start`. No port is left to chance: Ray waits only 15 s for one that is."""
    first = plan.first_port
    arguments = [
        *(("--head", f"--port={first}", "--include-dashboard=false") if plan.head is None else ()),
        *((f"--address={plan.head}",) if plan.head is not None else ()),
        f"--node-ip-address={plan.host}",
        f"--node-manager-port={first + 1}",
        f"--object-manager-port={first + 2}",
        f"--dashboard-agent-grpc-port={first + 3}",
        f"--dashboard-agent-listen-port={first + 4}",
        f"--metrics-export-port={first + 5}",
        f"--runtime-env-agent-port={first + 6}",
        f"--min-worker-port={first + _WORKER_PORTS.start}",
        f"--max-worker-port={first + _WORKER_PORTS.stop - 1}",
        f"--object-store-memory={_OBJECT_STORE_BYTES}",
        f"--temp-dir={session}",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--no-monitor",
    ]
    sizes = {"--num-cpus": plan.cpus, "--num-gpus": plan.gpus, "--memory": plan.memory_bytes}
    return [*arguments, *(f"{flag}={value}" for flag, value in sizes.items() if value is not None)]


class ClusterNode:
    """This machine's node. `environment`: the variables of its processes, besides those of Ray."""

    def __init__(self, plan: NodePlan, environment: Mapping[str, str]) -> None:
        self.plan = plan
        self._environment = {
            **environment,
            **ray_variables(plan.token_file),
            "RAY_START_HOOK": HOOK,
            # On SIGTERM, Ray lets replicas move. Those of a head have no one to move them.
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(plan.drain_s if plan.head else 0),
            "DASHBOARD_METRIC_PORT": str(plan.first_port + 7),
        }
        self._folder = plan.home / "cluster"
        self._lock = filelock.FileLock(self._folder / "lock", thread_local=False)
        self._log = self._folder / "node.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._alone_since: float | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of its processes, for others that belong to it."""
        return self._environment

    @property
    def pid(self) -> int:
        """The process whose end is the node's end."""
        return self._running.pid

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("the node has not started")
        return self._process

    def start(self) -> None:
        """Start it, and return once it is part of the cluster. It ends with the thread that calls this.

        Raises Conflict if one runs from this home, Unavailable for a wrong address, InvalidRequest for a wrong token.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as busy:
            raise Conflict(_describe_running(self.plan.home)) from busy
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def is_running(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def has_left(self) -> bool:
        """Whether it was drained and is empty: Ray then ends what places replicas on it, and nothing else.

        If that ends by a fault, the other processes follow at once. To be asked again and again.
        """
        if any(child.name() == "raylet" for child in _children(self._running)):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        return self._alone_since is not None and time.monotonic() - self._alone_since > _ALONE_S

    def stop(self) -> None:
        """End its processes by their ids. Safe to call twice."""
        self.stop_process()
        self._process = None
        _record_file(self.plan.home).unlink(missing_ok=True)
        self._lock.release()

    def _start(self) -> None:
        self._await_ports()
        if self.plan.head is not None:
            check_head(self.plan.head, self.plan.token_file)
        for attempt in range(2):
            if self._try_start():
                break
            if attempt or not self._was_agent_abort():
                raise self._failure()
            self.stop_process()
        self._record()

    def stop_process(self) -> None:
        """End what an attempt to start left behind."""
        if self._process is not None:
            _end_process(self._process, self.plan.drain_s + _STOP_LIMIT_S)

    def _await_ports(self) -> None:
        """Check the ports; wait for them if the last node of this home was killed, as its processes end later."""
        deadline = time.monotonic() + (_STOP_LIMIT_S if _record_file(self.plan.home).exists() else 0.0)
        while True:
            try:
                return self._check_ports()
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)

    def _check_ports(self) -> None:
        """Ray would report a port in use only after minutes, or not at all."""
        for port in range(self.plan.first_port, self.plan.first_port + 7):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.plan.host, port))
                except OSError as error:
                    last = self.plan.first_port + N_PORTS - 1
                    raise Unavailable(
                        f"Port {port} of {self.plan.host} cannot be used: {error.strerror}. A node uses the ports "
                        f"{self.plan.first_port} to {last}: set others by --cluster-ports, or end what uses them."
                    ) from error

    def _try_start(self) -> bool:
        """Start the processes; False if they ended, or did not come up in time."""
        session = session_folder(self.plan.home)
        (session / _LAST_CLUSTER).unlink(missing_ok=True)  # a head that was killed left it, and Ray believes it runs
        command = [sys.executable, "-m", "homeport.cluster.ray.node_process", *node_arguments(self.plan, session)]
        with self._log.open("wb") as log:  # not a pipe, which would break in the node's hands if this process is killed
            process = self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal reaches only the command, which ends it in order
            )
        deadline = time.monotonic() + _START_LIMIT_S
        while process.poll() is None and time.monotonic() < deadline:
            if _STARTED in self._output():
                return True
            time.sleep(_POLL_S)
        return False

    def _output(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def _was_agent_abort(self) -> bool:
        text = self._output()
        for log in session_folder(self.plan.home).glob("session_latest/logs/raylet.*"):
            with contextlib.suppress(OSError):
                text += log.read_text("utf-8", "replace")
        return any(words in text for words in _AGENT_ABORTS)

    def _failure(self) -> HomeportError:
        return Unavailable(f"The node did not start (see {self._log}): {describe_failure(self._output())}")

    def _record(self) -> None:
        plan = self.plan
        born = psutil.Process(self.pid).create_time()
        record = NodeRecord(plan.address, plan.host, plan.first_port, plan.token_file, self.pid, born)
        _record_file(plan.home).write_bytes(msgspec.json.encode(record, enc_hook=str))


def session_folder(home: Path) -> Path:
    """Return the folder of Ray's sockets and logs: in the home, or in the system's if that path is too long.

    Ray opens it to everybody, so it is in a folder that only this user enters. Raises Unavailable if another user has
    taken that one's name.
    """
    folder = home / "cluster" / "ray"
    if len(str(folder / _SESSIONS)) > _MAX_SESSION_CHARS:
        name = hashlib.sha256(str(home).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"homeport-{name}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.is_symlink():
        raise Unavailable(f"{folder} belongs to another user: remove it, or set TMPDIR to a folder of yours.")
    folder.chmod(0o700)
    (folder / _SESSIONS).mkdir(exist_ok=True)
    return folder / _SESSIONS


def _children(process: "subprocess.Popen[bytes]", *, recursive: bool = False) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive)
    return []


def _end_process(process: "subprocess.Popen[bytes]", limit_s: float) -> None:
    """End a process and its descendants: asked first, then killed. They are found before, as they may outlive it."""
    descendants = _children(process, recursive=True)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(limit_s)
    _, alive = psutil.wait_procs(descendants, _ORPHAN_LIMIT_S)
    for descendant in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            descendant.kill()
    process.kill()
    process.wait()


def _describe_running(home: Path) -> str:
    record = find_node(home)
    where = f" It belongs to the cluster at {record.address}." if record else ""
    return f"A node runs from {home} already.{where} One home has one node: end that one first, or use another --home."


def _record_file(home: Path) -> Path:
    return home / "cluster" / "node.json"


def _decode_path(kind: type, value: object) -> Path:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)
