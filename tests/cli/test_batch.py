"""`batch`: what goes to the server, and what is printed of its answers."""

import json
from pathlib import Path

import pytest

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import BATCH, ScriptedServer, run


def test_create_sends_the_file_and_makes_a_batch(
    server: ScriptedServer, running: RunningServer, tmp_path: Path
) -> None:
    """The file goes up for batches, whole, and the batch is made of it with what was said."""
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"custom_id": "a"}\n' * 9)
    flags = ["--endpoint", "/v1/embeddings", "--metadata", "a=b=c", "--metadata", "d="]
    result = run(tmp_path, "batch", "create", str(path), *flags)
    assert "batch_1 is in_progress" in result.stdout
    sent, made = server.heard
    assert sent[:3] == ("POST", "/v1/files", running.token)
    assert isinstance(sent[3], bytes)
    assert path.read_bytes() in sent[3]
    assert b'name="purpose"\r\n\r\nbatch\r\n' in sent[3]
    body = {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert made == ("POST", "/v1/batches", running.token, {**body, "metadata": {"a": "b=c", "d": ""}})
    assert json.loads(run(tmp_path, "batch", "create", str(path), "--json").stdout) == BATCH
    assert run(tmp_path, "batch", "create", str(path), "--metadata", "a").exit_code == 2


def test_list_and_show_tell_how_far_it_is(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """Counts, tokens, files and what was wrong, for people and as JSON."""
    row = run(tmp_path, "batch", "list", "--limit", "5").stdout.splitlines()[1]
    assert row.split()[:7] == ["batch_1", "in_progress", "4", "+", "1", "/", "9"]
    assert server.heard == [("GET", "/v1/batches?limit=5", running.token, None)]
    assert json.loads(run(tmp_path, "batch", "list", "--json").stdout) == [BATCH]
    shown = run(tmp_path, "batch", "show", "batch_1").stdout
    assert "lines     4 + 1 / 9" in shown
    assert "model     several" in shown
    assert "tokens    20 + 7" in shown
    assert "output    file-2\nerrors    -\n" in shown
    assert "why       line 3: Bad.\nwhy       Empty.\n" in shown
    assert json.loads(run(tmp_path, "batch", "show", "batch_1", "--json").stdout) == BATCH


def test_output_prints_a_file_as_it_is(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """The file comes whole; one that there is not is told with how the batch stands."""
    result = run(tmp_path, "batch", "output", "batch_1")
    assert result.stdout == '{"custom_id": "a"}\n' * 20_000
    assert server.heard[-1] == ("GET", "/v1/files/file-2/content", running.token, None)
    missing = run(tmp_path, "batch", "output", "batch_1", "--errors")
    assert missing.exit_code == 1
    assert "batch_1 is in_progress" in missing.stderr


def test_cancel_asks_for_the_end(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """Ids are passed on as they are, and the batch's new status is told."""
    assert run(tmp_path, "batch", "cancel", "batch_1").stdout == "batch_1 is in_progress\n"
    assert server.heard == [("POST", "/v1/batches/batch_1/cancel", running.token, None)]
    assert json.loads(run(tmp_path, "batch", "cancel", "a/b", "--json").stdout) == BATCH
    assert server.heard[-1][1] == "/v1/batches/a%2Fb/cancel"


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["cancel", "x"], ["output", "x"]])
def test_without_a_server_it_says_so(tmp_path: Path, command: list[str]) -> None:
    """Batches are done by a running server; without one the command says how to start one."""
    result = run(tmp_path, "batch", *command)
    assert result.exit_code == 1
    assert "homeport serve" in result.stderr
