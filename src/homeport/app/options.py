"""Converts the settings to the options of each package. Knows names and units, not their effect."""

from collections.abc import Mapping

from homeport.api.http.limits import ConnectionLimits
from homeport.api.services import Limits
from homeport.app import native_probes
from homeport.app.models import kernel_library
from homeport.domain.kinds import KINDS
from homeport.domain.models import InstalledModel
from homeport.models.model_store import ModelStore
from homeport.models.pull_options import PullOptions
from homeport.serving.options import ServingOptions
from homeport.settings import Settings

_DAY_S = 86_400

EngineOptions = Mapping[str, str | int | float | bool | None]


def request_limits(settings: Settings) -> Limits:
    """Limits of a request whose head has been read."""
    return Limits(
        body_bytes=settings.max_body_bytes,
        file_bytes=settings.max_file_bytes,
        ping_s=settings.ping_s,
        stall_s=settings.stall_s,
        answer_tokens=settings.default_max_tokens,
        music_s=settings.max_music_s,
    )


def response_keep_s(settings: Settings) -> int | None:
    """How long responses and chat completions are stored, in seconds; None: they do not expire; 0: none is stored."""
    return None if settings.response_days is None else settings.response_days * _DAY_S


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Limits of connections, which apply before a key is checked."""
    return ConnectionLimits(
        connections=settings.max_connections,
        per_address=settings.max_connections_per_address,
        head_s=settings.head_s,
        stall_s=settings.stall_s,
    )


def serving_options(settings: Settings) -> ServingOptions:
    """How models are kept in memory, queued for and supervised."""
    defaults = ServingOptions()
    return ServingOptions(
        slots=settings.slots or defaults.slots,
        max_queue=settings.max_queue,
        idle_s=settings.idle_unload_s or None,
        memory_bytes=settings.memory_budget_bytes,
        heartbeat_s=settings.heartbeat_s,
        heartbeat_limit_s=settings.heartbeat_limit_s,
        stall_limit_s=settings.stall_limit_s,
        reader_stall_s=settings.stall_s,
        # JSON escapes cost bytes that msgpack does not, so a body at its limit always fits twice its size.
        frame_bytes=max(defaults.frame_bytes, 2 * settings.max_body_bytes),
    )


def pull_options(settings: Settings) -> PullOptions:
    """Where models are pulled from, and how a chat template is checked."""
    return PullOptions(
        offline=settings.offline,
        hubs=settings.hub_order,
        hf_endpoint=settings.hf_endpoint,
        hf_token=settings.hf_token,
        ms_endpoint=settings.ms_endpoint,
        ms_token=settings.ms_token,
        template_fault=lambda source: native_probes.report_template(source).fault,
    )


def engine_options(settings: Settings, store: ModelStore, model: InstalledModel) -> EngineOptions:
    """Return the options that the engine of a model's kind accepts, from the settings and the model's manifest."""
    library, name = kernel_library(settings), model.facts.name
    kernels = {
        "library": str(library) if library else None,
        "threads": settings.threads,
        "gpu_layers": settings.gpu_layers,
    }
    offered = {**_text(settings, name), **kernels, **store.manifest(name).options}
    return {option: offered[option] for option in KINDS[model.facts.kind].engine_options if option in offered}


def _text(settings: Settings, model: str) -> EngineOptions:
    """Options of the text engine for one model, besides its kernels."""
    sizes = {
        "window": settings.window,
        "cells": settings.cells,
        "sequences": settings.slots,
        "batch": settings.batch,
        "prefill_slice": settings.prefill_slice,
        "retain": settings.retain,
    }
    options: dict[str, str | int | float | bool | None] = {k: v for k, v in sizes.items() if v is not None}
    if settings.prefix_cache_dir is not None:
        options["prefixes"] = str(settings.prefix_cache_dir / model)
        options["prefix_bytes"] = settings.prefix_cache_bytes
    return {
        **options,
        "share_prefixes": settings.share_prefixes,
        "speculate": settings.speculate,
        "prompts": settings.prompts,
        "costs": str(settings.home / "costs" / f"{model}.json"),
    }
