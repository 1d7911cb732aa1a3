import msgspec
import pytest

from bench.prompts import cpu_peak, table
from bench.prompts.cpu_peak import Cpu
from bench.prompts.table import Result
from bench.prompts.way import Load, Outcome, Way
from tests.bench.prompts import models

_OUTCOME = Outcome(
    start_s=1.26,
    seconds=(0.5,),
    cpu_s=(0.485,),
    idle_bytes=100_000_000,
    ready_bytes=300_000_000,
    peak_bytes=1_600_000_000,
    logits=[[1.0, 2.0, 3.0]],
    description="",
)


def test_a_row_has_the_speed_the_memory_and_the_difference() -> None:
    """The cells are tokens per second with their share of the peak, start-up, added memory, and the rest."""
    peak = cpu_peak.find_peak(Cpu(frozenset({"avx2"}), clock_hz=1e9), 1, {})
    shape, load, way = models.shape(pairs=True), Load(1000), Way("OpenVINO", "openvino")
    share = 2000 / peak.tokens_per_s(shape, load, way)
    lines = table.speeds([Result(way, _OUTCOME)], [load], peak, shape)
    assert lines[2] == f"| OpenVINO | 2,000 ({share:.0%}) | 1.3 | 200, 1,500 | 0.0% | 97% |"


def test_a_way_that_failed_says_why() -> None:
    """A way without an outcome has its reason in place of figures, and the number of cells stays."""
    peak = cpu_peak.find_peak(Cpu(frozenset()), 1, {})
    lines = table.speeds(
        [Result(Way("way", "openvino"), None, "no memory")], [Load(64)], peak, models.shape(pairs=True)
    )
    assert "not measured: no memory" in lines[2]
    assert lines[2].count("|") == lines[0].count("|")


def test_logits_are_compared_without_their_mean() -> None:
    """Logits that are all higher by one amount do not differ; those twice as far from their mean differ by 100 %."""
    higher = msgspec.structs.replace(_OUTCOME, logits=[[11.0, 12.0, 13.0]])
    doubled = msgspec.structs.replace(_OUTCOME, logits=[[0.0, 2.0, 4.0]])
    assert table.logit_difference(higher, _OUTCOME) == 0
    assert table.logit_difference(doubled, _OUTCOME) == pytest.approx(1)


def test_peaks_show_what_a_product_reached() -> None:
    """A measured product is shown with its share of the peak, and a dash where none was measured."""
    peak = cpu_peak.find_peak(Cpu(frozenset({"avx2"}), clock_hz=1e9), 1, {"f32": 16e9})
    assert "| f32 | 32 | 32 | 16 (50%) |" in table.peaks(peak)
    assert "| bf16 | 32 | 32 | – |" in table.peaks(peak)
