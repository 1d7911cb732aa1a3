"""Examines the machine and the installation, one finding at a time.

Kernels, models and hubs are examined through `Probes`, so this module imports none of them.
"""

import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

import psutil

from homeport.client import runfile
from homeport.domain.allowed_hosts import ANY_PUBLIC
from homeport.domain.errors import HomeportError
from homeport.domain.models import InstalledModel
from homeport.domain.operations import Finding
from homeport.settings import Settings

_GB = 1_000_000_000
_FASTER = "faster: "
_MIN_DISK_BYTES = 2 * _GB
_MIN_MEMORY_BYTES = 1 * _GB


@dataclass(frozen=True)
class Probes:
    """Functions that examine other parts. Each raises HomeportError, with a remedy, if the part does not work.

    `kernels` returns lines about the kernels in use: file, version, CPU family, devices; a line that begins with
    `faster: ` is a command that installs faster ones. `verify` hashes a model's files. `reach` queries one hub and
    returns a line about its response.
    """

    kernels: Callable[[], str]
    models: Callable[[], Sequence[InstalledModel]]
    verify: Callable[[InstalledModel], None]
    hubs: Sequence[str]
    reach: Callable[[str], str]


def examine(settings: Settings, probes: Probes, *, online: bool) -> Iterator[Finding]:
    """Yield the findings, cheap ones first. Uses the network only if `online` is true and `settings.offline` is not."""
    yield _python()
    yield Finding("platform", "good", f"{platform.platform()}, {psutil.cpu_count()} CPUs")
    yield _kernels(probes)
    yield _prompts(settings)
    yield _disk(settings)
    yield _memory(settings)
    yield _port(settings)
    yield from _models(probes)
    yield from _mcp(settings)
    yield from _image_hosts(settings)
    if online and settings.offline:
        yield Finding("hubs", "warning", "not checked: the setting `offline` is on")
    elif online:
        yield from (_hub(probes, name) for name in probes.hubs)


def _python() -> Finding:
    return Finding("python", "good", f"{platform.python_version()} ({sys.executable})")


def _kernels(probes: Probes) -> Finding:
    try:
        lines = probes.kernels().splitlines()
    except HomeportError as error:
        return Finding("kernels", "bad", str(error), "homeport kernels install")
    remedy = " ".join(line.removeprefix(_FASTER) for line in lines if line.startswith(_FASTER))
    facts = "; ".join(line.removeprefix("kernels: ") for line in lines if not line.startswith(_FASTER))
    return Finding("kernels", "warning" if remedy else "good", facts, remedy)


def _prompts(settings: Settings) -> Finding:
    return Finding("prompts", "good", describe_prompts(settings))


def describe_prompts(settings: Settings) -> str:
    """Say what computes prompts and several streams of a text model on this machine, and what would be faster."""
    if settings.prompts == "off":
        return "computed by the kernels: the setting `prompts` is off"
    try:
        return f"OpenVINO {metadata.version('openvino')}, for models and machines where it is faster"
    except metadata.PackageNotFoundError:
        detail = "computed by the kernels"
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return f"{detail}; faster with the extra `prompts` (pip install 'homeport[prompts]')"
    return detail


def _disk(settings: Settings) -> Finding:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / _GB:.1f} GB free at {settings.home}"
    if free < _MIN_DISK_BYTES:
        return Finding("disk", "warning", detail, "remove models (`homeport rm`) or set HOMEPORT_HOME to another disk")
    return Finding("disk", "good", detail)


def _memory(settings: Settings) -> Finding:
    memory = psutil.virtual_memory()
    detail = f"{memory.available / _GB:.1f} GB of {memory.total / _GB:.1f} GB available"
    if settings.memory_budget_bytes and settings.memory_budget_bytes > memory.total:
        return Finding("memory", "warning", detail, "memory_budget_bytes exceeds the machine's memory: set it lower")
    if memory.available < _MIN_MEMORY_BYTES:
        return Finding("memory", "warning", detail, "close other programs, or use a smaller model")
    return Finding("memory", "good", detail)


def _port(settings: Settings) -> Finding:
    running = runfile.find(settings.home, port=settings.port)
    if running:
        return Finding("port", "good", f"{settings.port}: a Homeport server listens on it (process {running.pid})")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return Finding("port", "bad", f"{settings.host}:{settings.port}: {error.strerror}", "set HOMEPORT_PORT")
    return Finding("port", "good", f"{settings.host}:{settings.port} is free")


def _models(probes: Probes) -> Iterator[Finding]:
    models = probes.models()
    if not models:
        yield Finding("models", "warning", "no model is installed", "homeport pull qwen2.5-coder-0.5b")
    for model in models:
        name = model.facts.name
        try:
            probes.verify(model)
        except HomeportError as error:
            yield Finding("model", "bad", f"{name}: {error}", f"homeport rm {name}; homeport pull {name}")
        else:
            yield Finding("model", "good", f"{name}: {model.facts.size_bytes / _GB:.2f} GB, hashes match")


def _mcp(settings: Settings) -> Iterator[Finding]:
    if settings.mcp_hosts:
        hosts = ", ".join(settings.mcp_hosts)
        if find_spec("mcp") is None:
            yield Finding("mcp", "warning", f"{hosts}: the extra is not installed", "pip install 'homeport[mcp]'")
        else:
            yield Finding("mcp", "good", f"responses may use {hosts}")


def _image_hosts(settings: Settings) -> Iterator[Finding]:
    if settings.image_hosts:
        hosts = ", ".join("every public host" if host == ANY_PUBLIC else host for host in settings.image_hosts)
        yield Finding("image hosts", "good", f"images of requests are fetched from {hosts}")


def _hub(probes: Probes, name: str) -> Finding:
    try:
        return Finding("hub", "good", f"{name}: {probes.reach(name)}")
    except HomeportError as error:
        return Finding("hub", "warning", f"{name}: {error}", "set an endpoint that you can reach, or change hub_order")
