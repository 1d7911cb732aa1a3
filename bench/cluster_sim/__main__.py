"""`python -m bench.cluster_sim`: the router of a cluster against other policies, from 1 to 1,000 replicas.

Prints tables. `--log` appends them to bench/LOG.md; `--docs` writes the results, tables of docs/cluster.md, and a plot.
`--render` only writes the page and the plot from the results of the last `--docs`.
"""

import argparse
from collections.abc import Sequence

from bench import log, machine
from bench.cluster_sim import page, report
from bench.cluster_sim.cells import DURATIONS_S, LOADS, POLICIES, SEEDS, Result, events, run, steady


def main() -> None:
    """Simulate, and print the tables."""
    arguments = _parser().parse_args()
    if arguments.render:
        page.write(page.load())
        return
    cells = [*steady(arguments.replicas, arguments.loads, arguments.seeds)]
    if not arguments.no_events:
        cells += events(arguments.seeds)
    results: list[Result] = []
    for number, cell in enumerate(cells, 1):
        results += [run(cell, policy) for policy in POLICIES]
        count, load, _, seed, *_ = cell.scenario
        print(f"{number} of {len(cells)}: {count} replicas, load {load:g}, seed {seed} {cell.event}", flush=True)
    lines = [f"### {_heading(arguments.seeds)}", "", *report.tables(results)]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)
    if arguments.docs:
        page.save(results)
        page.write(results)


def _heading(seeds: Sequence[int]) -> str:
    return machine.heading("cluster simulation", 1, "none", f"seeds {', '.join(map(str, seeds))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster_sim", description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", choices=list(DURATIONS_S), default=list(DURATIONS_S))
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--no-events", action="store_true", help="leave out failures and scale-out")
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    parser.add_argument("--docs", action="store_true", help="write the results, docs/cluster.md and its plot")
    parser.add_argument("--render", action="store_true", help="write docs/cluster.md from the last results")
    return parser


if __name__ == "__main__":
    main()
