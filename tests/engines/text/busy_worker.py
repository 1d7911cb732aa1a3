"""An isolated worker that computes for 0.3 s for each reply, and may take longer than that only for the first one."""

import time
from typing import Any

from homeport.engines.text.isolated_worker import Reply, serve


def answer(message: Any) -> tuple[Reply, bool]:
    """Use CPU time, then return the message."""
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    return {"message": message}, True


def main() -> None:
    """Process requests until standard input ends."""
    serve(answer, 0.1, first_cpu_s=30.0)
