"""The rows on the gateway: its CPU time per streamed token, its idle memory, and how soon it is ready."""

import time
from pathlib import Path

from bench import figures, rounds, scripted, servers
from bench.figures import Outcome
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from bench.workload import Workload
from homeport import remote, rendezvous

STREAMS = 32
_REST_S = 5.0
_CPU_LIMIT_US, _MEMORY_LIMIT_MB, _READY_LIMIT_S = 30.0, 120.0, 2.0


def rows(plan: Plan, real: list[Outcome]) -> list[Row]:
    """Measure all of them. `real`: runs of 32 streams on real weights, whose gateway's CPU time is known."""
    words, resting = _scripted(plan)
    name = f"gateway CPU per streamed token, {STREAMS} streams"
    rest = f"{resting * 1e3:.1f} ms CPU per second at rest taken off"
    return [
        _cost(f"{name}, scripted engine at {scripted.STEPS_PER_S} steps/s", words, 0.0, "all of its CPU counted"),
        _cost(f"{name}, real weights", real, resting, rest),
        *_start(plan),
    ]


def _cost(name: str, runs: list[Outcome], resting: float, note: str) -> Row:
    """A row on CPU time per token, less what the gateway takes per second (`resting`) though nothing is asked."""
    each = [run.cpu_per_token_s - resting * run.wall_s / run.output_tokens for run in runs if run.output_tokens]
    spent = figures.median(each) * 1e6
    told = f"{figures.speed(runs):.0f} tokens/s, opening the requests counted, {note}"
    return Row(name, "–", "µs", spent, None, _CPU_LIMIT_US, at_most=True, note=told)


def _scripted(plan: Plan) -> tuple[list[Outcome], float]:
    """Runs behind the engine that says a word a step, and the CPU time per second of a gateway that rests."""
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
        time.sleep(_REST_S)
        return runs, (side.child.main_cpu_s() - before) / _REST_S


def _start(plan: Plan) -> list[Row]:
    spent, resident, proportional = [], [], []
    for turn in range(plan.rounds):
        plan.say(f"start: round {turn + 1} of {plan.rounds}")
        began = time.perf_counter()
        with servers.homeport(plan.model, plan.same_kernels()) as side:
            spent.append(time.perf_counter() - began)
            _unload(side, plan.home)
            rss, pss = side.child.memory_bytes()
        resident.append(rss / 1e6)
        proportional.append(pss / 1e6)
    note = f"RSS; PSS is {figures.median(proportional):.0f} MB"
    memory, ready = figures.median(resident), figures.median(spent)
    return [
        Row("idle memory of the gateway, no model", "–", "MB", memory, None, _MEMORY_LIMIT_MB, at_most=True, note=note),
        Row(f"start to ready with {plan.model} cached", "–", "s", ready, None, _READY_LIMIT_S, at_most=True),
    ]


def _unload(side: Served, home: Path) -> None:
    running = rendezvous.find(home, port=side.address.port)
    if running is None:
        raise RuntimeError("the server did not say where it runs")
    remote.stop(running, side.address.model)
