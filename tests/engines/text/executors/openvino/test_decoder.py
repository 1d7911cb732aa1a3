"""Logits, keys and values by OpenVINO: they are llama.cpp's, for every architecture that is served."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.text import executor_comparison
from homeport.engines.text.block_decoder import BlockRun
from homeport.engines.text.decoder_check import ALONE, TOGETHER
from homeport.engines.text.executor import Executor, Logits, MediaRun, TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.gguf_tensors import GgufTensors
from homeport.engines.text.hybrid_executor import HybridExecutor
from tests.samples import tiny_decoders
from tests.samples.tiny_encoders import PIECES

pytest.importorskip("openvino", reason="the extra `prompts` is not installed; there are wheels for Linux on x86-64")
from homeport.engines.text.executors.openvino import decoder as openvino_decoder
from homeport.engines.text.executors.openvino.constant_file import ConstantFile
from homeport.engines.text.executors.openvino.decoder import OpenVinoDecoder

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


class Decoder:
    """OpenVINO's decoder of a model, with sequences of 8 blocks each."""

    def __init__(self, weights: Path, host: LlamaExecutor) -> None:
        self.own = OpenVinoDecoder(host.model, weights, 1, 64)

    def compute(self, *parts: tuple[int, int, list[int]], wanted: list[int]) -> Logits:
        """Compute parts (sequence, start, tokens) together; return the logits of the indices that are wanted."""
        tokens, runs = [], []
        for sequence, start, ids in parts:
            tokens += [(token, start + at, sequence) for at, token in enumerate(ids)]
            runs.append(BlockRun(start, len(ids), self.blocks(sequence)))
        ids, positions, sequences = np.array(tokens, np.int32).T
        return self.own.compute(TokenBatch(ids, positions, sequences, np.array(wanted, np.int32)), runs).copy()

    def blocks(self, sequence: int) -> list[int]:
        """Return a sequence's blocks, which are not adjacent."""
        return list(range(56 + sequence, -1, -8))


def hosts(host: LlamaExecutor, tokens: list[int], wanted: list[int]) -> Logits:
    """Return llama.cpp's logits of sequence 0, which it computes in one pass."""
    ids, count = np.array(tokens, np.int32), len(tokens)
    positions, zeros = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
    return host.forward(TokenBatch(ids, positions, zeros, np.array(wanted, np.int32))).copy()


def error(logits: Logits, expected: Logits) -> float:
    """Return the relative error of logits, but for what they have in common."""
    difference = logits - expected
    return float((difference - difference.mean(axis=-1, keepdims=True)).std() / expected.std())


def deviation(rows: Rows, expected: Rows) -> float:
    """Return the largest relative error of a layer."""
    difference = rows.astype(np.float32) - expected.astype(np.float32)
    axes = (1, 2)
    scale = np.linalg.norm(expected.astype(np.float32), axis=axes)
    return float((np.linalg.norm(difference, axis=axes) / scale).max())


@pytest.mark.parametrize(
    ("family", "scaled_rope"), [("llama", False), ("llama", True), ("qwen2", False), ("qwen3", False)]
)
def test_every_architecture_is_computed_as_by_llama_cpp(
    open_model: Open, tmp_path: Path, family: str, scaled_rope: bool
) -> None:
    """Logits, keys and values of random models differ by the rounding of int8 weights, alone, in parts and together."""
    weights = tiny_decoders.decoder(tmp_path / "tiny.gguf", family, scaled_rope=scaled_rope)
    host = open_model(weights)
    tokens = [4 + 7 * at % (len(PIECES) - 4) for at in range(120)]
    expected = hosts(host, tokens, [60, 119])
    rows = host.read_rows(0)
    own = Decoder(weights, host)
    whole = own.compute((0, 0, tokens), wanted=[60, 119])
    assert error(whole, expected) < 0.06
    own.compute((1, 0, tokens[:40]), wanted=[])
    together = own.compute((1, 40, tokens[40:119]), (0, 120, [5]), wanted=[20, 79])
    assert error(together[:1], expected[:1]) < 0.06
    last = own.compute((1, 119, tokens[119:]), wanted=[0])
    assert error(last, expected[1:]) < 0.06
    for sequence in (0, 1):
        own_rows = own.own.read(own.blocks(sequence), 120)
        assert own_rows.keys.shape == rows.keys.shape
        assert deviation(own_rows.keys, rows.keys) < 0.06
        assert deviation(own_rows.values, rows.values) < 0.06


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_rows_go_from_one_to_the_other(open_model: Open, tmp_path: Path, family: str) -> None:
    """What llama.cpp computed is continued in blocks, and what was computed in blocks by llama.cpp."""
    weights = tiny_decoders.decoder(tmp_path / "tiny.gguf", family)
    host = open_model(weights)
    tokens = [4 + 5 * at % (len(PIECES) - 4) for at in range(100)]
    [expected] = hosts(host, tokens, [99])
    rows = host.read_rows(0)
    rows.trim(99)
    own = Decoder(weights, host)
    blocks = own.blocks(0)
    own.own.write(blocks, rows, 0)
    written = own.own.read(blocks, 99)
    assert deviation(written.keys, rows.keys) < 0.003, "but for bfloat16, they are the same"
    assert error(own.compute((0, 99, tokens[99:]), wanted=[0])[0], expected) < 0.06
    own.own.copy_block(blocks[0], 63)
    own.own.write(blocks, rows, 50)
    assert np.array_equal(own.own.read([63, *blocks[1:]], 99).keys, written.keys)
    host.trim(0, 40)
    host.append_rows(0, written, 40)
    zero = np.zeros(1, np.int32)
    last = TokenBatch(np.array(tokens[99:], np.int32), zero + 99, zero, zero)
    assert error(host.forward(last)[0], expected) < 0.03


def test_embeddings_take_the_place_of_tokens(open_model: Open, tmp_path: Path) -> None:
    """A picture whose embeddings are those of words gives the logits of these words."""
    weights = tiny_decoders.decoder(tmp_path / "tiny.gguf", "llama")
    host = open_model(weights)
    own = Decoder(weights, host)
    tokens = [4 + at % (len(PIECES) - 4) for at in range(40)]
    expected = own.compute((0, 0, tokens), wanted=[39])
    rows = GgufTensors(host.model.library, weights).rows("token_embd.weight", np.array(tokens[10:20], np.int32))
    ids = np.array([*tokens[:10], *[-7] * 10, *tokens[20:]], np.int32)
    positions, ones = np.arange(40, dtype=np.int32), np.ones(40, np.int32)
    batch = TokenBatch(ids, positions, ones, np.array([39], np.int32), "", (MediaRun(10, rows, 0, 10, True),))
    assert np.array_equal(own.own.compute(batch, [BlockRun(0, 40, own.blocks(1))]), expected)


def test_no_logits_are_computed_if_none_are_wanted(open_model: Open, tmp_path: Path) -> None:
    """A part of a prompt without logits has no rows."""
    weights = tiny_decoders.decoder(tmp_path / "tiny.gguf", "llama")
    own = Decoder(weights, open_model(weights))
    assert own.compute((0, 0, [5, 6, 7]), wanted=[]).shape == (0, len(PIECES))


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
    weights = tiny_decoders.decoder(tmp_path / "tiny.gguf", family, extra)
    with pytest.raises(Unavailable, match=named):
        OpenVinoDecoder(open_model(weights).model, weights, 1, 8)


def test_too_little_memory_is_said(open_model: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If less than twice the memory for the weights is free, they are not loaded a second time."""
    weights = tiny_decoders.decoder(tmp_path / "tiny.gguf", "llama")
    host = open_model(weights)
    monkeypatch.setattr(openvino_decoder, "available_memory", lambda: 300_000_000)
    with pytest.raises(Unavailable, match=r"needs .* MB, and twice as much is not free"):
        OpenVinoDecoder(host.model, weights, 1, 8)


def test_too_little_room_on_the_disk_is_said(tmp_path: Path) -> None:
    """Constants that do not fit on the disk are an error before anything is written."""
    with pytest.raises(Unavailable, match="cannot be written"):
        ConstantFile(tmp_path, 1 << 60)


def test_constants_outlive_their_memory(tmp_path: Path) -> None:
    """An array reads the same after its memory was given back, and its file has no name."""
    constants = ConstantFile(tmp_path, 100_000)
    first = constants.keep(np.arange(1000, dtype=np.float16))
    second = constants.keep(np.arange(-50, 50, dtype=np.int8).reshape(10, 10))
    constants.drop_memory()
    assert np.array_equal(first, np.arange(1000, dtype=np.float16))
    assert np.array_equal(second, np.arange(-50, 50, dtype=np.int8).reshape(10, 10))
    assert list(tmp_path.iterdir()) == []


def hybrid(host: LlamaExecutor, weights: Path, short_sizes: frozenset[int]) -> HybridExecutor:
    """Return an executor whose decoder computes prompts and short steps of these sizes, as if it had been checked."""
    executor = HybridExecutor(host, lambda: OpenVinoDecoder(host.model, weights, 1, 64))
    executor.wait_opened()
    executor._decoder, executor._candidate = executor._candidate, None
    assert executor._decoder is not None
    executor._memory.use(executor._decoder)
    executor._short_sizes = short_sizes
    zero = np.zeros(1, np.int32)
    host.forward(TokenBatch(zero, zero, zero, np.array([], np.int32)))
    host.read_rows(0)
    host.release([0])
    return executor


@pytest.mark.weights
@pytest.mark.parametrize("name", ["smollm2", "qwen"])
def test_the_starters_predict_the_same(open_model: Open, request: pytest.FixtureRequest, name: str) -> None:
    """By OpenVINO, perplexity rises no more than a layout may raise it, and first choices agree."""
    weights: Path = request.getfixturevalue(name)
    host = open_model(weights)
    windows = executor_comparison.reference_windows(host)[:3]
    before = [executor_comparison.score_window(host, window) for window in windows]
    executor = hybrid(host, weights, frozenset({ALONE, TOGETHER}))
    fidelity = executor_comparison.measure_fidelity(before, executor, windows)
    assert executor.prompts, "llama.cpp computed them"
    assert fidelity.rise < 0.005
    assert fidelity.divergence < 0.02
    assert fidelity.agreement > 0.9


@pytest.mark.weights
@pytest.mark.parametrize("name", ["smollm2", "qwen"])
def test_the_starters_answer_the_same(open_model: Open, request: pytest.FixtureRequest, name: str) -> None:
    """A greedy answer whose choices are clear is llama.cpp's own, also where a sequence moves to it in the middle."""
    weights: Path = request.getfixturevalue(name)
    host = open_model(weights)
    prompt = host.tokenize("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,", special=False)
    expected = greedy(host, prompt, 24)
    host.release([0])
    executor = hybrid(host, weights, frozenset({TOGETHER}))
    assert greedy(executor, prompt, 24) == expected
    assert executor.prompts, "llama.cpp computed them"
    text = b"".join(host.vocabulary.pieces[token] for token in expected).decode()
    assert text.replace(" ", "").startswith("20,21,22,23,")


def greedy(executor: Executor, prompt: list[int], count: int) -> list[int]:
    """Return the most likely tokens after a prompt."""
    tokens, start = list(prompt), 0
    while len(tokens) < len(prompt) + count:
        ids = np.array(tokens[start:], np.int32)
        positions = np.arange(start, len(tokens), dtype=np.int32)
        start = len(tokens)
        batch = TokenBatch(ids, positions, np.zeros(len(ids), np.int32), np.array([len(ids) - 1], np.int32))
        tokens.append(int(executor.forward(batch)[0].argmax()))
    return tokens[len(prompt) :]


def test_the_runtime_is_silent() -> None:
    """Importing and using OpenVINO opens no socket, starts no program, and does not load what reports usage."""
    result = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
