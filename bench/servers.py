"""The servers under test: ours, llama.cpp's own (out of the `xllamacpp` wheel, or any binary) and vLLM.

Each is a child process that answers OpenAI's completions. `Served` is how a run on one of them is measured.
"""

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import load, processes
from bench.load import Address
from bench.processes import Child
from bench.run_stats import Outcome
from bench.workload import Workload

DEFAULT, TUNED, VECTORS = "default", "tuned", "vectors"
SLOTS, CELLS = 32, 49152

# The program's own defaults are four slots and one cache for all; the wheel's class has to be told so.
_WHEEL_FLAGS: Mapping[str, dict[str, int | bool]] = {
    DEFAULT: {"n_parallel": 4, "kv_unified": True},
    TUNED: {
        "n_parallel": SLOTS,
        "n_ctx": CELLS,
        "kv_unified": True,
        "flash_attn": True,
        "n_batch": 2048,
        "n_ubatch": 512,
    },
    # What its authors call for embeddings: a batch in one piece, each text within it.
    VECTORS: {"embedding": True, "n_batch": 2048, "n_ubatch": 2048, "n_ctx": 8192, "n_parallel": 16},
}
_BINARY_FLAGS: Mapping[str, list[str]] = {
    DEFAULT: [],
    TUNED: ["-np", str(SLOTS), "-c", str(CELLS), "-fa", "on", "--kv-unified", "-b", "2048", "-ub", "512"],
    VECTORS: ["--embedding", "-b", "2048", "-ub", "2048", "-c", "8192", "-np", "16"],
}


class Served(msgspec.Struct):
    """A server that runs, and where. Fulfils `bench.rounds.Side`."""

    child: Child
    address: Address

    def measure(self, work: Workload, turn: int) -> Outcome:
        """Run a load on it."""
        return asyncio.run(load.run(self.address, work, turn))


def wheel_kernels() -> Path:
    """The shared object inside the installed `xllamacpp` wheel: the kernels both sides use."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("xllamacpp is not installed")
    return next(Path(spec.origin).parent.glob("xllamacpp*.so"))


@contextmanager
def homeport(
    model: str,
    settings: Mapping[str, str],
    program: tuple[str, ...] = ("-m", "homeport", "serve"),
    key: str = "bench",
) -> Iterator[Served]:
    """Our server, with `settings` as HOMEPORT_* variables (names without the prefix), asked with this key."""
    port = processes.free_port()
    environ = {f"HOMEPORT_{key}": value for key, value in settings.items()}
    command = [sys.executable, *program, "--model", model, "--port", str(port)]
    with processes.running(command, environ) as child:
        processes.wait(child, f"http://127.0.0.1:{port}/health/ready")
        yield Served(child, Address("127.0.0.1", port, model, key))


@contextmanager
def llamacpp(weights: Path, flags: str, threads: int, binary: Path | None = None) -> Iterator[Served]:
    """llama.cpp's own server with its `default`, `tuned` or `vectors` flags; `binary` goes before the wheel's."""
    port = processes.free_port()
    if binary:
        command = [str(binary), "-m", str(weights), "--port", str(port), "-t", str(threads), *_BINARY_FLAGS[flags]]
    else:
        given = json.dumps({**_WHEEL_FLAGS[flags], "threads": threads})
        command = [sys.executable, "-m", "bench.peer", str(weights), str(port), given]
    with processes.running(command) as child:
        processes.wait(child, f"http://127.0.0.1:{port}/health")
        yield Served(child, Address("127.0.0.1", port, "default"))


def has_vllm(python: str) -> bool:
    """Whether vLLM is installed in the environment of this interpreter."""
    ask = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, check=False, timeout=60).returncode == 0
    except OSError:
        return False


@contextmanager
def vllm(python: str, weights: str) -> Iterator[Served]:
    """vLLM's server in BF16 on the CPU, from the environment of this interpreter; `weights`: a folder it can read."""
    port = processes.free_port()
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", weights, "--served-model-name", "bench"]
    command += ["--dtype", "bfloat16", "--port", str(port), "--max-model-len", "2048"]
    with processes.running(command) as child:
        processes.wait(child, f"http://127.0.0.1:{port}/health", limit_s=600)
        yield Served(child, Address("127.0.0.1", port, "bench"))
