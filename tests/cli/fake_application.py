"""A program behind the commands that records its calls and answers from fixed values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest, ModelNotFound, NotFound
from homeport.domain.keys import (
    IssuedKey,
    Key,
    KeyLimits,
    NewKey,
)
from homeport.domain.models import Alias, InstalledModel, ModelFacts
from homeport.domain.operations import Announcement, Finding, ProgressReporter
from homeport.domain.storage import ProjectUsage
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
from homeport.domain.weight_layouts import (
    Fidelity,
    OptimizeOptions,
    OptimizeResult,
    Speed,
    Trial,
)
from homeport.settings import Settings

SMALL = InstalledModel(ModelFacts("small", "text", "text", 8192, size_bytes=98_362_432, licence="Apache-2.0"), {}, "d1")
UP = Announcement(
    "http://127.0.0.1:9", None, ("small",), {"gpt-4": "small", "ada": "small"}, "AVX2 kernels", ("a note",), 3
)

WAS = Speed(200.0, 100.0, 150.0)
TRIALS = (
    Trial("q4_0", Speed(500.0, 220.0, 400.0), WAS, 90, Fidelity(21.0, 18.0, 0.5, 0.6)),
    Trial("q8_0", Speed(400.0, 170.0, 250.0), WAS, 140, Fidelity(18.0, 18.0, 0.01, 0.93)),
)


KEY = Key(id="key_1", project="team", name="bot", hint="sk-ab***yz", created_at=0, limits=KeyLimits(tokens_per_day=5))


class FakeApplication:
    """Fills `cli.application.Application`. `calls` holds (function, argument) in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.settings: Settings | None = None
        self.findings: list[Finding] = []
        self.faults: list[str] = []
        self.wanted: list[str] = []
        self.starters: list[str] = []
        self.present = [SMALL]

    @property
    def admin(self) -> "FakeApplication":
        """Itself: it fills both Protocols."""
        return self

    def _called(self, name: str, settings: Settings, argument: object = None) -> None:
        self.calls.append((name, argument))
        self.settings = settings

    def missing_models(self, settings: Settings, /) -> Sequence[str]:
        """Give what a test put in `wanted`."""
        self._called("missing", settings)
        return self.wanted

    def check_settings(self, settings: Settings, /) -> None:
        """Find nothing wrong."""
        self._called("check", settings)

    def create_key(self, settings: Settings, wanted: NewKey, /) -> IssuedKey:
        """Make the key that was wanted."""
        self._called("create_key", settings, wanted)
        return IssuedKey(key=KEY, secret="sk-secret")

    def list_keys(self, settings: Settings, /) -> Sequence[Key]:
        """Give one that is good, one that is expired and one that is revoked."""
        self._called("keys", settings)
        changed = msgspec.structs.replace
        return [KEY, changed(KEY, name="old", expires_at=1), changed(KEY, name="lost", revoked_at=1)]

    def get_key(self, settings: Settings, key: str, /) -> Key:
        """Know only 'bot'."""
        self._called("show_key", settings, key)
        if key != "bot":
            raise NotFound(f"No key is called {key}")
        return KEY

    def revoke_key(self, settings: Settings, key: str, /) -> Key:
        """Revoke it."""
        self._called("revoke_key", settings, key)
        return KEY

    def rotate_key(self, settings: Settings, key: str, /) -> IssuedKey:
        """Rotate it."""
        self._called("rotate_key", settings, key)
        return IssuedKey(key=KEY, secret="sk-second")

    def sum_usage(self, settings: Settings, question: UsageQuery, /) -> Sequence[UsageTotal]:
        """Give one sum for each of two days."""
        self._called("usage", settings, question)
        group = dict.fromkeys(question.by, "x")
        return [
            UsageTotal(
                begins=day * 86_400, group=group, requests=2, prompt_tokens=30, completion_tokens=4, cached_tokens=5
            )
            for day in range(2)
        ]

    def list_project_storage(self, settings: Settings, /) -> Sequence[ProjectUsage]:
        """Give one project."""
        self._called("storage", settings)
        return [ProjectUsage(project="team", files=7, pictures=2, limit=1000)]

    def upgrade_database(self, settings: Settings, /) -> str:
        """Say so."""
        self._called("upgrade_database", settings)
        return "it is new"

    def check_database(self, settings: Settings, /) -> tuple[str, Sequence[str]]:
        """Give what a test put in `faults`."""
        self._called("check_database", settings)
        return "the file", self.faults

    def backup_database(self, settings: Settings, target: Path, /) -> int:
        """Copy 2 kB."""
        self._called("backup_database", settings, target)
        return 2000

    def serve(self, settings: Settings, announce: Callable[[Announcement], None], /) -> None:
        """Announce and end."""
        self._called("serve", settings)
        announce(UP)

    def pull_model(self, settings: Settings, reference: str, progress: ProgressReporter, /) -> InstalledModel:
        """Fetch 'small'; anything else does not exist, 'slow' is interrupted."""
        self._called("pull", settings, reference)
        progress.total(10)
        progress.advance(10)
        progress.message("half way")
        if reference == "slow":
            raise KeyboardInterrupt
        if reference != "small":
            raise ModelNotFound(f"no model is called {reference}")
        return SMALL

    def optimize_model(
        self, settings: Settings, name: str, wish: OptimizeOptions, progress: ProgressReporter, /
    ) -> OptimizeResult:
        """Find Q8_0 as good and Q4_0 lossy; 'broken' cannot be measured."""
        self._called("optimise", settings, (name, wish))
        if name == "broken":
            raise InvalidRequest("only text models")
        progress.message("trying")
        return OptimizeResult(name, wish.layout or "q8_0", is_changed=not wish.is_dry, trials=TRIALS)

    def finetune(
        self, settings: Settings, order: TrainingRequest, hear: Callable[[TrainingEvent], None], /
    ) -> InstalledModel:
        """Train 'small' in two steps from the first on; 'slow' is interrupted."""
        self._called("finetune", settings, order)
        if order.model != "small":
            raise KeyboardInterrupt
        measures = StepMetrics(
            2, 40, 2, 0.5, 1.0, 1.0, full_valid_loss=0.75, classification={"classification/accuracy": 0.875}
        )
        chosen = Hyperparameters(n_epochs=1, batch_size=1)
        for told in (
            TrainingPrepared(2, 20, 2, 1, chosen),
            measures,
            CheckpointSaved(2, "c.gguf", measures),
            TrainingFinished("a", "r", 40),
        ):
            hear(told)
        return InstalledModel(ModelFacts("ft:small:homeport:mine:1", "text", "text"), {}, "d2", parent="small")

    def is_starter(self, reference: str, /) -> bool:
        """Whether a test put it in `starters`."""
        return reference in self.starters

    def list_models(self, settings: Settings, /) -> Sequence[InstalledModel]:
        """Give the small model."""
        self._called("installed", settings)
        return self.present

    def default_image_model(self, settings: Settings, /) -> str:
        """Name one."""
        self._called("painter", settings)
        return "brush"

    def list_aliases(self, settings: Settings, /) -> Sequence[Alias]:
        """Give one alias."""
        self._called("aliases", settings)
        return [Alias("gpt-4", "small", "cl100k_base")]

    def describe_model(self, settings: Settings, name: str, /) -> Mapping[str, object]:
        """Give a line, a list and several lines."""
        self._called("show", settings, name)
        return {"name": name, "files": ["a", "b"], "template": "one\ntwo", "empty": ()}

    def remove_model(self, settings: Settings, name: str, /) -> int:
        """Free 1.5 kB."""
        self._called("remove", settings, name)
        return 1500

    def has_kernels(self, settings: Settings, flavour: str, /) -> bool:
        """Only the CPU's are there."""
        self._called("has_kernels", settings, flavour)
        return flavour == "cpu"

    def install_kernels(
        self, settings: Settings, flavour: str, file: Path | None, progress: ProgressReporter, /
    ) -> str:
        """Install anything but CUDA."""
        self._called("install_kernels", settings, (flavour, file))
        if flavour == "cuda":
            raise InvalidRequest("npm is not installed")
        return f"{flavour} kernels installed"

    def describe_kernels(self, settings: Settings, /) -> str:
        """Describe them."""
        self._called("kernels", settings)
        return "AVX2 kernels"

    def diagnose(self, settings: Settings, *, online: bool) -> Iterator[Finding]:
        """Give what a test put in `findings`."""
        self._called("diagnose", settings, online)
        yield from self.findings
