"""The models of this machine as an operator manages them: overview, checks before a pull, removal, aliases.

Implements `domain.ports.model_library.ModelLibrary`. Knows nothing of HTTP.
"""

import re
from collections.abc import Sequence

import msgspec

from homeport.app import model_choices
from homeport.app.model_changes import is_optimized_by_default
from homeport.app.models import model_registry, served_store
from homeport.app.options import pull_options
from homeport.domain.errors import Conflict, Forbidden, InvalidRequest, NotFound, excerpt
from homeport.domain.model_jobs import NewModelJob
from homeport.domain.model_library import (
    AliasEntry,
    AliasOrigin,
    InstalledDetails,
    LibraryModel,
    LibraryOverview,
    MeasuredLayout,
)
from homeport.domain.models import PROJECTOR, Alias, InstalledModel
from homeport.domain.validation import check_choice, check_length
from homeport.domain.weight_layouts import LAYOUTS, ORIGINAL
from homeport.models import pull as pulling
from homeport.models import references, weight_layouts
from homeport.models.aliases import ENCODINGS
from homeport.models.recorded_aliases import RecordedAlias, RecordedAliases
from homeport.models.references import FileReference
from homeport.settings import Settings

_REFERENCE_CHARS = 512
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")


class SettingsModelLibrary:
    """The models of the home folder in the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = served_store(settings)
        self._registry = model_registry(settings)
        self._recorded = RecordedAliases(settings.home)

    def overview(self) -> LibraryOverview:
        """Return every model that is installed or in the catalogue."""
        choices = model_choices.list_catalogue(self._settings)
        by_name = {choice.name: choice for choice in choices.models}
        names: dict[str, list[str]] = {}
        for alias in self._registry.aliases():
            names.setdefault(alias.target, []).append(alias.name)
        installed = [
            LibraryModel(name, by_name.pop(name, None), self._details(model), tuple(names.get(name, ())))
            for model in self._store.installed()
            for name in (model.facts.name,)
        ]
        others = [LibraryModel(choice.name, choice) for choice in by_name.values()]
        return LibraryOverview((*installed, *others), choices.available_bytes, choices.total_bytes)

    def plan_pull(
        self,
        reference: str,
        projector: str | None,
        *,
        optimize: bool | None,
        reads_files: bool,
        accepts_licence: bool = False,
    ) -> NewModelJob:
        """Return the job that pulls a reference. Raises InvalidRequest, ModelNotFound, Forbidden or Unavailable."""
        check_length("reference", reference, _REFERENCE_CHARS, 1)
        check_length("projector", projector, _REFERENCE_CHARS, 1)
        reference = reference.strip()
        if isinstance(references.parse(reference), FileReference) and not reads_files:
            raise Forbidden(
                "A `file:` reference names a file of the server's machine, so only this machine's own user may pull "
                f"it: run `homeport pull {excerpt(reference)}` there.",
                param="reference",
                code="file_reference_not_allowed",
            )
        options = msgspec.structs.replace(
            pull_options(self._settings), projector=projector, accepts_licence=accepts_licence
        )
        name = pulling.check(reference, self._store, options)
        if optimize is None:
            is_new = name is not None and self._store.find(name) is None
            optimize = is_new and self._settings.optimize == "auto" and is_optimized_by_default(reference)
        return NewModelJob(
            task="pull",
            reference=reference,
            model=name,
            projector=projector,
            accepts_licence=accepts_licence,
            optimize=optimize,
        )

    def plan_optimization(self, name: str, layout: str | None, *, is_dry: bool) -> NewModelJob:
        """Return the job that optimizes an installed model. Raises ModelNotFound and InvalidRequest."""
        if layout not in (None, ORIGINAL, *LAYOUTS):
            raise InvalidRequest(
                f"There is no layout `{excerpt(layout or '')}`: there are {', '.join((ORIGINAL, *LAYOUTS))}.",
                param="layout",
            )
        model = self._registry.resolve(name, "").model.facts.name
        weight_layouts.requantizable_file(self._store.manifest(model))
        return NewModelJob(task="optimize", reference=model, model=model, layout=layout, is_dry=is_dry)

    def remove(self, name: str) -> int:
        """Delete an installed model's files; return the number of bytes freed."""
        freed = sum(file.size for file in self._store.manifest(name).all_files) if self._store.find(name) else 0
        self._store.remove(name)
        return freed

    def discard_partial(self, name: str) -> None:
        """Delete what an unfinished pull of this model left, unless another process pulls it now."""
        self._store.discard_partial(name)

    def list_aliases(self) -> Sequence[AliasEntry]:
        """Return every alias, those without an installed model and removed ones too."""
        installed = set(self._store.names())
        entries = {alias.name: self._entry(alias.name, alias, installed) for alias in self._registry.every_alias()}
        removed = (name for name, alias in self._recorded.read().items() if alias.target is None)
        entries |= {name: self._entry(name, None, installed) for name in removed if name not in entries}
        return [entries[name] for name in sorted(entries)]

    def set_alias(self, name: str, target: str, encoding: str | None) -> AliasEntry:
        """Make a name stand for an installed model. Raises InvalidRequest, ModelNotFound, or Conflict."""
        self._check_editable(name)
        if self._store.find(name) is not None:
            raise InvalidRequest(f"`{name}` is the name of an installed model: it stands for that one.", param="alias")
        check_choice("encoding", encoding, ENCODINGS)
        model = self._registry.resolve(target, "").served_model.facts.name
        alias = RecordedAlias(model, encoding)
        self._registry.check_alias(name, alias.override)
        self._recorded.write(name, alias)
        return self._entry(name, self._registry.find_alias(name), {model})

    def remove_alias(self, name: str) -> None:
        """Make a name stand for nothing. Raises NotFound, or Conflict if a setting fixes it."""
        self._check_editable(name)
        self._find(name)
        recorded = self._recorded.read().get(name)
        if recorded is not None:
            self._recorded.write(name, None)
        if recorded is None or self._registry.find_alias(name) is not None:
            self._recorded.write(name, RecordedAlias())

    def reset_alias(self, name: str) -> AliasEntry | None:
        """Forget what was recorded of a name; return its built-in meaning, if it has one. Raises NotFound."""
        self._check_editable(name)
        if name not in self._recorded.read():
            raise NotFound(f"Nothing was recorded of the alias `{excerpt(name)}`.", code="alias_not_found")
        self._recorded.write(name, None)
        alias = self._registry.find_alias(name)
        return None if alias is None else self._entry(name, alias, set(self._store.names()))

    def _details(self, model: InstalledModel) -> InstalledDetails:
        name = model.facts.name
        manifest = self._store.manifest(name)
        projector = next((file.name for file in manifest.files if file.role == PROJECTOR), None)
        return InstalledDetails(
            model,
            manifest.source,
            manifest.revision,
            sum(file.size for file in manifest.all_files),
            tuple(MeasuredLayout(each.trial, each.kernels, each.machine) for each in manifest.layouts),
            projector,
        )

    def _check_editable(self, name: str) -> None:
        if not _ALIAS.fullmatch(name):
            raise InvalidRequest(
                f"`{excerpt(name)}` cannot be an alias: use letters, digits and `._:/@+-`, at most 128 characters, "
                "beginning with a letter or digit.",
                param="alias",
            )
        if name in self._settings.aliases:
            raise Conflict(
                f"The setting `aliases` fixes what `{name}` stands for: change it there.", code="alias_in_settings"
            )

    def _find(self, name: str) -> Alias:
        alias = self._registry.find_alias(name)
        if alias is None:
            raise NotFound(f"There is no alias `{excerpt(name)}`.", code="alias_not_found")
        return alias

    def _entry(self, name: str, alias: Alias | None, installed: set[str]) -> AliasEntry:
        origin: AliasOrigin = "built_in"
        if name in self._settings.aliases:
            origin = "setting"
        elif name in self._recorded.read():
            origin = "recorded"
        return AliasEntry(name, origin, alias, alias is not None and alias.target in installed)
