from pathlib import Path

import pytest

from bench.prompts import cpu_peak
from bench.prompts.cpu_peak import Cpu
from bench.prompts.way import Load, Way
from tests.bench.prompts import models

_AVX512 = frozenset({"fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16"})


@pytest.mark.parametrize(
    ("cpu", "int8", "bf16", "f32"),
    [
        (Cpu(_AVX512, "AuthenticAMD", 26), 256, 128, 64),
        (Cpu(_AVX512, "AuthenticAMD", 25), 128, 64, 32),
        (Cpu(_AVX512 | {"amx_int8", "amx_bf16"}, "GenuineIntel", 6), 2048, 1024, 64),
        (Cpu(frozenset({"fma", "avx2", "avx_vnni"}), "GenuineIntel", 6), 128, 32, 32),
        (Cpu(frozenset({"fma", "avx2"}), "AuthenticAMD", 23), 32 * 4 / 3, 32, 32),
    ],
)
def test_operations_per_cycle(cpu: Cpu, int8: float, bf16: float, f32: float) -> None:
    """The flags say what one core computes per cycle; AMD's units are 512 bits wide from Zen 5 on."""
    assert cpu.operations_per_cycle == {"int8": int8, "bf16": bf16, "f32": f32}


def test_the_clock_is_at_least_what_a_measured_product_needs() -> None:
    """A product of floats that needs 4 GHz shows that the nominal 2.6 GHz are exceeded; a slower one shows nothing."""
    cpu = Cpu(_AVX512, "AuthenticAMD", 26, 2.6e9)
    assert cpu_peak.find_peak(cpu, 2, {"f32": 512e9}).clock_hz == pytest.approx(4e9)
    assert cpu_peak.find_peak(cpu, 2, {"f32": 100e9}).clock_hz == 2.6e9
    assert cpu_peak.find_peak(cpu, 2, {}).computed["int8"] == pytest.approx(256 * 2 * 2.6e9)


def test_operations_of_prompts() -> None:
    """Each token is multiplied with all weights of the blocks, and attends to itself and the tokens before it."""
    shape = models.shape(pairs=True)
    weights, attention = cpu_peak.operations(shape, Load(3, prompts=2))
    assert weights == 2 * shape.block_weights * 6
    assert attention == 2 * (1 + 2 + 3) * 4 * shape.layers * shape.heads * shape.head


def test_a_peak_in_tokens_counts_both() -> None:
    """Products with weights are counted at the speed of their numbers, attention at that of its own."""
    peak = cpu_peak.find_peak(Cpu(_AVX512, "AuthenticAMD", 26, 1e9), 1, {})
    shape = models.shape(pairs=True)
    load = Load(100)
    weights, attention = cpu_peak.operations(shape, load)
    assert peak.tokens_per_s(shape, load, Way("way", "openvino")) == pytest.approx(
        100 / (weights / 256e9 + attention / 64e9)
    )


def test_a_cpu_is_read(tmp_path: Path) -> None:
    """The first processor's flags, family and clock are read; without the file nothing is known."""
    file = tmp_path / "cpuinfo"
    file.write_text(
        "vendor_id\t: AuthenticAMD\ncpu family\t: 26\ncpu MHz\t\t: 2600.5\nflags\t\t: fma avx2\n\nflags: sse\n"
    )
    assert cpu_peak.read_cpu(file) == Cpu(frozenset({"fma", "avx2"}), "AuthenticAMD", 26, 2600.5e6)
    assert cpu_peak.read_cpu(tmp_path / "none") == Cpu(frozenset())
