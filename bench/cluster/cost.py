"""What the link to a replica on another machine costs a gateway, against a worker of its own: CPU time, and TTFT.

Both back ends are measured through `domain.ports.serving.Serving`, without HTTP, which costs both the same.
"""

import asyncio
import statistics
import time
from collections.abc import Callable

import msgspec

from bench.cluster import hosts, model
from bench.cluster.gateways import gateway
from bench.cluster.model import EngineOptions
from bench.cluster.traffic import Traffic, ask
from bench.plan import Plan
from bench.row import Row
from homeport.domain.ports.serving import Serving
from homeport.domain.text import TextRequest
from homeport.serving.worker_serving import WorkerServing

STREAMS = 32
_ENGINE = EngineOptions(slots=STREAMS + 1)
_CPU_LIMIT, _TTFT_LIMIT_MS = 1.5, 10.0
_OPTIONS = msgspec.structs.replace(model.OPTIONS, slots=STREAMS + 1)


class Measured(msgspec.Struct):
    """One back end: the gateway's CPU time per token of each round, and the TTFT of each request."""

    cpu_s: list[float] = msgspec.field(default_factory=list)
    alone_s: list[float] = msgspec.field(default_factory=list)
    loaded_s: list[float] = msgspec.field(default_factory=list)


async def rows(plan: Plan) -> list[Row]:
    """Measure both back ends in turn, in one process."""
    local = WorkerServing(_OPTIONS, {model.NAME: model.ENTRY}, engine_options=lambda _: msgspec.structs.asdict(_ENGINE))
    await local.start()
    await local.preload([model.installed()])
    try:
        with hosts.replicas(1, _ENGINE) as (replica,):
            async with gateway(hosts.StaticReplicas([replica.address]), 1, _OPTIONS) as cluster:
                return await _measure(plan, local, cluster)
    finally:
        await local.close()


async def _measure(plan: Plan, local: Serving, cluster: Serving) -> list[Row]:
    ours, theirs = Measured(), Measured()
    for turn in range(plan.rounds):
        for name, serving, found in (("one machine", local, theirs), ("cluster", cluster, ours)):
            plan.say(f"cost of a token: {name}, round {turn + 1} of {plan.rounds}")
            await _round(serving, found, plan.quick)
    cpu, other_cpu = (statistics.median(each.cpu_s) * 1e6 for each in (ours, theirs))
    note = f"through the port `Serving`, without HTTP; ratios of the rounds: {_ratios(ours.cpu_s, theirs.cpu_s)}"
    loaded, other_loaded = (statistics.median(each.loaded_s) * 1e3 for each in (ours, theirs))
    alone, other_alone = (statistics.median(each.alone_s) * 1e3 for each in (ours, theirs))
    waits = (
        f"{loaded:.1f} and {other_loaded:.1f} ms beside {STREAMS} streams; alone {alone:.1f} and {other_alone:.1f} ms"
    )
    return [
        Row(
            f"cluster: gateway CPU per token, {STREAMS} streams", "one machine", "µs", cpu, other_cpu, _CPU_LIMIT,
            at_most=True, note=note,
        ),
        Row(
            "cluster: added TTFT p50", "–", "ms", max(0.0, loaded - other_loaded), None, _TTFT_LIMIT_MS, at_most=True,
            note=waits,
        ),
    ]  # fmt: skip


def _ratios(ours: list[float], theirs: list[float]) -> str:
    return ", ".join(f"{one / other:.2f}" for one, other in zip(ours, theirs, strict=True))


async def _round(serving: Serving, found: Measured, quick: bool) -> None:
    tokens, probes = (50, 5) if quick else (400, 40)
    await _streams(serving, 10)  # warm
    cpu = time.process_time()
    events = await _streams(serving, tokens)
    found.cpu_s.append((time.process_time() - cpu) / events)
    found.alone_s += [await _ttft(serving, number) for number in range(probes)]
    background = Traffic(serving, model.installed(), _prompt(200))
    background.start(STREAMS)
    await asyncio.sleep(0.2)
    found.loaded_s += [await _ttft(serving, number) for number in range(probes)]
    await background.stop()


async def _streams(serving: Serving, tokens: int) -> int:
    answers = await asyncio.gather(
        *(ask(serving, model.installed(), _prompt(tokens)(number)) for number in range(STREAMS))
    )
    if failed := [answer.error for answer in answers if answer.error]:
        raise RuntimeError(f"{len(failed)} streams failed: {failed[0]}")
    return sum(answer.events for answer in answers)


async def _ttft(serving: Serving, number: int) -> float:
    """Measure one request, at a moment that does not depend on the engine's steps."""
    await asyncio.sleep(2 * _ENGINE.step_s + number * 0.0037 % _ENGINE.step_s)
    answer = await ask(serving, model.installed(), _prompt(1)(0))
    if answer.first_s is None:
        raise RuntimeError(answer.error)
    return answer.first_s


def _prompt(tokens: int) -> Callable[[int], TextRequest]:
    return lambda number: model.request(("Answer briefly.", f"Count from {number}."), tokens)
