"""Converts the settings to the options of each package, for `app`. Knows names and units, not their effect."""

from collections.abc import Mapping

from homeport.api.http.limits import ConnectionLimits
from homeport.api.services import Limits
from homeport.serving.options import ServingOptions
from homeport.settings import Settings


def request_limits(settings: Settings) -> Limits:
    """Limits of requests that have been read."""
    sizes = {"body_bytes": settings.max_body_bytes, "file_bytes": settings.max_file_bytes}
    return Limits(**sizes, ping_s=settings.ping_s, stall_s=settings.stall_s, answer_tokens=settings.default_max_tokens)


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Limits of connections, which hold before a key is checked."""
    return ConnectionLimits(
        connections=settings.max_connections,
        per_address=settings.max_connections_per_address,
        head_s=settings.head_s,
        stall_s=settings.stall_s,
    )


def serving(settings: Settings) -> ServingOptions:
    """How models are kept in memory, queued for and watched."""
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


def text(settings: Settings, model: str) -> Mapping[str, str | int | float | bool | None]:
    """Options of the text engine for one model, besides its kernels."""
    chosen = {
        "window": settings.window,
        "cells": settings.cells,
        "sequences": settings.slots,
        "batch": settings.batch,
        "prefill_slice": settings.prefill_slice,
        "retain": settings.retain,
    }
    options: dict[str, str | int | float | bool | None] = {k: v for k, v in chosen.items() if v is not None}
    switches = {"share_prefixes": settings.share_prefixes, "speculate": settings.speculate}
    if settings.prefix_cache_dir is not None:
        options["prefixes"] = str(settings.prefix_cache_dir / model)
        options["prefix_bytes"] = settings.prefix_cache_bytes
    return {**options, **switches, "costs": str(settings.home / "costs" / f"{model}.json")}
