"""Facts about models that rooms hand each other. Knows nothing of files, hubs or engines."""

from pathlib import Path

import msgspec


class ModelFacts(msgspec.Struct, frozen=True):
    """What is known of an installed model without loading it.

    `window` is in tokens, None where unknown. `capabilities` are words such as `chat`, `completions`, `edits`,
    `infill`, `embeddings`. `size_bytes` is the weights' size on disk.
    """

    name: str
    kind: str
    engine: str
    window: int | None = None
    capabilities: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ("text",)
    licence: str = "unknown"
    created: int = 0
    size_bytes: int = 0


class InstalledModel(msgspec.Struct, frozen=True):
    """A model that can be used now: its facts and its verified files, by role (`weights`, …).

    `layout` says in which layout the weights are (`original`, `q8_0`, …); the digest differs with it. `parent`: the
    model that a fine-tuned one adapts and is run by; its own file is then the `adapter`. `project`: whose it is; None:
    everybody's.
    """

    facts: ModelFacts
    files: dict[str, Path]
    digest: str
    layout: str = "original"
    parent: str | None = None
    project: str | None = None


ADAPTER = "adapter"
"""The role of a fine-tuned model's own file."""


class Adapter(msgspec.Struct, frozen=True):
    """What a fine-tuned model changes in the one it adapts: its name, its file and the file's SHA-256."""

    name: str
    file: Path
    digest: str


class TemplateReport(msgspec.Struct, frozen=True):
    """What a chat template was found to be like: `fault` where it does not work, else `notes` in words."""

    fault: str = ""
    notes: tuple[str, ...] = ()


class Alias(msgspec.Struct, frozen=True):
    """A name that stands for another. `encoding` is the OpenAI encoding whose token ids this name speaks.

    `is_common`: applications look for it, or the operator set it; the others are many.
    """

    name: str
    target: str
    encoding: str | None = None
    is_common: bool = True


class ResolvedModel(msgspec.Struct, frozen=True):
    """What a name asked for turned out to be: the asked name, the model that runs, its ids' encoding.

    `tuned`: the fine-tuned model that was asked for, where that is not `model` itself but a change of it.
    """

    requested_name: str
    model: InstalledModel
    encoding: str | None = None
    fine_tuned: InstalledModel | None = None

    @property
    def served_model(self) -> InstalledModel:
        """The model that answers: the fine-tuned one, not the one that runs it."""
        return self.fine_tuned or self.model

    @property
    def adapter(self) -> Adapter | None:
        """What changes `model` while a request of a fine-tuned one is computed."""
        if self.fine_tuned is None:
            return None
        return Adapter(self.fine_tuned.facts.name, self.fine_tuned.files[ADAPTER], self.fine_tuned.digest)


class LoadedModel(msgspec.Struct, frozen=True):
    """What a worker reports once a model is loaded.

    `kernels`: the library that computes, in words; `device`: where. `window` is the one really served, in tokens, None
    for a kind that has none.
    """

    model: str
    kernels: str
    device: str = "cpu"
    window: int | None = None
    notes: tuple[str, ...] = ()


class EngineStats(msgspec.Struct, frozen=True, array_like=True):
    """A worker's state at one moment, for metrics and supervision.

    `stalled_s` is how long the engine has been in one step; counters run from the worker's start.
    """

    running: int = 0
    waiting: int = 0
    cells_used: int = 0
    cells: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    steps: int = 0
    stalled_s: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    disk_queries: int = 0
    disk_hits: int = 0
