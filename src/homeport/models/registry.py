"""Resolves any name that a request may use to an installed model. Implements `domain.ports.models.ModelRegistry`.

Never downloads and never replaces the requested model by another.
"""

import difflib
import logging
from collections.abc import Callable, Mapping, Sequence

from homeport.domain.errors import (
    HomeportError,
    InvalidRequest,
    ModelNotFound,
    excerpt,
)
from homeport.domain.kinds import KINDS, TEXT, kind_of
from homeport.domain.models import Alias, InstalledModel, ResolvedModel
from homeport.models import aliases
from homeport.models.aliases import Aliases, Override
from homeport.models.catalogue import Catalogue
from homeport.models.model_store import ModelStore

_log = logging.getLogger(__name__)
_NAME_CHARS = 512  # longer than any name; similar names of longer ones are not searched, because that takes seconds
_UNKNOWN = "The model `{}` does not exist or you do not have access to it."


class InstalledModelRegistry:
    """The store's models, and the names that resolve to them.

    `defaults` are the models that OpenAI's names resolve to, by kind; for other kinds it is the first starter.
    `recorded` returns the text model that takes precedence, if it is installed; it is asked at every use, so that a
    running server follows. `overrides` are the user's aliases; `edited` returns those that an operator recorded,
    of which those in `overrides` do not count. It is asked at every use, too.
    """

    def __init__(
        self,
        store: ModelStore,
        catalogue: Catalogue,
        *,
        defaults: Mapping[str, str] | None = None,
        overrides: Mapping[str, Override] | None = None,
        recorded: Callable[[], str | None] = lambda: None,
        edited: Callable[[], Mapping[str, Override]] = dict,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        starters = {
            kind.name: kind.starters[0] for kind in KINDS.values() if kind.starters and catalogue.find(kind.starters[0])
        }
        self._first_defaults: Mapping[str, str] = {**starters, **(defaults or {})}
        self._overrides = overrides or {}
        self._recorded = recorded
        self._edited = edited
        self._resolved = self._resolve_names(self._first_defaults, self._choices(), edited())

    @property
    def defaults(self) -> Mapping[str, str]:
        """The models that OpenAI's names resolve to now, by kind."""
        chosen = self._recorded()
        if chosen is None or self._store.find(chosen) is None:
            return self._first_defaults
        return {**self._first_defaults, TEXT: chosen}

    def resolve(self, name: str, capability: str) -> ResolvedModel:
        """Find the model of a name, with any capability if `capability` is empty.

        Raises ModelNotFound with similar names or the command that installs it, and InvalidRequest if the model lacks
        the capability.
        """
        if len(name) > _NAME_CHARS:
            raise ModelNotFound(_UNKNOWN.format(excerpt(name)), param="model")
        if model := self._store.find(name):
            return self._resolve_checked(name, model, capability, None)
        names = self._aliases()
        alias = names.find(name)
        if alias and (model := self._store.find(alias.target)):
            return self._resolve_checked(name, model, capability, alias.encoding)
        kind = names.kind(name)
        if capability and kind is not None and kind != kind_of(capability).name:
            raise InvalidRequest(
                f"The model `{excerpt(name)}` is for {kind}; it cannot be used for {capability}.", param="model"
            )
        raise self._missing(name, alias)

    def models(self) -> Sequence[InstalledModel]:
        """Return every usable model: a fine-tuned one only if its base model is installed.

        Models that chat come first, and of each kind the default one: applications without a configured model use the
        first.
        """
        usable = [model for model in self._store.installed() if not model.parent or self._store.parent(model)]
        defaults = self.defaults
        return sorted(usable, key=lambda model: _rank(model, defaults))

    def remove(self, name: str) -> None:
        """Delete a fine-tuned model, by its real name. A server that has loaded it continues to use it."""
        self._store.remove(name)

    def aliases(self) -> Sequence[Alias]:
        """Return every alias whose target is installed."""
        installed = set(self._store.names())
        return [alias for alias in self._aliases() if alias.target in installed and alias.name not in installed]

    def every_alias(self) -> Sequence[Alias]:
        """Return every alias, those whose target is not installed too."""
        return list(self._aliases())

    def check_alias(self, name: str, override: Override) -> None:
        """Raise InvalidRequest if a name cannot be recorded with this meaning."""
        Aliases(self.defaults, {**self._choices(), **self._edited(), name: override, **self._overrides})

    def find_alias(self, name: str) -> Alias | None:
        """Return the alias of a name, listed or of one of OpenAI's families, whether its target is installed or not."""
        return self._aliases().find(name)

    def _aliases(self) -> Aliases:
        """Return the aliases, made again only if the defaults, the choices or the edited aliases have changed."""
        defaults, choices, edited = self.defaults, self._choices(), self._edited()
        if (defaults, choices, edited) != self._resolved[:3]:
            self._resolved = self._resolve_names(defaults, choices, edited)
        return self._resolved[3]

    def _resolve_names(
        self, defaults: Mapping[str, str], choices: Mapping[str, str], edited: Mapping[str, Override]
    ) -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, Override], Aliases]:
        try:
            names = Aliases(defaults, {**choices, **edited, **self._overrides})
        except InvalidRequest as error:
            if not edited:
                raise
            _log.warning("the recorded aliases are ignored: %s", error)  # a server starts in spite of them
            names = Aliases(defaults, {**choices, **self._overrides})
        return defaults, choices, edited, names

    def _choices(self) -> Mapping[str, str]:
        """Return, for each name that stands for one of several models, the first installed one, else the first."""
        return {
            name: next((model for model in models if self._store.find(model)), models[0])
            for name, models in aliases.choices().items()
        }

    def _resolve_checked(
        self, name: str, model: InstalledModel, capability: str, encoding: str | None
    ) -> ResolvedModel:
        capabilities = model.facts.capabilities
        if capability and capability not in capabilities:
            resolved = "" if name == model.facts.name else f" (here: `{model.facts.name}`)"
            raise InvalidRequest(
                f"The model `{excerpt(name)}`{resolved} cannot be used for {capability}; "
                f"it is for {', '.join(capabilities) or 'nothing'}.",
                param="model",
            )
        if model.parent is None:
            return ResolvedModel(name, model, encoding)
        if (base := self._store.parent(model)) is None:
            raise ModelNotFound(
                f"`{model.facts.name}` needs the base model `{model.parent}` with the files that it was trained on. "
                f"Run `homeport pull {model.parent}`.",
                param="model",
            )
        return ResolvedModel(name, base, encoding, model)

    def _missing(self, name: str, alias: Alias | None) -> HomeportError:
        if alias:
            text = f"`{name}` resolves to `{alias.target}`, which is not installed. Run `homeport pull {alias.target}`."
        elif self._catalogue.find(name):
            text = f"The model `{name}` is not installed. Run `homeport pull {name}`."
        elif (kind := self._aliases().kind(name)) and kind not in self.defaults:
            known = [f"`homeport pull {entry.name}`" for entry in self._catalogue.models if entry.kind == kind]
            run = f" Run {' or '.join(known)}." if known else ""
            text = f"`{name}` resolves to a model of the kind {kind}, and none is installed.{run}"
        elif why := aliases.why_not_served(name):
            text = f"The model `{excerpt(name)}` is not served. {why}"
        else:
            text = _UNKNOWN.format(excerpt(name)) + self._near_matches(name)
        return ModelNotFound(text, param="model")

    def _near_matches(self, name: str) -> str:
        # Models of a project are not revealed to others: only public ones are suggested.
        public = {model.facts.name for model in self._store.installed() if model.project is None}
        visible = (alias.name for alias in self.aliases() if alias.target in public)
        known = [*public, *visible, *self._catalogue.names]
        by_lower = {known_name.lower(): known_name for known_name in known}
        near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
        return f" Did you mean {' or '.join(f'`{by_lower[key]}`' for key in near)}?" if near else ""


def _rank(model: InstalledModel, defaults: Mapping[str, str]) -> tuple[bool, bool, str, bool, str]:
    name, kind = model.facts.name, model.facts.kind
    return "chat" not in model.facts.capabilities, kind != TEXT, kind, defaults.get(kind) != name, name
