"""The writer of ONNX files."""

from array import array
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from homeport.formats import onnx_writer
from homeport.formats.onnx_writer import Graph, Initializer, OnnxNode


def small_graph(wide: int = 3) -> Graph:
    """A convolution, a bound and a sum; one output number per picture and channel."""
    weights = Initializer("weights", (2, wide, 1, 1), array("f", range(2 * wide)))
    bounds = [Initializer("low", (), array("f", [0])), Initializer("high", (), array("f", [200.5]))]
    nodes = [
        OnnxNode("Conv", ("pixels", "weights"), ("wide",), {"kernel_shape": (1, 1), "strides": (1, 1)}),
        OnnxNode("Clip", ("wide", "low", "high"), ("bounded",)),
        OnnxNode("LeakyRelu", ("bounded",), ("same",), {"alpha": 0.25}),
        OnnxNode("GlobalAveragePool", ("same",), ("average",)),
        OnnxNode("Flatten", ("average",), ("sums",), {"axis": 1}),
    ]
    return Graph("small", nodes, [weights, *bounds], {"pixels": ("pictures", wide, 2, 2)}, {"sums": ("pictures", 2)})


def test_a_written_network_computes(tmp_path: Path) -> None:
    """ONNX Runtime loads a written file, with attributes of every kind, and computes what its nodes say."""
    onnx_writer.write(tmp_path / "small.onnx", small_graph())
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.shape) == ("pixels", ["pictures", 3, 2, 2])
    pixels = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    wanted = np.einsum("oc,ncyx->noyx", np.arange(6).reshape(2, 3), pixels).clip(0, 200.5).mean((2, 3))
    (found,) = session.run(None, {"pixels": pixels})
    assert np.allclose(found, wanted)


def test_numbers_of_any_size_are_written(tmp_path: Path) -> None:
    """Extents and lengths that need several bytes are read back as they were."""
    onnx_writer.write(tmp_path / "wide.onnx", small_graph(70_000))
    session = onnxruntime.InferenceSession(str(tmp_path / "wide.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["pictures", 70_000, 2, 2]


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two writes of a graph are equal, so that the catalogue can pin a hash."""
    for name in ("one", "two"):
        onnx_writer.write(tmp_path / name, small_graph())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(("value", "wanted"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_numbers_are_encoded_seven_bits_a_byte(value: int, wanted: bytes) -> None:
    """Numbers are protobuf's varints, the lowest bits first."""
    assert onnx_writer.encode_number(value) == wanted
