"""The state from which an interrupted training run resumes. Imported in the training process only."""

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
    """The progress of a training run: `step` steps are done, with their metrics. `tokens`: trained on so far."""

    step: int = 0
    tokens: int = 0
    examples: int = 0
    metrics: list[StepMetrics] = field(default_factory=list)


def save_checkpoint(folder: Path, identity: str, progress: TrainingState, adapter: Any, optimizer: Any) -> None:
    """Write the whole state atomically: whatever happens, the older or the new one is complete."""
    text = msgspec.json.encode((progress.step, progress.tokens, progress.examples, progress.metrics)).decode()
    state = {"format": _FORMAT, "identity": identity, "progress": text, "learnt": adapter, "optimiser": optimizer}
    with atomic.replace_file(folder / FILE, mode=0o666) as partial, partial.open("wb") as file:
        torch.save(state, file)


def load_checkpoint(folder: Path, identity: str) -> tuple[TrainingState, Any, Any] | None:
    """Load the state of the same training run; None if there is none, or only that of another."""
    try:
        state = torch.load(folder / FILE, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    if state.get("format") != _FORMAT or state["identity"] != identity:
        return None
    step, tokens, examples, metrics = msgspec.json.decode(
        state["progress"], type=tuple[int, int, int, list[StepMetrics]]
    )
    return TrainingState(step, tokens, examples, metrics), state["learnt"], state["optimiser"]
