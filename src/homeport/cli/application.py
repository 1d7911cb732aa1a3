"""What the commands need of the program: the Protocols between `cli` and `app`. `homeport.app.commands` fills them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.keys import IssuedKey, Key, NewKey
from homeport.domain.models import Alias, InstalledModel
from homeport.domain.operations import Announcement, Finding, ProgressReporter
from homeport.domain.storage import ProjectUsage
from homeport.domain.training import TrainingEvent, TrainingRequest
from homeport.domain.usage import UsageQuery, UsageTotal
from homeport.domain.weight_layouts import OptimizeOptions, OptimizeResult
from homeport.settings import Settings


class AdminCommands(Protocol):
    """Functions of `homeport.app.storage`. All raise HomeportError with a message that says what to do."""

    def list_keys(self, settings: Settings, /) -> Sequence[Key]:
        """List all keys, the oldest first, those that no longer open anything included."""
        ...

    def get_key(self, settings: Settings, key: str, /) -> Key:
        """Find one key by its id, or by its name if only one that opens something has it."""
        ...

    def revoke_key(self, settings: Settings, key: str, /) -> Key:
        """Have a key open nothing any more, on running servers within two seconds."""
        ...

    def rotate_key(self, settings: Settings, key: str, /) -> IssuedKey:
        """Give a key a new secret, in place of the old one."""
        ...

    def sum_usage(self, settings: Settings, usage_query: UsageQuery, /) -> Sequence[UsageTotal]:
        """Sum up what was used until now, also what a running server has only just written down."""
        ...

    def upgrade_database(self, settings: Settings, /) -> str:
        """Bring the database to today's schema; give what was done."""
        ...

    def check_database(self, settings: Settings, /) -> tuple[str, Sequence[str]]:
        """Look the database over; give its place and what is wrong with it."""
        ...

    def backup_database(self, settings: Settings, target: Path, /) -> int:
        """Copy the database, also one in use, to a new file; give its size."""
        ...


class Application(Protocol):
    """Functions of `homeport.app.commands`. All raise HomeportError with a message that says what to do."""

    def missing_models(self, settings: Settings, /) -> Sequence[str]:
        """Give what `serve` must fetch first: models asked for and not installed; the starters if there is none."""
        ...

    def check_settings(self, settings: Settings, /) -> None:
        """Check what settings alone do not tell: whether an address others can reach is guarded by a key."""
        ...

    def serve(self, settings: Settings, announce: Callable[[Announcement], None], /) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. `announce` when it listens."""
        ...

    def pull_model(self, settings: Settings, reference: str, progress: ProgressReporter, /) -> InstalledModel:
        """Fetch a model; at once if it is installed and whole."""
        ...

    def optimize_model(
        self, settings: Settings, name: str, options: OptimizeOptions, progress: ProgressReporter, /
    ) -> OptimizeResult:
        """Lay a model's weights out for this CPU, as measured, or as asked; give what became of it."""
        ...

    def finetune(
        self, settings: Settings, training_request: TrainingRequest, on_event: Callable[[TrainingEvent], None], /
    ) -> InstalledModel:
        """Train a model on a file, here and now, and install what comes of it; give that. `hear` is told how it goes.

        The same order goes on where it was cut off.
        """
        ...

    def is_starter(self, reference: str, /) -> bool:
        """Whether a reference names a model of the catalogue: these are optimised when they are fetched."""
        ...

    def list_project_storage(self, settings: Settings, /) -> Sequence[ProjectUsage]:
        """Give what every project keeps here."""
        ...

    def list_models(self, settings: Settings, /) -> Sequence[InstalledModel]:
        """List the installed models."""
        ...

    def list_aliases(self, settings: Settings, /) -> Sequence[Alias]:
        """List the names that stand for installed models."""
        ...

    def default_image_model(self, settings: Settings, /) -> str:
        """Name the model that paints where none is named. Raises ModelNotFound, telling which can be fetched."""
        ...

    def describe_model(self, settings: Settings, name: str, /) -> Mapping[str, object]:
        """Tell everything known of a model: facts, files with hashes, sources, licence and its origin, template."""
        ...

    def remove_model(self, settings: Settings, name: str, /) -> int:
        """Delete a model's files; give the bytes freed."""
        ...

    def install_kernels(
        self, settings: Settings, variant: str, file: Path | None, progress: ProgressReporter, /
    ) -> str:
        """Install kernels (`cpu`, `cuda`, `vulkan`), fetched by npm or from a file; give their description."""
        ...

    def has_kernels(self, settings: Settings, flavour: str, /) -> bool:
        """Tell whether kernels of this release, or of another flavour than this, are installed."""
        ...

    def create_key(self, settings: Settings, new_key: NewKey, /) -> IssuedKey:
        """Make a key, and its project if that is new; its secret is told this once."""
        ...

    @property
    def admin(self) -> AdminCommands:
        """What is done with keys and the database."""
        ...

    def describe_kernels(self, settings: Settings, /) -> str:
        """Describe the kernels that would be used, and for which CPU family or GPU."""
        ...

    def diagnose(self, settings: Settings, *, online: bool) -> Iterator[Finding]:
        """Examine the machine and the installation, one finding at a time. Touches the network only if `online`."""
        ...
