"""What commands call: the protocols between `cli` and `app`, which `homeport.app.commands` implements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.clusters import ClusterReport, ManifestOptions, NodeOptions, RunningNode, ScalingLimits
from homeport.domain.keys import IssuedKey, Key, NewKey
from homeport.domain.model_choices import DefaultModel, ModelChoices
from homeport.domain.models import Alias, InstalledModel, ToolCheck
from homeport.domain.operations import Announcement, Finding, ProgressReporter
from homeport.domain.storage import ProjectUsage
from homeport.domain.thumbnails import Thumbnail
from homeport.domain.training import TrainingEvent, TrainingRequest
from homeport.domain.usage import UsageQuery, UsageTotal
from homeport.domain.weight_layouts import OptimizeOptions, OptimizeResult
from homeport.settings import Settings


class AdminCommands(Protocol):
    """Functions of `homeport.app.admin_commands`. All raise HomeportError with a message that says what to do."""

    def create_key(self, settings: Settings, new_key: NewKey, /) -> IssuedKey:
        """Create a key, and its project if that is new. Only this call returns the secret."""
        ...

    def list_keys(self, settings: Settings, /) -> Sequence[Key]:
        """List all keys, the oldest first, including revoked and expired ones."""
        ...

    def get_key(self, settings: Settings, key: str, /) -> Key:
        """Find a key by its id, or by its name if exactly one key that is not revoked has it."""
        ...

    def revoke_key(self, settings: Settings, key: str, /) -> Key:
        """Revoke a key; running servers refuse it within two seconds."""
        ...

    def rotate_key(self, settings: Settings, key: str, /) -> IssuedKey:
        """Replace a key's secret."""
        ...

    def sum_usage(self, settings: Settings, usage_query: UsageQuery, /) -> Sequence[UsageTotal]:
        """Sum up usage, including what a running server has not yet imported into the database."""
        ...

    def list_project_storage(self, settings: Settings, /) -> Sequence[ProjectUsage]:
        """List how much each project stores."""
        ...

    def upgrade_database(self, settings: Settings, /) -> str:
        """Upgrade the database to the current schema; return a line that says what was done."""
        ...

    def check_database(self, settings: Settings, /) -> tuple[str, Sequence[str]]:
        """Check the database; return its name and its faults."""
        ...

    def backup_database(self, settings: Settings, target: Path, /) -> int:
        """Copy the database to a new file, also while a server uses it; return its size in bytes."""
        ...


class ClusterCommands(Protocol):
    """Functions of `homeport.app.clusters`. All raise HomeportError with a message that says what to do."""

    def run_node(self, settings: Settings, options: NodeOptions, announce: Callable[[RunningNode], None], /) -> None:
        """Run this machine's node until SIGTERM or SIGINT. Call `announce` when it is part of the cluster."""
        ...

    def read_status(self, settings: Settings, /) -> ClusterReport:
        """Return the nodes and replicas of the cluster."""
        ...

    def drain_node(self, settings: Settings, node: str, /) -> None:
        """Let a node's replicas move elsewhere after their requests; then the node leaves."""
        ...

    def scale_model(self, settings: Settings, name: str, limits: ScalingLimits, /) -> None:
        """Set how many replicas a model may have."""
        ...

    def render_manifest(self, settings: Settings, options: ManifestOptions, /) -> str:
        """Return the manifest of a cluster on Kubernetes."""
        ...


class Application(Protocol):
    """Functions of `homeport.app.commands`. All raise HomeportError with a message that says what to do."""

    @property
    def admin(self) -> AdminCommands:
        """The commands on keys, usage, project storage and the database."""
        ...

    @property
    def clusters(self) -> ClusterCommands:
        """The commands on clusters."""
        ...

    def missing_models(self, settings: Settings, /) -> Sequence[str]:
        """List what `serve` must pull first: models of the settings that are not installed; all starters if none is."""
        ...

    def check_settings(self, settings: Settings, /) -> None:
        """Check that an address that other machines can reach is protected by a key."""
        ...

    def serve(self, settings: Settings, announce: Callable[[Announcement], None], /) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. Call `announce` when listening."""
        ...

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
        """Pull a model. Returns at once if it is installed and complete. `projector`: the file with which it sees.

        `accepts_licence`: the user has accepted a licence that forbids commercial use.
        """
        ...

    def optimize_model(
        self, settings: Settings, name: str, options: OptimizeOptions, progress: ProgressReporter, /
    ) -> OptimizeResult:
        """Requantize a model for this CPU, to the fastest layout measured or the one in `options`."""
        ...

    def finetune(
        self, settings: Settings, training_request: TrainingRequest, on_event: Callable[[TrainingEvent], None], /
    ) -> InstalledModel:
        """Train a model on a file and install the result. `on_event` receives the progress.

        If the same request was interrupted before, it resumes.
        """
        ...

    def is_optimized_by_default(self, reference: str, /) -> bool:
        """Whether a reference names a model that is optimized when it is pulled: a tested text model."""
        ...

    def list_catalogue(self, settings: Settings, /) -> ModelChoices:
        """List the catalogue's models with their sizes, and what fits into the memory that is available now."""
        ...

    def default_model(self, settings: Settings, /) -> DefaultModel | None:
        """Return the model that OpenAI's text model names resolve to; None if no text model is installed."""
        ...

    def record_default_model(self, settings: Settings, name: str, /) -> None:
        """Make an installed model that chats the default one, also for running servers and after restarts."""
        ...

    def list_models(self, settings: Settings, /) -> Sequence[InstalledModel]:
        """List the installed models."""
        ...

    def list_aliases(self, settings: Settings, /) -> Sequence[Alias]:
        """List the aliases of installed models."""
        ...

    def default_image_model(self, settings: Settings, /) -> str:
        """Return the image model that is used if none is named. Raises ModelNotFound, which names models to pull."""
        ...

    def default_shape_model(self, settings: Settings, /) -> str:
        """Return the shape model that is used if none is named. Raises ModelNotFound, which names models to pull."""
        ...

    def image_embedding_model(self, settings: Settings, /) -> str:
        """Return the model that embeds images if none is named. Raises ModelNotFound, which names models to pull."""
        ...

    def make_thumbnail(self, file: Path, max_width: int, max_height: int, /) -> Thumbnail:
        """Return a small version of an image file. Raises InvalidRequest if it cannot be read as an image."""
        ...

    def describe_model(self, settings: Settings, name: str, /) -> Mapping[str, object]:
        """Describe an installed model: facts, template, source, layouts, files with hashes, aliases.

        Of a model that is not installed, describe what the catalogue says.
        """
        ...

    def check_tools(self, settings: Settings, name: str, /) -> ToolCheck:
        """Check how an installed model's chat template writes tool calls, and that the server reads them."""
        ...

    def remove_model(self, settings: Settings, name: str, /) -> int:
        """Delete a model's files; return the number of bytes freed."""
        ...

    def install_kernels(
        self, settings: Settings, variant: str, file: Path | None, progress: ProgressReporter, /
    ) -> str:
        """Install kernels (`cpu`, `cuda`, `vulkan`), fetched by npm or from a file; return their description."""
        ...

    def has_kernels(self, settings: Settings, variant: str, /) -> bool:
        """Whether kernels of this release, or of another variant than `variant`, are installed."""
        ...

    def describe_kernels(self, settings: Settings, /) -> str:
        """Describe the kernels that a model would be loaded with, and their CPU family or GPU."""
        ...

    def diagnose(self, settings: Settings, *, online: bool) -> Iterator[Finding]:
        """Examine the machine and the installation, one finding at a time. Uses the network only if `online`."""
        ...
