"""`python -m bench.cluster`: the rows on the cluster, and the table of failures. `--log` appends them to bench/LOG.md.

Failures that need Ray are measured on three nodes on this machine if Ray is installed, and left out otherwise. The
partition needs root on Linux, and is left out otherwise.
"""

import argparse
import os
import sys
import time

import uvloop

from bench import log, machine, table
from bench.cluster import cost, failures, observation, ray_failures, throughput
from bench.plan import Plan
from homeport.settings import load

PARTS = ("cost", "throughput", "failures", "ray")


async def _measure(plan: Plan, parts: list[str]) -> list[str]:
    rows = []
    if "cost" in parts:
        rows += await cost.rows(plan)
    if "throughput" in parts:
        rows += await throughput.rows(plan)
    found: list[observation.Failure] = []
    if "failures" in parts:
        found += await failures.measure(plan)
    if "ray" in parts:
        found += await ray_failures.measure(plan)
    lines = [*table.targets(rows), "", table.summary(rows)] if rows else []
    if found:
        lines += ["", *observation.table(found)] if rows else observation.table(found)
    return lines


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="short runs, only to check that everything works")
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    arguments = parser.parse_args()
    plan = Plan(
        "none", 1 if arguments.quick else arguments.rounds, os.cpu_count() or 1, load().home, _say, arguments.quick
    )
    lines = uvloop.run(_measure(plan, arguments.parts))
    heading = machine.heading("cluster", 1, "none", machine.rounds(plan.rounds))
    lines = [f"### {heading}", "", *lines]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
