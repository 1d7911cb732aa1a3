"""Mixed traffic over more models than fit, with clients that disconnect at any moment and workers that die."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec

from homeport.cluster.cluster_serving import ClusterServing
from homeport.domain.errors import EngineFailed, HomeportError, Overloaded, Unavailable
from homeport.domain.ports.serving import Serving
from homeport.serving.worker_serving import WorkerServing
from tests.conftest import NewChildren
from tests.serving.conftest import QUICK, answer, n_leases, prompt, scripted, until

Serve = Callable[..., Awaitable[WorkerServing]]
ServeOnCluster = Callable[..., Awaitable[ClusterServing]]

MODELS = [scripted(f"m{number}", 400_000_000) for number in range(5)]
OPTIONS = msgspec.structs.replace(
    QUICK, memory_bytes=1_000_000_000, room_patience_s=0.1, credit=4, slots=4, max_queue=8, idle_s=1.0
)


async def run_client(serving: Serving, chance: random.Random) -> str:
    """Run one client: requests some model, may disconnect early; return its outcome as a word."""
    model = chance.choice(MODELS)
    text = chance.choice(["count 20"] * 16 + ["wait", "wait", "abort 3", "reject"])
    stay_s = chance.choice([0.01, 0.1, 30.0, 30.0]) if text != "wait" else 0.2
    try:
        async with asyncio.timeout(stay_s):
            got = await answer(serving, text, model)
    except TimeoutError:
        return "left"
    except HomeportError as error:
        return type(error).__name__
    assert len(got.split()) == 20
    return "answered"


async def test_mixed_traffic(serve: Serve, new_children: NewChildren) -> None:
    """Every request ends in its answer or an error of its own; afterwards nothing is leased, and all models answer."""
    serving = await serve(OPTIONS)
    chance = random.Random(7)
    ends: Counter[str] = Counter()
    most = 0

    async def client(seed: int) -> None:
        nonlocal most
        own = random.Random(seed)
        for _ in range(8):
            ends[await run_client(serving, own)] += 1
            copies = Counter(status.model for status in serving.worker_status() if status.pid)
            most = max(most, sum(copies.values()))
            assert set(copies.values()) <= {1}

    await asyncio.gather(*(client(chance.randrange(10**6)) for _ in range(16)))
    assert set(ends) <= {
        "answered",
        "left",
        "InvalidRequest",
        EngineFailed.__name__,
        Overloaded.__name__,
        Unavailable.__name__,
    }
    assert ends["answered"] > 20
    assert most <= 2
    await until(lambda: not n_leases(serving))
    for model in MODELS:
        assert await answer(serving, "count 1", model) == "1 "
    await until(lambda: serving.is_ready)
    await until(lambda: not serving.worker_status())
    await until(lambda: not new_children())
    stream = await serving.open(MODELS[0], prompt("wait"))
    await stream.admitted()
    await stream.aclose()


async def test_mixed_traffic_on_a_cluster(serve_on_cluster: ServeOnCluster) -> None:
    """The same of a cluster's gateway, whose replicas die and come back; afterwards no replica has a request."""
    serving = await serve_on_cluster(msgspec.structs.replace(OPTIONS, memory_bytes=None))
    ends: Counter[str] = Counter()

    async def client(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(8):
            ends[await run_client(serving, own)] += 1

    await asyncio.gather(*(client(seed) for seed in range(16)))
    assert set(ends) <= {"answered", "left", "InvalidRequest", "EngineFailed", "Overloaded", "Unavailable"}
    assert ends["answered"] > 20
    await until(lambda: not n_leases(serving))
    for model in MODELS:
        await until(lambda name=model.facts.name: serving.loaded(name))  # type: ignore[misc]
        assert await answer(serving, "count 1", model) == "1 "
    await until(lambda: not sum(each.running for each in serving.worker_status()))
