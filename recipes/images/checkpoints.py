"""Training state on disk, replaced atomically. Knows nothing of what is trained."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from homeport.formats import atomic

State = dict[str, Any]


def save(path: Path, state: State) -> None:
    """Save the state, replacing an earlier one."""
    with atomic.replace_file(path, mode=0o666) as partial:
        torch.save(state, partial)


def load(path: Path) -> State | None:
    """The saved state, or None."""
    if not path.exists():
        return None
    state: State = torch.load(path, weights_only=True)
    return state


class Interrupted:
    """True after SIGTERM or SIGINT, so that a run saves its state before it ends."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


class Saver:
    """Saves the state every `seconds` of wall time."""

    def __init__(self, path: Path, seconds: float, state: Callable[[], State]) -> None:
        self._path, self._seconds, self._state = path, seconds, state
        self._last = time.monotonic()

    def __call__(self, *, now: bool = False) -> None:
        """Save if the interval has passed, or if `now`."""
        if now or time.monotonic() - self._last >= self._seconds:
            save(self._path, self._state())
            self._last = time.monotonic()
