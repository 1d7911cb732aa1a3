"""A replica's host in a process of its own, for tests to kill and to stop: prints its port, secret and worker's pid.

Arguments: the folder of its spool, and its address. Signals have their default effect: nothing is cleaned up.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from homeport.cluster.replica_host import ReplicaHost
from tests.serving.conftest import QUICK, launch_message, scripted


async def main(spool: Path, address: str) -> None:
    """Serve until killed."""
    host = ReplicaHost(launch_message(QUICK, {}, scripted()), QUICK, spool, "far", "there")
    await host.start(address)
    await host.ready()
    sys.stdout.write(f"{host.port} {host.secret.hex()} {host.report.pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
