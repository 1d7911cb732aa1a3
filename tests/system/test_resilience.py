"""A server under abuse keeps working: disconnects, killed and frozen workers, floods, secrets, load cycles.

Shortened in `make test`; at full length in `make soak`.
"""

import concurrent.futures
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Scale
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, free_port, own_data, running

pytestmark = pytest.mark.soak

MODEL = "smollm2-135m"


@pytest.fixture(scope="module")
def limited_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with a short queue, few slots and quick heartbeats, so that limits are reached soon."""
    assert smollm2.exists()
    log = tmp_path_factory.mktemp("limited_server") / "log"
    limits = {"MAX_QUEUE": "8", "SLOTS": "4", "HEARTBEAT_S": "0.2", "HEARTBEAT_LIMIT_S": "3", "CELLS": "16384"}
    with running(log, "--model", MODEL, **limits) as started:
        yield started


def _body(prompt: Any = "Once upon a time", **wish: Any) -> dict[str, Any]:
    return {"model": MODEL, "prompt": prompt, "max_tokens": 400, "ignore_eos": True, **wish}


def _probe(server: ServerProcess) -> None:
    answer = server.call("POST", "/v1/completions", _body(max_tokens=2))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("phase", ["sent", "queued", "prefill", "decode"])
def test_a_client_that_leaves_frees_its_compute(limited_server: ServerProcess, phase: str, stream: bool) -> None:
    """In every phase, streamed or not, a disconnect brings running and waiting back to zero at once."""
    _probe(limited_server)
    limited_server.wait("idle before", limited_server.is_idle)
    others = []
    if phase == "queued":
        others = [
            RawConnection(limited_server, "/v1/completions", _body(stream=True, max_tokens=2000)) for _ in range(4)
        ]
        for other in others:
            other.status()
            other.events(1)
    long = [random.Random(5).randrange(1000, 40000) for _ in range(6000)]
    line = RawConnection(
        limited_server, "/v1/completions", _body(long if phase == "prefill" else "Once upon", stream=stream)
    )
    if phase in ("queued", "prefill"):
        want = 5 if phase == "queued" else 1
        running_or_waiting = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        limited_server.wait(
            "the request is in", lambda: sum(limited_server.gauge(name) for name in running_or_waiting) >= want
        )
    if phase == "decode":
        if stream:
            line.status()
            line.events(3)
        else:
            limited_server.wait("a request runs", lambda: limited_server.gauge("vllm:num_requests_running") >= 1)
    line.hang_up()
    for other in others:
        other.hang_up()
    limited_server.wait("idle after the hang-up", limited_server.is_idle, 15)
    _probe(limited_server)


def test_a_killed_worker_ends_its_requests_with_an_error_and_is_replaced(limited_server: ServerProcess) -> None:
    """SIGKILL under load: streams end in-band without [DONE], the rest with a 5xx body; the next request works."""
    _probe(limited_server)
    [worker] = limited_server.workers()
    streams = [RawConnection(limited_server, "/v1/completions", _body(stream=True, max_tokens=2000)) for _ in range(2)]
    for stream in streams:
        assert stream.status() == 200
        stream.events(2)
    whole = RawConnection(limited_server, "/v1/completions", _body(max_tokens=2000))
    limited_server.wait("three run", lambda: limited_server.gauge("vllm:num_requests_running") >= 3)
    worker.kill()
    for stream in streams:
        events = stream.events()
        assert events[-1]["error"]["type"] == "server_error"
        assert "[DONE]" not in events
        stream.hang_up()
    assert whole.status() in (500, 503)
    assert b'"error"' in whole.rest()
    whole.hang_up()
    _probe(limited_server)
    [replaced] = limited_server.workers()
    assert replaced.pid != worker.pid


def test_a_frozen_worker_is_found_and_replaced(limited_server: ServerProcess) -> None:
    """SIGSTOP: the heartbeat detects it, its stream ends with an error, and the worker is replaced."""
    _probe(limited_server)
    [worker] = limited_server.workers()
    stream = RawConnection(limited_server, "/v1/completions", _body(stream=True, max_tokens=2000))
    assert stream.status() == 200
    stream.events(2)
    worker.send_signal(signal.SIGSTOP)
    assert "error" in stream.events()[-1]
    stream.hang_up()
    limited_server.wait("ready again", lambda: limited_server.call("GET", "/health/ready").status == 200)
    _probe(limited_server)
    assert not psutil.pid_exists(worker.pid) or worker.status() == psutil.STATUS_ZOMBIE


def test_a_flood_is_answered_politely_and_the_process_stays(limited_server: ServerProcess, scale: Scale) -> None:
    """At ten times capacity every answer is 200, 429 with Retry-After or 503; afterwards a probe is served at once."""
    _probe(limited_server)
    [worker] = limited_server.workers()
    end = time.monotonic() + scale(5, 180)
    seen: Counter[int] = Counter()

    def client(number: int) -> Counter[int]:
        counts: Counter[int] = Counter()
        while time.monotonic() < end:
            answer = limited_server.call("POST", "/v1/completions", _body(f"Client {number} says", max_tokens=24))
            counts[answer.status] += 1
            if answer.status == 429:
                assert float(answer.headers["retry-after"]) > 0
                assert answer.error["code"] == "server_overloaded"
                time.sleep(0.05)  # a client that retries at once would measure only refusals
        return counts

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        for counts in pool.map(client, range(40)):
            seen += counts
    assert set(seen) <= {200, 429, 503}, seen
    assert seen[200] > 0
    assert seen[429] > 0
    limited_server.wait("idle after the flood", limited_server.is_idle)
    began = time.monotonic()
    _probe(limited_server)
    assert time.monotonic() - began < 5
    assert limited_server.child.poll() is None
    assert [process.pid for process in limited_server.workers()] == [worker.pid]


def test_no_answer_ever_holds_another_requests_secret(limited_server: ServerProcess, scale: Scale) -> None:
    """Mixed requests with reuse, eviction and disconnects: no answer contains a secret of another prompt."""
    secrets = {number: f"{random.Random(number).randrange(10**11, 10**12)}" for number in range(scale(60, 2000))}

    def ask(number: int) -> tuple[int, str]:
        text = f"The secret number is {secrets[number]}. " * 3 + "Again: The secret number is"
        line = RawConnection(
            limited_server, "/v1/completions", _body(text, max_tokens=16, temperature=0, stream=number % 3 == 0)
        )
        try:
            if number % 7 == 0:
                return number, ""
            status = line.status()
            if status == 429:
                return number, ""
            assert status == 200, line.rest()
            return number, _text(line.events()) if number % 3 == 0 else _text([json.loads(line.rest())])
        finally:
            line.hang_up()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, secrets))
    owners = {secret: number for number, secret in secrets.items()}
    for number, text in answers:
        foreign = [owner for secret, owner in owners.items() if owner != number and secret in text]
        assert not foreign, (number, foreign, text)
    assert sum(secrets[number] in text for number, text in answers) > len(secrets) // 4, "the model does copy secrets"


def test_malformed_requests_leave_a_healthy_stream_whole(server: ServerProcess, scale: Scale) -> None:
    """Malformed requests during a stream change none of its tokens and no process."""
    wish = _body(max_tokens=scale(150, 1500), temperature=0, stream=True)
    alone = RawConnection(server, "/v1/completions", wish)
    assert alone.status() == 200
    expected = _text(alone.events())
    alone.hang_up()
    before = {process.pid for process in server.workers()}
    healthy = RawConnection(server, "/v1/completions", wish)
    assert healthy.status() == 200
    draw = random.Random(3)
    for number in range(scale(150, 1000)):
        assert _nonsense(server, draw, number) in (400, 404, 405, 413, 415, 431, 0), number
    events = healthy.events()
    healthy.hang_up()
    assert events[-1] == "[DONE]"
    assert _text(events) == expected
    after = {process.pid for process in server.workers()}
    assert after, "the stream's worker lives"
    assert after <= before, "and no other had to be started"


def _text(events: list[Any]) -> str:
    words = [event for event in events if event != "[DONE]"]
    assert all("choices" in event for event in words), words[-1]
    return "".join(choice["text"] for event in words for choice in event["choices"])


def _nonsense(server: ServerProcess, draw: random.Random, number: int) -> int:
    bodies: list[bytes] = [
        b"{", b"[]", b"null", b"\xff\xfe", b'{"model": 1}', b'{"model": "' + MODEL.encode() + b'", "prompt": {"a": 1}}',
        json.dumps(_body(temperature="hot")).encode(), json.dumps(_body(n=10**9)).encode(),
        json.dumps(_body(prompt=[10**9])).encode(), json.dumps(_body(logit_bias={"x": 1})).encode(),
        json.dumps(_body(stop=["a"] * 5)).encode(), b'{"model": "m", "prompt": "x", "top_p": NaN}',
        b"[" * 5000, bytes(draw.randrange(256) for _ in range(draw.randrange(300))),
    ]  # fmt: skip
    if number % 10 == 0:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
            raw.sendall(bytes(draw.randrange(256) for _ in range(64)) + b"\r\n\r\n")
            return int([*raw.recv(64).split(), b"0", b"0"][1])
    path = draw.choice(["/v1/completions", "/v1/chat/completions", "/v1/edits", "/v1/engines/x/completions"])
    return server.call("POST", path, draw.choice(bodies)).status


def test_loading_and_unloading_gives_the_memory_back(tmp_path: Path, scale: Scale) -> None:
    """An idle model is unloaded, its process ends, and the gateway does not grow from cycle to cycle."""
    with running(tmp_path / "log", "--model", MODEL, IDLE_UNLOAD_S="0.1", HEARTBEAT_S="0.1") as server:
        gateway = psutil.Process(server.pid)
        sizes: list[int] = []
        for _ in range(scale(5, 200)):
            _probe(server)
            server.wait("unloaded", lambda: not server.workers())
            sizes.append(gateway.memory_info().rss)
        assert sizes[-1] < sizes[min(2, len(sizes) - 1)] * 1.2
        assert len(gateway.open_files()) < 20
        assert gateway.num_fds() < 40


def test_no_worker_outlives_a_killed_gateway(tmp_path: Path) -> None:
    """SIGKILL of the gateway ends its workers."""
    with running(tmp_path / "log", "--model", MODEL) as server:
        _probe(server)
        workers = server.workers()
        assert workers
        os.kill(server.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive


def test_a_terminated_server_lets_streams_finish(tmp_path: Path) -> None:
    """SIGTERM: the server is not ready, the running stream completes, then the process exits with its workers."""
    with running(tmp_path / "log", "--model", MODEL, DRAIN_S="30") as server:
        line = RawConnection(server, "/v1/completions", _body(stream=True, max_tokens=60))
        assert line.status() == 200
        line.events(2)
        workers = server.workers()
        os.kill(server.pid, signal.SIGTERM)
        assert line.events()[-1] == "[DONE]"
        line.hang_up()
        assert server.child.wait(20) == 0
        assert not [worker for worker in workers if worker.is_running()]


def test_it_starts_and_answers_with_the_network_refused(tmp_path: Path) -> None:
    """With every connection except loopback refused, the server starts, answers, and tries no other host."""
    guard = tmp_path / "sitecustomize.py"
    trace = tmp_path / "attempts"
    guard.write_text(
        "import sys\n"
        "def watch(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'):\n"
        "        host = args[1][0] if event == 'socket.connect' and isinstance(args[1], tuple) else args[0]\n"
        "        if isinstance(host, str) and host not in ('127.0.0.1', '::1', 'localhost', '0.0.0.0'):\n"
        f"            open({str(trace)!r}, 'a').write(f'{{event}} {{args}}\\n')\n"
        "            raise OSError('the network is refused')\n"
        "sys.addaudithook(watch)\n"
    )
    environ = {**os.environ, **own_data(tmp_path), "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    port = free_port()
    command = [sys.executable, "-m", "homeport", "serve", "--port", str(port), "--model", MODEL]
    with (tmp_path / "log").open("wb") as out:
        child = subprocess.Popen(command, env=environ, stdout=out, stderr=subprocess.STDOUT)
    server = ServerProcess(child, port, tmp_path / "log")
    try:
        server.wait("it answers", lambda: _answers(server), 60)
        _probe(server)
    finally:
        child.terminate()
        child.wait(20)
    assert not trace.exists(), trace.read_text()


def _answers(server: ServerProcess) -> bool:
    try:
        return server.call("GET", "/health/ready").status == 200
    except OSError:
        return False
