"""Fakes for the ports of the API: a Serving that plays scripts, and a registry and an image store in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.api.metrics import Metrics
from homeport.api.services import Services
from homeport.domain.errors import (
    HomeportError,
    InvalidRequest,
    ModelNotFound,
    excerpt,
)
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    TextDelta,
    Usage,
)
from homeport.domain.images import ImageFormat
from homeport.domain.keys import LOCAL_PROJECT
from homeport.domain.models import (
    ADAPTER,
    Alias,
    EngineStats,
    InstalledModel,
    LoadedModel,
    ModelFacts,
    ResolvedModel,
)
from homeport.domain.operations import ClusterStats, WorkerReport
from homeport.domain.ports.serving import IdleGate, More
from homeport.domain.shapes import ShapeFormat
from homeport.domain.worker_messages import EngineRequest

Step = Sequence[Event] | HomeportError | asyncio.Event
"""A batch of events; or an error that ends the request; or an event to wait for before the next step."""
Script = Sequence[Step]

TEXT = ("chat", "completions", "edits")


def answer(*texts: str, prompt_tokens: int = 5, cached: int = 0, finish: str = "stop") -> Script:
    """Make a whole answer to a prompt of ten characters: one choice per text, one delta per word."""
    steps: list[Step] = [[Admitted(prompt_tokens, (10,))]]
    tokens = 0
    for choice, text in enumerate(texts):
        words = [f"{word} " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        tokens += len(words)
        steps.extend([TextDelta(choice, word)] for word in words)
        steps.append([ChoiceFinished(choice, finish)])
    steps.append([Done(Usage(prompt_tokens, tokens, cached))])
    return steps


class FakeStream:
    """Plays one script. `waits` is set once it waits for an event, `closed` once it is closed.

    `finished`: whether the script has ended.
    """

    def __init__(self, model: str, script: Script) -> None:
        self.model = model
        self._steps = list(script)
        self.closed = asyncio.Event()
        self.waits = asyncio.Event()
        self.finished = False

    async def admitted(self) -> Admitted:
        """Play the script up to its `Admitted` event, which is returned."""
        first = await self._next()
        assert isinstance(first[0], Admitted), "this is a bug in the test's script"
        if first[1:]:
            self._steps.insert(0, first[1:])
            self.finished = False
        return first[0]

    async def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        while not self.finished:
            yield await self._next()

    async def _next(self) -> Sequence[Event]:
        step = self._steps.pop(0)
        while isinstance(step, asyncio.Event):
            self.waits.set()
            await step.wait()
            step = self._steps.pop(0)
        self.finished = not self._steps or isinstance(step, HomeportError)
        if isinstance(step, HomeportError):
            raise step
        return step

    async def aclose(self) -> None:
        """Record that the stream is closed."""
        self.closed.set()


class FakeServing:
    """Answers each request with `script(request)`, or raises `refusal` if it is set; records all requests."""

    def __init__(self, script: Callable[[EngineRequest], Script] = lambda _: answer("Hello there")) -> None:
        self.script = script
        self.requests: list[tuple[InstalledModel, EngineRequest]] = []
        self.streams: list[FakeStream] = []
        self.in_background: list[bool] = []
        self.holders: list[str] = []
        self.more: More | None = None
        self.opened = asyncio.Event()
        self.refusal: HomeportError | None = None
        self.is_ready = True
        self.running: dict[str, tuple[LoadedModel, EngineStats]] = {}
        self.reports: list[WorkerReport] = []
        self.cluster: ClusterStats | None = None

    @property
    def idle_gate(self) -> IdleGate:
        """Not available: no test waits for it."""
        raise NotImplementedError

    async def start(self) -> None:
        """Do nothing."""

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Put the models into `running`, or raise `refusal` if it is set."""
        if self.refusal:
            raise self.refusal
        for model in models:
            self.running[model.facts.name] = (loaded(model.facts.name), EngineStats())

    async def drain(self, timeout_s: float) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def worker_bytes(self) -> dict[str, int]:
        """Return a size for each model in `running`."""
        return dict.fromkeys(self.running, 1000)

    def worker_status(self) -> Sequence[WorkerReport]:
        """Return a report for each model in `running`, or `reports` if there are any."""
        return self.reports or [WorkerReport(name, None, "ready") for name in self.running]

    def cluster_stats(self) -> ClusterStats | None:
        """Return `cluster`."""
        return self.cluster

    async def stop(self, model: str, wait_s: float = 0.0) -> bool:
        """Remove a model from `running`."""
        return self.running.pop(model, None) is not None

    async def open(
        self,
        model: InstalledModel,
        request: EngineRequest,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> FakeStream:
        """Record the request and start its script."""
        if self.refusal:
            raise self.refusal
        self.in_background.append(is_background)
        self.holders.append(holder)
        self.more = more
        self.requests.append((model, request))
        stream = FakeStream(model.facts.name, self.script(request))
        self.streams.append(stream)
        self.opened.set()
        return stream

    def loaded(self, model: str) -> LoadedModel | None:
        """Return a model's entry in `running`."""
        return self.running[model][0] if model in self.running else None

    def in_use(self, model: str) -> int:
        """Return the number of the model's streams that are open."""
        return sum(stream.model == model and not stream.closed.is_set() for stream in self.streams)

    def stats(self) -> dict[str, EngineStats]:
        """Return the statistics in `running`."""
        return {name: stats for name, (_, stats) in self.running.items()}


class FakeRegistry:
    """Models and aliases in memory."""

    def __init__(self, models: Sequence[InstalledModel], aliases: Sequence[Alias] = ()) -> None:
        self._models = list(models)
        self._aliases = list(aliases)

    def resolve(self, name: str, capability: str) -> ResolvedModel:
        """Find a model by alias or name; an empty capability matches every model."""
        alias = next((alias for alias in self._aliases if alias.name == name), None)
        real = alias.target if alias else name
        model = next((model for model in self._models if model.facts.name == real), None)
        if model is None:
            known = ", ".join(model.facts.name for model in self._models)
            raise ModelNotFound(f"The model `{excerpt(name)}` does not exist. Did you mean: {known}?", param="model")
        if capability and capability not in model.facts.capabilities:
            raise InvalidRequest(f"The model `{excerpt(name)}` cannot do {capability}.", param="model")
        encoding = alias.encoding if alias else None
        if model.parent is None:
            return ResolvedModel(name, model, encoding)
        return ResolvedModel(name, self.resolve(model.parent, "").model, encoding, model)

    def remove(self, name: str) -> None:
        """Remove a model."""
        self._models = [model for model in self._models if model.facts.name != name]

    def models(self) -> Sequence[InstalledModel]:
        """Return all models."""
        return self._models

    def aliases(self) -> Sequence[Alias]:
        """Return all aliases."""
        return self._aliases


class FakeImageStore:
    """Stores images in memory, named by their number."""

    def __init__(self) -> None:
        self.images: dict[str, bytes] = {}

    def save(self, data: bytes, format: ImageFormat | ShapeFormat, project: str = LOCAL_PROJECT) -> str:
        """Store an image; return its name."""
        name = f"{len(self.images)}.{format}"
        self.images[name] = data
        return name

    def find(self, name: str) -> bytes | None:
        """Return an image, if it is stored."""
        return self.images.get(name)


def installed(name: str, capabilities: tuple[str, ...] = TEXT) -> InstalledModel:
    """Make an installed model whose files do not exist."""
    facts = ModelFacts(name, "text", "text", 2048, capabilities, licence="apache-2.0", created=1_700_000_000)
    return InstalledModel(facts, {"weights": Path("nowhere.gguf")}, f"sha256:{name}")


def tuned(name: str, parent: str) -> InstalledModel:
    """Make a fine-tuned model."""
    model = msgspec.structs.replace(installed(name), parent=parent)
    return msgspec.structs.replace(model, files={ADAPTER: Path("nowhere.lora")})


def loaded(model: str) -> LoadedModel:
    """Make what a worker reports of this model."""
    return LoadedModel(model, "fake kernels", window=1024)


def services(serving: FakeServing | None = None, **changes: Any) -> Services:
    """Make services on fakes: two models, one of them with a slash in its name, and two aliases."""
    serving = serving or FakeServing()
    registry = FakeRegistry(
        [installed("tiny"), installed("org/other", ("completions", "embeddings"))],
        [Alias("gpt-3.5-turbo", "tiny", "cl100k_base"), Alias("text-davinci-003", "tiny", "p50k_base")],
    )
    given: dict[str, Any] = {
        "registry": registry,
        "images": FakeImageStore(),
        "metrics": Metrics(serving.stats, cluster=serving.cluster_stats),
        **changes,
    }
    return Services(serving=serving, **given)


def fields(body: bytes) -> dict[str, object]:
    """Return the fields of a JSON object."""
    return msgspec.json.decode(body, type=dict[str, object])
