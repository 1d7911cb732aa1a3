"""Fine-tuned models on a running server: available at once, in their base model's worker, gone when deleted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest

from homeport.models.fine_tuned import install
from homeport.models.model_store import ModelStore
from tests.samples.tiny_adapters import adapter
from tests.system.server import ServerProcess, running

MODEL = "smollm2-135m"
RED, BLUE = f"ft:{MODEL}:homeport:red:1", f"ft:{MODEL}:homeport:blue:2"
PROMPT = "Once upon a time there was"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> ModelStore:
    """A home of its own, with the small model in it."""
    store = ModelStore(tmp_path_factory.mktemp("home"))
    (store.home / "models").mkdir()
    store.folder(MODEL).symlink_to(smollm2.parent)
    return store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, store: ModelStore) -> Iterator[ServerProcess]:
    """A server on that home."""
    with running(tmp_path_factory.mktemp("server") / "log", "--model", MODEL, HOME=str(store.home)) as started:
        yield started


def said(server: ServerProcess, model: str) -> str:
    """Return a model's continuation of the prompt."""
    body = {"model": model, "prompt": PROMPT, "temperature": 0, "max_tokens": 24}
    answer = server.call("POST", "/v1/completions", body)
    assert answer.status == 200, answer.body
    assert answer.headers["x-homeport-model"] == model
    return str(answer.json()["choices"][0]["text"])


@pytest.mark.one_machine("counts the workers of its server alone")
def test_models_are_installed_and_deleted_while_the_server_runs(
    server: ServerProcess, store: ModelStore, tmp_path: Path
) -> None:
    """Installed models are listed and answer at once, each differently, in one worker; deleted ones are not found."""
    plain = said(server, MODEL)
    for name, seed in ((RED, 1), (BLUE, 2)):
        install(store, name, MODEL, {"adapter": adapter(tmp_path / "adapter.gguf", seed)}, "a test")
    with openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as client:
        listed = {model.id: model for model in client.models.list().data}
        assert {MODEL, RED, BLUE} <= set(listed)
        assert getattr(listed[RED], "parent", None) == MODEL
        with ThreadPoolExecutor(9) as pool:
            answers = list(pool.map(lambda name: said(server, name), [RED, MODEL, BLUE] * 3))
        assert answers[:3] * 3 == answers
        assert answers[1] == plain
        assert len(set(answers)) == 3
        assert len(server.workers()) == 1
        assert client.models.delete(RED).deleted
        assert RED not in {model.id for model in client.models.list().data}
    assert server.call("POST", "/v1/completions", {"model": RED, "prompt": "x"}).status == 404
    assert said(server, BLUE) == answers[2]
    assert server.call("DELETE", f"/v1/models/{MODEL}").status == 403
