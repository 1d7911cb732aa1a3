"""The models that Homeport knows by name: what they are, and their sources. The data is YAML.

Knows nothing of what is installed.
"""

from collections.abc import Sequence
from importlib import resources

import msgspec
import yaml

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import STARTERS
from homeport.models import families
from homeport.models.catalogue_entry import CatalogueEntry


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All entries."""

    models: tuple[CatalogueEntry, ...]

    def find(self, name: str) -> CatalogueEntry | None:
        """Return the entry of this name, or None."""
        return next((entry for entry in self.models if entry.name == name), None)

    def family(self, name: str) -> tuple[CatalogueEntry, ...]:
        """Return the models of this family, the smallest first; empty if there is no such family."""
        members = [entry for entry in self.models if entry.family == name]
        return tuple(sorted(members, key=lambda entry: (entry.size_bytes or 0, entry.name)))

    def next_size(self, name: str) -> CatalogueEntry | None:
        """Return the next larger tested model of a model's family, or None."""
        entry = self.find(name)
        members = self.family(entry.family) if entry and entry.family else ()
        larger = [each for each in members if entry and (each.size_bytes or 0) > (entry.size_bytes or 0)]
        return next((each for each in larger if each.is_tested), None)

    @property
    def starters(self) -> tuple[str, ...]:
        """The starters of all kinds that this catalogue has; the kind that answers soonest comes first."""
        return tuple(name for name in STARTERS if self.find(name))

    @property
    def names(self) -> Sequence[str]:
        """Every name."""
        return [entry.name for entry in self.models]


def parse(text: str) -> Catalogue:
    """Read a catalogue. Raises InvalidRequest that names the field at fault."""
    try:
        return msgspec.convert(yaml.safe_load(text), Catalogue)
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise InvalidRequest(f"The catalogue is wrong: {error}.") from error


def built_in() -> Catalogue:
    """Return the catalogue of this version."""
    listed = parse(_read("catalogue.yaml"))
    return Catalogue((*listed.models, *families.parse(_read("families.yaml"))))


def _read(name: str) -> str:
    return resources.files("homeport.models").joinpath(name).read_text(encoding="utf-8")
