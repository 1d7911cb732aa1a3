"""Limits on the replies of isolated processes."""

import pytest

from homeport.engines.text.isolated_process import IsolatedProcess, ProcessStopped


def test_the_first_reply_has_a_limit_of_its_own() -> None:
    """A worker that builds something first may take long for it, and is killed if a later reply takes long."""
    process = IsolatedProcess("tests.engines.text.busy_worker", "is busy")
    try:
        assert process.request("a") == {"message": "a"}
        with pytest.raises(ProcessStopped) as stopped:
            process.request("b")
        assert not stopped.value.is_crash
    finally:
        process.end()
