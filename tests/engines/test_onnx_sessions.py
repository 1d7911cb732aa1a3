"""Sessions of ONNX Runtime leave processors to others while they wait."""

import pytest

from homeport.engines.onnx_sessions import session_options
from homeport.engines.processors import cores


@pytest.mark.parametrize(("asked", "threads"), [(None, cores()), (0, cores()), (1, 1), (3, 3)])
def test_threads_are_counted_and_sleep(asked: int | None, threads: int) -> None:
    """As many threads as were asked for, or one for each core, by their number; none spins while it waits."""
    made = session_options(asked)
    assert made.intra_op_num_threads == threads
    assert made.get_session_config_entry("session.intra_op.allow_spinning") == "0"
