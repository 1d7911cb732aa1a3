"""`batch`: its requests to the server, and its output."""

import json
from pathlib import Path

import pytest

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import BATCH, ScriptedServer, run


def test_create_uploads_the_file_and_creates_a_batch(
    server: ScriptedServer, running: RunningServer, tmp_path: Path
) -> None:
    """The whole file is uploaded, and a batch is created with it and the given endpoint and metadata."""
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"custom_id": "a"}\n' * 9)
    flags = ["--endpoint", "/v1/embeddings", "--metadata", "a=b=c", "--metadata", "d="]
    result = run(tmp_path, "batch", "create", str(path), *flags)
    assert "batch_1 is in_progress" in result.stdout
    upload, created = server.requests
    assert upload[:3] == ("POST", "/v1/files", running.token)
    assert isinstance(upload[3], bytes)
    assert path.read_bytes() in upload[3]
    assert b'name="purpose"\r\n\r\nbatch\r\n' in upload[3]
    body = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert created == ("POST", "/v1/batches", running.token, {**body, "metadata": {"a": "b=c", "d": ""}})
    assert json.loads(run(tmp_path, "batch", "create", str(path), "--json").stdout) == BATCH
    assert run(tmp_path, "batch", "create", str(path), "--metadata", "a").exit_code == 2


def test_list_and_show_print_progress(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """Counts, tokens, files and errors are printed as text and as JSON."""
    row = run(tmp_path, "batch", "list", "--limit", "5").stdout.splitlines()[1]
    assert row.split()[:7] == ["batch_1", "in_progress", "4", "+", "1", "/", "9"]
    assert server.requests == [("GET", "/v1/batches?limit=5", running.token, None)]
    assert json.loads(run(tmp_path, "batch", "list", "--json").stdout) == [BATCH]
    shown = run(tmp_path, "batch", "show", "batch_1").stdout
    assert "lines     4 + 1 / 9" in shown
    assert "model     several" in shown
    assert "tokens    20 + 7" in shown
    assert "output    file-2\nerrors    -\n" in shown
    assert "error     line 3: Bad.\nerror     Empty.\n" in shown
    assert json.loads(run(tmp_path, "batch", "show", "batch_1", "--json").stdout) == BATCH


def test_output_prints_the_file_unchanged(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """The whole file is printed; if there is none, the error states the status of the batch."""
    result = run(tmp_path, "batch", "output", "batch_1")
    assert result.stdout == '{"custom_id": "a"}\n' * 20_000
    assert server.requests[-1] == ("GET", "/v1/files/file-2/content", running.token, None)
    missing = run(tmp_path, "batch", "output", "batch_1", "--errors")
    assert missing.exit_code == 1
    assert "batch_1 is in_progress" in missing.stderr


def test_cancel_prints_the_new_status(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """The id is escaped in the URL, and the new status is printed."""
    assert run(tmp_path, "batch", "cancel", "batch_1").stdout == "batch_1 is in_progress\n"
    assert server.requests == [("POST", "/v1/batches/batch_1/cancel", running.token, None)]
    assert json.loads(run(tmp_path, "batch", "cancel", "a/b", "--json").stdout) == BATCH
    assert server.requests[-1][1] == "/v1/batches/a%2Fb/cancel"


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["cancel", "x"], ["output", "x"]])
def test_no_server_is_an_error(tmp_path: Path, command: list[str]) -> None:
    """Without a running server, the error says how to start one."""
    result = run(tmp_path, "batch", *command)
    assert result.exit_code == 1
    assert "homeport serve" in result.stderr
