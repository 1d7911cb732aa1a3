"""Fine-tuning put together from settings, for `app` and its commands.

What `app` is for everything, this is for what trains. Knows nothing of HTTP.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from homeport.domain.models import Installed
from homeport.domain.tuning import Told, TuningOrder
from homeport.models import tuned
from homeport.models.registry import Registry
from homeport.models.store import Store
from homeport.settings import Settings
from homeport.tuning import direct

_READER = "homeport.engines.text.executors.llama.reading:load"
_FOLDER = "tuning"


def finetune(
    settings: Settings, order: TuningOrder, registry: Registry, library: Path | None, hear: Callable[[Told], None]
) -> Installed:
    """Train a model on a file, here and now, and install what comes of it; the same order goes on where it was cut.

    Weights are read as they were fetched, in whatever layout they are served.
    """
    store = Store(settings.home)
    meant = registry.resolve(order.model, "completions").meant
    ground = direct.Ground(
        organization=settings.organization,
        folder=settings.home / _FOLDER,
        digest=store.manifest(meant.facts.name).digest,
        reader=_READER,
        library=library,
        threads=settings.threads,
    )
    model = store.find(meant.facts.name) or meant
    return direct.train(order, model, ground, store, partial(tuned.install, store), hear)
