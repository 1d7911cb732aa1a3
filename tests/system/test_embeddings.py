"""Embeddings on real weights over real HTTP: both SDKs, several languages, limits, disconnects, unloading."""

import base64
import concurrent.futures
import itertools
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import psutil
import pytest
from numpy.typing import NDArray

from homeport.client import http_client, runfile
from homeport.engines import encodings
from tests.conftest import home_folder
from tests.samples import tiny_encoders as tiny
from tests.system.client_programs import run_client
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running

MODEL = "multilingual-e5-small"
ADA = "text-embedding-ada-002"
MEANINGS = [
    ("The weather is lovely today.", "今天天气很好。", "Das Wetter ist heute schön."),
    ("I bought a new car.", "我买了一辆新车。", "Ich habe ein neues Auto gekauft."),
    ("The doctor prescribed some medicine.", "医生开了一些药。", "Der Arzt hat Medikamente verschrieben."),
    ("She plays the piano very well.", "她钢琴弹得很好。", "Sie spielt sehr gut Klavier."),
    ("Bread is made from flour and water.", "面包是用面粉和水做的。", "Brot wird aus Mehl und Wasser gemacht."),
]


@pytest.fixture(autouse=True)
def _weights(multilingual_e5: Path) -> None:
    assert multilingual_e5.exists()


def vectors(client: openai.OpenAI, given: Any, model: str = ADA, **wish: Any) -> NDArray[np.float64]:
    return np.array([each.embedding for each in client.embeddings.create(model=model, input=given, **wish).data])


def test_nearest_neighbours_cross_languages(client: openai.OpenAI) -> None:
    """In English, Chinese and German a sentence is nearest to its translation in the other languages."""
    rows = vectors(client, [sentence for meaning in MEANINGS for sentence in meaning])
    for one, other in itertools.permutations(range(3), 2):
        near = rows[one::3] @ rows[other::3].T
        assert near.argmax(axis=1).tolist() == list(range(len(MEANINGS)))
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_query_finds_its_document(client: openai.OpenAI) -> None:
    """The search models of 2022 give another vector, which finds the document in any language."""
    documents = [sentence for meaning in MEANINGS for sentence in meaning]
    found = vectors(client, documents, "text-search-ada-doc-001")
    (asked,) = vectors(client, "what did the physician give?", "text-search-ada-query-001")
    assert int(np.argmax(found @ asked)) // 3 == 2
    (same,) = vectors(client, documents[0], "text-search-ada-query-001")
    assert same @ found[0] < 0.9999
    (own,) = vectors(client, f"query: {documents[0]}", MODEL)
    assert own == pytest.approx(same, abs=1e-6)


def test_base64_is_float_bit_for_bit(client: openai.OpenAI, server: ServerProcess) -> None:
    """The SDK requests base64 by default; its decoded numbers are exactly those of `float`."""
    texts = ["hello", "世界", "Grüße"]
    given = client.embeddings.create(model=ADA, input=texts).data
    plain = client.embeddings.create(model=ADA, input=texts, encoding_format="float").data
    assert [each.embedding for each in given] == [each.embedding for each in plain]
    raw = server.call("POST", "/v1/embeddings", {"model": ADA, "input": texts, "encoding_format": "base64"}).json()
    for one, other in zip(raw["data"], plain, strict=True):
        data = base64.b64decode(one["embedding"], validate=True)
        assert list(struct.unpack(f"<{len(data) // 4}f", data)) == other.embedding
    assert raw["usage"]["prompt_tokens"] == raw["usage"]["total_tokens"] > 0


def spelled(text: str, encoding: encodings.Encoding, known: dict[bytes, int]) -> list[int]:
    """Return ids of an encoding that spell a text, longest token first; characters may be split."""
    raw, ids = text.encode(), []
    while raw:
        size = next(size for size in range(len(raw), 0, -1) if raw[:size] in known)
        ids.append(known[raw[:size]])
        raw = raw[size:]
    return ids


@pytest.mark.parametrize(("model", "name"), [(ADA, "cl100k_base"), ("text-similarity-ada-001", "r50k_base")])
def test_ids_give_the_vector_of_their_text(client: openai.OpenAI, model: str, name: str) -> None:
    """Token ids under an OpenAI name are read in its encoding, and give their text's vector, alone and in arrays."""
    encoding = encodings.load(name)
    known = {encoding.token(id): id for id in range(50_000)}
    texts = ["hello world", "今天天气很好 👋", "  Grüße,\nzwei  Zeilen"]
    ids = [spelled(text, encoding, known) for text in texts]
    expected = vectors(client, texts, model)
    assert np.abs(vectors(client, ids, model) - expected).max() < 1e-6
    assert np.abs(vectors(client, ids[0], model) - vectors(client, texts[0], model)).max() < 1e-6


@pytest.fixture(scope="module")
def seen(server: ServerProcess, multilingual_e5: Path) -> Any:
    """The results of the 2023 client, by scenario."""
    assert multilingual_e5.exists()
    return run_client("embeddings_2023", server.base, timeout_s=120)


def test_the_client_of_2023_gets_its_vectors(seen: Any) -> None:
    """Embedding.create by model and by engine, with texts and ids, decodes the same numbers as `float`."""
    assert seen["by_default"]["model"] == ADA
    (plain,) = seen["float"]["data"]
    assert seen["by_default"]["data"] == [plain]
    assert seen["ids"]["data"] == [plain]
    both = [each["embedding"] for each in seen["texts"]["data"]]
    assert np.abs(np.array([each["embedding"] for each in seen["arrays"]["data"]]) - both).max() < 1e-6
    assert len(seen["by_engine"]["data"][0]["embedding"]) == 384
    assert seen["by_default"]["usage"] == seen["ids"]["usage"]


def test_the_client_of_2023_gets_its_errors(seen: Any) -> None:
    """Texts too long and empty raise InvalidRequestError with code and field."""
    assert (seen["long"]["class"], seen["long"]["code"]) == ("InvalidRequestError", "context_length_exceeded")
    assert (seen["empty"]["class"], seen["empty"]["param"]) == ("InvalidRequestError", "input")


@pytest.fixture
def worker(server: ServerProcess, client: openai.OpenAI) -> psutil.Process:
    """The process that holds the embedding model."""
    vectors(client, "wake up")
    held = runfile.find(home_folder(), port=server.port)
    assert held is not None
    (pid,) = [each.pid for each in http_client.list_workers(held) if each.model == MODEL]
    return psutil.Process(pid)


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("token", [70, 6213])
def test_the_window_is_a_limit_and_never_a_crash(
    server: ServerProcess, client: openai.OpenAI, worker: psutil.Process, token: int, is_listed: bool
) -> None:
    """An input of the whole window is accepted, one token more is a 400 with both numbers; the worker lives."""
    body: dict[str, Any] = {"model": MODEL, "input": [[token] * 508] if is_listed else [token] * 508}
    answer = server.call("POST", "/v1/embeddings", body)
    assert answer.json()["usage"]["prompt_tokens"] == 512, answer.body
    over = [token] * 509
    answer = server.call("POST", "/v1/embeddings", {**body, "input": [[token], over] if is_listed else over})
    assert (answer.status, answer.error["code"]) == (400, "context_length_exceeded")
    assert answer.error["param"] == ("input[1]" if is_listed else "input")
    assert "512 tokens" in answer.error["message"]
    assert "513 tokens" in answer.error["message"]
    assert worker.is_running()
    assert vectors(client, "still here").shape == (1, 384)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("word " * 509, "input"),
        (["fine", "天气" * 600], "input[1]"),
        ("x" * 2_000_000, "input"),
        ([100257], "input"),
        ([[15339], [100256]], "input[1]"),
        ([""], "input[0]"),
    ],
)
def test_what_the_model_cannot_read_is_refused(server: ServerProcess, given: Any, param: str) -> None:
    """Texts over the window, special and unknown ids, and empty input are a 400 that names the input."""
    answer = server.call("POST", "/v1/embeddings", {"model": ADA, "input": given})
    assert (answer.status, answer.error["param"]) == (400, param), answer.body


@pytest.mark.parametrize("changes", [{"dimensions": 256}, {"dimensions": 1000}, {"model": "gpt-4"}])
def test_what_the_model_cannot_do_is_refused(server: ServerProcess, changes: dict[str, Any]) -> None:
    """Fewer or more dimensions, and a model of another kind, are a 400 that names the field."""
    answer = server.call("POST", "/v1/embeddings", {"model": ADA, "input": "hello", **changes})
    assert answer.status == 400
    assert answer.error["param"] in changes


def test_four_at_once_get_their_own(client: openai.OpenAI, server: ServerProcess) -> None:
    """Requests that share batches get the same vectors as alone, and are counted."""
    texts = [[f"number {at} of {asked}" for at in range(20)] for asked in range(4)]
    before = server.gauge("vllm:request_success_total")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: vectors(client, each), texts))
    for each, rows in zip(texts, together, strict=True):
        assert (rows[:3] * vectors(client, each[:3])).sum(1).min() > 0.999
    assert server.gauge("vllm:request_success_total") >= before + 4


def test_a_client_that_leaves_frees_the_worker(server: ServerProcess, client: openai.OpenAI) -> None:
    """When a client disconnects, its thousands of inputs are dropped, and the next request is served."""
    vectors(client, "wake up")
    line = RawConnection(server, "/v1/embeddings", {"model": MODEL, "input": ["some words to be read " * 15] * 2000})
    server.wait("it runs", lambda: server.gauge("vllm:num_requests_running") > 0)
    line.hang_up()
    server.wait("it is gone", server.is_idle, 15)
    steps = server.gauge("homeport:engine_steps_total")
    assert vectors(client, "next").shape == (1, 384)
    assert server.gauge("homeport:engine_steps_total") <= steps + 4


def test_unloading_gives_the_memory_back(server: ServerProcess, client: openai.OpenAI, worker: psutil.Process) -> None:
    """`stop` ends the worker of the model; the next request loads it again without a download."""
    held = runfile.find(home_folder(), port=server.port)
    assert held is not None
    assert 0 < worker.memory_info().rss < 450_000_000
    http_client.stop(held, MODEL)
    server.wait("the process is gone", lambda: not worker.is_running())
    assert MODEL not in [each.model for each in http_client.list_workers(held)]
    assert vectors(client, "again").shape == (1, 384)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose only model is an embedding model from a user's file."""
    folder = tmp_path_factory.mktemp("own")
    tiny.bert(folder / "mine.gguf", name="mine")
    command = ["homeport", "pull", f"file:{folder / 'mine.gguf'}", "--home", str(folder / "home")]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=60)
    with running(folder / "log", "--home", str(folder / "home"), "--model", "mine") as started:
        yield started


def test_a_users_own_model_is_served(own: ServerProcess) -> None:
    """A user's GGUF answers under its name and OpenAI's, pooled as its file says, without a network."""
    with openai.OpenAI(base_url=own.base, api_key="x", max_retries=0) as client:
        one, other = vectors(client, ["the cat", "the dog"], "mine")
        assert vectors(client, tiny.tokens("the", "cat"), "mine")[0] == pytest.approx(one, abs=1e-6)
        assert vectors(client, "the cat")[0] == pytest.approx(one, abs=1e-3)
        assert np.abs(one - other).max() > 1e-3
        (model,) = [model for model in client.models.list().data if model.id == "mine"]
    assert model.owned_by == "homeport"
