"""Keeps an installed model's weights in further layouts, and says which one is loaded.

Measuring is another's: a `Measure` is handed in. Both files stay, so going back is a line in the manifest. A server
that has a model loaded keeps the file it opened; the next load takes the new one.
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
from homeport.models import disk
from homeport.models.manifest import Manifest, StoredFile, StoredLayout
from homeport.models.model_store import ModelStore

Measure = Callable[[LayoutBenchmarkJob], LayoutBenchmarkEvent]

_WEIGHTS = "weights"
_ROOM = 6  # all candidates together, in sizes of the original: 4, 8 and 16 bits against 4 or more


def find_best_layout(
    store: ModelStore, name: str, options: OptimizeOptions, measure: Measure, progress: ProgressReporter
) -> OptimizeResult:
    """Find a faster layout of an installed model and make it the active one.

    Raises ModelNotFound, InvalidRequest for what cannot be laid out anew, and Unavailable where room is missing or
    measuring fails; whatever happens, no half file stays and the model can be loaded as before.
    """
    if options.layout not in (None, ORIGINAL, *LAYOUTS):
        raise InvalidRequest(f"There is no layout `{options.layout}`: there are {', '.join((ORIGINAL, *LAYOUTS))}.")
    made = store.manifest(name)
    weights = [file for file in made.files if file.role.startswith(_WEIGHTS)]
    if made.facts.kind != TEXT or len(weights) != 1 or not weights[0].name.endswith(".gguf"):
        raise InvalidRequest(f"Only text models in one GGUF file can be laid out anew; `{name}` is not one.")
    with store.lock_model(name, progress) as folder:
        made = store.manifest(name)  # another process may have changed it meanwhile
        if options.layout and not options.is_dry and (options.layout == ORIGINAL or made.layout(options.layout)):
            return _activate_layout(store, made, options.layout)
        if options.layout == ORIGINAL:
            return OptimizeResult(name, made.active, is_changed=False)
        return _benchmark(store, made, folder / weights[0].name, options, measure)


def _benchmark(
    store: ModelStore, made: Manifest, source: Path, wish: OptimizeOptions, measure: Measure
) -> OptimizeResult:
    disk.require_space(source.parent, source.stat().st_size * _ROOM)
    survey = LayoutBenchmarkJob(str(source), wish.layout, wish.is_dry, library=wish.library, threads=wish.threads)
    try:
        with disk.translate_disk_full(source.parent):
            told = measure(survey)
            trials = told.trials or ()
            chosen = next(iter(trials), None) if wish.layout else best(trials)
            if chosen is None or wish.is_dry:
                return OptimizeResult(made.facts.name, made.active, is_changed=False, trials=trials)
            kept = _publish_layout(survey, source, chosen, told)
            others = tuple(layout for layout in made.layouts if layout.name != kept.name)
            store.commit(msgspec.structs.replace(made, layouts=(*others, kept), active=kept.name))
            return OptimizeResult(made.facts.name, kept.name, is_changed=made.active != kept.name, trials=trials)
    finally:
        for name in LAYOUTS:
            survey.part(name).unlink(missing_ok=True)


def _publish_layout(survey: LayoutBenchmarkJob, source: Path, trial: Trial, told: LayoutBenchmarkEvent) -> StoredLayout:
    part = survey.part(trial.layout)
    final = source.with_name(f"{source.stem}.{trial.layout}.gguf")
    stored = StoredFile(final.name, _WEIGHTS, part.stat().st_size, disk.sha256(part))
    disk.publish(part, final)
    return StoredLayout(trial.layout, stored, trial, told.kernels, told.machine)


def _activate_layout(store: ModelStore, made: Manifest, layout: str) -> OptimizeResult:
    store.commit(msgspec.structs.replace(made, active=layout))
    return OptimizeResult(made.facts.name, layout, is_changed=made.active != layout)
