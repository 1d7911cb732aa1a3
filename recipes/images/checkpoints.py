"""Training state on disk, written so that a cut never leaves a half file. Knows nothing of what is trained."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

State = dict[str, Any]


def save(path: Path, state: State) -> None:
    """Write beside, then move over."""
    beside = path.with_suffix(".new")
    torch.save(state, beside)
    beside.replace(path)


def load(path: Path) -> State | None:
    """What was saved; None if nothing was."""
    if not path.exists():
        return None
    state: State = torch.load(path, weights_only=True)
    return state


class Interrupted:
    """True once the process was asked to end (SIGTERM, SIGINT), so that a run saves itself first."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


class Saver:
    """Saves every `seconds` of wall time."""

    def __init__(self, path: Path, seconds: float, state: Callable[[], State]) -> None:
        self._path, self._seconds, self._state = path, seconds, state
        self._last = time.monotonic()

    def __call__(self, *, now: bool = False) -> None:
        """Save if it is time, or `now`."""
        if now or time.monotonic() - self._last >= self._seconds:
            save(self._path, self._state())
            self._last = time.monotonic()
