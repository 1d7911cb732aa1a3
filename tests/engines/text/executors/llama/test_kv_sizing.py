"""The size of the KV cache follows the memory that is free where its layers are."""

import psutil
import pytest

from homeport.engines.text.executors.llama.kv_sizing import available_bytes, plan_kv

GB = 1_000_000_000


class _Memory:
    available = 12 * GB


@pytest.mark.parametrize(
    ("device_bytes", "share", "available"),
    [(0, 0.0, 12 * GB), (8 * GB, 1.0, 8 * GB), (8 * GB, 0.5, 16 * GB), (2 * GB, 0.5, 4 * GB), (40 * GB, 0.25, 16 * GB)],
)
def test_each_part_fits_where_its_layers_are(
    monkeypatch: pytest.MonkeyPatch, device_bytes: int, share: float, available: int
) -> None:
    """The layers on GPUs are limited by the memory of these, the others by the machine's."""
    monkeypatch.setattr(psutil, "virtual_memory", _Memory)
    assert available_bytes(device_bytes, share) == available


def test_cells_follow_the_memory_of_a_gpu() -> None:
    """A quarter of the free memory is for the KV cache: with less memory a model gets fewer cells."""
    plans = [
        plan_kv(trained=8192, window=None, cells=None, sequences=8, kv="unified", per_cell=100_000, available=free)
        for free in (100 * GB, 2 * GB)
    ]
    assert [plan.cells for plan in plans] == [8192, 5000]
    assert [plan.window for plan in plans] == [8192, 5000]
