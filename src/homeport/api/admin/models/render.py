"""The JSON of models, layouts, jobs and aliases as an operator sees them. Knows nothing of requests."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from homeport.domain.model_jobs import ModelJob
from homeport.domain.model_library import AliasEntry, InstalledDetails, LibraryModel, LibraryOverview
from homeport.domain.operations import WorkerReport
from homeport.domain.weight_layouts import ORIGINAL, Speed, Trial

_OBJECTS = {"pull": "model.pull", "optimize": "model.optimization"}


class LayoutObject(msgspec.Struct, kw_only=True):
    """A layout as measured against the original. Speeds are in tokens per second; `gain` is relative to the original.

    `perplexity_rise` and `divergence`: null if it was too slow to be compared.
    """

    layout: str
    size_bytes: int
    gain: float
    speed: Speed
    original_speed: Speed
    perplexity_rise: float | None
    divergence: float | None
    kernels: str | UnsetType = UNSET
    machine: str | UnsetType = UNSET


class LibraryModelObject(msgspec.Struct, kw_only=True):
    """A model that is installed or can be pulled. Sizes are in bytes, windows in tokens; null is unknown.

    `memory_bytes`: for the files and a full window; `fitting_window`: what fits into the memory that is available now,
    0: it does not fit. `tested`: the maintainers have fetched it. `state`: of its worker, null if it is not loaded.
    `job`: the id of the job that works on it.
    """

    id: str
    object: str = "library.model"
    kind: str
    summary: str | None
    family: str | None
    installed: bool
    tested: bool
    licence: str
    size_bytes: int | None
    disk_bytes: int
    context_window: int | None
    memory_bytes: int | None
    fitting_window: int | None
    fits: bool | None
    modalities: Sequence[str]
    capabilities: Sequence[str]
    tools: str | None
    reasoning: str | None
    layout: str | None
    layouts: Sequence[LayoutObject]
    projector: str | None
    source: str | None
    revision: str | None
    parent: str | None
    project: str | None
    loaded: bool
    state: str | None
    in_use: int
    aliases: Sequence[str]
    job: str | None


class MemoryObject(msgspec.Struct, kw_only=True):
    """The memory of this machine in bytes."""

    available_bytes: int
    total_bytes: int


class LibraryBody(msgspec.Struct, kw_only=True):
    """All models, the installed ones first."""

    object: str = "list"
    data: Sequence[LibraryModelObject]
    memory: MemoryObject


class JobError(msgspec.Struct, kw_only=True):
    """Why a job failed, with the message of the command line."""

    message: str
    code: str | None


class OptimizationResult(msgspec.Struct, kw_only=True):
    """The layout that is active after an optimization, and all that were measured."""

    layout: str
    changed: bool
    layouts: Sequence[LayoutObject]


class ModelJobObject(msgspec.Struct, kw_only=True):
    """A pull or an optimization. Times are seconds since 1970. Fields of the other kind are absent.

    `optimization`: the id of the one that follows a pull. `done_bytes` includes what was present already.
    """

    id: str
    object: str
    status: str
    model: str | None
    created_at: int
    started_at: int | None
    ended_at: int | None
    message: str
    error: JobError | None
    reference: str | UnsetType = UNSET
    projector: str | UnsetType | None = UNSET
    optimize: bool | UnsetType = UNSET
    optimization: str | UnsetType | None = UNSET
    total_bytes: int | UnsetType = UNSET
    done_bytes: int | UnsetType = UNSET
    bytes_per_second: int | UnsetType = UNSET
    seconds_left: int | UnsetType | None = UNSET
    layout: str | UnsetType | None = UNSET
    dry_run: bool | UnsetType = UNSET
    result: OptimizationResult | UnsetType | None = UNSET


class AliasObject(msgspec.Struct, kw_only=True):
    """An alias. `target` null: the built-in name was removed. `origin`: `built_in`, `recorded` or `setting`.

    `served`: its model is installed.
    """

    id: str
    object: str = "alias"
    target: str | None
    encoding: str | None
    origin: str
    served: bool


def render_library(
    overview: LibraryOverview,
    reports: Mapping[str, WorkerReport],
    in_use: Mapping[str, int],
    jobs: Mapping[str, str],
) -> LibraryBody:
    """Render all models. `reports`, `in_use` and `jobs`: the worker, the requests and the job by the model's name."""
    return LibraryBody(
        data=[_render_model(model, reports, in_use, jobs) for model in overview.models],
        memory=MemoryObject(available_bytes=overview.available_bytes, total_bytes=overview.total_bytes),
    )


def _render_model(
    model: LibraryModel, reports: Mapping[str, WorkerReport], in_use: Mapping[str, int], jobs: Mapping[str, str]
) -> LibraryModelObject:
    choice, details = model.choice, model.installed
    facts = details.model.facts if details else None
    runs_as = (details.model.parent if details else None) or model.name
    report = reports.get(runs_as)
    fitting = choice.fitting_window if choice else None
    return LibraryModelObject(
        id=model.name,
        kind=facts.kind if facts else choice.kind if choice else "",
        summary=choice.summary if choice else None,
        family=choice.family if choice else None,
        installed=details is not None,
        tested=choice is not None and choice.is_tested,
        licence=facts.licence if facts else choice.licence if choice else "unknown",
        size_bytes=facts.size_bytes if facts else choice.file_bytes if choice else None,
        disk_bytes=details.disk_bytes if details else 0,
        context_window=facts.window if facts else choice.window if choice else None,
        memory_bytes=choice.memory_bytes if choice else None,
        fitting_window=fitting,
        fits=None if fitting is None else fitting > 0,
        modalities=facts.modalities if facts else (),
        capabilities=facts.capabilities if facts else (),
        tools=choice.tools if choice else None,
        reasoning=choice.reasoning if choice else None,
        layout=details.model.layout if details else None,
        layouts=_render_layouts(details) if details else (),
        projector=details.projector if details else None,
        source=details.source if details else None,
        revision=details.revision if details else None,
        parent=details.model.parent if details else None,
        project=details.model.project if details else None,
        loaded=report is not None and report.state == "ready",
        state=report.state if report else None,
        in_use=in_use.get(runs_as, 0),
        aliases=model.aliases,
        job=jobs.get(model.name),
    )


def _render_layouts(details: InstalledDetails) -> Sequence[LayoutObject]:
    """Render the layouts as `optimize` measured them, each with the speed of the original at that time."""
    return [
        msgspec.structs.replace(render_trial(each.trial), kernels=each.kernels, machine=each.machine)
        for each in details.layouts
    ]


def render_trial(trial: Trial) -> LayoutObject:
    """Render a measurement."""
    return LayoutObject(
        layout=trial.layout,
        size_bytes=trial.size,
        gain=round(trial.gain, 3),
        speed=trial.speed,
        original_speed=trial.original,
        perplexity_rise=trial.fidelity.rise if trial.fidelity else None,
        divergence=trial.fidelity.divergence if trial.fidelity else None,
    )


def render_job(job: ModelJob) -> ModelJobObject:
    """Render a job."""
    rendered = ModelJobObject(
        id=job.id,
        object=_OBJECTS[job.task],
        status=job.status,
        model=job.model,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        message=job.message,
        error=JobError(message=job.error.message, code=job.error.code) if job.error else None,
    )
    if job.task == "pull":
        _add_pull(rendered, job)
    else:
        rendered.layout, rendered.dry_run = job.layout, job.is_dry
        rendered.result = None
        if job.result is not None:
            layouts = [render_trial(trial) for trial in job.result.trials]
            rendered.result = OptimizationResult(
                layout=job.result.layout or ORIGINAL, changed=job.result.is_changed, layouts=layouts
            )
    return rendered


def _add_pull(rendered: ModelJobObject, job: ModelJob) -> None:
    rendered.reference, rendered.projector = job.reference, job.projector
    rendered.optimize, rendered.optimization = job.optimize, job.next_job
    rendered.total_bytes, rendered.done_bytes = job.total_bytes, job.done_bytes
    rendered.bytes_per_second = round(job.bytes_per_s)
    left = max(0, job.total_bytes - job.done_bytes)
    rendered.seconds_left = round(left / job.bytes_per_s) if job.bytes_per_s else None


def render_alias(entry: AliasEntry) -> AliasObject:
    """Render an alias."""
    alias = entry.alias
    return AliasObject(
        id=entry.name,
        target=alias.target if alias else None,
        encoding=alias.encoding if alias else None,
        origin=entry.origin,
        served=entry.is_served,
    )
