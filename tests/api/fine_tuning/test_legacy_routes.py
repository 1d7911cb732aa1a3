"""2023's API of fine-tuning: jobs are created, listed, followed and cancelled, the same ones as in today's API."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api.fine_tuning.fine_tuning_app import (
    FINE_TUNES,
    JOBS,
    PREFERENCE,
    FineTuningApp,
)

CLASSES = {"compute_classification_metrics": True, "classification_n_classes": 3}


@pytest.fixture
def fine_tuning_app(tmp_path: Path) -> FineTuningApp:
    return FineTuningApp(tmp_path)


async def test_a_fine_tune_has_the_fields_of_2023(fine_tuning_app: FineTuningApp) -> None:
    """A new job has every field of 2023's document, with its files and its events."""
    validation = await fine_tuning_app.upload_file()
    job = await fine_tuning_app.job(FINE_TUNES, validation_file=validation["id"], n_epochs=2, prompt_loss_weight=0.5)
    [training] = job["training_files"]
    events = job["events"]
    assert job == {
        "object": "fine-tune",
        "id": job["id"],
        "hyperparams": {
            "n_epochs": 2,
            "batch_size": None,
            "learning_rate_multiplier": None,
            "prompt_loss_weight": 0.5,
        },
        "organization_id": "homeport",
        "model": "tiny",
        "training_files": [training],
        "validation_files": [{**validation, "status": "processed"}],
        "result_files": [],
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_000,
        "status": "pending",
        "fine_tuned_model": None,
        "events": events,
    }
    assert job["id"].startswith("ft-")
    assert training["object"] == "file"
    assert [event["message"] for event in events] == [
        f"Created fine-tuning job: {job['id']}",
        "Job enqueued. Waiting for jobs ahead to complete. Queue number: 0.",
    ]
    assert set(events[0]) == {"object", "created_at", "level", "message"}
    assert await fine_tuning_app.retrieve(job, FINE_TUNES) == job


async def test_both_apis_have_the_same_jobs(fine_tuning_app: FineTuningApp) -> None:
    """A job of either API is found, listed and cancelled by the other; deleted files are omitted."""
    old, new = (
        await fine_tuning_app.job(FINE_TUNES),
        await fine_tuning_app.job(content=PREFERENCE, method={"type": "dpo"}),
    )
    assert (await fine_tuning_app.retrieve(old))["method"]["supervised"]["hyperparameters"]["n_epochs"] == 4
    assert (await fine_tuning_app.retrieve(new, FINE_TUNES))["status"] == "pending"
    listed = (await fine_tuning_app.ask("GET", FINE_TUNES)).json
    assert [job["id"] for job in listed["data"]] == [old["id"], new["id"]]
    assert "events" not in listed["data"][0]
    assert [job["id"] for job in (await fine_tuning_app.ask("GET", JOBS)).json["data"]] == [new["id"], old["id"]]
    assert (await fine_tuning_app.ask("POST", f"{FINE_TUNES}/{new['id']}/cancel")).json["status"] == "cancelled"
    assert (await fine_tuning_app.ask("POST", f"{JOBS}/{old['id']}/pause")).json["status"] == "paused"
    await fine_tuning_app.ask("DELETE", f"/files/{old['training_files'][0]['id']}")
    found = await fine_tuning_app.retrieve(old, FINE_TUNES)
    assert (found["status"], found["training_files"]) == ("pending", [])


async def test_events_are_streamed_as_they_occur(fine_tuning_app: FineTuningApp) -> None:
    """A stream starts with past events, continues with each step of the training, and ends with `[DONE]`."""
    fine_tuning_app.training.hold_at = 2
    async with fine_tuning_app.open():
        job = await fine_tuning_app.job(FINE_TUNES)
        follow = asyncio.create_task(fine_tuning_app.ask("GET", f"{FINE_TUNES}/{job['id']}/events", stream="true"))
        await fine_tuning_app.until(job, "running")
        assert await asyncio.to_thread(fine_tuning_app.training.is_held.wait, 30)
        assert not follow.done()
        fine_tuning_app.training.go.set()
        response = await follow
    frames = response.body.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    assert response.headers["content-type"].startswith("text/event-stream")
    received = [msgspec.json.decode(frame.removeprefix("data: ")) for frame in frames[:-2] if not frame.startswith(":")]
    listed = (await fine_tuning_app.ask("GET", f"{FINE_TUNES}/{job['id']}/events")).json
    assert received == listed["data"]
    assert received[-1]["message"] == "Job succeeded."
    assert sum(part.count(b"Step ") for part in response.parts[:2]) < 6
    assert (await fine_tuning_app.ask("GET", f"{FINE_TUNES}/ft-none/events", stream="true")).status == 404


async def test_event_streams_end_at_shutdown(fine_tuning_app: FineTuningApp) -> None:
    """A stream of an unfinished job ends without `[DONE]` when the server shuts down."""
    job = await fine_tuning_app.job(FINE_TUNES)
    follow = asyncio.create_task(fine_tuning_app.ask("GET", f"{FINE_TUNES}/{job['id']}/events", stream="true"))
    await fine_tuning_app.service.wait_for_change(0.1)
    fine_tuning_app.service.shut_down()
    body = (await follow).body
    assert body.count(b"data: ") == 2
    assert b"[DONE]" not in body


async def test_a_finished_fine_tune_has_its_files(fine_tuning_app: FineTuningApp) -> None:
    """A finished job has its model and its result file; a stream of it ends at once."""
    async with fine_tuning_app.open():
        job = await fine_tuning_app.job(FINE_TUNES)
        await fine_tuning_app.until(job, "succeeded")
    done = await fine_tuning_app.retrieve(job, FINE_TUNES)
    assert done["fine_tuned_model"].startswith("ft:tiny:homeport::")
    assert [file["purpose"] for file in done["result_files"]] == ["fine-tune-results"]
    assert done["hyperparams"]["batch_size"] == 1
    response = await fine_tuning_app.ask("GET", f"{FINE_TUNES}/{job['id']}/events", stream="true")
    assert response.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"training_file": ...}, "training_file"),
        ({"training_file": "file-none"}, "training_file"),
        ({"validation_file": "file-none"}, "validation_file"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate_multiplier": 0}, "learning_rate_multiplier"),
        ({"prompt_loss_weight": 2}, "prompt_loss_weight"),
        ({"suffix": "x" * 41}, "suffix"),
        ({"compute_classification_metrics": True}, "compute_classification_metrics"),
        ({"classification_n_classes": 2}, "classification_n_classes"),
        ({"classification_positive_class": "a"}, "classification_positive_class"),
        ({"classification_betas": [1]}, "classification_betas"),
        ({**CLASSES, "validation_file": "file-1", "classification_n_classes": 1}, "classification_n_classes"),
        ({**CLASSES, "validation_file": "file-1", "classification_n_classes": None}, "compute_classification_metrics"),
        ({**CLASSES, "validation_file": "file-1", "classification_betas": [1]}, "classification_betas"),
        ({"seed": 1}, "seed"),
        ({"method": {"type": "supervised"}}, "method"),
    ],
)
async def test_unsupported_fields_are_refused_by_name(
    fine_tuning_app: FineTuningApp, changes: dict[str, Any], param: str
) -> None:
    """A field that is unknown, out of range, or without another one that it needs, is a 400 that names it."""
    response = await fine_tuning_app.create(FINE_TUNES, **changes)
    assert (response.status, response.error["param"]) == (400, param), response.body
    assert (await fine_tuning_app.ask("GET", FINE_TUNES)).json["data"] == []


async def test_classification_settings_reach_the_training(fine_tuning_app: FineTuningApp) -> None:
    """Classification settings reach the training and are in the job; null and false turn them off."""
    validation = (await fine_tuning_app.upload_file())["id"]
    asked = {
        "compute_classification_metrics": True,
        "classification_n_classes": 2,
        "classification_positive_class": "b",
        "classification_betas": [0.5, 2.0],
    }
    async with fine_tuning_app.open():
        job = await fine_tuning_app.job(FINE_TUNES, validation_file=validation, **asked)
        assert job["hyperparams"].items() >= asked.items()
        await fine_tuning_app.until(job, "succeeded")
    classes = fine_tuning_app.training.runs[0].hyperparameters.classification
    assert classes is not None
    assert (classes.n_classes, classes.positive_class, classes.betas) == (2, "b", (0.5, 2.0))
    nothing = await fine_tuning_app.job(FINE_TUNES, **{**dict.fromkeys(asked), "compute_classification_metrics": False})
    assert "classification_n_classes" not in nothing["hyperparams"]
