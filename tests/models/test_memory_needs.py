import pytest

from homeport.models import memory_needs

GB = 1_000_000_000


def test_the_need_is_the_files_and_a_full_window() -> None:
    """A model needs memory for its files and the KV cache of its window; it is unknown if a size is."""
    assert memory_needs.memory_bytes(5 * GB, 100_000, 10_000) == 6 * GB
    assert memory_needs.memory_bytes(None, 100_000, 10_000) is None
    assert memory_needs.memory_bytes(5 * GB, None, 10_000) is None
    assert memory_needs.memory_bytes(5 * GB, 100_000, None) is None


@pytest.mark.parametrize(
    ("available", "window"),
    [
        (40 * GB, 40_960),  # a quarter holds the whole window
        (12 * GB, 29_696),  # a quarter of 12 GB holds 30,000 tokens
        (7 * GB, 9_216),  # 1 GB is left beside the files and the reserve
        (6 * GB + 300_000_000, 0),  # 3,000 tokens would be left
        (4 * GB, 0),
    ],
)
def test_the_window_shrinks_to_the_memory(available: int, window: int) -> None:
    """The window is what a quarter of the memory holds beside the files; below 4096 tokens the model does not fit."""
    assert memory_needs.fitting_window(5 * GB, 100_000, 40_960, available) == window


def test_a_model_with_a_small_window_fits_whole() -> None:
    """A window of fewer than 4096 tokens fits if all of it does."""
    assert memory_needs.fitting_window(GB, 1000, 512, 4 * GB) == 512
    assert memory_needs.fitting_window(GB, 1000, None, 4 * GB) is None


@pytest.mark.parametrize(("available", "window"), [(3 * GB, 77), (2 * GB, 77), (2 * GB - 1, 0)])
def test_a_model_without_a_kv_cache_needs_its_files(available: int, window: int) -> None:
    """Where a token needs no memory, the whole window fits as soon as the files and the reserve do."""
    assert memory_needs.memory_bytes(GB, 0, 77) == GB
    assert memory_needs.fitting_window(GB, 0, 77, available) == window
