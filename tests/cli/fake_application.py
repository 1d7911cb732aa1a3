"""A fake application that records the calls of commands and returns fixed values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.domain.clusters import (
    ClusterReport,
    ManifestOptions,
    NodeOptions,
    NodeReport,
    ReplicaState,
    RunningNode,
    ScalingLimits,
)
from homeport.domain.errors import InvalidRequest, ModelNotFound, NotFound
from homeport.domain.keys import IssuedKey, Key, KeyLimits, NewKey
from homeport.domain.model_choices import DefaultModel, ModelChoice, ModelChoices, ModelOffer
from homeport.domain.models import Alias, InstalledModel, ModelFacts, ToolCheck
from homeport.domain.operations import Announcement, Finding, ProgressReporter
from homeport.domain.storage import ProjectUsage
from homeport.domain.thumbnails import Thumbnail
from homeport.domain.training import (
    CheckpointSaved,
    Hyperparameters,
    StepMetrics,
    TrainingEvent,
    TrainingFinished,
    TrainingPrepared,
    TrainingRequest,
)
from homeport.domain.usage import UsageQuery, UsageTotal
from homeport.domain.weight_layouts import Fidelity, OptimizeOptions, OptimizeResult, Speed, Trial
from homeport.settings import Settings

SMALL = InstalledModel(ModelFacts("small", "text", "text", 8192, size_bytes=98_362_432, licence="Apache-2.0"), {}, "d1")
ANNOUNCEMENT = Announcement(
    "http://127.0.0.1:9", None, ("small",), {"gpt-4": "small", "ada": "small"}, "AVX2 kernels", ("a note",), 3
)

CHOICES = ModelChoices(
    (
        ModelChoice("small", "text", "Small.", "mit", None, 8192, 98_362_432, 300_000_000, 8192, is_tested=True),
        ModelChoice("big-8b", "text", "Big.", "mit", "big", 4096, 5 * 10**9, 6 * 10**9, 0, "qwen", "enable_thinking"),
        ModelChoice("big-1b", "text", "Big.", "mit", "big", 4096, 10**9, 2 * 10**9, 4096, "qwen", "enable_thinking"),
        ModelChoice("big-3b", "text", "Big.", "mit", "big", 8192, 3 * 10**9, 4 * 10**9, 6144, "qwen", "none"),
        ModelChoice("listener", "transcription", "Hears.", "mit"),
    ),
    available_bytes=4_500_000_000,
    total_bytes=8_000_000_000,
)
WAS = Speed(200.0, 100.0, 150.0)
TRIALS = (
    Trial("q4_0", Speed(500.0, 220.0, 400.0), WAS, 90, Fidelity(21.0, 18.0, 0.5, 0.6)),
    Trial("q8_0", Speed(400.0, 170.0, 250.0), WAS, 140, Fidelity(18.0, 18.0, 0.01, 0.93)),
)
KEY = Key(id="key_1", project="team", name="bot", hint="sk-ab***yz", created_at=0, limits=KeyLimits(tokens_per_day=5))

CLUSTER = ClusterReport(
    nodes=(
        NodeReport(
            id="n1", address="10.0.0.5", name="one", cpus=8, gpus=0, memory_bytes=2**33, state="alive", is_head=True
        ),
        NodeReport(id="n2", address="10.0.0.6", name="two", cpus=8, gpus=1, memory_bytes=2**34, state="draining"),
    ),
    replicas=(ReplicaState(replica="small-1", model="small", node="10.0.0.6", state="ready", running=3),),
    limits={"small": ScalingLimits(min_replicas=1, max_replicas=4), "big": ScalingLimits()},
    failures={"big": "No node of the cluster is large enough for big."},
)


class FakeApplication:
    """Implements `cli.application.Application`. `calls` holds (function, argument) in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.settings: Settings | None = None
        self.findings: list[Finding] = []
        self.faults: list[str] = []
        self.missing: list[str] = []
        self.optimized_by_default: list[str] = []
        self.present = [SMALL]
        self.default: DefaultModel | None = DefaultModel("small", "no other was chosen")
        self.offer: ModelOffer | None = None
        self.tool_check = ToolCheck()

    @property
    def admin(self) -> "FakeApplication":
        """Itself: it implements both protocols."""
        return self

    @property
    def clusters(self) -> "FakeApplication":
        """Itself: it implements all protocols."""
        return self

    def run_node(self, settings: Settings, options: NodeOptions, announce: Callable[[RunningNode], None], /) -> None:
        """Announce a node."""
        self._record("run_node", settings, options)
        announce(RunningNode(options.head or "10.0.0.5:7380", "10.0.0.5", "/home/token", is_head=options.head is None))

    def read_status(self, settings: Settings, /) -> ClusterReport:
        """Return two nodes, a replica, and a model that cannot start."""
        self._record("read_status", settings)
        return CLUSTER

    def drain_node(self, settings: Settings, node: str, /) -> None:
        """Drain any node."""
        self._record("drain_node", settings, node)

    def scale_model(self, settings: Settings, name: str, limits: ScalingLimits, /) -> None:
        """Scale any model."""
        self._record("scale_model", settings, (name, limits))

    def render_manifest(self, settings: Settings, options: ManifestOptions, /) -> str:
        """Return a line."""
        self._record("render_manifest", settings, options)
        return "kind: List\n"

    def _record(self, name: str, settings: Settings, argument: object = None) -> None:
        self.calls.append((name, argument))
        self.settings = settings

    def missing_models(self, settings: Settings, /) -> Sequence[str]:
        """Return what a test put in `missing`."""
        self._record("missing_models", settings)
        return self.missing

    def check_settings(self, settings: Settings, /) -> None:
        """Accept all settings."""
        self._record("check_settings", settings)

    def create_key(self, settings: Settings, new_key: NewKey, /) -> IssuedKey:
        """Return a fixed key."""
        self._record("create_key", settings, new_key)
        return IssuedKey(key=KEY, secret="sk-secret")

    def list_keys(self, settings: Settings, /) -> Sequence[Key]:
        """Return a valid, an expired and a revoked key."""
        self._record("list_keys", settings)
        replace = msgspec.structs.replace
        return [KEY, replace(KEY, name="old", expires_at=1), replace(KEY, name="lost", revoked_at=1)]

    def get_key(self, settings: Settings, key: str, /) -> Key:
        """Find only `bot`."""
        self._record("get_key", settings, key)
        if key != "bot":
            raise NotFound(f"No key is called {key}")
        return KEY

    def revoke_key(self, settings: Settings, key: str, /) -> Key:
        """Return the key."""
        self._record("revoke_key", settings, key)
        return KEY

    def rotate_key(self, settings: Settings, key: str, /) -> IssuedKey:
        """Return the key with a new secret."""
        self._record("rotate_key", settings, key)
        return IssuedKey(key=KEY, secret="sk-second")

    def sum_usage(self, settings: Settings, usage_query: UsageQuery, /) -> Sequence[UsageTotal]:
        """Return one total for each of two days."""
        self._record("sum_usage", settings, usage_query)
        group = dict.fromkeys(usage_query.by, "x")
        return [
            UsageTotal(
                begins=day * 86_400, group=group, requests=2, prompt_tokens=30, completion_tokens=4, cached_tokens=5
            )
            for day in range(2)
        ]

    def list_project_storage(self, settings: Settings, /) -> Sequence[ProjectUsage]:
        """Return one project."""
        self._record("list_project_storage", settings)
        return [ProjectUsage(project="team", files=7, pictures=2, limit=1000)]

    def upgrade_database(self, settings: Settings, /) -> str:
        """Return a fixed line."""
        self._record("upgrade_database", settings)
        return "the database is at 7 (new)"

    def check_database(self, settings: Settings, /) -> tuple[str, Sequence[str]]:
        """Return what a test put in `faults`."""
        self._record("check_database", settings)
        return "the file", self.faults

    def backup_database(self, settings: Settings, target: Path, /) -> int:
        """Return a size of 2 kB."""
        self._record("backup_database", settings, target)
        return 2000

    def serve(self, settings: Settings, announce: Callable[[Announcement], None], /) -> None:
        """Announce and return."""
        self._record("serve", settings)
        announce(msgspec.structs.replace(ANNOUNCEMENT, offer=self.offer))

    def pull_model(
        self,
        settings: Settings,
        reference: str,
        progress: ProgressReporter,
        projector: str | None = None,
        /,
        *,
        accepts_licence: bool = False,
    ) -> InstalledModel:
        """Pull `small`; `slow` is interrupted, and any other model does not exist."""
        words = [reference, *([projector] if projector else []), *(["accepted"] if accepts_licence else [])]
        self._record("pull_model", settings, " ".join(words))
        progress.total(10)
        progress.advance(10)
        progress.message("half way")
        if reference == "slow":
            raise KeyboardInterrupt
        if reference != "small":
            raise ModelNotFound(f"no model is called {reference}")
        return SMALL

    def optimize_model(
        self, settings: Settings, name: str, options: OptimizeOptions, progress: ProgressReporter, /
    ) -> OptimizeResult:
        """Find Q8_0 lossless and Q4_0 lossy; `broken` cannot be measured."""
        self._record("optimize_model", settings, (name, options))
        if name == "broken":
            raise InvalidRequest("only text models")
        progress.message("trying")
        return OptimizeResult(name, options.layout or "q8_0", is_changed=not options.is_dry, trials=TRIALS)

    def finetune(
        self, settings: Settings, training_request: TrainingRequest, on_event: Callable[[TrainingEvent], None], /
    ) -> InstalledModel:
        """Train `small` in two steps, resuming at the first; any other model is interrupted."""
        self._record("finetune", settings, training_request)
        if training_request.model != "small":
            raise KeyboardInterrupt
        metrics = StepMetrics(
            2, 40, 2, 0.5, 1.0, 1.0, full_valid_loss=0.75, classification={"classification/accuracy": 0.875}
        )
        for event in (
            TrainingPrepared(2, 20, 2, 1, Hyperparameters(n_epochs=1, batch_size=1)),
            metrics,
            CheckpointSaved(2, "c.gguf", metrics),
            TrainingFinished("a", "r", 40),
        ):
            on_event(event)
        return InstalledModel(ModelFacts("ft:small:homeport:mine:1", "text", "text"), {}, "d2", parent="small")

    def is_optimized_by_default(self, reference: str, /) -> bool:
        """Whether a test put it in `optimized_by_default`."""
        return reference in self.optimized_by_default

    def list_catalogue(self, settings: Settings, /) -> ModelChoices:
        """Return a family of three sizes, of which two fit, and two models of no family."""
        self._record("list_catalogue", settings)
        return CHOICES

    def default_model(self, settings: Settings, /) -> DefaultModel | None:
        """Return what a test put in `default`."""
        self._record("default_model", settings)
        return self.default

    def record_default_model(self, settings: Settings, name: str, /) -> None:
        """Make it the default, unless it is `listener`."""
        self._record("record_default_model", settings, name)
        if name == "listener":
            raise InvalidRequest("only a model that chats can be the default")
        self.default = DefaultModel(name, "chosen with `homeport use`")

    def list_models(self, settings: Settings, /) -> Sequence[InstalledModel]:
        """Return what a test put in `present`."""
        self._record("list_models", settings)
        return self.present

    def default_image_model(self, settings: Settings, /) -> str:
        """Return a fixed name."""
        self._record("default_image_model", settings)
        return "clipart"

    def default_shape_model(self, settings: Settings, /) -> str:
        """Return a fixed name."""
        self._record("default_shape_model", settings)
        return "triposr"

    def list_aliases(self, settings: Settings, /) -> Sequence[Alias]:
        """Return one alias."""
        self._record("list_aliases", settings)
        return [Alias("gpt-4", "small", "cl100k_base")]

    def describe_model(self, settings: Settings, name: str, /) -> Mapping[str, object]:
        """Return a line, a list and several lines."""
        self._record("describe_model", settings, name)
        return {"name": name, "files": ["a", "b"], "template": "one\ntwo", "empty": ()}

    def check_tools(self, settings: Settings, name: str, /) -> ToolCheck:
        """Return `tool_check`."""
        self._record("check_tools", settings, name)
        return self.tool_check

    def remove_model(self, settings: Settings, name: str, /) -> int:
        """Return a size of 1.5 kB."""
        self._record("remove_model", settings, name)
        return 1500

    def has_kernels(self, settings: Settings, variant: str, /) -> bool:
        """Whether it is `cpu`."""
        self._record("has_kernels", settings, variant)
        return variant == "cpu"

    def install_kernels(
        self, settings: Settings, variant: str, file: Path | None, progress: ProgressReporter, /
    ) -> str:
        """Install any variant but CUDA."""
        self._record("install_kernels", settings, (variant, file))
        if variant == "cuda":
            raise InvalidRequest("npm is not installed")
        return f"{variant} kernels installed"

    def describe_kernels(self, settings: Settings, /) -> str:
        """Return a fixed description."""
        self._record("describe_kernels", settings)
        return "AVX2 kernels"

    def diagnose(self, settings: Settings, *, online: bool) -> Iterator[Finding]:
        """Yield what a test put in `findings`."""
        self._record("diagnose", settings, online)
        yield from self.findings

    def image_embedding_model(self, settings: Settings, /) -> str:
        """Return a fixed name."""
        self._record("image_embedding_model", settings)
        return "eyes"

    def make_thumbnail(self, file: Path, max_width: int, max_height: int, /) -> Thumbnail:
        """Return two pixels, red above blue; a file whose content begins with `odd` is no image."""
        if file.read_bytes().startswith(b"odd"):
            raise InvalidRequest("not an image")
        return Thumbnail(1, 2, bytes([255, 0, 0, 0, 0, 255]), b"png of the size %d x %d" % (max_width, max_height))
