"""Queries native code and tests chat templates, each in a child process, because native code may abort.

Knows nothing of settings, and of the engines only the names of the modules that it runs.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from homeport.domain import child_environment
from homeport.domain.errors import Unavailable
from homeport.domain.models import TemplateReport, ToolCheck
from homeport.domain.weight_layouts import LayoutBenchmarkEvent, LayoutBenchmarkJob

_LLAMA = "homeport.engines.llama"
_LAYOUTS = "homeport.engines.text.executors.llama.weight_layout_benchmark"
_TEMPLATES = "homeport.engines.text.templates.report"
_TOOLS = "homeport.engines.text.templates.tool_check"
_TIMEOUT_S = 60


def describe_kernels(library: Path | None) -> str:
    """Describe the kernels of a library, or of the wheel (None). Raises Unavailable if they do not load."""
    result = _run([_LLAMA, *([str(library)] if library else [])], "The kernels")
    if result.returncode != 0:
        error = result.stderr.decode(errors="replace").strip()
        raise Unavailable(error.splitlines()[-1] if error else "the kernels abort")
    return result.stdout.decode().strip()


def report_template(source: str) -> TemplateReport:
    """Report how a chat template behaves. Raises Unavailable if it cannot be tested."""
    result = _run([_TEMPLATES], "The chat template", source.encode())
    if result.returncode != 0:
        raise Unavailable(f"The chat template could not be checked: exit code {result.returncode}.")
    return msgspec.json.decode(result.stdout, type=TemplateReport)


def template_lines(source: str) -> Sequence[str]:
    """The report on a chat template as lines of text; an empty `source` is a model without one."""
    report = report_template(source) if source else TemplateReport(fault="none")
    return [report.fault] if report.fault else report.notes


def check_tools(source: str) -> ToolCheck:
    """Check the tool calls of a chat template. Raises Unavailable if it cannot be tested."""
    result = _run([_TOOLS], "The chat template", source.encode())
    if result.returncode != 0:
        raise Unavailable(f"The chat template could not be checked: exit code {result.returncode}.")
    return msgspec.json.decode(result.stdout, type=ToolCheck)


def _run(module: Sequence[str], subject: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a module with its arguments. Raises Unavailable, which names `subject`, if it does not end in time."""
    command = [sys.executable, "-m", *module]
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
            env=child_environment.child_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{subject} could not be checked: no answer within {_TIMEOUT_S} s.") from error


def benchmark_layouts(job: LayoutBenchmarkJob, on_message: Callable[[str], None]) -> LayoutBenchmarkEvent:
    """Measure layouts of a model's weights; `on_message` receives lines of progress. Raises Unavailable if it fails."""
    command = [sys.executable, "-m", _LAYOUTS, msgspec.json.encode(job).decode()]
    # Standard error goes to a file: a full pipe that nobody reads would block the child.
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=child_environment.child_environment(),
        ) as child,
    ):
        try:
            for line in child.stdout or ():
                event = msgspec.json.decode(line, type=LayoutBenchmarkEvent)
                if event.trials is not None:
                    return event
                on_message(event.text)
            child.wait()
            stderr.seek(0)
            error = stderr.read().decode("utf-8", "replace").strip()
        finally:
            child.kill()
    raise Unavailable(f"Measuring failed: {error.splitlines()[-1] if error else 'the kernels abort'}")
