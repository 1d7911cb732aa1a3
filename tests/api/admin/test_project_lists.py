"""The lists of files, batches and fine-tuning jobs of all projects, for operators."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.batches import NewBatch
from homeport.store.batches import SqlBatchRepository
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services
from tests.api.fine_tuning.fine_tuning_app import FineTuningApp

ADMIN = "the-operators-own-key"
LISTS = ("/files", "/batches", "/fine_tuning/jobs")


class ProjectsApp(FineTuningApp):
    """Files, batches and jobs of two projects, and an admin key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.batches = SqlBatchRepository(self.database, self.files, lambda: self.now)
        access = AccessPolicy.from_keys(admin_keys=(ADMIN,), key_cache=self.services["access"].key_cache)
        given = {**self.services, "access": access, "batches": self.batches, "fine_tuning": self.service}
        self.app = build_application(services(**given))

    async def manage(self, path: str, key: str = ADMIN, **query: Any) -> AsgiResponse:
        """Ask for a list under `/admin/v1`."""
        headers = {"authorization": f"Bearer {key}"}
        return await call(self.app, "GET", f"/admin/v1{path}?{urlencode(query)}", headers=headers)

    async def fill(self) -> None:
        """Create a file, a batch and a job in each project."""
        for project in ("one", "other"):
            job = await self.job(project=project)
            self.batches.create(
                NewBatch(project=project, key="", endpoint="/v1/completions", input_file_id=job["training_file"])
            )


@pytest.fixture
async def projects(tmp_path: Path) -> ProjectsApp:
    app = ProjectsApp(tmp_path)
    await app.fill()
    return app


@pytest.mark.parametrize("path", LISTS)
async def test_an_operator_sees_all_projects(projects: ProjectsApp, path: str) -> None:
    """Every object is listed with its project, newest first, and otherwise as its own project sees it."""
    listed = (await projects.manage(path)).json["data"]
    assert [each["project"] for each in listed] == ["other", "one"]
    for each in listed:
        own = (await projects.ask("GET", f"{path}/{each['id']}", project=each["project"])).json
        assert each == {**own, "project": each["project"]}


@pytest.mark.parametrize("path", LISTS)
async def test_pages_and_projects_are_selected(projects: ProjectsApp, path: str) -> None:
    """Pages follow one another over all projects, and `project` selects one."""
    first = (await projects.manage(path, limit=1)).json
    assert first["has_more"]
    second = (await projects.manage(path, limit=1, after=first["last_id"])).json
    assert not second["has_more"]
    assert [page["data"][0]["project"] for page in (first, second)] == ["other", "one"]
    chosen = (await projects.manage(path, project="one")).json
    assert [each["project"] for each in chosen["data"]] == ["one"]
    assert (await projects.manage(path, project="none")).json["data"] == []


async def test_files_are_selected_by_purpose(projects: ProjectsApp) -> None:
    """`purpose` selects files of all projects."""
    await projects.upload_file(b"a", "assistants", "other")
    listed = (await projects.manage("/files", purpose="assistants")).json["data"]
    assert [(each["purpose"], each["project"]) for each in listed] == [("assistants", "other")]


async def test_an_operator_follows_a_jobs_losses(projects: ProjectsApp) -> None:
    """The events and checkpoints of any project's job are those that its project sees."""
    async with projects.open():
        job = await projects.job(project="one")
        await projects.until(job, "succeeded")
    path = f"/fine_tuning/jobs/{job['id']}"
    for what in ("events", "checkpoints"):
        listed = (await projects.manage(f"{path}/{what}", limit=100)).json["data"]
        assert listed
        assert listed == (await projects.ask("GET", f"{path}/{what}", limit=100)).json["data"]
    events = (await projects.manage(f"{path}/events", limit=100)).json["data"]
    assert any(event["type"] == "metrics" and "train_loss" in event["data"] for event in events)


async def test_only_an_admin_sees_them(projects: ProjectsApp) -> None:
    """For a project's own key the lists do not exist; an unknown job is a 404, other parameters are refused by name."""
    for path in (*LISTS, "/fine_tuning/jobs/x/events"):
        assert (await projects.manage(path, key=projects.secrets["one"])).status == 404
    for what in ("events", "checkpoints"):
        assert (await projects.manage(f"/fine_tuning/jobs/x/{what}")).error["code"] == "fine_tune_not_found"
    for path in LISTS:
        assert (await projects.manage(path, limit=0)).error["param"] == "limit"
        assert (await projects.manage(path, after="x")).error["param"] == "after"
        assert (await projects.manage(path, colour=1)).error["param"] == "colour"
