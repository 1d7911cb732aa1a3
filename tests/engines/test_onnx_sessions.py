"""Sessions of ONNX Runtime leave processors to others while they wait."""

import pytest

from homeport.engines.onnx_sessions import session_options
from homeport.engines.processors import cores


@pytest.mark.parametrize(("configured", "threads"), [(None, cores()), (0, cores()), (1, 1), (3, 3)])
def test_threads_are_counted_and_sleep(configured: int | None, threads: int) -> None:
    """There are as many threads as requested, or one per core; none spins while it waits."""
    options = session_options(configured)
    assert options.intra_op_num_threads == threads
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
