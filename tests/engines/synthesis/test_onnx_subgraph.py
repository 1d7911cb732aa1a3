"""Parts of ONNX models."""

import numpy as np
import onnxruntime
import pytest

from bench.prompts.onnx_file import OnnxFile
from homeport.engines.synthesis.onnx_subgraph import OnnxGraph


def model() -> tuple[bytes, str]:
    """Return a model of two steps, `y = -(x * 3)`, and the name of the value between them."""
    file = OnnxFile()
    product = file.node("Mul", [file.input("x", np.float32, [2]), file.tensor(np.full(2, 3, np.float32))])
    file.output("y", file.node("Neg", [product]), np.float32, [2])
    return file.content(), product


def run(part: bytes, **values: list[float]) -> list[float]:
    """Compute a model's first output."""
    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])
    given = {name: np.array(value, np.float32) for name, value in values.items()}
    return [float(each) for each in session.run(None, given)[0]]


def test_parts_compute_what_the_whole_does() -> None:
    """The first part has the value between as its output, the second takes it as its input."""
    whole, between = model()
    graph = OnnxGraph(whole)
    first = graph.part({"x": np.float32}, [between])
    second = graph.part({between: np.float32}, ["y"])
    assert run(first, x=[1, 2]) == [3, 6]
    assert run(second, **{between: [5.0, 7.0]}) == [-5, -7]
    assert len(second) < len(first) + 20
    assert {"x", "y", between} <= graph.names


@pytest.mark.parametrize("data", [b"", b"GGUF", b"\x3a\x05\x0a", b"\x80", b"\x0f"])
def test_other_files_are_refused(data: bytes) -> None:
    """Bytes that are no model, or end too soon, are an error."""
    with pytest.raises(ValueError, match="The file"):
        OnnxGraph(data)
