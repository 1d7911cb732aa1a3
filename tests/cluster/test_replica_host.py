"""One replica and several gateways: their requests, files and ends do not mix; what is no gateway is kept out."""

import asyncio
import logging
import os
import socket
from pathlib import Path

import msgspec
import pytest

from homeport.cluster.cluster_serving import ClusterServing
from homeport.cluster.handshake import connect_to_host
from homeport.cluster.replica_host import ReplicaHost
from homeport.domain.content import Attachment, ImagePart, Message, TextPart
from homeport.domain.errors import EngineFailed, StorageFull, Unavailable
from homeport.domain.events import TextDelta
from homeport.domain.models import Adapter
from homeport.domain.ports.serving import RequestStream
from homeport.domain.text import ChatPrompt, TextRequest
from tests.cluster.conftest import NewCluster, NewGateway, accepting, pid, session
from tests.serving.conftest import DEADLINE_S, QUICK, answer, prompt, scripted, until


async def read(stream: RequestStream) -> str:
    """Return the text of the remaining events."""
    async with asyncio.timeout(DEADLINE_S):
        texts = [event.text async for batch in stream for event in batch if isinstance(event, TextDelta)]
    await stream.aclose()
    return "".join(texts)


def files(host: ReplicaHost) -> list[Path]:
    """Return the files in a replica's spool."""
    return sorted(path for path in host._spool.rglob("*") if path.is_file())


def with_image(image: Path, adapter: Adapter | None = None) -> TextRequest:
    """Return a request for the path and text of its image and of its adapter."""
    parts = (TextPart("files"), ImagePart(Attachment(image)))
    return TextRequest(prompts=(ChatPrompt((Message("user", parts),)),), adapter=adapter)


async def test_two_gateways_do_not_mix(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """Two gateways that use the same ids at the same time get the events of their own requests."""
    cluster = await new_cluster(1)
    first, second = await new_gateway(cluster), await new_gateway(cluster)
    texts = ["count 50", "count 70"]
    jobs = [answer(serving, text) for _ in range(10) for serving, text in zip((first, second), texts, strict=True)]
    answers = await asyncio.gather(*jobs)
    assert {len(text.split()) for text in answers[::2]} == {50}
    assert {len(text.split()) for text in answers[1::2]} == {70}


async def test_one_frame_for_each_step_and_gateway(
    new_cluster: NewCluster, new_gateway: NewGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events of a step leave in one frame for each gateway, however many requests it has."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    (host,) = cluster.hosts.values()
    sizes: list[int] = []
    (gateway,) = host._gateways
    flush = gateway.flush

    def count_and_flush() -> None:
        sizes.append(len(gateway._events))
        flush()

    monkeypatch.setattr(gateway, "flush", count_and_flush)
    streams = [await serving.open(scripted(), prompt("count 1000")) for _ in range(8)]
    texts = await asyncio.gather(*(read(stream) for stream in streams))
    assert {len(text.split()) for text in texts} == {1000}
    assert max(sizes) >= 8
    assert sum(sizes) == 8 * (1000 + 3)


async def test_a_gateway_that_disconnects_frees_its_work(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """When a gateway's link ends, its requests are cancelled in the engine; those of another continue."""
    cluster = await new_cluster(1)
    first, second = await new_gateway(cluster), await new_gateway(cluster)
    (host,) = cluster.hosts.values()
    streams = [await serving.open(scripted(), prompt("wait")) for serving in (first, first, second)]
    for stream in streams:
        await stream.admitted()
    await until(lambda: host.stats.running == 3)
    link = session(first, "r1")._replica_link
    assert link._transport is not None
    link._transport.abort()
    await until(lambda: host.running == 1)
    await until(lambda: host.stats.running == 1)
    await first.close()
    for stream in streams:
        await stream.aclose()


async def test_background_work_pauses_for_callers_of_another_gateway(
    new_cluster: NewCluster, new_gateway: NewGateway
) -> None:
    """While a caller of one gateway waits, background requests of another pause, and then continue."""
    cluster = await new_cluster(1)
    first, second = await new_gateway(cluster), await new_gateway(cluster)
    waiting = await second.open(scripted(), prompt("wait"))
    await waiting.admitted()
    stream = await first.open(scripted(), prompt("count 3"), is_background=True)
    await stream.admitted()
    (host,) = cluster.hosts.values()
    assert not host.background.is_open
    reading = asyncio.create_task(read(stream))
    assert await answer(first, "count 20") == "".join(f"{n} " for n in range(1, 21))
    assert not reading.done()
    await waiting.aclose()
    assert await reading == "1 2 3 "


async def test_others_are_counted(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A gateway hears how many requests others have on a replica, so that it sends its own elsewhere."""
    cluster = await new_cluster(2)
    first, second = await new_gateway(cluster), await new_gateway(cluster)
    streams = [await first.open(scripted(), prompt("wait")) for _ in range(3)]
    await until(lambda: sorted(session(second, name).load for name in ("r1", "r2")) == [1, 2])
    streams.append(await second.open(scripted(), prompt("wait")))
    await streams[-1].admitted()
    assert [host.running for host in cluster.hosts.values()] == [2, 2]
    for stream in streams:
        await stream.aclose()


async def test_an_image_arrives_and_is_removed(
    new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path
) -> None:
    """A request's file reaches the worker under another path, in a private folder, and is removed with the request."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    (host,) = cluster.hosts.values()
    image = tmp_path / "image"
    image.write_text("x" * 3_000_000)
    stream = await serving.open(scripted(), with_image(image))
    path, _, content = (await read(stream)).partition(" ")
    assert Path(path).is_relative_to(host._spool)
    assert content == "x" * 3_000_000 + "\n"
    assert host._spool.stat().st_mode & 0o077 == 0
    await until(lambda: not files(host))
    assert host._space.used_bytes == 0


async def test_an_adapter_is_sent_once(new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path) -> None:
    """Requests of a fine-tuned model share one copy of its adapter, which stays; wrong bytes are refused."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    (host,) = cluster.hosts.values()
    image, file = tmp_path / "image", tmp_path / "adapter"
    image.write_text("i")
    file.write_text("lora")
    digest = "d339f720de1fd92a672df9ef19a8cdbda6171cbf33fcd35ad95c46f8aebaf628"
    requests = [with_image(image, Adapter("ft:x", Attachment(file), digest)) for _ in range(4)]
    streams = await asyncio.gather(*(serving.open(scripted(), request) for request in requests))
    texts = [await read(stream) for stream in streams]
    assert len({text.splitlines()[1] for text in texts}) == 1
    await until(lambda: len(files(host)) == 1)
    wrong = with_image(image, Adapter("ft:y", Attachment(file), "0" * 64))
    with pytest.raises(EngineFailed, match="SHA-256"):
        await read(await serving.open(scripted(), wrong))
    await serving.close()
    await until(lambda: not files(host))


async def test_files_are_bounded(new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path) -> None:
    """A file for which a replica has no room fails its own request, and leaves the link as it is."""
    cluster = await new_cluster(0)
    host = await cluster.add(scripted(), spool_bytes=1000)
    serving = await new_gateway(cluster)
    image = tmp_path / "image"
    image.write_text("x" * 1001)
    with pytest.raises(StorageFull, match="no room"):
        await read(await serving.open(scripted(), with_image(image)))
    image.write_text("x" * 900)
    assert "x" * 900 in await read(await serving.open(scripted(), with_image(image)))
    image.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        await serving.open(scripted(), with_image(image))
    assert await answer(serving, "count 1") == "1 "
    assert host._space.used_bytes == 0
    assert serving.in_use("m") == 0


async def test_garbage_on_the_port(
    new_cluster: NewCluster, new_gateway: NewGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no gateway is logged and closed, before and after the handshake; gateways are not affected."""
    cluster = await new_cluster(1)
    serving = await new_gateway(cluster)
    (host,) = cluster.hosts.values()
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", host.port)) as stranger:
        await asyncio.to_thread(stranger.sendall, b"GET / HTTP/1.1\r\n" * 20)
        await until(lambda: "does not know the secret" in caplog.text)
        await asyncio.to_thread(drained, stranger)
    sock = await connect_to_host(("127.0.0.1", host.port), host.secret)
    with sock, caplog.at_level(logging.WARNING):
        await loop.sock_sendall(sock, b"\xff\xff\xff\xff garbage")
        await until(lambda: "its link broke" in caplog.text)
    assert len(host._gateways) == 1
    assert await answer(serving, "count 1") == "1 "


def drained(sock: socket.socket) -> None:
    """Read until the other side has closed."""
    sock.settimeout(DEADLINE_S)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        return


async def test_a_silent_gateway_is_left(new_cluster: NewCluster) -> None:
    """A gateway that sends nothing for too long, as one behind a partition, loses its link and its requests."""
    cluster = await new_cluster(1, msgspec.structs.replace(QUICK, heartbeat_limit_s=0.2))
    (host,) = cluster.hosts.values()
    with await connect_to_host(("127.0.0.1", host.port), host.secret):
        await until(lambda: len(host._gateways) == 1)
        await until(lambda: not host._gateways)


async def test_closing_leaves_nothing(new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """A replica that closes ends its worker, its port and its folder; its gateway stays, without a replica."""
    cluster = await new_cluster(1)
    serving: ClusterServing = await new_gateway(cluster)
    (host,) = cluster.hosts.values()
    worker = pid(host)
    await host.close()
    await host.close()
    await until(lambda: not accepting(serving))
    assert not host._spool.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", host.port))
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
