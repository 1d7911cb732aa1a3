"""What a connection may take, in bytes and in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ConnectionLimits:
    """Times in seconds, sizes in bytes.

    A body must come at `body_rate` bytes per second, averaged over the last `body_grace_s`. `unsent`: of all
    responses together that clients have left unread for more than a few seconds; past it the longest waiting go first.
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
