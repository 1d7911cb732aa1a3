"""A gateway in a process of its own, for tests to kill: has one stream on a replica, prints a line, and waits.

Arguments: the replica's address as JSON, and the stream's prompt. Signals have their default effect.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop

from homeport.cluster.cluster_serving import ClusterServing
from homeport.cluster.replicas import ReplicaAddress
from tests.serving.conftest import QUICK, local_cluster, prompt, scripted


async def main(address: ReplicaAddress, text: str) -> None:
    """Open one stream and wait."""
    cluster = local_cluster(QUICK, Path("/nowhere"))
    cluster.addresses[address.replica] = address
    serving = ClusterServing(cluster.view(), QUICK)
    await serving.start()
    stream = await serving.open(scripted(), prompt(text))
    await stream.admitted()
    sys.stdout.write("admitted\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=ReplicaAddress), sys.argv[2]))
