"""`python -m bench.text`: our text engine against llama.cpp's own server, same kernels, same GGUF, one run.

Rounds alternate ours, peer with default flags, peer with tuned flags, so drift of the machine hits all alike; the
better of the peer's two medians is the bar. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import asyncio
import datetime
import os
import platform
import statistics
import subprocess
from contextlib import ExitStack
from pathlib import Path

import platformdirs

from bench import load, servers
from bench.load import Outcome
from bench.servers import Address
from bench.workload import TEXT_WORKLOADS, Workload
from homeport.domain.layouts import ORIGINAL
from homeport.models.store import Store

LOG = Path(__file__).parent / "LOG.md"
SIDES = ("ours", "default", "tuned")


def _weights(model: str) -> Path:
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    found = Store(home, ORIGINAL).find(model)
    if found is None:
        raise FileNotFoundError(f"{model} is not installed: run `make setup`")
    return found.files["weights"]


def _measure(addresses: dict[str, Address], work: Workload, rounds: int) -> dict[str, list[Outcome]]:
    outcomes: dict[str, list[Outcome]] = {side: [] for side in addresses}
    for turn in range(rounds):
        for side, address in addresses.items():
            outcome = asyncio.run(load.run(address.host, address.port, address.model, work, seed=1000 + turn))
            outcomes[side].append(outcome)
    return outcomes


def _row(work: Workload, outcomes: dict[str, list[Outcome]]) -> str:
    speed = {side: statistics.median(o.tokens_per_s for o in runs) for side, runs in outcomes.items()}
    ttft = {side: statistics.median(o.ttft_p50_s for o in runs) for side, runs in outcomes.items()}
    errors = sum(o.errors for runs in outcomes.values() for o in runs)
    peers = [side for side in speed if side != "ours"]
    best = max(peers, key=lambda side: speed[side])
    cells = [work.name]
    cells += [f"{speed[side]:.1f}" for side in speed]
    cells += [f"{speed['ours'] / speed[best]:.2f}", f"{ttft['ours'] * 1e3:.0f} / {ttft[best] * 1e3:.0f}", str(errors)]
    return "| " + " | ".join(cells) + " |"


def _heading(model: str, rounds: int, threads: int) -> list[str]:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return [
        f"### {day} · {asked.stdout.strip()} · {model} · {platform.machine()}, {os.cpu_count()} cores, "
        f"{threads} threads · {rounds} rounds",
        "",
        "| load | ours tok/s | peer, default flags | peer, tuned flags | ours / better peer "
        "| TTFT p50 ms, ours / that peer | errors |",
        "|---|---|---|---|---|---|---|",
    ]


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of loads to run (default: 1 and 16 streams)")
    parser.add_argument("--all", action="store_true", help="every load of the table")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    wanted = options.only or ["1 stream", "16 streams"]
    works = [work for work in TEXT_WORKLOADS if options.all or work.name in wanted]
    weights = _weights(options.model)
    settings = {"LLAMA_LIB": str(servers.wheel_kernels()), "THREADS": str(options.threads), "LAYOUT": "original"}
    lines = _heading(options.model, options.rounds, options.threads)
    print("\n".join(lines), flush=True)
    with ExitStack() as stack:
        addresses = {
            "ours": stack.enter_context(servers.homeport(options.model, settings)),
            "default": stack.enter_context(servers.llamacpp(weights, servers.PEER_DEFAULT, options.threads)),
            "tuned": stack.enter_context(servers.llamacpp(weights, servers.PEER_TUNED, options.threads)),
        }
        warm = Workload("warm-up", requests=1, prompt_tokens=16, output_tokens=4)
        _measure(addresses, warm, 1)
        for work in works:
            row = _row(work, _measure(addresses, work, options.rounds))
            lines.append(row)
            print(row, flush=True)
    if options.log:
        with LOG.open("a", encoding="utf-8") as log:
            log.write("\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
