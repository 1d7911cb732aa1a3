"""Why a node did not start, from the output of Ray's processes. Knows nothing of processes and files."""

import re

_VERSIONS = re.compile(r"Version mismatch.*?Ray: (\S+)\s+Python: (\S+).*?Ray: (\S+)\s+Python: (\S+)", re.DOTALL)
_ERROR = re.compile(r"[\w.]*(Error|Exception): ")
_MAX_CHARS = 300


def describe_failure(output: str) -> str:
    """Return a sentence, or the line of the output that says most: Ray may write more after the error itself."""
    if versions := _VERSIONS.search(output):
        ray, python, own_ray, own_python = versions.groups()
        return (
            f"the cluster runs Ray {ray} and Python {python}, this machine Ray {own_ray} and Python {own_python}; "
            "install the cluster's versions here."
        )
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return next(reversed(errors or lines), "no output")[:_MAX_CHARS]
