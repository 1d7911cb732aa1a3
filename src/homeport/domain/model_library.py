"""What an operator sees of the models of a server: those that are installed and those that can be pulled, and aliases.

`app` creates these values and `api` renders them. Knows nothing of hubs or files.
"""

from typing import Literal

import msgspec

from homeport.domain.model_choices import ModelChoice
from homeport.domain.models import Alias, InstalledModel
from homeport.domain.weight_layouts import Trial

AliasOrigin = Literal["built_in", "recorded", "setting"]


class MeasuredLayout(msgspec.Struct, frozen=True):
    """A layout of an installed model, as it was measured, with the kernels and the CPU of that."""

    trial: Trial
    kernels: str
    machine: str


class InstalledDetails(msgspec.Struct, frozen=True):
    """An installed model. `disk_bytes`: all its files, those of other layouts too; `projector`: that file's name."""

    model: InstalledModel
    source: str
    revision: str | None
    disk_bytes: int
    layouts: tuple[MeasuredLayout, ...] = ()
    projector: str | None = None


class LibraryModel(msgspec.Struct, frozen=True):
    """One model: what the catalogue says of it, if it is there, and what is installed, if it is."""

    name: str
    choice: ModelChoice | None = None
    installed: InstalledDetails | None = None
    aliases: tuple[str, ...] = ()


class LibraryOverview(msgspec.Struct, frozen=True):
    """All models, the installed ones first, and this machine's memory in bytes: what is available now, and all."""

    models: tuple[LibraryModel, ...]
    available_bytes: int
    total_bytes: int


class AliasEntry(msgspec.Struct, frozen=True):
    """One alias and where it comes from. `alias` None: the built-in name was removed. `is_served`: its model is
    installed.
    """

    name: str
    origin: AliasOrigin
    alias: Alias | None
    is_served: bool = False
