"""The settings of serving, as one frozen value. Knows nothing of where they come from."""

import msgspec

from homeport.domain.errors import InvalidRequest


class ServingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of traffic and the supervision of workers. Times are in seconds, sizes in bytes; limits are above 0.

    Raises InvalidRequest, naming the field, for an invalid value.
    """

    slots: int = 16
    """Requests of one model that count as running; further ones wait."""
    max_queue: int = 128
    """Requests of one model that may wait in addition to `slots`; beyond both, requests are refused."""
    idle_s: float | None = 300.0
    """An unused model is unloaded after this time; None keeps it."""
    memory_bytes: int | None = None
    """The limit of all loaded models together; None sets no limit."""
    room_wait_s: float = 60.0
    """How long a load waits for models in use to be released, before it is refused."""
    room_patience_s: float = 5.0
    """After this much of that wait, models in use accept no new requests, so that no model starves."""
    load_limit_s: float = 600.0
    """A load that takes longer fails."""
    heartbeat_s: float = 1.0
    """Time between two pings."""
    heartbeat_limit_s: float = 15.0
    """A worker that answers no ping for this long is killed."""
    stall_limit_s: float = 180.0
    """A worker whose engine stays in one step for this long is killed."""
    reader_stall_s: float = 60.0
    """A stream whose events are not read for this long is cancelled."""
    credit: int = 256
    """Events that a worker may send ahead of the reader, for each stream."""
    restart_backoff_s: float = 1.0
    """Pause before the second restart in a row; it doubles from there. The first restart is immediate."""
    restart_backoff_limit_s: float = 30.0
    """The longest pause between two restarts."""
    stable_s: float = 60.0
    """After living this long, or answering a request, a worker's count of failures restarts at 0."""
    frame_bytes: int = 64 * 1024 * 1024
    """The largest message to a worker; it must hold a request body at its limit."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name != "max_queue" and value is not None and value <= 0:
                raise InvalidRequest(f"{name} must be above 0, not {value}.", param=name)
        if self.max_queue < 0:
            raise InvalidRequest(f"max_queue must be 0 or more, not {self.max_queue}.", param="max_queue")
