"""Facts about models that rooms exchange. Knows nothing of files, hubs or engines."""

from pathlib import Path

import msgspec

from homeport.domain.content import Attachment


class ModelFacts(msgspec.Struct, frozen=True):
    """Facts about an installed model that are known without loading it.

    `window` is in tokens, None if unknown. `capabilities` are words such as `chat`, `completions`, `edits`, `infill`,
    `embeddings`. `size_bytes` is the size of the weights on disk.
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
    """An installed model: its facts and its verified files, by role (`weights`, …).

    `layout`: the layout of the weights (`original`, `q8_0`, …); the digest differs with it. `parent`: the base model of
    a fine-tuned one; its own file is then the `adapter`. `project`: the owner; None: the model is public.
    """

    facts: ModelFacts
    files: dict[str, Path]
    digest: str
    layout: str = "original"
    parent: str | None = None
    project: str | None = None


ADAPTER = "adapter"
"""The role of a fine-tuned model's own file."""


PROJECTOR = "projector"
"""The role of the file with which a text model sees or hears: it turns pictures and sound into embeddings."""


VOICE = "voice/"
"""The roles of a speech model's voices begin with this; their names follow."""


class Adapter(msgspec.Struct, frozen=True):
    """The adapter of a fine-tuned model: the model's name, its file and the file's SHA-256."""

    name: str
    file: Attachment
    digest: str


class TemplateReport(msgspec.Struct, frozen=True):
    """The result of testing a chat template: `fault` if it does not work, else `notes` as text."""

    fault: str = ""
    notes: tuple[str, ...] = ()


class ToolCheckStep(msgspec.Struct, frozen=True):
    """One step of a check of tool calls. `fault`: what is wrong; empty: nothing."""

    name: str
    fault: str = ""


class ToolCheck(msgspec.Struct, frozen=True):
    """How a model writes tool calls and reasoning, and whether its template and the server agree.

    `fault`: the template does not work at all. `is_generic`: the template has no place for tools. `marks`: the texts
    between a call's parts and around reasoning, by name. `switch`: the template's variables that control reasoning.
    """

    fault: str = ""
    family: str = ""
    is_verified: bool = False
    is_generic: bool = False
    marks: dict[str, str] = {}
    switch: str = ""
    steps: tuple[ToolCheckStep, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault and not any(step.fault for step in self.steps)


class Alias(msgspec.Struct, frozen=True):
    """A name that resolves to another. `encoding`: the OpenAI encoding whose token ids requests under this name use.

    `is_common`: applications look for it, or the operator set it; all others are listed separately.
    """

    name: str
    target: str
    encoding: str | None = None
    is_common: bool = True


class ResolvedModel(msgspec.Struct, frozen=True):
    """The result of resolving a name: the requested name, the model that runs, the encoding of its token ids.

    `fine_tuned`: the requested fine-tuned model, if `model` is its base model.
    """

    requested_name: str
    model: InstalledModel
    encoding: str | None = None
    fine_tuned: InstalledModel | None = None

    @property
    def served_model(self) -> InstalledModel:
        """The model that answers: the fine-tuned one, not its base model."""
        return self.fine_tuned or self.model

    @property
    def adapter(self) -> Adapter | None:
        """The adapter to load while a request of a fine-tuned model is computed."""
        if self.fine_tuned is None:
            return None
        return Adapter(self.fine_tuned.facts.name, Attachment(self.fine_tuned.files[ADAPTER]), self.fine_tuned.digest)


CPU = "cpu"
"""The device of a model that only the CPU computes."""


class LoadedModel(msgspec.Struct, frozen=True):
    """What a worker reports once a model is loaded.

    `kernels`: a description of the library that computes; `device`: where, `cpu` or the GPUs by name and the number of
    layers there; `device_bytes`: its memory there at load. `window` is the served one, in tokens; None
    for a kind that has none. Of a model that chats, `tools`: the family of its tool calls; `reasoning`: the variables
    of its template that control reasoning, `always` if there are none, `none` if it does not reason. `prompts`: what
    computes prompts and several streams now, if not the kernels; known only after the first long prompt.
    """

    model: str
    kernels: str
    device: str = CPU
    device_bytes: int = 0
    window: int | None = None
    notes: tuple[str, ...] = ()
    tools: str = ""
    reasoning: str = ""
    prompts: str = ""


class EngineStats(msgspec.Struct, frozen=True, array_like=True):
    """A worker's state at one moment, for metrics and supervision.

    `stalled_s`: how long the engine has been in its current step. `device_bytes`: memory on GPUs. Counters start at 0
    with the worker. `prompts`: what computes prompts and several streams, if not the kernels.
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
    prompts: str = ""
    device_bytes: int = 0
