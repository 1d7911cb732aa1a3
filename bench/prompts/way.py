"""The ways to compute prompts that are compared, and what is asked of and measured on each. Pure."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Backend = Literal["llama.cpp", "openvino", "onnxruntime"]
Numbers = Literal["int8", "bf16", "f32"]
"""The numbers that products are computed in."""

INSTALLED, WHEEL = "installed", "wheel"
"""Kernels of llama.cpp: those of `homeport kernels install`, and those of the wheel. Others are given as a path."""

AT_ONCE = 16
"""Prompts that are given together."""


class Way(msgspec.Struct, frozen=True):
    """One way: the backend and its options.

    `numbers`: what products with weights are computed in; `attention`: all else. `layout`: the file's layout. `kernels`
    and `micro_batch` are llama.cpp's. `group`: weights that share a scale, in the two graphs. `chunk`: tokens of one
    pass through a graph, of one prompt or of several. `is_pinned`: each computing thread stays on one processor.
    `huge_pages`: the C library's allocator asks for huge pages.
    """

    name: str
    backend: Backend
    numbers: Numbers = "int8"
    layout: str = "q8_0"
    kernels: str = INSTALLED
    micro_batch: int = 512
    group: int = 32
    chunk: int = 1024
    attention: Numbers = "f32"
    is_pinned: bool = False
    huge_pages: bool = False


class Load(msgspec.Struct, frozen=True):
    """Prompts of one length: one alone, or several given together."""

    length: int
    prompts: int = 1

    @property
    def tokens(self) -> int:
        """The tokens of all its prompts."""
        return self.length * self.prompts

    def __str__(self) -> str:
        return f"{self.length:,}" if self.prompts == 1 else f"{self.prompts} × {self.length:,}"


class Job(msgspec.Struct, frozen=True):
    """What one process measures: a way on a file, the loads, and the rounds of each load.

    `library`: the folder or file of llama.cpp's kernels, empty for the wheel's; graphs read the file through it, too.
    """

    way: Way
    weights: str
    library: str
    threads: int
    loads: tuple[Load, ...]
    rounds: int


class Outcome(msgspec.Struct, frozen=True):
    """What a process measured.

    `seconds`: of the fastest round of each load; `cpu_s`: the processor time of all threads in it. `start_s`: from the
    file to the first computed token. `idle_bytes`: resident memory before the file was opened; `ready_bytes`: after
    start-up, without what was freed; `peak_bytes`: the highest of all. `logits`: of the first tokens of the vocabulary,
    after each checked prompt.
    """

    start_s: float
    seconds: tuple[float, ...]
    cpu_s: tuple[float, ...]
    idle_bytes: int
    ready_bytes: int
    peak_bytes: int
    logits: list[list[float]]
    description: str

    def busy(self, threads: int) -> float:
        """The share of the threads' time in which they had a processor: 1 if no other program needed it."""
        return sum(self.cpu_s) / sum(self.seconds) / threads


def loads(lengths: Sequence[int], max_tokens: int) -> tuple[Load, ...]:
    """Each length alone, and those of which `AT_ONCE` have no more than `max_tokens` together."""
    together = [Load(length, AT_ONCE) for length in lengths if length * AT_ONCE <= max_tokens]
    return (*(Load(length) for length in lengths), *together)


def ways() -> tuple[Way, ...]:
    """All ways, the reference first."""
    q8 = Way("llama.cpp, Q8_0", "llama.cpp")
    graph = Way("OpenVINO, groups of 32", "openvino")
    change = msgspec.structs.replace
    return (
        q8,
        change(q8, name="llama.cpp, Q4_0", layout="q4_0"),
        change(q8, name="llama.cpp, BF16", layout="bf16", numbers="bf16"),
        change(q8, name="llama.cpp, as shipped", layout="original"),
        change(q8, name="llama.cpp, Q8_0, the wheel's kernels", kernels=WHEEL),
        change(q8, name="llama.cpp, Q8_0, micro-batch of 128", micro_batch=128),
        change(q8, name="llama.cpp, Q8_0, micro-batch of 2048", micro_batch=2048),
        change(q8, name="llama.cpp, Q8_0, pinned threads", is_pinned=True),
        change(q8, name="llama.cpp, Q8_0, huge pages", huge_pages=True),
        graph,
        change(graph, name="OpenVINO, groups of 64", group=64),
        change(graph, name="OpenVINO, groups of 32, chunks of 512", chunk=512),
        change(graph, name="OpenVINO, groups of 32, chunks of 2048", chunk=2048),
        change(graph, name="OpenVINO, groups of 32, attention in BF16", attention="bf16"),
        change(graph, name="OpenVINO, BF16", numbers="bf16", attention="bf16"),
        change(graph, name="OpenVINO, groups of 32, huge pages", huge_pages=True),
        Way("ONNX Runtime, groups of 32", "onnxruntime"),
        Way("ONNX Runtime, groups of 64", "onnxruntime", group=64),
        Way("ONNX Runtime, float32", "onnxruntime", numbers="f32"),
    )
