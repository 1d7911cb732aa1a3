"""What users read when a node does not start."""

import pytest

from homeport.cluster.ray.start_failures import describe_failure

MISMATCH = """Traceback (most recent call last):
RuntimeError: Version mismatch: The cluster was started with:
    Ray: 2.60.0
    Python: 3.11.7
This process on node 10.0.0.6 was started with:
    Ray: 2.60.0
    Python: 3.11.2

2026-11-30 21:05:48,321	INFO scripts.py:1234 -- Local node IP: 10.0.0.6
"""


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            MISMATCH,
            "the cluster runs Ray 2.60.0 and Python 3.11.7, this machine Ray 2.60.0 and Python 3.11.2; "
            "install the cluster's versions here.",
        ),
        (
            "ray.exceptions.RaySystemError: no memory\nLocal node IP: 10.0.0.6\n\n",
            "ray.exceptions.RaySystemError: no memory",
        ),
        ("Starting\nKilled\n", "Killed"),
        ("\n", "no output"),
    ],
)
def test_the_reason_is_found(output: str, said: str) -> None:
    """Other versions are named on both sides; else an error is said before what was written after it."""
    assert describe_failure(output) == said
