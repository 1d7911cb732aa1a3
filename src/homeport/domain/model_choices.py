"""What a user chooses a model by: the catalogue's models with their sizes, memory needs and what fits this machine.

`app` creates these values and `cli` prints them. Knows nothing of hubs or files.
"""

import msgspec


class ModelChoice(msgspec.Struct, frozen=True):
    """One model of the catalogue. Sizes are in bytes, windows in tokens; None: unknown.

    `file_bytes`: its files; estimated for a model that was never fetched. `memory_bytes`: the files and the KV cache at
    its own `window`. `fitting_window`: the window that it can be served with in the memory that is available now, 0 if
    it does not fit. `tools`: how it writes tool calls; `reasoning`: what switches its reasoning (`always`: nothing
    does; `none`: it does not reason). `is_tested`: the maintainers have fetched it from at least one source.
    """

    name: str
    kind: str
    summary: str
    licence: str
    family: str | None = None
    window: int | None = None
    file_bytes: int | None = None
    memory_bytes: int | None = None
    fitting_window: int | None = None
    tools: str | None = None
    reasoning: str | None = None
    is_tested: bool = False
    is_installed: bool = False

    @property
    def fits(self) -> bool:
        """Whether it can be served here, maybe with a window below its own."""
        return bool(self.fitting_window)


class ModelChoices(msgspec.Struct, frozen=True):
    """The catalogue's models, and this machine's memory in bytes: what is available now, and all."""

    models: tuple[ModelChoice, ...]
    available_bytes: int
    total_bytes: int

    def of_family(self, family: str) -> tuple[ModelChoice, ...]:
        """Return a family's models, the smallest first; empty if there is no such family."""
        members = [choice for choice in self.models if choice.family == family]
        return tuple(sorted(members, key=lambda choice: (choice.file_bytes or 0, choice.name)))


def largest_fitting(choices: tuple[ModelChoice, ...]) -> ModelChoice | None:
    """Return the model with the largest files among those that fit, or None."""
    return max((choice for choice in choices if choice.fits), key=lambda choice: choice.file_bytes or 0, default=None)


class DefaultModel(msgspec.Struct, frozen=True):
    """The model that OpenAI's text model names resolve to, and why it is that one."""

    name: str
    reason: str


class ModelOffer(msgspec.Struct, frozen=True):
    """A larger model of the default model's family, with the size of its files in bytes."""

    name: str
    file_bytes: int | None
    is_installed: bool = False
