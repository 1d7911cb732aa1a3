"""What a training goes on from after it was cut off. Imported in the process that trains only."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch

from homeport.domain.training import StepMetrics
from homeport.formats import atomic

FILE = "state.pt"
_FORMAT = 1


@dataclass
class TrainingState:
    """How far a training is: `step` steps are done, and what they measured. `tokens`: trained on so far."""

    step: int = 0
    tokens: int = 0
    examples: int = 0
    measures: list[StepMetrics] = field(default_factory=list)


def save_checkpoint(folder: Path, identity: str, progress: TrainingState, learnt: Any, optimiser: Any) -> None:
    """Write it all, so that whatever happens an older or this state stands there whole."""
    said = msgspec.json.encode((progress.step, progress.tokens, progress.examples, progress.measures)).decode()
    held = {"format": _FORMAT, "identity": identity, "progress": said, "learnt": learnt, "optimiser": optimiser}
    with atomic.replace_file(folder / FILE, mode=0o666) as partial, partial.open("wb") as file:
        torch.save(held, file)


def load_checkpoint(folder: Path, identity: str) -> tuple[TrainingState, Any, Any] | None:
    """What was kept of the same training; None where nothing was, or of another."""
    try:
        held = torch.load(folder / FILE, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    if held.get("format") != _FORMAT or held["identity"] != identity:
        return None
    step, tokens, examples, measures = msgspec.json.decode(
        held["progress"], type=tuple[int, int, int, list[StepMetrics]]
    )
    return TrainingState(step, tokens, examples, measures), held["learnt"], held["optimiser"]
