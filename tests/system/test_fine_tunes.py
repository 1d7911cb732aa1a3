"""Fine-tuning over real HTTP by both SDKs: a model is trained across a kill, and compared with its base model."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from homeport.models.model_store import ModelStore
from tests.system.client_programs import run_client
from tests.system.server import ServerProcess, running
from tests.training import examples

pytestmark = pytest.mark.training

MODEL = "smollm2-135m"
PROMPT = "The secret word of the project is"
LIMIT_S = 900


@pytest.fixture
def home(tmp_path: Path, smollm2: Path) -> Path:
    """A home of its own, with the small model."""
    store = ModelStore(tmp_path / "home")
    (store.home / "models").mkdir(parents=True)
    store.folder(MODEL).symlink_to(smollm2.parent)
    return store.home


def clients(server: ServerProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base, api_key="sk-test", max_retries=0, timeout=120)


def answer(client: openai.OpenAI, model: str) -> str:
    said = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": examples.ASKED[0]}], temperature=0, max_tokens=24
    )
    return str(said.choices[0].message.content).lower()


def steps(client: openai.OpenAI, job_id: str) -> dict[int, Any]:
    """Return the reported metrics by step; each is reported once."""
    received = [
        event.data for event in client.fine_tuning.jobs.list_events(job_id, limit=50) if event.type == "metrics"
    ]
    found = {int(data["step"]): data for data in received if isinstance(data, dict)}
    assert len(found) == len(received)
    return found


def killed_in_the_middle(home: Path, folder: Path) -> tuple[str, str]:
    """Start, pause and resume a job, and kill the server during it; return the job and its file."""
    with running(folder / "log", "--model", MODEL, HOME=str(home)) as server, clients(server) as client:
        sent = client.files.create(file=examples.chat(folder / "secret.jsonl"), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="gpt-3.5-turbo",
            training_file=sent.id,
            suffix="secret",
            seed=1,
            metadata={"for": "test"},
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 2}}},
        )
        assert job.status == "queued"
        jobs = client.fine_tuning.jobs
        server.wait("a step is done", lambda: len(steps(client, job.id)) > 1, LIMIT_S)
        # The SDK's types do not know the status that its own method leads to.
        assert jobs.pause(job.id).model_dump()["status"] == "paused"
        assert [each.id for each in jobs.list(metadata={"for": "test"})] == [job.id]
        jobs.resume(job.id)
        server.wait("the first epoch is over", lambda: jobs.checkpoints.list(job.id).data, LIMIT_S)
        server.wait("and a step of the second", lambda: max(steps(client, job.id)) > 25, LIMIT_S)
        family = [psutil.Process(server.pid), *server.workers()]
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs(family, 30)
    return job.id, sent.id


def test_the_newest_client_trains_a_model_through_a_kill(home: Path, tmp_path: Path) -> None:
    """A paused, resumed and killed job succeeds, each step is reported once; only the tuned model has the new word.

    Both are served by one worker; the table can be downloaded, checkpoints answer, and a deleted model is gone.
    """
    job_id, file_id = killed_in_the_middle(home, tmp_path)
    with (
        running(tmp_path / "log", "--model", MODEL, HOME=str(home)) as server,
        clients(server) as client,
    ):
        jobs = client.fine_tuning.jobs
        server.wait("the job has ended", lambda: jobs.retrieve(job_id).finished_at, LIMIT_S)
        done = jobs.retrieve(job_id)
        assert (done.status, done.error, done.training_file) == ("succeeded", None, file_id)
        assert done.fine_tuned_model is not None
        assert done.fine_tuned_model.startswith(f"ft:{MODEL}:homeport:secret:")
        assert done.hyperparameters.batch_size == 2
        received = steps(client, job_id)
        assert sorted(received) == list(range(1, 51))
        assert received[50]["train_loss"] < received[1]["train_loss"] / 4
        assert any("resumed from step" in event.message for event in jobs.list_events(job_id, limit=100))
        table = client.files.content(done.result_files[0]).text.strip().splitlines()
        assert len(table) == 51
        assert examples.SECRET in answer(client, done.fine_tuned_model)
        assert examples.SECRET not in answer(client, MODEL)
        checkpoints = list(jobs.checkpoints.list(job_id))
        assert [each.step_number for each in checkpoints] == [50, 25]
        assert examples.SECRET in answer(client, checkpoints[0].fine_tuned_model_checkpoint)
        assert len(server.workers()) == 1
        assert server.gauge('homeport:fine_tuning_jobs{status="succeeded"}') == 1
        assert client.models.delete(done.fine_tuned_model).deleted
        with pytest.raises(openai.NotFoundError):
            answer(client, done.fine_tuned_model)


def test_the_client_of_2023_trains_a_model(home: Path, tmp_path: Path) -> None:
    """openai 0.28.1 trains on prompts and completions, follows all events, queries, downloads and deletes."""
    file = examples.raw(tmp_path / "secret.jsonl")
    settings = {"model": MODEL, "n_epochs": 5, "suffix": "secret", "learning_rate_multiplier": 2}
    with running(tmp_path / "log", "--model", MODEL, HOME=str(home)) as server:
        seen = run_client("fine_tunes_2023", server.base, file, PROMPT, json.dumps(settings), timeout_s=LIMIT_S)
    assert seen["created"]["status"] == "pending"
    assert seen["created"]["hyperparams"]["n_epochs"] == 5
    assert seen["streamed"] == seen["events"]
    assert seen["streamed"][-1] == "Job succeeded."
    assert seen["done"]["status"] == "succeeded"
    assert seen["done"]["id"] in seen["listed"]
    assert seen["ended"]["class"] == "InvalidRequestError"
    losses = [float(line.split(",")[3]) for line in seen["results"].strip().splitlines()[1:]]
    assert losses[-1] < losses[0]
    assert seen["done"]["fine_tuned_model"] in seen["models"]
    assert examples.SECRET in seen["tuned"]
    assert examples.SECRET not in seen["base"]
    assert seen["deleted"]["deleted"] is True
    assert seen["gone"]["class"] == "InvalidRequestError"


def test_a_cancelled_job_leaves_no_model(home: Path, tmp_path: Path) -> None:
    """Canceling a running job ends its process, and leaves no model, checkpoint or file."""
    with (
        running(tmp_path / "log", "--model", MODEL, HOME=str(home)) as server,
        clients(server) as client,
    ):
        sent = client.files.create(file=examples.raw(tmp_path / "secret.jsonl"), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model=MODEL, training_file=sent.id, hyperparameters={"n_epochs": 50, "batch_size": 5}
        )
        server.wait("a checkpoint", lambda: client.fine_tuning.jobs.checkpoints.list(job.id).data, LIMIT_S)
        assert any(model.id.startswith("ft:") for model in client.models.list())
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
        server.wait(
            "all of it is gone",
            lambda: (
                len(server.workers()) <= 1
                and not any(model.id.startswith("ft:") for model in client.models.list())
                and not any((home / "tuning").iterdir())
            ),
            LIMIT_S,
        )
        assert not list(client.files.list(purpose="fine-tune-results"))
        assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model is None
