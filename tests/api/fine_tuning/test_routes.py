"""Today's API of fine-tuning: jobs are created, listed, followed, paused and ended; a project sees only its own."""

from pathlib import Path
from typing import Any

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.errors import ExtraNotInstalled, InvalidRequest
from tests.api.asgi import call
from tests.api.fakes import services
from tests.api.fine_tuning.fine_tuning_app import (
    FINE_TUNES,
    JOBS,
    PREFERENCE,
    FineTuningApp,
)


@pytest.fixture
def fine_tuning_app(tmp_path: Path) -> FineTuningApp:
    return FineTuningApp(tmp_path)


async def test_a_job_has_openais_fields(fine_tuning_app: FineTuningApp) -> None:
    """A new job has every field of today's document, `auto` for open choices, and the requested name of the model."""
    validation = (await fine_tuning_app.upload_file())["id"]
    job = await fine_tuning_app.job(
        model="gpt-3.5-turbo", validation_file=validation, suffix="mine", metadata={"a": "b"}, seed=5, integrations=[]
    )
    assert job == {
        "object": "fine_tuning.job",
        "id": job["id"],
        "model": "gpt-3.5-turbo",
        "created_at": 1_700_000_000,
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "homeport",
        "result_files": [],
        "status": "queued",
        "validation_file": validation,
        "training_file": job["training_file"],
        "hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"},
        "trained_tokens": None,
        "error": None,
        "integrations": [],
        "seed": 5,
        "estimated_finish": None,
        "method": {"type": "supervised", "supervised": {"hyperparameters": job["hyperparameters"]}},
        "metadata": {"a": "b"},
    }
    assert job["id"].startswith("ftjob-")
    assert await fine_tuning_app.retrieve(job) == job


async def test_a_job_ends_with_a_model_and_a_table(fine_tuning_app: FineTuningApp) -> None:
    """A finished job has its model, tokens and final hyperparameters, and the project can download its result file."""
    async with fine_tuning_app.open():
        job = await fine_tuning_app.job(suffix="mine")
        done = await fine_tuning_app.until(job, "succeeded")
    assert done["fine_tuned_model"].startswith("ft:tiny:homeport:mine:")
    assert done["trained_tokens"] == 120
    assert done["finished_at"] == 1_700_000_000
    assert done["hyperparameters"] == {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.0}
    [result] = done["result_files"]
    assert (await fine_tuning_app.ask("GET", f"/files/{result}")).json["purpose"] == "fine-tune-results"
    assert (await fine_tuning_app.ask("GET", f"/files/{result}/content")).body == b"step,train_loss\n1,1.0\n"
    assert (await fine_tuning_app.ask("GET", f"/files/{result}", project="other")).status == 404


async def test_events_and_checkpoints_have_pages(fine_tuning_app: FineTuningApp) -> None:
    """Events and checkpoints are listed newest first, with metrics, page by page."""
    async with fine_tuning_app.open():
        job = await fine_tuning_app.job()
        await fine_tuning_app.until(job, "succeeded")
    path = f"{JOBS}/{job['id']}"
    listed = (await fine_tuning_app.ask("GET", f"{path}/events", limit=100)).json
    assert (listed["object"], listed["has_more"]) == ("list", False)
    assert listed["data"][0]["message"] == "Job succeeded."
    metrics = [event for event in listed["data"] if event["type"] == "metrics"]
    assert [event["data"]["step"] for event in metrics] == [6, 5, 4, 3, 2, 1]
    assert set(metrics[0]) == {"object", "id", "created_at", "level", "message", "type", "data"}
    page = (await fine_tuning_app.ask("GET", f"{path}/events", limit=2, after=listed["data"][1]["id"])).json
    assert (page["data"], page["has_more"]) == (listed["data"][2:4], True)
    found = (await fine_tuning_app.ask("GET", f"{path}/checkpoints")).json
    assert [each["step_number"] for each in found["data"]] == [6, 4, 2]
    first = found["data"][0]
    assert (found["first_id"], found["last_id"], found["has_more"]) == (first["id"], found["data"][2]["id"], False)
    assert first["fine_tuned_model_checkpoint"].endswith(":ckpt-step-6")
    assert first["fine_tuning_job_id"] == job["id"]
    assert first["metrics"] == {"step": 6, "train_loss": pytest.approx(1 / 6), "train_mean_token_accuracy": 0.5}


async def test_jobs_are_listed_by_page_and_metadata(fine_tuning_app: FineTuningApp) -> None:
    """Jobs are listed newest first, page by page, filtered by metadata or by having none."""
    ids = [(await fine_tuning_app.job(metadata=pairs))["id"] for pairs in ({"k": "v"}, None, {"k": "w"})]

    async def listed(**query: Any) -> tuple[list[str], bool]:
        response = await fine_tuning_app.ask("GET", JOBS, **query)
        assert response.status == 200, response.body
        return [job["id"] for job in response.json["data"]], response.json["has_more"]

    assert await listed() == (ids[::-1], False)
    assert await listed(limit=2) == (ids[:0:-1], True)
    assert await listed(limit=2, after=ids[1]) == ([ids[0]], False)
    assert await listed(**{"metadata[k]": "w"}) == ([ids[2]], False)
    assert await listed(**{"metadata[k]": ""}) == ([], False)
    assert await listed(metadata="null") == ([ids[1]], False)
    for query, param in (
        ({"metadata": "null", "metadata[k]": "v"}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"limit": 0}, "limit"),
        ({"after": "ftjob-none"}, "after"),
        ({"order": "asc"}, "order"),
    ):
        response = await fine_tuning_app.ask("GET", JOBS, **query)
        assert (response.status, response.error["param"]) == (400, param)


async def test_a_job_is_paused_resumed_and_cancelled(fine_tuning_app: FineTuningApp) -> None:
    """An active job is paused, resumed and cancelled; an ended one does not change."""
    fine_tuning_app.training.hold_at = 3
    async with fine_tuning_app.open():
        job = await fine_tuning_app.job()
        path = f"{JOBS}/{job['id']}"
        running = await fine_tuning_app.until(job, "running")
        assert running["fine_tuned_model"] is None
        assert (await fine_tuning_app.ask("POST", f"{path}/pause")).json["status"] == "paused"
        assert (await fine_tuning_app.ask("POST", f"{path}/pause")).status == 400
        assert (await fine_tuning_app.ask("POST", f"{path}/resume")).json["status"] == "queued"
        assert (await fine_tuning_app.ask("POST", f"{path}/resume")).status == 400
        await fine_tuning_app.until(job, "running")
        assert (await fine_tuning_app.ask("POST", f"{path}/cancel")).json["status"] == "cancelled"
        refused = await fine_tuning_app.ask("POST", f"{path}/cancel")
        assert (refused.status, refused.error["code"]) == (400, "invalid_job_state")


@pytest.mark.parametrize(
    ("failure", "code"), [(InvalidRequest("too long", param="training_file"), "invalid_request"), (OSError(), "broke")]
)
async def test_a_failed_job_has_its_error(fine_tuning_app: FineTuningApp, failure: Exception, code: str) -> None:
    """A failed job has its error, with a code, and the field if there was one."""
    fine_tuning_app.training.failure = failure
    async with fine_tuning_app.open():
        failed = await fine_tuning_app.until(await fine_tuning_app.job(), "failed")
    assert failed["error"]["code"] == code
    assert failed["error"]["param"] == getattr(failure, "param", None)
    assert failed["finished_at"]


async def test_another_projects_jobs_are_not_there(fine_tuning_app: FineTuningApp) -> None:
    """For another project's key a job and its lists are a 404 in both APIs, and so are its files in a new job."""
    job = await fine_tuning_app.job()
    for method, path in (
        ("GET", f"{JOBS}/{job['id']}"),
        ("GET", f"{JOBS}/{job['id']}/events"),
        ("GET", f"{JOBS}/{job['id']}/checkpoints"),
        ("POST", f"{JOBS}/{job['id']}/cancel"),
        ("POST", f"{JOBS}/{job['id']}/pause"),
        ("POST", f"{JOBS}/{job['id']}/resume"),
        ("GET", f"{FINE_TUNES}/{job['id']}"),
        ("GET", f"{FINE_TUNES}/{job['id']}/events"),
        ("POST", f"{FINE_TUNES}/{job['id']}/cancel"),
    ):
        response = await fine_tuning_app.ask(method, path, project="other")
        assert (response.status, response.error["code"]) == (404, "fine_tune_not_found")
    assert (await fine_tuning_app.ask("GET", JOBS, project="other")).json["data"] == []
    assert (await fine_tuning_app.ask("GET", FINE_TUNES, project="other")).json["data"] == []
    response = await fine_tuning_app.create(project="other", training_file=job["training_file"])
    assert (response.status, response.error["param"]) == (400, "training_file")
    assert (await fine_tuning_app.retrieve(job))["status"] == "queued"


async def test_preferences_are_a_method(fine_tuning_app: FineTuningApp) -> None:
    """The method dpo has its own hyperparameters and files of preferences."""
    chosen = {"beta": 0.2, "n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5}
    job = await fine_tuning_app.job(content=PREFERENCE, method={"type": "dpo", "dpo": {"hyperparameters": chosen}})
    assert job["method"] == {"type": "dpo", "dpo": {"hyperparameters": chosen}}
    assert (await fine_tuning_app.create(method={"type": "dpo"})).error["param"] == "training_file"
    assert (await fine_tuning_app.create(content=PREFERENCE)).error["param"] == "training_file"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": ...}, "model"),
        ({"training_file": ...}, "training_file"),
        ({"training_file": "file-none"}, "training_file"),
        ({"validation_file": "file-none"}, "validation_file"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"suffix": ""}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"method": {"type": "reinforcement", "reinforcement": {"grader": {}}}}, "method.type"),
        ({"method": {"type": "supervised", "reinforcement": {}}}, "method.reinforcement"),
        ({"method": {"type": "magic"}}, "method.type"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo"),
        ({"method": {"type": "dpo", "supervised": {}}}, "method.supervised"),
        ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"beta": 1}}}}, None),
        (
            {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}},
            "method.dpo.hyperparameters.beta",
        ),
        (
            {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 3}}}},
            "method.dpo.hyperparameters.beta",
        ),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {}, "method": {"type": "supervised"}}, "hyperparameters"),
        ({"n_epochs": 2}, "n_epochs"),
    ],
)
async def test_unsupported_fields_are_refused_by_name(
    fine_tuning_app: FineTuningApp, changes: dict[str, Any], param: str | None
) -> None:
    """A field that is unknown, out of range or not supported is a 400 that names it."""
    response = await fine_tuning_app.create(**changes)
    assert response.status == 400, response.body
    assert response.error["param"] == (param or "method.supervised.hyperparameters.beta")
    assert (await fine_tuning_app.ask("GET", JOBS)).json["data"] == []


async def test_values_without_effect_are_accepted(fine_tuning_app: FineTuningApp) -> None:
    """Null where the document allows it, `auto` and empty lists change nothing."""
    nothing: dict[str, Any] = dict.fromkeys(("validation_file", "suffix", "seed", "metadata", "integrations"))
    job = await fine_tuning_app.job(**nothing, hyperparameters={"n_epochs": "auto"})
    assert job["integrations"] == []
    assert 0 <= job["seed"] < 2**31


async def test_a_model_that_cannot_be_trained_is_refused(fine_tuning_app: FineTuningApp) -> None:
    """An unknown model is a 404 with similar names; one of another kind is a 400."""
    assert (await fine_tuning_app.create(model="nobody")).status == 404
    assert (await fine_tuning_app.ask("POST", JOBS, {"training_file": "file-1", "model": ""})).status == 404


async def test_a_missing_extra_is_named(fine_tuning_app: FineTuningApp) -> None:
    """Without the extra, creating a job is a 501 that names it and is not retried; no job is stored."""
    fine_tuning_app.training.refusal = ExtraNotInstalled("pip install 'homeport[train]'")
    for path in (JOBS, FINE_TUNES):
        response = await fine_tuning_app.create(path)
        assert response.status == 501
        assert response.error["code"] == "missing_extra"
        assert "homeport[train]" in response.error["message"]
        assert response.headers["x-should-retry"] == "false"
    assert (await fine_tuning_app.ask("GET", JOBS)).json["data"] == []


async def test_a_full_queue_is_busy(fine_tuning_app: FineTuningApp) -> None:
    """Over the queue's limit, creating a job is a 429 that says when to retry."""
    for _ in range(3):
        await fine_tuning_app.job()
    response = await fine_tuning_app.create()
    assert (response.status, response.error["code"]) == (429, "server_overloaded")
    assert int(response.headers["retry-after"]) >= 1


async def test_jobs_are_counted_for_operators(fine_tuning_app: FineTuningApp) -> None:
    """The metrics have the number of jobs by status."""
    async with fine_tuning_app.open():
        await fine_tuning_app.until(await fine_tuning_app.job(), "succeeded")
        while not fine_tuning_app.service.counts().get("succeeded"):
            await fine_tuning_app.service.wait_for_change(0.05)
    key = {"authorization": f"Bearer {fine_tuning_app.secrets['one']}"}
    text = (await call(fine_tuning_app.app, "GET", "/metrics", headers=key)).body.decode()
    assert 'homeport:fine_tuning_jobs{status="succeeded"} 1.0' in text
    assert 'homeport:fine_tuning_jobs{status="queued"} 0.0' in text


async def test_a_server_without_fine_tuning_is_unavailable() -> None:
    """Without a fine-tuning service both APIs are a 503."""
    app = build_application(services(access=AccessPolicy.from_keys()))
    for path in (JOBS, FINE_TUNES):
        assert (await call(app, "GET", f"/v1{path}")).status == 503
