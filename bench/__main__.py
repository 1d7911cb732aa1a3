"""`make bench`, or `python -m bench`: measures every performance target in one run and prints a table.

The table is appended to bench/LOG.md with the machine, the versions and the commit; a quick run is only printed.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from bench import (
    busy,
    gateway,
    keys,
    latency,
    log,
    machine,
    model_home,
    table,
    throughput,
)
from bench.peers import comparison, options, vllm_cpu
from bench.peers.vllm_cpu import Installation
from bench.plan import Plan
from bench.throughput import OURS
from homeport import settings


def _report(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _run(plan: Plan, peer: Installation) -> tuple[list[str], list[str]]:
    """Measure everything on one model; return the lines for the log and those for the README.

    `peer`: vLLM's CPU build, which is measured if it is complete.
    """
    weights = model_home.weights(plan.home, plan.model)
    optimized = model_home.optimized(plan.home, plan.model, plan.say)
    found = throughput.measure(plan, weights, optimized)
    missing = peer.missing(plan.model)
    compared = {} if missing else comparison.measure(plan, peer, optimized)
    rows = throughput.rows(found, optimized)
    rows += comparison.missing(missing) if missing else comparison.rows(compared, optimized.note)
    rows += latency.rows(plan)
    rows += gateway.rows(plan, found[throughput.streams(gateway.STREAMS)][OURS]) + keys.rows(plan)
    busy_runs = busy.measure(plan, busy.loads())
    rows += busy.rows(plan, busy_runs)
    method = f"{machine.rounds(plan.rounds)}{', quick: figures mean nothing' if plan.quick else ''}"
    if not missing:
        method += f", {vllm_cpu.TITLE}"
    llama_server = plan.llama_server.name if plan.llama_server else "xllamacpp"
    heading = machine.heading(plan.model, plan.threads, llama_server, method)
    figures = [*table.details(found), *(["", *comparison.details(compared)] if compared else [])]
    figures += ["", *busy.details(busy_runs)]
    lines = [f"### {heading}", "", *table.targets(rows), "", table.summary(rows), "", *figures]
    return lines, table.readme(rows, heading)


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--also", nargs="*", default=[], help="further models to measure, one round each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--quick", action="store_true", help="tiny loads, one round: only to check that everything works"
    )
    parser.add_argument("--llama-server", type=Path, help="llama.cpp's server to use instead of the wheel's")
    options.add(parser)
    parser.add_argument("--readme", action="store_true", help="also print the README's table")
    arguments = parser.parse_args()
    peer = options.installation(parser, arguments)
    for model in (arguments.model, *arguments.also):
        plan = Plan(
            model=model,
            rounds=1 if arguments.quick or model != arguments.model else arguments.rounds,
            threads=arguments.threads,
            home=settings.load().home,
            say=_report,
            quick=arguments.quick,
            llama_server=arguments.llama_server,
        )
        lines, readme = _run(plan, peer)
        print("\n".join([*lines, "", "For the README:", "", *readme] if arguments.readme else lines), flush=True)
        if not plan.quick:
            log.append(lines)


if __name__ == "__main__":
    main()
