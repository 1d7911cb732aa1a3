"""`python -m bench.images`: pictures over HTTP against stable-diffusion.cpp alone on a tiny checkpoint, in one run.

The bare side calls the library in this process with the parameters that our engine gives it, one picture after another,
and does nothing with the pixels: no server, no worker, no file. Rounds take turns, so drift of the machine hits both
alike. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from cyllama import sd
from tests.system.gallery import MODEL, furnish

from bench import homes, log, machine, servers
from bench.load import Address
from homeport.settings import share_processors

EDGE = 256
CALLERS = (1, 4)
TARGET = 0.95


class Bare:
    """The library with the tiny model."""

    def __init__(self, files: Mapping[str, Path], threads: int) -> None:
        params = sd.SDContextParams(vae_decode_only=False, n_threads=threads)
        params.free_params_immediately = False
        params.diffusion_model_path = str(files["diffusion"])
        params.clip_l_path = str(files["clip_l"])
        params.taesd_path = str(files["taesd"])
        self._context = sd.SDContext(params)

    def paint(self, steps: int, seed: int) -> None:
        """One picture."""
        wanted = sd.SDImageGenParams()
        wanted.prompt, wanted.width, wanted.height, wanted.seed = "a red fox", EDGE, EDGE, seed
        wanted.sample_params.sample_steps, wanted.sample_params.cfg_scale = steps, 1.0
        wanted.sample_params.sample_method = sd.SampleMethod.EULER
        self._context.generate_with_params(wanted)


def _ours(address: Address, steps: int, seed: int) -> None:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=600)
    asked = {"model": address.model, "prompt": "a red fox", "steps": steps, "seed": seed, "response_format": "b64_json"}
    connection.request("POST", "/v1/images/generations", json.dumps(asked), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(body.decode())


def _row(callers: int, steps: int, address: Address, bare: Bare, rounds: int) -> str:
    """Seconds per picture with so many callers at once, on both sides."""
    ours: list[float] = []
    alone: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        for seed in range(callers):
            bare.paint(steps, seed)
        alone.append((time.perf_counter() - began) / callers)
        began = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(partial(_ours, address, steps), range(callers)))
        ours.append((time.perf_counter() - began) / callers)
    seconds, floor = statistics.median(ours), statistics.median(alone)
    cells = [str(callers), f"{seconds:.2f}", f"{floor:.2f}", f"{floor / seconds:.2f}"]
    return "| " + " | ".join([*cells, "yes" if floor / seconds >= TARGET else "no"]) + " |"


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    asked = parser.parse_args()
    share_processors()  # as the server does: both sides wait for their threads in the same way
    how = f"{EDGE}x{EDGE}, {asked.steps} steps, {machine.rounds(asked.rounds)}"
    lines = [
        f"### {machine.heading(MODEL, asked.threads, 'cyllama', how)}",
        "",
        f"| callers | seconds per picture | the library alone | alone / ours | at least {TARGET} |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        furnish(home, edge=EDGE)
        bare = Bare(homes.files(home, MODEL), asked.threads)
        bare.paint(asked.steps, 0)
        settings = {"THREADS": str(asked.threads), "HOME": folder, "OFFLINE": "1"}
        with servers.homeport(MODEL, settings) as served:
            _ours(served.address, asked.steps, 0)
            for callers in CALLERS:
                lines.append(_row(callers, asked.steps, served.address, bare, asked.rounds))
                print(lines[-1], flush=True)
    if asked.log:
        log.append(lines)


if __name__ == "__main__":
    main()
