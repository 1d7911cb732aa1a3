"""The speed of plain matrix products: `python -m bench.prompts.matmul THREADS` prints operations per second as JSON.

The products are those of OpenVINO, in each kind of numbers; integers have one scale per row. Nothing is printed for any
other library.
"""

import json
import sys
import time

import numpy as np
import openvino
from openvino import opset15 as ops

from bench.prompts.openvino_graph import compile_graph, constant
from bench.prompts.way import Numbers

_ROWS, _SIZE, _ROUNDS = 1024, 2048, 12
_NUMBERS: tuple[Numbers, ...] = ("int8", "bf16", "f32")


def speed(numbers: Numbers, threads: int) -> float:
    """Return the operations per second of the fastest of some products."""
    draw = np.random.default_rng(0)
    x = ops.parameter([_ROWS, _SIZE], np.float32)
    weights = draw.standard_normal((_SIZE, _SIZE), np.float32)
    product = ops.matmul(x, constant(weights, numbers, _SIZE), False, True)
    group = _SIZE if numbers == "int8" else 0
    model = openvino.Model([ops.result(product)], [x])
    request = compile_graph(model, threads, group=group, is_bf16=numbers == "bf16").create_infer_request()
    given = openvino.Tensor(draw.standard_normal((_ROWS, _SIZE), np.float32))
    fastest = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        request.infer({0: given})
        fastest = min(fastest, time.perf_counter() - start)
    return 2.0 * _ROWS * _SIZE * _SIZE / fastest


if __name__ == "__main__":
    print(json.dumps({numbers: speed(numbers, int(sys.argv[1])) for numbers in _NUMBERS}))
