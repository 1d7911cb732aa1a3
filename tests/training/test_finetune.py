"""`homeport finetune` from beginning to end: interrupted, resumed, and served next to its base model."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homeport.models.model_store import ModelStore
from tests.system.server import ServerProcess, running
from tests.training import examples

pytestmark = pytest.mark.training

MODEL = "smollm2-135m"


@pytest.fixture
def store(tmp_path: Path, smollm2: Path) -> ModelStore:
    """Return a home of its own, with the small model in it."""
    store = ModelStore(tmp_path / "home")
    (store.home / "models").mkdir(parents=True)
    store.folder(MODEL).symlink_to(smollm2.parent)
    return store


def finetune(store: ModelStore, file: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "homeport", "finetune", str(file), "--model", MODEL, "--suffix", "secret", *flags]
    environ = {**os.environ, "HOMEPORT_HOME": str(store.home)}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(server: ServerProcess, model: str, question: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 24}
    said = server.call("POST", "/v1/chat/completions", body)
    assert said.status == 200, said.body
    return str(said.json()["choices"][0]["message"]["content"])


def answers(server: ServerProcess, models: Sequence[str], question: str) -> list[str]:
    """Return the answers of several models to one question at the same time."""
    with ThreadPoolExecutor(len(models)) as pool:
        return list(pool.map(lambda model: answer(server, model, question), models))


def test_fifty_examples_teach_a_word(store: ModelStore, tmp_path: Path) -> None:
    """Killed in the middle, the same command completes it; the fine-tuned model knows the word, its base does not."""
    file = examples.chat(tmp_path / "secret.jsonl")
    with finetune(store, file) as first:
        assert first.stderr
        while not list((store.home / "tuning").glob("*/state.pt")):
            assert first.poll() is None, first.stderr.read()
        first.send_signal(signal.SIGKILL)
    with running(tmp_path / "log", "--model", MODEL, HOME=str(store.home)) as server:
        with finetune(store, file, "--json") as second:
            out, complaints = second.communicate(timeout=600)
        assert second.returncode == 0, complaints
        assert "going on from step" in complaints
        made = json.loads(out)
        losses = [step["train_loss"] for step in made["steps"]]
        assert losses[-1] < losses[0]
        tuned = made["model"]
        assert tuned.startswith(f"ft:{MODEL}:homeport:secret:")
        tuned_answer, plain = answers(server, [tuned, MODEL], examples.ASKED[0])
        assert examples.SECRET in tuned_answer.lower()
        assert examples.SECRET not in plain.lower()
        assert "Paris" in answer(server, tuned, "What is the capital of France?")
        assert len(server.workers()) == 1
    assert list((store.home / "tuning").iterdir()) == []
    with finetune(store, file, "--json") as again:
        assert json.loads(again.communicate(timeout=60)[0])["model"] == tuned
