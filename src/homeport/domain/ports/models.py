"""What rooms need of installed models."""

from collections.abc import Sequence
from typing import Protocol

from homeport.domain.models import (
    Alias,
    InstalledModel,
    ResolvedModel,
)


class ModelRegistry(Protocol):
    """Knows the installed models and the names that resolve to them. Never downloads a model."""

    def resolve(self, name: str, capability: str) -> ResolvedModel:
        """Find the model of a name, with any capability if `capability` is empty.

        Raises ModelNotFound (with similar names) or InvalidRequest (wrong kind).
        """
        ...

    def models(self) -> Sequence[InstalledModel]:
        """Return every installed model."""
        ...

    def aliases(self) -> Sequence[Alias]:
        """Return every alias whose target is installed."""
        ...

    def remove(self, name: str) -> None:
        """Delete a fine-tuned model, by its real name. Requests that run on it complete."""
        ...
