"""The limits of connections, in bytes and in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectionLimits:
    """Times in seconds, sizes in bytes.

    A body must arrive at `body_rate` bytes per second, averaged over the last `body_grace_s`. `unsent`: all bytes of
    responses that clients have not read; beyond it, connections are closed, first those whose clients have read nothing
    for the longest time.
    """

    connections: int = 4096
    per_address: int = 512
    head_s: float = 20.0
    idle_s: float = 75.0
    body_rate: float = 500.0
    body_grace_s: float = 20.0
    stall_s: float = 60.0
    linger_s: float = 5.0
    unsent: int = 128_000_000
