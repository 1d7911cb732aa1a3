"""A replica's host as a program: `python -m bench.cluster.replica NAME ADDRESS FOLDER ENGINE`.

Prints one line of JSON, the replica's address, once the model is loaded. SIGTERM drains it; SIGKILL is what a benchmark
sends to lose it. `ENGINE`: the engine's options, as JSON.
"""

import asyncio
import signal
import sys

import msgspec
import uvloop

from bench.cluster import model
from homeport.cluster.replica_host import ReplicaHost
from homeport.cluster.replicas import ReplicaAddress

DRAIN_S = 30.0


async def _serve(name: str, address: str, folder: str, engine: model.EngineOptions) -> None:
    host = ReplicaHost(model.launch_message(engine), model.OPTIONS, model.spool(folder, name), name, address)
    is_ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_ended.set)
    await host.start(address)
    await host.ready()
    known = ReplicaAddress(name, model.NAME, model.installed().digest, address, address, host.port, host.secret)
    print(msgspec.json.encode(known).decode(), flush=True)
    await is_ended.wait()
    await host.drain(DRAIN_S)
    await host.close()


if __name__ == "__main__":
    _, replica_name, host_address, spool_folder, engine_options = sys.argv
    options = msgspec.json.decode(engine_options, type=model.EngineOptions)
    uvloop.run(_serve(replica_name, host_address, spool_folder, options))
