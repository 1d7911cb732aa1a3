"""Stores an installed model's weights in further layouts, and selects the one that is loaded.

Knows nothing of how layouts are measured (`Measure`). All files stay, so going back changes one line of the manifest. A
server that has a model loaded keeps the file that it opened; the next load uses the new one.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import TEXT
from homeport.domain.operations import ProgressReporter
from homeport.domain.weight_layouts import (
    LAYOUTS,
    ORIGINAL,
    LayoutBenchmarkEvent,
    LayoutBenchmarkJob,
    OptimizeOptions,
    OptimizeResult,
    Trial,
    best,
)
from homeport.formats import atomic
from homeport.models import disk
from homeport.models.manifest import Manifest, StoredFile, StoredLayout
from homeport.models.model_store import ModelStore

Measure = Callable[[LayoutBenchmarkJob], LayoutBenchmarkEvent]

_WEIGHTS = "weights"
_ROOM = 6  # all candidates together, in sizes of the original: 4, 8 and 16 bits against 4 or more


def find_best_layout(
    store: ModelStore, name: str, options: OptimizeOptions, measure: Measure, progress: ProgressReporter
) -> OptimizeResult:
    """Find a faster layout of an installed model and activate it.

    Raises ModelNotFound, InvalidRequest for a model that cannot be requantized, and Unavailable without enough space or
    if measuring fails; in every case no partial file stays and the model can be loaded as before.
    """
    if options.layout not in (None, ORIGINAL, *LAYOUTS):
        raise InvalidRequest(f"There is no layout `{options.layout}`: there are {', '.join((ORIGINAL, *LAYOUTS))}.")
    weights = requantizable_file(store.manifest(name))
    with store.lock_model(name, progress) as folder:
        manifest = store.manifest(name)  # another process may have changed it meanwhile
        if options.layout and not options.is_dry and (options.layout == ORIGINAL or manifest.layout(options.layout)):
            return _activate_layout(store, manifest, options.layout)
        if options.layout == ORIGINAL:
            return OptimizeResult(name, manifest.active, is_changed=False)
        return _benchmark(store, manifest, folder / weights.name, options, measure)


def requantizable_file(manifest: Manifest) -> StoredFile:
    """Return the file of a model's weights. Raises InvalidRequest for a model that cannot be requantized."""
    weights = [file for file in manifest.files if file.role.startswith(_WEIGHTS)]
    if manifest.facts.kind != TEXT or len(weights) != 1 or not weights[0].name.endswith(".gguf"):
        name = manifest.facts.name
        raise InvalidRequest(f"Only text models in one GGUF file can be requantized; `{name}` is not one.")
    return weights[0]


def _benchmark(
    store: ModelStore, manifest: Manifest, source: Path, options: OptimizeOptions, measure: Measure
) -> OptimizeResult:
    disk.require_space(source.parent, source.stat().st_size * _ROOM)
    job = LayoutBenchmarkJob(
        str(source),
        options.layout,
        options.is_dry,
        library=options.library,
        threads=options.threads,
        gpu_layers=options.gpu_layers,
    )
    try:
        with disk.translate_disk_full(source.parent):
            report = measure(job)
            trials = report.trials or ()
            chosen = next(iter(trials), None) if options.layout else best(trials)
            if chosen is None or options.is_dry:
                return OptimizeResult(manifest.facts.name, manifest.active, is_changed=False, trials=trials)
            stored_layout = _publish_layout(job, source, chosen, report)
            others = tuple(layout for layout in manifest.layouts if layout.name != stored_layout.name)
            store.commit(msgspec.structs.replace(manifest, layouts=(*others, stored_layout), active=stored_layout.name))
            return OptimizeResult(
                manifest.facts.name, stored_layout.name, is_changed=manifest.active != stored_layout.name, trials=trials
            )
    finally:
        for name in LAYOUTS:
            job.part(name).unlink(missing_ok=True)


def _publish_layout(job: LayoutBenchmarkJob, source: Path, trial: Trial, report: LayoutBenchmarkEvent) -> StoredLayout:
    part = job.part(trial.layout)
    final = source.with_name(f"{source.stem}.{trial.layout}.gguf")
    stored = StoredFile(final.name, _WEIGHTS, part.stat().st_size, disk.sha256(part))
    atomic.publish_file(part, final)
    return StoredLayout(trial.layout, stored, trial, report.kernels, report.machine)


def _activate_layout(store: ModelStore, manifest: Manifest, layout: str) -> OptimizeResult:
    store.commit(msgspec.structs.replace(manifest, active=layout))
    return OptimizeResult(manifest.facts.name, layout, is_changed=manifest.active != layout)
