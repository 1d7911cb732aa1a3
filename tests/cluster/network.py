"""A second network on this machine, as another node has it, whose link to this one can be cut. Needs root on Linux."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_HERE, _THERE = "10.231.77.1", "10.231.77.2"

MISSING = (
    "network namespaces need Linux, root and `ip`"
    if sys.platform != "linux" or os.geteuid() or shutil.which("ip") is None
    else ""
)
"""Why there can be no second network; empty if there can."""


class OtherNetwork:
    """A network namespace. `prefix`: the command that runs a program in it; `host`: its address, reached from here."""

    def __init__(self) -> None:
        self.host = _THERE
        self._name = f"homeport-{os.getpid()}"
        self._ends = (f"hp{os.getpid()}", f"hq{os.getpid()}")  # at most 15 characters each

    @property
    def prefix(self) -> Sequence[str]:
        """The beginning of a command."""
        return ("ip", "netns", "exec", self._name)

    def open(self) -> None:
        """Create it, connected to this network."""
        here, there = self._ends
        _ip("netns", "add", self._name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._name)
        _ip("addr", "add", f"{_HERE}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", self._name, "addr", "add", f"{_THERE}/30", "dev", there)
        _ip("-n", self._name, "link", "set", there, "up")

    def cut(self) -> None:
        """Lose all packets between the networks from now on; no side is told."""
        _ip("-n", self._name, "link", "set", self._ends[1], "down")

    def restore(self) -> None:
        """Connect the networks again."""
        _ip("-n", self._name, "link", "set", self._ends[1], "up")

    def close(self) -> None:
        """Remove it."""
        _ip("link", "delete", self._ends[0])
        _ip("netns", "delete", self._name)


@contextmanager
def other_network() -> Iterator[OtherNetwork]:
    """Create a second network, and remove it at the end."""
    network = OtherNetwork()
    try:
        network.open()
        yield network
    finally:
        network.close()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
