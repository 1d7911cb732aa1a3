"""Which chat templates run in this process: those of tested models. All others run in a separate process."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from homeport.engines.text.sandbox import Run, SandboxedTemplate
from homeport.engines.text.template_process import IsolatedProgram

KNOWN = frozenset(
    {
        "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f",  # qwen2.5-coder-0.5b
        "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",  # smollm2-135m
        "4f05b98fc0a9dde9a39d4b6e17f3bf427b1eea5b95776755fd5d05cda72a3b35",  # the executor of the tests
    }
)
"""SHA-256 of templates whose time and memory are known to grow with the conversation and no faster."""


class TemplateProgram(Protocol):
    """A compiled chat template, wherever it runs."""

    def render(self, runs: Sequence[Run], check: Callable[[], None] | None = None) -> list[str]:
        """The output of each run. Raises ChatTemplateError, and what `check` raises."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def is_known(source: str) -> bool:
    """Whether a template may run in this process."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest() in KNOWN


def compile_template(source: str) -> TemplateProgram:
    """Compile a template. Raises ChatTemplateError where it does not compile."""
    return SandboxedTemplate(source) if is_known(source) else IsolatedProgram(source)
