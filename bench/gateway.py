"""The rows on the gateway: its CPU time per streamed token, its idle memory, and its start time."""

import time
from pathlib import Path

from bench import (
    rounds,
    run_stats,
    scripted,
    servers,
)
from bench.plan import Plan
from bench.row import Row
from bench.run_stats import Outcome
from bench.servers import Served
from bench.workload import Workload
from homeport.client import http_client, runfile

STREAMS = 32
_IDLE_S = 5.0
_CPU_LIMIT_US, _MEMORY_LIMIT_MB, _READY_LIMIT_S = 30.0, 120.0, 2.0


def rows(plan: Plan, real: list[Outcome]) -> list[Row]:
    """Measure all rows. `real`: outcomes of 32 streams on real weights, with the gateway's CPU time.

    The verdict uses the scripted engine. With real weights a CPU generates so few tokens per second that the cost of
    opening requests and of an idle gateway dominates; that figure is in the note.
    """
    words, idle_cpu = _scripted(plan)
    spent, on_real = (run_stats.median(run.cpu_per_token_s for run in runs) * 1e6 for runs in (words, real))
    note = (
        f"scripted engine, {run_stats.speed(words):.0f} tokens/s at {scripted.STEPS_PER_S} steps/s, opening requests "
        f"included; on real weights {on_real:.0f} µs at {run_stats.speed(real):.0f} tokens/s, of which "
        f"{idle_cpu * 1e6 / run_stats.speed(real):.0f} µs for an idle gateway ({idle_cpu * 1e3:.1f} ms CPU per second)"
    )
    work = f"gateway CPU per streamed token, {STREAMS} streams"
    return [Row(work, "–", "µs", spent, None, _CPU_LIMIT_US, at_most=True, note=note), *_start(plan)]


def _scripted(plan: Plan) -> tuple[list[Outcome], float]:
    """Measure runs with the scripted engine, and the CPU time per second of an idle gateway."""
    work = Workload("words", requests=STREAMS, output_tokens=200 if plan.quick else 600)
    settings = {"HOME": str(plan.home), "SLOTS": str(STREAMS)}
    with servers.homeport(plan.model, settings, ("-m", "bench.scripted", "serve")) as side:
        warm = Workload("warm-up", requests=STREAMS, prompt_tokens=16, output_tokens=20)
        rounds.alone(side, warm, turn=0)
        runs = []
        for turn in range(plan.rounds):
            plan.say(f"gateway cost: {STREAMS} streams of the scripted engine, round {turn + 1} of {plan.rounds}")
            runs.append(rounds.alone(side, work, turn))
        side.child.resume()
        before = side.child.main_cpu_s()
        time.sleep(_IDLE_S)
        return runs, (side.child.main_cpu_s() - before) / _IDLE_S


def _start(plan: Plan) -> list[Row]:
    spent, resident, proportional = [], [], []
    for turn in range(plan.rounds):
        plan.say(f"start: round {turn + 1} of {plan.rounds}")
        start = time.perf_counter()
        with servers.homeport(plan.model, plan.same_kernels(), waits=False) as side:
            spent.append(time.perf_counter() - start)
            _unload(side, plan.home)
            rss, pss = side.child.memory_bytes()
        resident.append(rss / 1e6)
        proportional.append(pss / 1e6)
    note = f"RSS; PSS is {run_stats.median(proportional):.0f} MB"
    memory, ready = run_stats.median(resident), run_stats.median(spent)
    return [
        Row("idle memory of the gateway, no model", "–", "MB", memory, None, _MEMORY_LIMIT_MB, at_most=True, note=note),
        Row(f"start to ready with {plan.model} cached", "–", "s", ready, None, _READY_LIMIT_S, at_most=True),
    ]


def _unload(side: Served, home: Path) -> None:
    running = runfile.find(home, port=side.address.port)
    if running is None:
        raise RuntimeError("the server has no run file")
    http_client.stop(running, side.address.model)
