"""Files, batches and fine-tunes: from the upload to the result, and those of all projects for operators."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.models.model_store import ModelStore
from tests.system.page.conftest import ADMIN_KEY, KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess, running
from tests.training import examples

MODEL = "smollm2-135m"
PHONE = (390, 844)
BOUNDARY = "pagetest"


@pytest.fixture(scope="module")
def tuning_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server that trains the small model, in a home of its own."""
    folder = tmp_path_factory.mktemp("tuning_server")
    store = ModelStore(folder / "home")
    (store.home / "models").mkdir(parents=True)
    store.folder(MODEL).symlink_to(smollm2.parent)
    with running(folder / "log", "--model", MODEL, HOME=str(store.home)) as started:
        yield started


def requests_file(path: Path, count: int) -> Path:
    """Write requests for a batch, and one that cannot be served."""
    body = {"model": MODEL, "max_tokens": 3, "messages": [{"role": "user", "content": "Hello"}]}
    lines = [
        {"custom_id": f"line-{i}", "method": "POST", "url": "/v1/chat/completions", "body": body} for i in range(count)
    ]
    lines.append({**lines[0], "custom_id": "bad", "body": {**body, "temperature": 9}})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def send_file(server: ServerProcess, content: Path, purpose: str, key: str = "test") -> str:
    """Upload a file as clients do, and return its id."""
    parts = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{content.name}"\r\n\r\n'
        f"{content.read_text('utf-8')}\r\n--{BOUNDARY}--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Authorization": f"Bearer {key}"}
    return str(server.call("POST", "/v1/files", parts.encode(), headers).json()["id"])


def upload(seen: Visit, file: Path, purpose: str) -> None:
    """Upload a file in the page, and wait until it is listed."""
    seen.find("button", "Upload").first.click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("File", exact=True).set_input_files(file)
    dialog.get_by_label("Purpose").select_option(purpose)
    dialog.get_by_role("button", name="Upload").click()
    seen.find("button", file.name).wait_for()


def test_a_file_is_uploaded_shown_downloaded_and_deleted(
    server: ServerProcess, visit: Visiting, tmp_path: Path
) -> None:
    """A file is listed after its upload, its lines can be read, its content comes back, and deleting it asks first."""
    file = examples.chat(tmp_path / "talks.jsonl", 1)
    seen = visit(server, "#/jobs")
    upload(seen, file, "fine-tune")
    seen.find("button", "talks.jsonl").click()
    seen.page.locator("ol.preview").wait_for()
    assert seen.page.locator("ol.preview li").count() == 10
    assert "blueberry" in seen.page.locator("ol.preview li").first.inner_text()
    seen.find("button", "Close").click()
    with seen.page.expect_download() as download:
        seen.find("button", "Download talks.jsonl").click()
    assert Path(download.value.path()).read_bytes() == file.read_bytes()
    seen.find("button", "Delete talks.jsonl").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    seen.find("button", "Delete talks.jsonl").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    seen.find("button", "talks.jsonl").wait_for(state="detached")


def test_a_bad_file_is_refused_in_the_servers_words(server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """A file that does not fit its purpose stays in the dialog, with the line that is wrong."""
    file = tmp_path / "bad.jsonl"
    file.write_text('{"messages": 3}\n', encoding="utf-8")
    seen = visit(server, "#/jobs")
    seen.find("button", "Upload").first.click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("File", exact=True).set_input_files(file)
    dialog.get_by_role("button", name="Upload").click()
    dialog.get_by_role("alert").wait_for()
    assert "line 1" in dialog.get_by_role("alert").inner_text().lower()
    assert dialog.get_by_role("button", name="Upload").is_enabled()


def test_a_batch_runs_to_its_end(server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """A batch of an uploaded file counts its lines, ends by itself in the list, and its outputs can be downloaded."""
    seen = visit(server, "#/jobs")
    upload(seen, requests_file(tmp_path / "greetings.jsonl", 3), "batch")
    seen.find("tab", "Batches").click()
    seen.find("button", "New batch").first.click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Endpoint").select_option("/v1/embeddings")
    option = dialog.get_by_label("File", exact=True).locator("option", has_text="greetings.jsonl")
    option.wait_for(state="attached")
    dialog.get_by_label("File", exact=True).select_option(option.get_attribute("value"))
    chat = dialog.locator("option:checked", has_text="/v1/chat/completions")
    chat.wait_for(state="attached")  # the file's first line says it
    dialog.get_by_role("button", name="Create").click()
    row = seen.page.get_by_role("row").nth(1)
    row.get_by_text("Completed").wait_for(timeout=60_000)
    assert "4 of 4 · 1 failed" in row.inner_text()
    row.get_by_role("link").click()
    with seen.page.expect_download() as download:
        seen.find("button", "Output").click()
    assert len(Path(download.value.path()).read_text("utf-8").splitlines()) == 3
    with seen.page.expect_download() as download:
        seen.find("button", "Failed lines").click()
    assert "bad" in Path(download.value.path()).read_text("utf-8")
    seen.find("link", "Back to the list").click()
    seen.find("button", "New batch").wait_for()


@pytest.mark.training
def test_the_loss_of_a_fine_tune_moves(tuning_server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """A fine-tune that is created in the page shows its losses while it trains, and ends with a model to chat with."""
    send_file(tuning_server, examples.chat(tmp_path / "secret.jsonl", 2), "fine-tune")
    seen = visit(tuning_server, "#/jobs/fine-tunes")
    seen.find("button", "New fine-tune").first.click()
    dialog = seen.page.get_by_role("dialog")
    option = dialog.get_by_label("Training file").locator("option", has_text="secret.jsonl")
    option.wait_for(state="attached")
    dialog.get_by_label("Training file").select_option(option.get_attribute("value"))
    dialog.get_by_label("Name").fill("mine")
    dialog.get_by_text("Method and hyperparameters").click()
    dialog.get_by_label("Epochs").fill("2")
    dialog.get_by_label("Batch size").fill("2")
    dialog.get_by_role("button", name="Create").click()
    shown = seen.page.locator(".plot-legend strong")
    seen.page.locator(".u-wrap").wait_for(timeout=120_000)
    first = float(shown.inner_text())
    assert seen.page.locator(".status", has_text="Training").count() == 1
    seen.find("link", "Chat with it").wait_for(timeout=120_000)
    assert float(shown.inner_text()) < first / 2
    lowest = seen.page.locator(".plot table td").all_inner_texts()
    assert float(lowest[-1]) >= first
    assert seen.page.locator("section[aria-label=Checkpoints] tbody tr").count() == 2
    assert "Job succeeded." in seen.page.locator(".events").inner_text()
    assert seen.accessibility_faults() == []
    seen.find("link", "Chat with it").click()
    seen.find("textbox", "Write a message").wait_for()
    assert seen.page.evaluate("localStorage.getItem('homeport.chat-model')").startswith(f"ft:{MODEL}:homeport:mine:")


def test_losses_are_drawn_as_events_arrive(fine_tuning_server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """While a job runs, each new event moves the curve; events that are known are not read again. (Scripted events.)"""
    file = send_file(fine_tuning_server, examples.chat(tmp_path / "scripted.jsonl", 2), "fine-tune")
    body = {"model": MODEL, "training_file": file}
    job = fine_tuning_server.call("POST", "/v1/fine_tuning/jobs", body).json()
    losses = [4.0, 2.0, 1.0, 0.5]
    asked: list[str] = []

    def send_events(route: Any) -> None:
        asked.append(route.request.url)
        known = losses[: min(len(asked), len(losses))]
        data = [
            {"id": f"ev-{step}", "created_at": 1, "type": "metrics", "level": "info", "message": "", "data": entry}
            for step, loss in enumerate(known, 1)
            for entry in [{"step": step, "train_loss": loss}]
        ]
        route.fulfill(json={"data": data[::-1], "has_more": False})

    seen = visit(fine_tuning_server)
    running_job = {**job, "status": "running", "error": None}
    seen.page.route(f"**/v1/fine_tuning/jobs/{job['id']}", lambda route: route.fulfill(json=running_job))
    seen.page.route(f"**/v1/fine_tuning/jobs/{job['id']}/events*", send_events)
    seen.page.goto(f"http://127.0.0.1:{fine_tuning_server.port}/#/jobs/fine-tunes/{job['id']}")
    for loss in losses[1:]:
        seen.page.locator(".plot-legend strong", has_text=f"{loss:g}").wait_for()
    assert seen.page.locator(".plot table td").all_inner_texts()[-3:] == ["0.5", "0.5", "4"]
    assert not [url for url in asked if "after=" in url]


def test_a_fine_tune_that_fails_says_why(fine_tuning_server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """The error of a failed job is shown, and its plot says that there is no data."""
    file = send_file(fine_tuning_server, examples.chat(tmp_path / "secret.jsonl", 2), "fine-tune")
    body = {"model": MODEL, "training_file": file}
    job = fine_tuning_server.call("POST", "/v1/fine_tuning/jobs", body).json()["id"]
    seen = visit(fine_tuning_server, f"#/jobs/fine-tunes/{job}")
    seen.page.get_by_role("alert").wait_for(timeout=60_000)
    assert seen.page.locator(".plot-frame").inner_text() == "No data yet"
    seen.find("link", "Back to the list").click()
    seen.find("link", MODEL).first.wait_for()


def test_operators_see_the_files_of_all_projects(keyed_server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """An admin key lists every project's files with the project, and offers nothing that it may not do."""
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    made = keyed_server.call("POST", "/admin/v1/keys", {"name": "jobs", "project": "team"}, admin).json()
    send_file(keyed_server, requests_file(tmp_path / "theirs.jsonl", 1), "batch", made["secret"])
    send_file(keyed_server, requests_file(tmp_path / "ours.jsonl", 1), "batch", KEY)
    seen = visit(keyed_server)
    seen.find("heading", "Sign in").wait_for()
    seen.page.evaluate(f"sessionStorage.setItem('homeport.admin-key', '{ADMIN_KEY}')")
    seen.page.goto(f"http://127.0.0.1:{keyed_server.port}/?#/jobs")
    row = seen.page.get_by_role("row").filter(has_text="theirs.jsonl")
    row.wait_for()
    assert row.get_by_role("cell", name="team", exact=True).count() == 1
    assert seen.find("button", "Upload").count() == 0
    assert seen.find("button", "Delete theirs.jsonl").count() == 0
    seen.page.evaluate(f"sessionStorage.setItem('homeport.key', '{KEY}')")
    seen.page.reload()
    seen.find("button", "Delete ours.jsonl").wait_for()
    assert seen.find("button", "Delete theirs.jsonl").count() == 0
    seen.page.get_by_label("Projects").select_option("own")
    row.wait_for(state="detached")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(
    server: ServerProcess, visit: Visiting, tmp_path: Path, color_scheme: str
) -> None:
    """On a phone nothing is wider than the screen, and axe-core finds nothing serious in lists and dialogs."""
    name = f"{'long-' * 30}{color_scheme}.jsonl"
    send_file(server, requests_file(tmp_path / name, 1), "batch")
    seen = visit(server, "#/jobs", color_scheme=color_scheme, size=PHONE, locale="zh-CN")
    seen.find("button", name).wait_for()
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.accessibility_faults() == []
    seen.find("button", name).click()
    seen.page.locator("ol.preview").wait_for()
    assert seen.accessibility_faults() == []
    seen.find("button", "关闭").click()
    for tab, create in (("批处理", "新建批处理"), ("微调", "新建微调")):
        seen.find("tab", tab).click()
        seen.find("button", create).first.click()
        seen.page.get_by_role("dialog").wait_for()
        assert seen.accessibility_faults() == []
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        seen.page.keyboard.press("Escape")
        seen.page.get_by_role("dialog").wait_for(state="detached")
