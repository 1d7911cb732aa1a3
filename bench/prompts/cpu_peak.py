"""What a CPU could compute at most, from its flags: operations per second, and the prompts that they suffice for.

Counts the products with weights and those of attention; one multiplication with its addition is two operations.
Knows nothing of how anything is computed.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.prompts.model_weights import Shape
from bench.prompts.way import Load, Numbers, Way

_CPUINFO = Path("/proc/cpuinfo")
_ZEN_5 = 26  # the first family of AMD whose units for 512 bits are that wide


class Cpu(msgspec.Struct, frozen=True):
    """A processor: its flags, what tells the width of its units, and its nominal clock."""

    flags: frozenset[str]
    vendor: str = ""
    family: int = 0
    clock_hz: float = 0.0

    @property
    def operations_per_cycle(self) -> dict[Numbers, float]:
        """Operations of one core per cycle, for each kind of numbers, with the widest instructions it has.

        Two units of 512 bits are assumed where there is AVX-512, except on AMD before Zen 5, whose units have 256. No
        flag tells them apart from CPUs of Intel with one.
        """
        wide = "avx512f" in self.flags and not ("AMD" in self.vendor and self.family < _ZEN_5)
        f32 = 64.0 if wide else 32.0
        bf16 = 1024.0 if "amx_bf16" in self.flags else 2 * f32 if "avx512_bf16" in self.flags else f32
        if "amx_int8" in self.flags:
            int8 = 2048.0
        elif self.flags & {"avx512_vnni", "avx_vnni"}:
            int8 = 4 * f32 if "avx512_vnni" in self.flags else 128.0
        else:
            int8 = f32 * 4 / 3  # three instructions for four times as many numbers
        return {"int8": int8, "bf16": bf16, "f32": f32}


class Peak(msgspec.Struct, frozen=True):
    """The highest speeds in operations per second, of all threads: `computed` from flags and clock, `measured` ones.

    `clock_hz`: the clock that `computed` is based on. `measured`: those of plain matrix products, as far as known.
    """

    per_cycle: Mapping[Numbers, float]
    clock_hz: float
    threads: int
    measured: Mapping[Numbers, float]

    @property
    def computed(self) -> dict[Numbers, float]:
        """The speeds that the clock and the instructions allow."""
        return {numbers: each * self.clock_hz * self.threads for numbers, each in self.per_cycle.items()}

    def tokens_per_s(self, shape: Shape, load: Load, way: Way) -> float:
        """The most prompt tokens per second with this way's numbers."""
        weights, attention = operations(shape, load)
        speeds = self.computed
        return load.tokens / (weights / speeds[way.numbers] + attention / speeds[way.attention])


def find_peak(cpu: Cpu, threads: int, measured: Mapping[Numbers, float]) -> Peak:
    """Return the peak. The clock is often above the nominal one: at least as far as the product of floats needs it."""
    per_cycle = cpu.operations_per_cycle
    clock = max(cpu.clock_hz, measured.get("f32", 0.0) / per_cycle["f32"] / threads)
    return Peak(per_cycle, clock, threads, measured)


def operations(shape: Shape, load: Load) -> tuple[float, float]:
    """Return the operations of a load: of the products with the blocks' weights, and of attention."""
    weights = 2.0 * shape.block_weights * load.tokens
    pairs = load.length * (load.length + 1) / 2  # of a token with one that it attends to
    return weights, 4.0 * shape.layers * shape.heads * shape.head * pairs * load.prompts


def read_cpu(cpuinfo: Path = _CPUINFO) -> Cpu:
    """Read the first processor's description; one without flags where the system has none."""
    if not cpuinfo.is_file():
        return Cpu(frozenset())
    first = cpuinfo.read_text(encoding="utf-8").partition("\n\n")[0]
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    return Cpu(
        flags=frozenset(fields.get("flags", "").split()),
        vendor=fields.get("vendor_id", ""),
        family=int(fields.get("cpu family", "0")),
        clock_hz=float(fields.get("cpu MHz", "0")) * 1e6,
    )
