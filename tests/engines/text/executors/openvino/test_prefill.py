"""Keys and values by OpenVINO: they are llama.cpp's, for every architecture that is served."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.text import executor_comparison
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.prefill import PrefillExecutor
from tests.samples.tiny_decoders import decoder
from tests.samples.tiny_encoders import PIECES

pytest.importorskip("openvino", reason="the extra `prompts` is not installed; there are wheels for Linux on x86-64")
from homeport.engines.text.executors.openvino import prefill
from homeport.engines.text.executors.openvino.prefill import OpenVinoPrefill

Open = Callable[[Path], LlamaExecutor]
Rows = NDArray[np.float16]
_PROBE = """
import sys
calls = []
sys.addaudithook(lambda event, args: calls.append(event) if event.startswith(("socket.", "subprocess.")) else None)
import homeport.engines.text.executors.openvino
import openvino as ov
from openvino import opset13 as op
model = ov.Model([op.result(op.relu(parameter := op.parameter([2], ov.Type.f32)))], [parameter], "test")
ov.Core().compile_model(model, "CPU").create_infer_request().infer({0: ov.Tensor(ov.Type.f32, [2])})
assert sys.modules["openvino_telemetry"] is None
assert calls == [], calls
"""


@pytest.fixture
def open_model() -> Iterator[Open]:
    """Load a model with the wheel's kernels and one thread; it is closed afterwards."""
    opened: list[LlamaExecutor] = []

    def open_with(weights: Path) -> LlamaExecutor:
        opened.append(load(weights, LlamaOptions(window=512, cells=1024, sequences=2, threads=1)))
        return opened[-1]

    yield open_with
    for executor in opened:
        executor.close()


def compute(weights: Path, host: LlamaExecutor, tokens: list[int], *sizes: int) -> tuple[KVRows, KVRows]:
    """Return OpenVINO's rows of some tokens, computed in parts of these sizes, and llama.cpp's."""
    ids = np.array(tokens, np.int32)
    own = OpenVinoPrefill(host.model, weights, 1)
    rows = host.new_rows()
    for part in np.split(ids, np.cumsum(sizes)):
        own.compute(part, rows)
    positions, zeros = np.arange(len(ids), dtype=np.int32), np.zeros(len(ids), np.int32)
    host.forward(TokenBatch(ids, positions, zeros, np.array([], np.int32)))
    expected = host.read_rows(0)
    host.release([0])
    return rows, expected


def deviation(rows: Rows, expected: Rows) -> float:
    """Return the largest relative error of a layer."""
    difference = rows.astype(np.float32) - expected.astype(np.float32)
    axes = (1, 2)
    scale = np.linalg.norm(expected.astype(np.float32), axis=axes)
    return float((np.linalg.norm(difference, axis=axes) / scale).max())


@pytest.mark.parametrize(
    ("family", "scaled_rope"), [("llama", False), ("llama", True), ("qwen2", False), ("qwen3", False)]
)
def test_every_architecture_has_llama_cpps_keys_and_values(
    open_model: Open, tmp_path: Path, family: str, scaled_rope: bool
) -> None:
    """Keys and values of random models differ by the rounding of int8 weights, in one pass and in parts."""
    weights = decoder(tmp_path / "tiny.gguf", family, scaled_rope=scaled_rope)
    host = open_model(weights)
    tokens = [4 + 7 * at % (len(PIECES) - 4) for at in range(120)]
    whole, expected = compute(weights, host, tokens)
    parts, _ = compute(weights, host, tokens, 40, 7)
    for rows in (whole, parts):
        assert rows.keys.shape == expected.keys.shape
        assert deviation(rows.keys, expected.keys) < 0.06
        assert deviation(rows.values, expected.values) < 0.06


@pytest.mark.parametrize(
    ("family", "extra", "named"),
    [
        ("llama", {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}, "rope.scaling.type"),
        ("qwen2", {"qwen2.attention.sliding_window": 128}, "sliding_window"),
    ],
)
def test_what_is_not_supported_is_named(
    open_model: Open, tmp_path: Path, family: str, extra: dict[str, str | int | float], named: str
) -> None:
    """A model of a known family with a property that the graph lacks is refused by that property's name."""
    weights = decoder(tmp_path / "tiny.gguf", family, extra)
    with pytest.raises(Unavailable, match=named):
        OpenVinoPrefill(open_model(weights).model, weights, 1)


def test_too_little_memory_is_said(open_model: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If less than twice the memory for the weights is free, they are not loaded a second time."""
    weights = decoder(tmp_path / "tiny.gguf", "llama")
    host = open_model(weights)
    monkeypatch.setattr(prefill, "available_memory", lambda: 300_000_000)
    with pytest.raises(Unavailable, match=r"needs .* MB, and twice as much is not free"):
        OpenVinoPrefill(host.model, weights, 1)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["smollm2", "qwen"])
def test_the_starters_predict_the_same_after_a_hand_over(
    open_model: Open, request: pytest.FixtureRequest, name: str
) -> None:
    """After OpenVINO's prompts, perplexity rises no more than a layout may raise it, and first choices agree."""
    weights: Path = request.getfixturevalue(name)
    host = open_model(weights)
    windows = executor_comparison.reference_windows(host)[:3]
    before = [executor_comparison.score_window(host, window) for window in windows]
    executor = PrefillExecutor(host, lambda: OpenVinoPrefill(host.model, weights, 1))
    executor.wait_opened()
    executor._prefill, executor._candidate = executor._candidate, None  # checked here by its results, not by its speed
    zero = np.zeros(1, np.int32)
    host.forward(TokenBatch(zero, zero, zero, np.array([], np.int32)))
    host.read_rows(0)
    host.release([0])
    fidelity = executor_comparison.measure_fidelity(before, executor, windows)
    assert executor.prompts, "the prompts were computed by llama.cpp"
    assert fidelity.rise < 0.005
    assert fidelity.divergence < 0.02
    assert fidelity.agreement > 0.9


def test_the_runtime_is_silent() -> None:
    """Importing and using OpenVINO opens no socket, starts no program, and does not load what reports usage."""
    result = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
