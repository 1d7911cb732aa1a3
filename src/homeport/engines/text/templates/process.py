"""Renders chat templates in separate processes, which are killed if a template takes too long.

A process compiles the template once and renders a conversation in one round trip. Another one is started if two threads
render at the same time, or after one was killed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from homeport.engines.text.isolated_process import IsolatedProcess, ProcessPool, ProcessStopped
from homeport.engines.text.prompt_length_limits import Check
from homeport.engines.text.templates.sandbox import ChatTemplateError, Run, TemplateStopped

_WORKER = "homeport.engines.text.templates.worker"
_PURPOSE = "renders the chat template"


class IsolatedProgram:
    """A template compiled in another process. Raises ChatTemplateError if it does not compile within the limits.

    Several threads may use it. Raises Unavailable if no process can be started.
    """

    def __init__(self, source: str) -> None:
        self._processes = ProcessPool(partial(_start, source))
        self._processes.keep(_start(source))

    def render(self, runs: Sequence[Run], check: Check | None = None) -> list[str]:
        """Return the output of each run. Raises ChatTemplateError, and what `check` raises, called while it waits."""
        return cast("list[str]", self._render(runs, check, skips_refused=False))

    def try_render(self, runs: Sequence[Run]) -> list[str | None]:
        """Return the output of each run, None for those that the template refuses. Raises TemplateStopped."""
        return self._render(runs, None, skips_refused=True)

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def _render(self, runs: Sequence[Run], check: Check | None, *, skips_refused: bool) -> list[str | None]:
        process = self._processes.take()
        try:
            message = {"runs": [list(run) for run in runs], "skips_refused": skips_refused}
            reply = _request(process, message, check)
        except BaseException:
            process.end()
            raise
        if reply.get("stopped"):
            process.end()
            raise TemplateStopped(reply["refused"])
        self._processes.keep(process)
        if "refused" in reply:
            raise ChatTemplateError(reply["refused"])
        return cast("list[str | None]", reply["texts"])


def _start(source: str) -> IsolatedProcess:
    """Start a process and compile a template in it."""
    process = IsolatedProcess(_WORKER, _PURPOSE)
    try:
        reply = _request(process, source, None)
        if "refused" in reply:
            raise ChatTemplateError(reply["refused"])
    except BaseException:
        process.end()
        raise
    return process


def _request(process: IsolatedProcess, message: object, check: Check | None) -> dict[str, Any]:
    try:
        return process.request(message, check)
    except ProcessStopped as error:
        reason = "crashed the process that rendered it" if error.is_crash else "took too long"
        raise TemplateStopped(f"The model's chat template {reason}.") from error
