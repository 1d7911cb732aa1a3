"""The servers under test: ours, and llama.cpp's own out of the `xllamacpp` wheel. Each is a child process.

Run as a program (`python -m bench.servers PATH PORT FLAGS`) this file *is* the peer: its `Server` class needs a
process that holds it.
"""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

PEER_DEFAULT: dict[str, int | bool] = {}
PEER_TUNED: dict[str, int | bool] = {
    "n_parallel": 32,
    "n_ctx": 49152,
    "kv_unified": True,
    "n_batch": 2048,
    "n_ubatch": 512,
}


class Address(msgspec.Struct, frozen=True):
    """Where a server listens, and the model name to ask for."""

    host: str
    port: int
    model: str


def wheel_kernels() -> Path:
    """The shared object inside the installed `xllamacpp` wheel: the kernels both sides use."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("xllamacpp is not installed")
    return next(Path(spec.origin).parent.glob("xllamacpp*.so"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, child: subprocess.Popen[bytes], limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with {child.returncode} before it answered {url}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an http address on loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise TimeoutError(f"no answer from {url} within {limit_s:.0f} s")


@contextmanager
def _running(command: list[str], environ: dict[str, str], url: str) -> Iterator[None]:
    child = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(url, child)
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def homeport(model: str, settings: dict[str, str]) -> Iterator[Address]:
    """Our server, with `settings` as HOMEPORT_* variables (names without the prefix)."""
    port = _free_port()
    environ = {**os.environ, **{f"HOMEPORT_{key}": value for key, value in settings.items()}}
    command = [sys.executable, "-m", "homeport", "serve", "--model", model, "--port", str(port)]
    with _running(command, environ, f"http://127.0.0.1:{port}/health/ready"):
        yield Address("127.0.0.1", port, model)


@contextmanager
def llamacpp(weights: Path, flags: dict[str, int | bool], threads: int) -> Iterator[Address]:
    """llama.cpp's own server on the wheel's kernels, with `flags` set on its parameters."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.servers", str(weights), str(port), str(threads), json.dumps(flags)]
    with _running(command, dict(os.environ), f"http://127.0.0.1:{port}/health"):
        yield Address("127.0.0.1", port, "default")


def _serve_peer(weights: str, port: str, threads: str, flags: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = weights
    parameters.port = int(port)
    parameters.cpuparams.n_threads = int(threads)
    parameters.cpuparams_batch.n_threads = int(threads)
    for name, value in json.loads(flags).items():
        setattr(parameters, name, value)
    server = xllamacpp.Server(parameters)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    _serve_peer(*sys.argv[1:])
