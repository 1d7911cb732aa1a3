"""Both graphs against plain numpy, on a tiny model."""

import importlib.util

import numpy as np
import pytest

from bench.prompts.computer import Graph, GraphComputer
from bench.prompts.model_weights import Weights
from bench.prompts.onnx_session import OnnxGraph
from bench.prompts.way import Backend, Numbers, Way
from tests.bench.prompts import models

_needs_openvino = pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="OpenVINO is not installed")
BACKENDS = ["onnxruntime", pytest.param("openvino", marks=_needs_openvino)]
FAMILIES = {"llama": (True, False), "qwen2": (False, False), "qwen3": (False, True)}


def _graph(backend: Backend, model: Weights, numbers: Numbers) -> Graph:
    way = Way("way", backend, numbers=numbers)
    if backend == "onnxruntime":
        return OnnxGraph(model, way, threads=1)
    from bench.prompts.openvino_graph import OpenVinoGraph

    return OpenVinoGraph(model, way, threads=1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_graph_computes_what_its_architecture_says(backend: Backend, family: str) -> None:
    """With float32 weights, hidden states are those of plain numpy, also if a prompt is computed in two parts."""
    pairs, head_norms = FAMILIES[family]
    model = models.weights(pairs=pairs, head_norms=head_norms)
    x = np.stack([model.embedding[:11], model.embedding[7:18]])
    expected = [models.compute(model, each) for each in x]
    graph = _graph(backend, model, "f32")
    graph.begin(2, 11)
    np.testing.assert_allclose(graph.run(x, 0), expected, rtol=1e-3, atol=1e-3)
    graph.begin(1, 11)
    first = graph.run(x[:1, :6], 0).copy()
    second = graph.run(x[:1, 6:], 6)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1)[0], expected[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_change_logits_little(backend: Backend) -> None:
    """With 8-bit weights and activations, logits differ from those of plain numpy by less than 5 %."""
    model = models.weights(pairs=True)
    prompt = np.arange(20, dtype=np.int32)
    expected = model.logits(models.compute(model, model.embedding[prompt])[-1:])
    found = GraphComputer(_graph(backend, model, "int8"), model, chunk=8).compute([prompt])
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
