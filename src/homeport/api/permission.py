"""The models as one caller sees them: those its key opens, and no others. Fills `domain.ports.Registry`."""

from collections.abc import Sequence

from homeport.api.exchange import Caller
from homeport.domain.errors import Forbidden
from homeport.domain.models import Alias, Installed, Resolved
from homeport.domain.ports import Registry


class Permitted:
    """A registry with what a caller may not use left out."""

    def __init__(self, registry: Registry, caller: Caller) -> None:
        self._registry = registry
        self._caller = caller

    def resolve(self, name: str, capability: str) -> Resolved:
        """Find the model behind a name. Raises Forbidden for one that the key does not open, alias or not."""
        found = self._registry.resolve(name, capability)
        if not self._caller.may_use(found.model.facts.name):
            raise Forbidden(
                f"Project `{self._caller.project}` does not have access to model `{name}` with this key.",
                param="model",
                code="model_not_found",
            )
        return found

    def models(self) -> Sequence[Installed]:
        """Every model the key opens."""
        return [model for model in self._registry.models() if self._caller.may_use(model.facts.name)]

    def aliases(self) -> Sequence[Alias]:
        """Every alias of these."""
        return [alias for alias in self._registry.aliases() if self._caller.may_use(alias.target)]
