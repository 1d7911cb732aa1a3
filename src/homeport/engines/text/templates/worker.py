"""The process that runs an unknown chat template; it can be killed whatever the template does.

The first message is the template, each further one a list of renderings. Limits are those of `isolated_worker`.
"""

from typing import Any

from homeport.engines.text.isolated_worker import Reply, serve
from homeport.engines.text.templates.sandbox import (
    ChatTemplateError,
    Run,
    SandboxedTemplate,
    TemplateStopped,
)


class _Worker:
    def __init__(self) -> None:
        self._program: SandboxedTemplate | None = None

    def answer(self, message: Any) -> tuple[Reply, bool]:
        """Compile the template, then render; after an error of the template's own limits the process ends."""
        try:
            if self._program is None:
                self._program = SandboxedTemplate(message)
                return {}, True
            runs = [Run(*run) for run in message["runs"]]
            render = self._program.try_render if message["skips_refused"] else self._program.render
            return {"texts": render(runs)}, True
        except TemplateStopped as error:
            return {"refused": str(error), "stopped": True}, False  # the process ends, which frees its memory
        except ChatTemplateError as error:
            return {"refused": str(error)}, self._program is not None


def main() -> None:
    """Process requests until standard input ends."""
    serve(_Worker().answer)
