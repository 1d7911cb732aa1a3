"""Batches over real HTTP, with the current SDK and real weights, and with the whole server killed during a batch."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
from openai.types import Batch

from tests.conftest import Scale
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running

MODEL = "smollm2-135m"
CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"


def ask(name: str, **body: Any) -> dict[str, Any]:
    """Return a line that requests a few words."""
    asked = {"model": MODEL, "messages": [{"role": "user", "content": f"Say {name}."}], "max_tokens": 6, **body}
    return {"custom_id": name, "method": "POST", "url": CHAT, "body": asked}


def made(client: openai.OpenAI, lines: Sequence[Any], endpoint: Any = CHAT, **more: Any) -> Batch:
    """Create a batch of these lines."""
    content = "\n".join(json.dumps(line) for line in lines).encode()
    sent = client.files.create(file=("batch.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=sent.id, endpoint=endpoint, completion_window="24h", **more)


def ended(server: ServerProcess, client: openai.OpenAI, batch: Batch, limit_s: float = 300) -> Batch:
    """Return the batch when it has ended."""
    ends = ("completed", "failed", "expired", "cancelled")
    server.wait("the batch has ended", lambda: client.batches.retrieve(batch.id).status in ends, limit_s)
    return client.batches.retrieve(batch.id)


def lines_of(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """Return the lines of a file."""
    assert file_id is not None
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


def test_the_newest_client_runs_a_batch(server: ServerProcess, client: openai.OpenAI) -> None:
    """A batch is created, listed and completed: answers have their custom ids, invalid lines fail, usage adds up."""
    lines = [ask(f"word {at}", temperature=0, seed=at) for at in range(8)]
    lines[2]["body"]["model"] = "nowhere"
    lines[5]["url"] = PLAIN
    batch = made(client, lines, metadata={"night": "1"})
    assert batch.id in [each.id for each in client.batches.list(limit=5)]
    done = ended(server, client, batch)
    assert (done.status, done.metadata, done.errors) == ("completed", {"night": "1"}, None)
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (8, 6, 2)
    answers = lines_of(client, done.output_file_id)
    assert [each["custom_id"] for each in answers] == [f"word {at}" for at in range(8) if at not in (2, 5)]
    alone = client.chat.completions.create(**{**lines[7]["body"], "stream": False})
    assert answers[-1]["response"]["body"]["choices"][0]["message"]["content"] == alone.choices[0].message.content
    failed = lines_of(client, done.error_file_id)
    assert failed[0]["response"]["body"]["error"]["code"] == "model_not_found"
    assert (failed[1]["response"], failed[1]["error"]["code"]) == (None, "mismatched_url")
    assert done.usage is not None
    spent = [each["response"]["body"]["usage"] for each in answers]
    assert done.usage.input_tokens == sum(each["prompt_tokens"] for each in spent)
    assert done.usage.output_tokens == sum(each["completion_tokens"] for each in spent)
    assert client.files.retrieve(str(done.output_file_id)).purpose == "batch_output"


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (PLAIN, {"model": MODEL, "prompt": ["one", "two"], "max_tokens": 2}),
        ("/v1/edits", {"model": MODEL, "input": "helo", "instruction": "Fix the spelling."}),
        ("/v1/embeddings", {"model": "multilingual-e5-small", "input": "hello"}),
        ("/v1/moderations", {"input": "hello"}),
    ],
)
def test_every_kind_of_request_can_be_in_a_batch(
    server: ServerProcess, client: openai.OpenAI, installed: object, endpoint: str, body: dict[str, Any]
) -> None:
    """A line gets the same answer as a request to its endpoint."""
    assert installed
    done = ended(
        server,
        client,
        made(client, [{"custom_id": "a", "method": "POST", "url": endpoint, "body": body}], endpoint),
    )
    [answer] = lines_of(client, done.output_file_id)
    alone = server.call("POST", endpoint, body).json()
    received = answer["response"]["body"]
    assert received.keys() == alone.keys()
    assert received.get("model") == alone.get("model")


def test_images_can_be_in_a_batch(image_server: ServerProcess) -> None:
    """An image is in the result, or at a URL that works."""
    asked = {"prompt": "a boat", "size": "256x256"}
    lines = [
        {
            "custom_id": form,
            "method": "POST",
            "url": "/v1/images/generations",
            "body": {**asked, "response_format": form},
        }
        for form in ("url", "b64_json")
    ]
    with openai.OpenAI(base_url=image_server.base, api_key="x", max_retries=0) as client:
        done = ended(image_server, client, made(client, lines, "/v1/images/generations"))
        answers = {
            each["custom_id"]: each["response"]["body"]["data"][0] for each in lines_of(client, done.output_file_id)
        }
    url = answers["url"]["url"]
    assert url.startswith(f"http://127.0.0.1:{image_server.port}/")
    assert image_server.call("GET", url.partition(str(image_server.port))[2]).status == 200
    assert answers["b64_json"]["b64_json"]


def test_a_batch_pauses_while_a_caller_waits_and_is_cancelled(server: ServerProcess, client: openai.OpenAI) -> None:
    """A batch pauses for interactive streams, metrics show that it is paused, and a canceled one keeps its results."""
    batch = made(client, [ask(str(at), max_tokens=100, ignore_eos=True) for at in range(30)])
    server.wait("it is under way", lambda: server.gauge("homeport:batches_running") == 1)
    server.wait("lines are running", lambda: server.gauge("vllm:num_requests_running") >= 1)
    body = {"model": MODEL, "prompt": "Once", "max_tokens": 40, "ignore_eos": True, "stream": True}
    caller = RawConnection(server, PLAIN, body)
    server.wait("it is paused", lambda: server.gauge("homeport:batches_resting") == 1)
    caller.status()
    assert server.gauge("homeport:batch_lines_waiting") > 0
    assert "error" not in caller.events()[-1]
    caller.hang_up()
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = ended(server, client, batch)
    assert (done.status, done.error_file_id) == ("cancelled", None)
    assert done.request_counts is not None
    assert done.request_counts.completed < done.request_counts.total == 30
    server.wait("all is free again", lambda: server.gauge("vllm:num_requests_running") == 0)


BAD: Sequence[dict[str, Any]] = (
    {"body": {"temperature": 9}},
    {"body": {"model": "nowhere"}},
    {"body": {"stream": True}},
    {"body": {"max_tokens": 8_191}},
    {"body": {"what": 1}},
    {"body": {"messages": []}},
    {"url": PLAIN},
    {"method": "GET"},
    {"custom_id": None},
    {"custom_id": "0"},
)
"""Ten kinds of invalid lines."""


@pytest.mark.soak
def test_a_batch_outlives_two_kills(tmp_path: Path, smollm2: Path, scale: Scale) -> None:
    """A server killed twice during a batch completes it: each line has one result, and each valid line an answer."""
    assert smollm2.exists()
    n_lines, n_bad = scale(60, 1000), scale(10, 20)
    lines: list[dict[str, Any]] = []
    places = [5 + at * (n_lines // n_bad) for at in range(n_bad)]
    for at in range(n_lines):
        line = ask(str(at))
        if at in places:
            wrong = BAD[places.index(at) % len(BAD)]
            line = {**line, **wrong, "body": {**line["body"], **wrong.get("body", {})}}
        lines.append(line)
    kept = {"DATABASE_URL": f"sqlite:///{tmp_path}/kept.db", "BLOBS": str(tmp_path / "blobs")}
    batch: Batch | None = None
    for share in (0.3, 0.6, None):
        with (
            running(tmp_path / "log", "--model", MODEL, **kept) as server,
            openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as client,
        ):
            batch = batch or made(client, lines)
            if share is not None:
                _wait_for(server, client, batch, int(share * n_lines))
                workers = server.workers()
                os.kill(server.pid, signal.SIGKILL)
                psutil.wait_procs(workers, 20)
                continue
            done = ended(server, client, batch, scale(300, 3600))
            answers, errors = lines_of(client, done.output_file_id), lines_of(client, done.error_file_id)
            assert sorted(file.purpose for file in client.files.list()) == ["batch", "batch_output", "batch_output"]
    _check(done, answers, errors, places, n_lines)


def _wait_for(server: ServerProcess, client: openai.OpenAI, batch: Batch, n_done: int) -> None:
    def is_there() -> bool:
        counts = client.batches.retrieve(batch.id).request_counts
        return counts is not None and counts.completed >= n_done

    server.wait(f"{n_done} lines are done", is_there, 3600)


def _check(
    done: Batch, answers: list[dict[str, Any]], errors: list[dict[str, Any]], places: list[int], n_lines: int
) -> None:
    n_bad = len(places)
    assert done.status == "completed"
    assert done.request_counts is not None
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (n_lines, n_lines - n_bad, n_bad)
    good = [str(at) for at in range(n_lines) if at not in places]
    assert [each["custom_id"] for each in answers] == good
    assert all(each["response"]["status_code"] == 200 and each["error"] is None for each in answers)
    assert len(errors) == n_bad
    named = Counter(each["custom_id"] for each in errors)
    wrong = [BAD[at % len(BAD)] for at in range(n_bad)]
    assert named == Counter(each.get("custom_id", str(at)) for at, each in zip(places, wrong, strict=True))
    assert len({each["id"] for each in [*answers, *errors]}) == n_lines


def test_a_restarted_server_resumes_at_once(tmp_path: Path, smollm2: Path) -> None:
    """A server that is stopped leaves a batch for the next start, which resumes it without waiting."""
    assert smollm2.exists()
    kept = {"DATABASE_URL": f"sqlite:///{tmp_path}/kept.db", "BLOBS": str(tmp_path / "blobs")}
    with (
        running(tmp_path / "log", "--model", MODEL, **kept) as server,
        openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as client,
    ):
        batch = made(client, [ask(str(at), max_tokens=16, ignore_eos=True) for at in range(16)])
        _wait_for(server, client, batch, 1)
        began = time.monotonic()
        server.child.send_signal(signal.SIGTERM)
        assert server.child.wait(20) == 0
        assert time.monotonic() - began < 10
    with (
        running(tmp_path / "log", "--model", MODEL, **kept) as server,
        openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as client,
    ):
        done = ended(server, client, batch)
        answers = lines_of(client, done.output_file_id)
    assert [each["custom_id"] for each in answers] == [str(at) for at in range(16)]
