"""A server on one machine is not changed by the cluster."""

import subprocess
import sys


def test_one_machine_imports_no_cluster() -> None:
    """The server and its commands import nothing of the cluster, nor Ray."""
    code = (
        "import sys, homeport.app.server, homeport.app.commands, homeport.__main__\n"
        "found = [name for name in sys.modules if name.startswith('homeport.cluster') or name.split('.')[0] == 'ray']\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
