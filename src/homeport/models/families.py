"""Families of text models: what their members share is written once, in YAML. Knows nothing of what is installed."""

import msgspec
import yaml

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import TEXT, VISION
from homeport.domain.models import PROJECTOR
from homeport.models.catalogue_entry import (
    CatalogueEntry,
    CatalogueFile,
    CatalogueSource,
    Hub,
    Licence,
    ReasoningSwitch,
    ToolFamily,
)

_UPSTREAM = "the model's page upstream"


class FamilyMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One size of a family. None: as the family says. `bytes` of its files and `kv_bytes` of a token are estimates."""

    name: str
    size: str
    bytes: int | None = None
    kv_bytes: int | None = None
    note: str | None = None
    window: int | None = None
    tools: ToolFamily | None = None
    reasoning: ReasoningSwitch | None = None
    licence: str | None = None
    hubs: tuple[Hub, ...] | None = None
    repo: str | None = None
    revision: str | None = None
    files: tuple[str, ...] | None = None
    projector: str | None = None


class ModelFamily(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A family. `<size>` in `repo`, `files` and `projector` stands for a member's size.

    `projector`: the file with which its members see; empty for one that does not.
    """

    family: str
    title: str
    summary: str
    licence: str
    tools: ToolFamily
    models: tuple[FamilyMember, ...]
    reasoning: ReasoningSwitch = "none"
    window: int | None = None
    capabilities: tuple[str, ...] = ("chat", "completions", "edits")
    hubs: tuple[Hub, ...] = ("hf",)
    repo: str = ""
    files: tuple[str, ...] = ()
    projector: str = ""

    def entries(self) -> tuple[CatalogueEntry, ...]:
        """Return its members as entries of the catalogue."""
        return tuple(self._entry(member) for member in self.models)

    def _entry(self, member: FamilyMember) -> CatalogueEntry:
        return CatalogueEntry(
            name=member.name,
            summary=f"{self.title} {member.size}. {member.note or self.summary}",
            kind=TEXT,
            engine=TEXT,
            licence=Licence(name=member.licence or self.licence, stated=_UPSTREAM, verified=False),
            capabilities=self.capabilities + ((VISION,) if self._projector(member) else ()),
            sources=self._sources(member),
            window=member.window or self.window,
            family=self.family,
            tools=member.tools or self.tools,
            reasoning=member.reasoning or self.reasoning,
            file_bytes=member.bytes,
            kv_bytes=member.kv_bytes,
        )

    def _projector(self, member: FamilyMember) -> str:
        name = self.projector if member.projector is None else member.projector
        return name.replace("<size>", member.size)

    def _sources(self, member: FamilyMember) -> tuple[CatalogueSource, ...]:
        """Return the hubs that have a member. A revision is Hugging Face's, so other hubs get none."""
        repo = (member.repo or self.repo).replace("<size>", member.size)
        paths = [path.replace("<size>", member.size) for path in member.files or self.files]
        files = tuple(
            CatalogueFile(path=path, role="weights" if number == 1 else f"weights-{number}")
            for number, path in enumerate(paths, 1)
        )
        if projector := self._projector(member):
            files += (CatalogueFile(path=projector, role=PROJECTOR),)
        return tuple(
            CatalogueSource(
                hub=hub, files=files, repo=repo, revision=member.revision if hub == "hf" else None, untested=True
            )
            for hub in member.hubs or self.hubs
        )


class _Families(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    families: tuple[ModelFamily, ...]


def parse(text: str) -> tuple[CatalogueEntry, ...]:
    """Read families; return all their members. Raises InvalidRequest that names the field at fault."""
    try:
        read = msgspec.convert(yaml.safe_load(text), _Families)
        return tuple(entry for family in read.families for entry in family.entries())
    except (ValueError, yaml.YAMLError) as error:  # msgspec's ValidationError is a ValueError
        raise InvalidRequest(f"The families of the catalogue are wrong: {error}.") from error
