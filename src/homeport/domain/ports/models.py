"""What the rooms above need of installed models."""

from collections.abc import Sequence
from typing import Protocol

from homeport.domain.models import (
    Alias,
    InstalledModel,
    ResolvedModel,
)


class ModelRegistry(Protocol):
    """Knows which models are installed and which names stand for them. Never downloads, deletes on a caller's word."""

    def resolve(self, name: str, capability: str) -> ResolvedModel:
        """Find the model behind a name, whatever it can do where `capability` is empty.

        Raises ModelNotFound (with near matches) or InvalidRequest (wrong kind).
        """
        ...

    def models(self) -> Sequence[InstalledModel]:
        """Every installed model."""
        ...

    def aliases(self) -> Sequence[Alias]:
        """Every alias whose target is installed."""
        ...

    def remove(self, name: str) -> None:
        """Delete a fine-tuned model, by its real name. Requests that it answers now are answered."""
        ...
