"""The executor's tests once more on a GPU, with a tiny model, and the agreement of a GPU with the CPU.

A software device such as Mesa's will do: it computes with Vulkan's own kernels, slowly. The kernels are those of the
option `--kernels`, else those that `make setup` installs in `.gpu` where a Vulkan loader is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeport.domain.child_environment import child_environment
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.llama.library import kernels
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.kv_sizing import Kv
from tests.engines.text.executors.llama import test_executor
from tests.engines.text.executors.llama.test_executor import (
    distance,
    kv,
    prompt,
    test_forked_prefix_agrees,
    test_forks_of_forks_agree,
    test_gap_in_positions_is_refused,
    test_logits_are_not_copied,
    test_sequences_in_one_batch_do_not_mix,
    test_slices_agree_with_one_batch,
    test_traits_are_the_configured_ones,
    test_trimmed_sequence_continues,
    test_wrong_prefix_is_detected,
)
from tests.samples import tiny_encoders

__all__ = (
    "kv",
    "test_forked_prefix_agrees",
    "test_forks_of_forks_agree",
    "test_gap_in_positions_is_refused",
    "test_logits_are_not_copied",
    "test_sequences_in_one_batch_do_not_mix",
    "test_slices_agree_with_one_batch",
    "test_traits_are_the_configured_ones",
    "test_trimmed_sequence_continues",
    "test_wrong_prefix_is_detected",
)

INSTALLED = Path(__file__).parents[5] / ".gpu" / "kernels" / "vulkan"
SOFTWARE_DEVICES = {"GGML_VK_VISIBLE_DEVICES": "0"}
"""With this ggml also uses a device that is no GPU."""

Open = Callable[..., LlamaExecutor]
Build = Callable[..., TokenBatch]


def finds_gpu(folder: Path, environ: dict[str, str]) -> bool:
    """Return whether kernels find a GPU, in a process of their own, because a driver may crash it."""
    command = [sys.executable, "-m", "homeport.engines.llama", str(folder)]
    done = subprocess.run(command, env={**child_environment(), **environ}, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    return any(line.startswith("device: ") and not line.startswith("device: CPU") for line in lines)


@pytest.fixture(scope="session")
def library(request: pytest.FixtureRequest) -> Path:
    """The kernels, which find a GPU here; otherwise the test is skipped."""
    folder = Path(str(request.config.getoption("--kernels") or INSTALLED))
    if not folder.is_dir():
        pytest.skip(f"no GPU kernels in {folder}: install libvulkan1 and mesa-vulkan-drivers, then run `make setup`")
    if finds_gpu(folder, {}):
        return folder
    if not finds_gpu(folder, SOFTWARE_DEVICES):
        pytest.skip(f"the kernels in {folder} find no GPU and no software device, such as mesa-vulkan-drivers has")
    before = os.environ.copy()
    os.environ.update(SOFTWARE_DEVICES)  # read when the kernels are loaded
    kernels(folder)
    os.environ.clear()
    os.environ.update(before)
    return folder


@pytest.fixture
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A decoder of two layers with quantized weights, or with those that a test asks for."""
    tiny_encoders.causal(tmp_path / "tiny.gguf", is_quantized=getattr(request, "param", True))
    return tmp_path / "tiny.gguf"


@pytest.fixture(autouse=True)
def tiny_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit the imported tests to the tiny model, and to software devices, which are slow at more than 64 tokens.

    Its logits differ by 0.1 on average after another prefix of the same length.
    """
    monkeypatch.setattr(test_executor, "NEAR", 0.03)
    monkeypatch.setattr(test_executor, "TEXT", test_executor.TEXT[:72])
    monkeypatch.setattr(test_executor, "LENGTHS", {2: 20, 0: 7, 3: 30})


@pytest.fixture
def smol(library: Path, weights: Path) -> Iterator[Open]:
    """Load the tiny model with the given options, by default completely on the GPU; it is closed afterwards."""
    opened: list[LlamaExecutor] = []

    def open_with(
        *,
        window: int = 512,
        cells: int = 2048,
        sequences: int = 4,
        batch: int = 512,
        kv: Kv = "unified",
        gpu_layers: int | None = None,
    ) -> LlamaExecutor:
        options = LlamaOptions(window, cells, sequences, batch, 1, library, kv, gpu_layers)
        opened.append(load(weights, options))
        return opened[-1]

    yield open_with
    for executor in opened:
        executor.close()


@pytest.mark.parametrize(("gpu_layers", "layers"), [(None, 3), (2, 2), (99, 3)])
def test_device_and_its_memory_are_reported(smol: Open, gpu_layers: int | None, layers: int) -> None:
    """The device is named with the number of layers on it, and takes the more memory the more they are."""
    executor, fewer = smol(gpu_layers=gpu_layers), smol(gpu_layers=layers - 1)
    assert executor.traits.device.endswith(f", {layers} of 3 layers")
    assert executor.device_bytes > fewer.device_bytes > 0


def test_no_layers_use_no_gpu(smol: Open, batch: Build) -> None:
    """With `gpu_layers` 0 the CPU computes everything, and nothing is in the memory of a GPU."""
    executor = smol(gpu_layers=0)
    assert (executor.traits.device, executor.device_bytes) == ("cpu", 0)
    assert len(executor.forward(batch(prompt(executor), last=True))) == 1


@pytest.mark.parametrize("gpu_layers", [None, 2])
@pytest.mark.parametrize("weights", [True, False], indirect=True, ids=["quantized", "float"])
def test_gpu_agrees_with_the_cpu(smol: Open, batch: Build, kv: Kv, gpu_layers: int | None) -> None:
    """Logits computed on the GPU, completely or in part, are the CPU's but for rounding."""
    on_gpu, on_cpu = smol(kv=kv, gpu_layers=gpu_layers), smol(kv=kv, gpu_layers=0)
    ids = prompt(on_gpu)
    expected = on_cpu.forward(batch(ids)).copy()
    found = on_gpu.forward(batch(ids)).copy()
    assert distance(found, expected) < 0.02 * float(expected.std())
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95


def test_saved_kv_moves_between_gpu_and_cpu(smol: Open, batch: Build, kv: Kv) -> None:
    """KV saved on the GPU continues there and on the CPU, as if it had been computed there."""
    on_gpu, on_cpu = smol(kv=kv), smol(kv=kv, gpu_layers=0)
    ids = prompt(on_gpu)
    half = len(ids) // 2
    whole = on_cpu.forward(batch(ids)).copy()
    on_gpu.forward(batch(ids[:half]))
    state = on_gpu.save(0)
    for executor in (on_gpu, on_cpu):
        executor.restore(3, state)
        found = executor.forward(batch(ids[half:], sequence=3, start=half))
        assert distance(found, whole[half:]) < 0.02 * float(whole.std())


def test_encoder_agrees_with_the_cpu(library: Path, tmp_path: Path) -> None:
    """Vectors of an embedding model computed on the GPU point where the CPU's do."""
    tiny_encoders.bert(tmp_path / "tiny.gguf")
    texts = [tiny_encoders.tokens("cat", "dog"), tiny_encoders.tokens("the", "dog", "cat", "the")]
    vectors = []
    for gpu_layers in (None, 0):
        model = encoder.load(tmp_path / "tiny.gguf", EncoderOptions(threads=1, library=library, gpu_layers=gpu_layers))
        vectors.append(model.encode(texts))
        assert (model.device == "cpu") == (model.device_bytes == 0) == (gpu_layers == 0)
        model.close()
    assert (vectors[0] * vectors[1]).sum(axis=1).min() > 0.999


def test_backend_for_older_drivers_is_used_if_no_other_finds_the_gpu(library: Path, tmp_path: Path) -> None:
    """A GPU backend in the folder `fallback` is loaded if there is no other one."""
    folder = tmp_path / "kernels"
    shutil.copytree(library, folder)
    (folder / "fallback").mkdir()
    for name in ("cuda", "vulkan"):
        for file in folder.glob(f"*ggml-{name}.*"):
            file.rename(folder / "fallback" / file.name)
    assert any(finds_gpu(folder, environ) for environ in ({}, SOFTWARE_DEVICES))


def test_gpu_is_described(library: Path) -> None:
    """Its kernels name the GPU with its memory."""
    gpu = next(device for device in kernels(library).devices if device.is_gpu)
    assert gpu.total_bytes > 0
    assert gpu.facts.endswith("GB free")
