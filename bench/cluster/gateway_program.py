"""A gateway with clients, as a program to kill: `python -m bench.cluster.gateway_program ADDRESSES CLIENTS`.

`ADDRESSES`: of replicas, as JSON. Prints a line once its clients are answered.
"""

import asyncio
import sys

import msgspec
import uvloop

from bench.cluster import conversations, hosts, model
from bench.cluster.gateways import gateway, until
from bench.cluster.traffic import Traffic
from homeport.cluster.replicas import ReplicaAddress


async def _serve(addresses: list[ReplicaAddress], clients: int) -> None:
    async with gateway(hosts.StaticReplicas(addresses), len(addresses)) as serving:
        traffic = Traffic(serving, model.installed(), conversations.client(name="other-"))
        traffic.start(clients)
        await until(lambda: len(traffic.answers) >= clients)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=list[ReplicaAddress]), int(sys.argv[2])))
