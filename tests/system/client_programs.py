"""Runs the programs in `clients/` against a server, in the environment of old clients (`.venv-clients`)."""

import json
import subprocess
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).parents[2] / ".venv-clients" / "bin" / "python"
_PROGRAMS = Path(__file__).parent / "clients"


def run_client(program: str, *arguments: str | Path, stdin: str | None = None, timeout_s: float = 240) -> Any:
    """Run a program to its end; return the JSON on the last line that it prints."""
    command = [str(PYTHON), str(_PROGRAMS / f"{program}.py"), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
