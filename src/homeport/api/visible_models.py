"""The models that one caller sees: public ones and those of its project, as far as its key may use them."""

from collections.abc import Sequence

from homeport.api.request_context import Caller
from homeport.domain.errors import Forbidden, ModelNotFound, excerpt
from homeport.domain.keys import LOCAL_PROJECT
from homeport.domain.models import Alias, InstalledModel, ResolvedModel
from homeport.domain.ports.models import ModelRegistry


class CallerRegistry:
    """A `ModelRegistry` without the models that a caller may not use."""

    def __init__(self, registry: ModelRegistry, caller: Caller) -> None:
        self._registry = registry
        self._caller = caller

    def resolve(self, name: str, capability: str) -> ResolvedModel:
        """Resolve a model's name or alias.

        Raises ModelNotFound for another project's model, and Forbidden for one that the key may not use.
        """
        resolved = self._registry.resolve(name, capability)
        if not self._is_visible(resolved.served_model):
            raise ModelNotFound(
                f"The model `{excerpt(name)}` does not exist or you do not have access to it.", param="model"
            )
        if not self._is_allowed(resolved.served_model):
            raise Forbidden(
                f"Project `{self._caller.project}` does not have access to model `{excerpt(name)}` with this key.",
                param="model",
                code="model_not_found",
            )
        return resolved

    def models(self) -> Sequence[InstalledModel]:
        """Return the models that the caller may use."""
        return [model for model in self._registry.models() if self._is_visible(model) and self._is_allowed(model)]

    def aliases(self) -> Sequence[Alias]:
        """Return the aliases of these models."""
        names = {model.facts.name for model in self.models()}
        return [alias for alias in self._registry.aliases() if alias.target in names]

    def remove(self, name: str) -> None:
        """Delete a fine-tuned model of the caller's project. Raises ModelNotFound, and Forbidden for public models.

        All projects may use models that were fine-tuned on the command line, and the local project may delete them.
        """
        if (self.resolve(name, "").served_model.project or LOCAL_PROJECT) != self._caller.project:
            raise Forbidden(
                f"You have insufficient permissions for this operation: `{excerpt(name)}` does not belong to project "
                f"`{self._caller.project}`.",
                param="model",
                code="insufficient_permissions",
            )
        self._registry.remove(name)

    def _is_visible(self, model: InstalledModel) -> bool:
        return model.project is None or model.project == self._caller.project

    def _is_allowed(self, model: InstalledModel) -> bool:
        """Return whether the key may use the model, or its base model: a base model implies its fine-tuned models."""
        own, base = model.facts.name, model.parent
        return self._caller.may_use(own) or (base is not None and self._caller.may_use(base))
