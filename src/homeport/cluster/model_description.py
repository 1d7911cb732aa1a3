"""A model as it crosses from a gateway to the nodes that shall serve it: its facts and the files that it needs.

Knows nothing of where files are stored, nor of what a manifest means.
"""

from collections.abc import Iterator

import msgspec

from homeport.domain.models import ModelFacts


class ModelFile(msgspec.Struct, frozen=True):
    """One file of a model, by its name in the model's folder."""

    name: str
    size: int
    sha256: str


class ModelDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A model for nodes that may never have seen it.

    `manifest`: what the model store writes next to the files. `needs`: models whose files its engine also reads.
    `memory_bytes`: what a replica takes on its node.
    """

    facts: ModelFacts
    digest: str
    manifest: bytes
    files: tuple[ModelFile, ...]
    needs: tuple["ModelDescription", ...] = ()
    memory_bytes: int = 0

    @property
    def name(self) -> str:
        """The model's real name."""
        return self.facts.name

    @property
    def all(self) -> Iterator["ModelDescription"]:
        """This model and those that it needs."""
        yield self
        for needed in self.needs:
            yield from needed.all
