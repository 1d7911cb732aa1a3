"""What native code says of itself and of this machine, asked in a process of its own: it may abort. And what chat
templates are like, asked in the same way.

Knows nothing of settings, nor of the engines but the names of what is run.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from homeport.domain import child_environment
from homeport.domain.errors import Unavailable
from homeport.domain.models import TemplateReport
from homeport.domain.weight_layouts import LayoutBenchmarkEvent, LayoutBenchmarkJob

_LLAMA = "homeport.engines.llama"
_LAYOUTS = "homeport.engines.text.executors.llama.layout_benchmark"
_TEMPLATES = "homeport.engines.text.template_report"
_DESCRIBE_S = 60


def kernels(library: Path | None) -> str:
    """Describe the kernels in a library, or in the wheel. Raises Unavailable where they do not load."""
    asked = _asked([_LLAMA, *([str(library)] if library else [])], "The kernels")
    if asked.returncode != 0:
        said = asked.stderr.decode(errors="replace").strip()
        raise Unavailable(said.splitlines()[-1] if said else "the kernels abort")
    return asked.stdout.decode().strip()


def template(source: str) -> TemplateReport:
    """What a chat template is like. Raises Unavailable where it cannot be tried."""
    asked = _asked([_TEMPLATES], "The chat template", source.encode())
    if asked.returncode != 0:
        raise Unavailable(f"The chat template could not be checked: exit code {asked.returncode}.")
    return msgspec.json.decode(asked.stdout, type=TemplateReport)


def template_lines(source: str) -> Sequence[str]:
    """The same in words, for a model that may have none."""
    found = template(source) if source else TemplateReport(fault="none")
    return [found.fault] if found.fault else found.notes


def _asked(program: Sequence[str], what: str, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a module with its arguments. Raises Unavailable where it does not end in time."""
    command = [sys.executable, "-m", *program]
    try:
        return subprocess.run(
            command,
            input=said,
            capture_output=True,
            check=False,
            timeout=_DESCRIBE_S,
            env=child_environment.child_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} could not be checked: no answer within {_DESCRIBE_S} s.") from error


def benchmark_layouts(job: LayoutBenchmarkJob, on_message: Callable[[str], None]) -> LayoutBenchmarkEvent:
    """Try layouts of a model's weights; `hear` what is said meanwhile. Raises Unavailable where it breaks off."""
    command = [sys.executable, "-m", _LAYOUTS, msgspec.json.encode(job).decode()]
    # What it complains of goes to a file: a pipe that nobody reads would stop it when full.
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=child_environment.child_environment(),
        ) as child,
    ):
        try:
            for line in child.stdout or ():
                told = msgspec.json.decode(line, type=LayoutBenchmarkEvent)
                if told.trials is not None:
                    return told
                on_message(told.text)
            child.wait()
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace").strip()
        finally:
            child.kill()
    raise Unavailable(f"Measuring failed: {said.splitlines()[-1] if said else 'the kernels abort'}")
