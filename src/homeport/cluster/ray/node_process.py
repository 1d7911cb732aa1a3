"""The process that runs Ray's processes of one node, as a child of `homeport cluster start` or `join`.

It is `ray start --block` with two changes: Ray's own client port stays closed, and the process ends with its parent.
Run as `python -m homeport.cluster.ray.node_process ARGUMENTS`.
"""

import ctypes
import signal
import sys
from typing import Any

HOOK = "homeport.cluster.ray.node_process.adjust"
"""The name by which Ray calls `adjust`, as its variable RAY_START_HOOK."""

_PR_SET_PDEATHSIG = 1


def adjust(parameters: Any, _: bool) -> None:
    """Leave out Ray's client server: nothing here uses it, and it would be one more open port."""
    parameters.ray_client_server_port = None


def _end_with_parent() -> None:
    """Receive SIGTERM when the parent's thread that started this ends, however it ends. Only Linux can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Run `ray start --block` with the arguments of this process."""
    _end_with_parent()
    from ray.scripts.scripts import cli

    cli(["start", "--block", *sys.argv[1:]])


if __name__ == "__main__":
    main()
