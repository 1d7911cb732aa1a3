"""The settings of serving, as one frozen value. Knows nothing of where they come from."""

import msgspec

from homeport.domain.errors import InvalidRequest


class ServingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How traffic is bounded and workers are watched. Times are in seconds, sizes in bytes; limits are above 0.

    Raises InvalidRequest, naming the field, for a value that makes no sense.
    """

    slots: int = 16
    """Requests of one model that are taken as being worked on; more of them wait."""
    max_queue: int = 128
    """Requests of one model that may wait on top of `slots`; past both a request is refused."""
    idle_s: float | None = 300.0
    """An unused model is unloaded after this long; None keeps it."""
    memory_bytes: int | None = None
    """What all loaded models together may take; None sets no limit."""
    room_wait_s: float = 60.0
    """How long a load waits for models in use to make room, before it is refused."""
    room_patience_s: float = 5.0
    """After this much of that wait, models in use take no new requests, so that no model starves."""
    load_limit_s: float = 600.0
    """A model that is not loaded by then is given up."""
    heartbeat_s: float = 1.0
    """Time between two pings."""
    heartbeat_limit_s: float = 15.0
    """A worker that answers no ping for this long is killed."""
    stall_limit_s: float = 180.0
    """A worker whose engine stays in one step for this long is killed."""
    reader_stall_s: float = 60.0
    """A stream whose events nobody takes for this long is cancelled."""
    credit: int = 256
    """Deltas a worker may send ahead of the reader, for each stream."""
    restart_backoff_s: float = 1.0
    """Pause before the second restart in a row; it doubles from there. The first restart is at once."""
    restart_backoff_limit_s: float = 30.0
    """The longest pause between two restarts."""
    stable_s: float = 60.0
    """A worker that lived this long, or answered a request, starts its count of restarts anew."""
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
