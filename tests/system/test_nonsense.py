"""Malformed requests and odd clients next to running streams: each gets its answer, and no stream changes.

Six streams and each case once in `make test`; 16 streams for ten minutes in `make soak`. The cases are in `nonsense`.
"""

import concurrent.futures
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Scale
from tests.system.nonsense import ADMIN, CASES, MODEL, Case, garbage, tried, wrong
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running

SENDERS = 4
WORDS = ("fox", "crow", "bear", "wolf", "hare", "goat", "swan", "toad", "mole", "lynx", "deer", "duck")
MARGIN = 1.0
"""The lead (natural log) of the likeliest token with which it is the same in every batch."""
MIN_TOKENS, MAX_TOKENS = 4, 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, smollm2: object) -> Iterator[ServerProcess]:
    """A server of its own: the requests may leave it in any state."""
    log = tmp_path_factory.mktemp("nonsense") / "log"
    with running(log, "--model", MODEL, ADMIN_KEY=ADMIN) as started:
        yield started


def _wish(number: int, **more: Any) -> dict[str, Any]:
    """Return a stream's request: to continue a sentence that it has seen six times, so the answer is certain."""
    first, second = WORDS[number % len(WORDS)], WORDS[(5 * number + 1 + number // len(WORDS)) % len(WORDS)]
    sentence = (
        f"The old {first} and the young {second} walked over the hill to the river and drank from the cold water."
    )
    prompt = f"{sentence} " * 6 + f"The old {first} and the"
    more = {"temperature": 0, "seed": number, "ignore_eos": True, **more}
    return {"model": MODEL, "prompt": prompt, **more}


def _certain(server: ServerProcess, number: int) -> int:
    """Return how many tokens of its answer are certain: kernels round a little differently in other batches."""
    answer = server.call("POST", "/v1/completions", _wish(number, max_tokens=MAX_TOKENS, logprobs=2)).json()
    for at, tops in enumerate(answer["choices"][0]["logprobs"]["top_logprobs"]):
        first, *others = sorted(tops.values(), reverse=True)
        if not others or first - others[0] < MARGIN:
            return at
    return MAX_TOKENS


def _streamed(server: ServerProcess, number: int, length: int) -> str:
    """Read one of the streams; its answer is always the same."""
    line = RawConnection(server, "/v1/completions", _wish(number, max_tokens=length, stream=True))
    try:
        assert line.status() == 200
        events = line.events()
    finally:
        line.hang_up()
    assert events[-1] == "[DONE]", events[-1]
    return "".join(choice["text"] for event in events[:-1] for choice in event["choices"])


@pytest.mark.soak
def test_streams_beside_nonsense_stay_what_they_were(server: ServerProcess, scale: Scale) -> None:
    """While all cases are sent in a changing order, streams return what they returned before, from the same worker."""
    n_streams = scale(6, 16)
    lengths = {number: _certain(server, number) for number in range(scale(12, 2 * len(WORDS)))}
    chosen = sorted(lengths, key=lambda number: -lengths[number])[:n_streams]
    assert lengths[chosen[-1]] >= MIN_TOKENS, lengths
    expected = {number: _streamed(server, number, lengths[number]) for number in chosen}
    [worker] = server.workers()
    over, faults = threading.Event(), list[str]()

    def reads(number: int) -> int:
        received = 0
        while not over.is_set():
            answer = _streamed(server, number, lengths[number])
            if answer != expected[number]:
                faults.append(f"stream {number} returned {answer!r}, before {expected[number]!r}")
            received += 1
        return received

    def sends(number: int, until: float) -> int:
        draw, sent = random.Random(number), 0
        while sent < len(CASES) or time.monotonic() < until:
            order = draw.sample(CASES, len(CASES)) if scale(0, 1) else _own(number)
            for case in (*order, garbage(draw)):
                if fault := wrong(case, tried(case, server.port)):
                    faults.append(fault)
            sent += len(CASES)
        return sent

    with concurrent.futures.ThreadPoolExecutor(n_streams + SENDERS) as pool:
        streams = [pool.submit(reads, number) for number in chosen]
        try:
            senders = [pool.submit(sends, number, time.monotonic() + scale(5, 600)) for number in range(SENDERS)]
            for sender in senders:
                sender.result()
        finally:
            over.set()
        assert all(stream.result() for stream in streams), "every stream was read at least once"
    assert not faults, "\n".join(sorted(set(faults))[:50])
    assert [process.pid for process in server.workers()] == [worker.pid]
    assert {number: _streamed(server, number, lengths[number]) for number in chosen} == expected


def _own(number: int) -> list[Case]:
    """Return a sender's part of the cases, for a run that sends each of them once."""
    return list(CASES[number::SENDERS])


def test_the_cases_have_names_of_their_own() -> None:
    """Every case has a name of its own."""
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
