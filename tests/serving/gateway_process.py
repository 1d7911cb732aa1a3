"""A small gateway for tests to kill: serves one stream of the scripted engine, prints its worker's pid, and waits.

Argument: the prompt. Signals have their default effect: nothing is cleaned up.
"""

import asyncio
import sys

import uvloop

from homeport.serving.worker_serving import WorkerServing
from tests.serving.conftest import QUICK, prompt, scripted, until


async def main(text: str) -> None:
    """Open one stream and wait."""
    serving = WorkerServing(QUICK, {"scripted": "tests.serving.scripted_engine:load"})
    await serving.start()
    stream = await serving.open(scripted(), prompt(text))
    await stream.admitted()
    await until(lambda: serving.stats()["m"].running)
    sys.stdout.write(f"{serving.worker_status()[0].pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
