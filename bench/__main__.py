"""`make bench`, or `python -m bench`: every target of the design, in one run, as a table.

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
from bench.plan import Plan
from bench.throughput import OURS
from homeport import settings


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def _run(plan: Plan) -> tuple[list[str], list[str]]:
    """Measure everything on one model; the lines for the log, and those for the README."""
    weights = model_home.weights(plan.home, plan.model)
    laid_out = model_home.laid_out(plan.home, plan.model, plan.say)
    found = throughput.measure(plan, weights, laid_out)
    rows = throughput.rows(found, laid_out) + latency.rows(plan)
    rows += gateway.rows(plan, found[throughput.streams(gateway.STREAMS)][OURS]) + keys.rows(plan)
    beside = busy.measure(plan, busy.loads())
    rows += busy.rows(plan, beside)
    how = f"{machine.rounds(plan.rounds)}{', quick: figures mean nothing' if plan.quick else ''}"
    heading = machine.heading(plan.model, plan.threads, plan.peer.name if plan.peer else "xllamacpp", how)
    figures = [*table.details(found), "", *busy.details(beside)]
    lines = [f"### {heading}", "", *table.targets(rows), "", table.summary(rows), "", *figures]
    return lines, table.readme(rows, heading)


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--also", nargs="*", default=[], help="models to measure too, one round each, for information")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="tiny loads, one round: only to see that all works")
    parser.add_argument("--peer", type=Path, help="a llama.cpp server to measure instead of the wheel's")
    parser.add_argument("--vllm", metavar="PYTHON", help="interpreter of an environment with vLLM's CPU build")
    parser.add_argument("--vllm-weights", metavar="FOLDER", help="the same model as vLLM reads it")
    parser.add_argument("--readme", action="store_true", help="print the README's table too")
    given = parser.parse_args()
    for model in (given.model, *given.also):
        plan = Plan(
            model=model,
            rounds=1 if given.quick or model != given.model else given.rounds,
            threads=given.threads,
            home=settings.load().home,
            say=_say,
            quick=given.quick,
            peer=given.peer,
            vllm=given.vllm,
            vllm_weights=given.vllm_weights,
        )
        lines, readme = _run(plan)
        print("\n".join([*lines, "", "For the README:", "", *readme] if given.readme else lines), flush=True)
        if not plan.quick:
            log.append(lines)


if __name__ == "__main__":
    main()
