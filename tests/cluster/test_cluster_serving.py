"""A gateway and several replicas: which one gets a request, and what happens to it when that one is lost."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from homeport.cluster import cluster_serving, replica_links
from homeport.cluster.cluster_serving import ClusterServing
from homeport.cluster.messages import LINK_LOST, WORKER_LOST
from homeport.cluster.replica_host import ReplicaHost
from homeport.domain.errors import EngineFailed, Unavailable
from homeport.domain.events import TextDelta
from homeport.domain.ports.serving import RequestStream, Serving
from tests.cluster.conftest import NewCluster, NewGateway, accepting, connection, pid, session
from tests.cluster.local_replicas import LocalCluster
from tests.serving.conftest import DEADLINE_S, QUICK, answer, n_leases, prompt, scripted, until


async def opened(serving: Serving, text: str, *, is_background: bool = False) -> RequestStream:
    """Open a request and wait until it is admitted."""
    stream = await serving.open(scripted(), prompt(text), is_background=is_background)
    await stream.admitted()
    return stream


async def rest_of(stream: RequestStream) -> str:
    """Return the text of the remaining events."""
    async with asyncio.timeout(DEADLINE_S):
        texts = [event.text async for batch in stream for event in batch if isinstance(event, TextDelta)]
        return "".join(texts)


def busy(cluster: LocalCluster) -> ReplicaHost:
    """Return the replica that has a request."""
    (found,) = (host for host in cluster.hosts.values() if host.running)
    return found


def kill_worker(serving: ClusterServing, cluster: LocalCluster) -> None:
    """Kill the worker of the replica that has a request."""
    os.kill(pid(busy(cluster)), signal.SIGKILL)


def cut_link(serving: ClusterServing, cluster: LocalCluster) -> None:
    """Cut the gateway's link to the replica that has a request, as the death of its node does."""
    name = next(name for name, host in cluster.hosts.items() if host.running)
    session(serving, name)._end("it was cut")


Loss = Callable[[ClusterServing, LocalCluster], None]


async def test_requests_are_spread(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """Requests go to the replica with the fewest, and the slots of a model are those of all its replicas."""
    options = msgspec.structs.replace(QUICK, slots=2, max_queue=0)
    cluster = await new_cluster(2, options)
    serving: Serving = await new_gateway(cluster, options)
    streams = [await opened(serving, "wait") for _ in range(4)]
    assert [host.running for host in cluster.hosts.values()] == [2, 2]
    await until(lambda: serving.stats()["m"].running == 4)
    for stream in streams:
        await stream.aclose()
    await until(lambda: not any(host.running for host in cluster.hosts.values()))


@pytest.mark.parametrize("lose", [kill_worker, cut_link])
async def test_a_replica_is_lost_before_the_first_event(
    lose: Loss, new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path
) -> None:
    """A request that was admitted, but has no event yet, is answered by another replica; the caller sees no error."""
    cluster = await new_cluster()
    serving = await new_gateway(cluster)
    stream = await opened(serving, f"wait-once {tmp_path / 'seen'}")
    lose(serving, cluster)
    assert await rest_of(stream) == "1 "
    await stream.aclose()
    assert n_leases(serving) == 0


@pytest.mark.parametrize("lose", [kill_worker, cut_link])
async def test_a_replica_is_lost_after_the_first_event(
    lose: Loss, new_cluster: NewCluster, new_gateway: NewGateway
) -> None:
    """A request whose events were read ends with an error that names no code; the next one is answered."""
    cluster = await new_cluster(2, msgspec.structs.replace(QUICK, credit=2))
    serving = await new_gateway(cluster, msgspec.structs.replace(QUICK, credit=2))
    stream = await opened(serving, "count 100")
    assert await anext(aiter(stream))
    lose(serving, cluster)
    with pytest.raises(EngineFailed, match=r"worker stopped|was lost") as caught:
        await rest_of(stream)
    assert caught.value.code is None
    assert n_leases(serving) == 0
    assert await answer(serving, "count 1") == "1 "
    await stream.aclose()


async def test_a_request_that_kills_workers_kills_two(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A request that makes each worker crash is sent to two of them, and then refused; the others run on."""
    cluster = await new_cluster(3)
    serving = await new_gateway(cluster)
    stream = await serving.open(scripted(), prompt("abort 0"))
    with pytest.raises(EngineFailed, match="worker stopped"):
        await rest_of(stream)
    await until(lambda: accepting(serving) == 3)
    assert sorted(host.report.restarts for host in cluster.hosts.values()) == [0, 1, 1]
    assert serving.retries() == {WORKER_LOST: 1}
    assert n_leases(serving) == 0


async def test_the_only_replica_restarts(new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path) -> None:
    """Where no other replica exists, a request waits for the restarted worker of its own."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    stream = await opened(serving, f"wait-once {tmp_path / 'seen'}")
    before = serving.worker_status()[0].pid
    kill_worker(serving, cluster)
    assert await rest_of(stream) == "1 "
    await until(lambda: serving.worker_status()[0].pid not in (None, before))
    assert serving.worker_status()[0].restarts == 1
    assert serving.is_ready
    await stream.aclose()


async def test_closing_during_a_retry(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A caller who leaves while the request waits for another replica frees its place."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    stream = await opened(serving, "wait")
    reading = asyncio.create_task(rest_of(stream))
    await cluster.hosts["r1"].drain(0.0)
    cluster.update()
    kill_worker(serving, cluster)
    await until(lambda: serving._links.waiting("m"))
    reading.cancel()
    await asyncio.wait((reading,))
    await stream.aclose()
    assert n_leases(serving) == 0


async def test_a_worker_that_hangs_gets_no_more_requests(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """While a worker is stopped, requests go to the other replica; it is replaced, and takes requests again."""
    cluster = await new_cluster()
    serving = await new_gateway(cluster)
    hung = pid(cluster.hosts["r1"])
    os.kill(hung, signal.SIGSTOP)
    await until(lambda: accepting(serving) == 1)
    assert [await answer(serving, "count 1") for _ in range(4)] == ["1 "] * 4
    await until(lambda: accepting(serving) == 2)
    assert pid(cluster.hosts["r1"]) != hung


async def test_draining(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A replica that drains finishes its requests and takes no new one; when it is gone, so is the link."""
    cluster = await new_cluster(2, msgspec.structs.replace(QUICK, credit=1))
    serving = await new_gateway(cluster, msgspec.structs.replace(QUICK, credit=1))
    stream = await opened(serving, "count 6")
    name = next(name for name, host in cluster.hosts.items() if host.running)
    draining = asyncio.create_task(cluster.hosts[name].drain(DEADLINE_S))
    await until(lambda: accepting(serving) == 1)
    assert [await answer(serving, "count 1") for _ in range(3)] == ["1 "] * 3
    assert not draining.done()
    leaving = connection(serving, name)
    del cluster.addresses[name]
    cluster.update()
    await until(lambda: name not in serving._links._connections)
    assert await rest_of(stream) == "1 2 3 4 5 6 "
    await draining
    await until(lambda: leaving.is_over)


async def test_a_gateway_drains(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A draining gateway refuses new requests and finishes its streams; the replicas serve other gateways."""
    cluster = await new_cluster(1, msgspec.structs.replace(QUICK, credit=2))
    serving = await new_gateway(cluster, msgspec.structs.replace(QUICK, credit=2))
    stream = await opened(serving, "count 6")
    draining = asyncio.create_task(serving.drain(DEADLINE_S))
    await until(lambda: not serving.is_ready)
    with pytest.raises(Unavailable, match="shutting down"):
        await serving.open(scripted(), prompt("count 1"))
    assert await rest_of(stream) == "1 2 3 4 5 6 "
    await draining
    assert serving.worker_status() == ()
    other = await new_gateway(cluster)
    assert await answer(other, "count 1") == "1 "


async def test_drain_time_is_bounded(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A stream that does not finish in the drain time ends with an error, is not retried, and frees its replica."""
    cluster = await new_cluster()
    serving = await new_gateway(cluster)
    stream = await opened(serving, "wait")
    await serving.drain(0.1)
    with pytest.raises(EngineFailed, match="the server stopped"):
        await anext(aiter(stream))
    await until(lambda: not any(host.running for host in cluster.hosts.values()))
    await stream.aclose()


async def test_waiting_for_a_replica_is_bounded(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A request for which no replica comes is refused after the limit of a load; replicas are wanted meanwhile."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster, msgspec.structs.replace(QUICK, load_limit_s=0.2))
    await cluster.hosts["r1"].drain(0.0)
    await until(lambda: not accepting(serving))
    with pytest.raises(Unavailable, match="no replica within"):
        await serving.open(scripted(), prompt("count 1"))
    assert cluster.wanted == ["m"]
    assert n_leases(serving) == 0


async def test_other_files_of_a_model(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A request never runs on a replica with other files than its model has."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster, msgspec.structs.replace(QUICK, load_limit_s=0.1))
    with pytest.raises(Unavailable, match="no replica within"):
        await serving.open(scripted(digest="new"), prompt("count 1"))


async def test_a_crash_loop_is_reported(new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path) -> None:
    """While the only replica's worker keeps crashing, requests get the reason and when to retry."""
    diary = tmp_path / "diary"
    cluster = await new_cluster(1, diary=str(diary), load="abort-if-told")
    serving = await new_gateway(cluster)
    diary.with_suffix(".abort").touch()
    os.kill(pid(cluster.hosts["r1"]), signal.SIGKILL)
    await until(lambda: serving.worker_status()[0].state == "paused")
    with pytest.raises(Unavailable, match="SIGABRT") as caught:
        await serving.open(scripted(), prompt("count 1"))
    assert caught.value.retry_after_s == QUICK.restart_backoff_limit_s
    diary.with_suffix(".abort").unlink()
    await until(lambda: accepting(serving) == 1)
    assert await answer(serving, "count 1") == "1 "


async def test_a_gateway_reconnects(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A link that was lost is made again, and operators see meanwhile that the replica is unreachable."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    lost = session(serving, "r1")
    lost._end("it was cut")
    await lost.wait_ended()
    await until(lambda: accepting(serving) == 1)
    assert connection(serving, "r1").session is not lost
    wrong = msgspec.structs.replace(cluster.addresses["r1"], secret=b"wrong" * 8)
    cluster.addresses["r1"] = wrong
    cluster.update()
    await until(lambda: serving.worker_status()[0].state == "unreachable")
    await until(lambda: "closed the connection" in (serving.worker_status()[0].reason or ""))
    assert (serving.worker_status()[0].node, serving.worker_status()[0].replica) == ("here", "r1")


async def test_operators_see_replicas_and_lost_links(
    new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path
) -> None:
    """Each replica has its own stats; a link that is cut is counted once, and the request that was sent again too."""
    cluster = await new_cluster()
    serving = await new_gateway(cluster)
    stream = await opened(serving, f"wait-once {tmp_path / 'seen'}")
    await until(lambda: sum(each.stats.running for each in serving.cluster_stats().replicas) == 1)
    before = serving.cluster_stats()
    assert [(each.model, each.node, each.replica) for each in before.replicas] == [
        ("m", "here", n) for n in ("r1", "r2")
    ]
    assert (before.wanted, before.ready, before.waiting, before.links_lost) == ({"m": 2}, {"m": 2}, {"m": 0}, {"m": 0})
    cut_link(serving, cluster)
    assert await rest_of(stream) == "1 "
    await until(lambda: serving.cluster_stats().ready == {"m": 2})
    after = serving.cluster_stats()
    assert (after.links_lost, after.retries[LINK_LOST], after.retries[WORKER_LOST]) == ({"m": 1}, 1, 0)


async def test_links_that_end_as_intended_are_not_lost(
    new_cluster: NewCluster, new_gateway: NewGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a replica that drained before it ended, nor one that is known no more, is a lost link."""
    cluster = await new_cluster()
    serving = await new_gateway(cluster)
    await cluster.hosts["r1"].drain(DEADLINE_S)
    await until(lambda: serving.worker_status()[0].state == "stopping")
    await cluster.hosts["r1"].close()
    await until(lambda: serving.worker_status()[0].state == "unreachable")
    assert serving.cluster_stats().links_lost == {"m": 0}
    monkeypatch.setattr(replica_links, "MISSING_S", 0.0)
    left = session(serving, "r2")
    del cluster.addresses["r2"]
    serving._links.sync()
    await until(lambda: left.is_over)
    assert serving.cluster_stats().links_lost == {"m": 0}


async def test_a_gateway_without_replicas_is_ready(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A gateway accepts requests although no model has a replica, and shows those that wait for one."""
    cluster = await new_cluster(0)
    serving = await new_gateway(cluster)
    assert serving.is_ready
    cluster.is_stuck = True
    asking = asyncio.create_task(serving.open(scripted(), prompt("count 1")))
    await until(lambda: serving.cluster_stats().waiting == {"m": 1})
    assert serving.cluster_stats().ready == {"m": 0}
    assert serving.is_ready
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert serving.cluster_stats().waiting == {"m": 0}
    await serving.drain(0.0)
    assert not serving.is_ready


async def test_a_replica_that_is_forgotten_is_used_for_a_while(
    new_cluster: NewCluster, new_gateway: NewGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that is not known any more, but takes requests, is used until it is known again or time is over."""
    monkeypatch.setattr(cluster_serving, "_REPORT_S", 0.02)
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    before, address = session(serving, "r1"), cluster.addresses.pop("r1")
    serving._links.sync()
    assert await answer(serving, "count 1") == "1 "
    cluster.addresses["r1"] = address
    serving._links.sync()
    assert session(serving, "r1") is before
    monkeypatch.setattr(replica_links, "MISSING_S", 0.1)
    del cluster.addresses["r1"]
    await until(lambda: not serving.worker_status())
    await until(lambda: before.is_over)


async def test_stopping_a_model_ends_its_replicas(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A model is stopped after its requests have ended; stopped again, there is nothing to stop."""
    cluster = await new_cluster(1, msgspec.structs.replace(QUICK, credit=1))
    serving = await new_gateway(cluster, msgspec.structs.replace(QUICK, credit=1))
    stream = await opened(serving, "count 3")
    stopping = asyncio.create_task(serving.stop("m", DEADLINE_S))
    assert await rest_of(stream) == "1 2 3 "
    assert await stopping
    assert cluster.hosts == {}
    assert not await serving.stop("m")


async def test_demand_is_reported(
    new_cluster: NewCluster, new_gateway: NewGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What places replicas hears of running requests, and of those that wait for a replica."""
    monkeypatch.setattr(cluster_serving, "_REPORT_S", 0.02)
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    stream = await opened(serving, "wait")
    await until(lambda: cluster.demand == {"m": 1})
    await cluster.hosts["r1"].drain(0.0)
    asking = asyncio.create_task(serving.open(scripted(), prompt("count 1")))
    await until(lambda: cluster.demand == {"m": 2})
    assert cluster.wanted[-1] == "m"
    await cluster.add(scripted())
    await (await asking).aclose()
    await stream.aclose()
    await until(lambda: cluster.demand == {})


async def test_a_gateway_that_is_cut_off_is_not_ready(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A gateway is unready once it has not reached any of the replicas for some time, until it reaches one."""
    cluster = await new_cluster()
    serving = await new_gateway(cluster)
    reached = dict(cluster.addresses)
    for name, address in reached.items():
        cluster.addresses[name] = msgspec.structs.replace(address, host="127.0.0.1", port=1)
    cluster.update()
    await until(lambda: not accepting(serving))
    assert serving.is_ready
    await until(lambda: not serving.is_ready)
    cluster.addresses.update(reached)
    cluster.update()
    await until(lambda: serving.is_ready)


async def test_a_gateway_is_ready_while_it_has_a_replica(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """If what places replicas is silent, a gateway with a replica is ready, and one without any is not."""
    cluster = await new_cluster(1)
    serving, empty = await new_gateway(cluster), await new_gateway(await new_cluster(0))
    cluster.is_silent = True
    assert serving.is_ready
    assert empty.is_ready
    await cluster.end("r1")
    await until(lambda: not serving.is_ready)
    cluster.is_silent = False
    assert serving.is_ready
