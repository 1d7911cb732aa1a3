"""The client and the run file, with a scripted server on a real socket."""

import json
import os
import stat
from pathlib import Path

import msgspec
import pytest

from homeport.client import http_client, runfile
from homeport.client.runfile import RunningServer
from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.operations import WorkerReport
from tests.cli.scripted_server import (
    CHUNKS,
    ScriptedServer,
    run,
    serving,
)


def test_only_the_user_may_read_the_token(running: RunningServer, tmp_path: Path) -> None:
    """The run file and its folder are closed to other users, and every start has its own token."""
    path = tmp_path / "run" / f"{running.port}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert runfile.publish(tmp_path, running.url, running.port).token != running.token


def test_find_by_port_and_process(running: RunningServer, tmp_path: Path) -> None:
    """A running server is found by its port, its process, or without either."""
    assert runfile.find(tmp_path) == running
    assert runfile.find(tmp_path, port=running.port, pid=os.getpid()) == running
    assert runfile.find(tmp_path, port=running.port + 1) is None
    assert runfile.find(tmp_path, pid=os.getpid() + 1) is None


def test_dead_server_is_not_found(running: RunningServer, tmp_path: Path) -> None:
    """A file is ignored if its process has ended, another process has its id, or it is broken."""
    path = tmp_path / "run" / f"{running.port}.json"
    for content in (
        msgspec.json.encode(msgspec.structs.replace(running, born=running.born - 86400)),
        msgspec.json.encode(msgspec.structs.replace(running, pid=2**22 + 1)),
        b"{",
    ):
        path.write_bytes(content)
        assert runfile.find(tmp_path) is None


def test_withdraw_keeps_the_file_of_a_successor(running: RunningServer, tmp_path: Path) -> None:
    """A server removes its own file, not that of the next server on its port."""
    successor = runfile.publish(tmp_path, running.url, running.port)
    runfile.withdraw(tmp_path, running)
    assert runfile.find(tmp_path) == successor
    runfile.withdraw(tmp_path, successor)
    assert runfile.find(tmp_path) is None


def test_ps_lists_workers(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`ps` lists the models in memory, and where each computes; its key is the token of the run file."""
    _, row, on_gpu = run(tmp_path, "ps").stdout.splitlines()
    assert row.split() == ["small", "ready", "7", "250", "MB", "cpu", "2", "+", "1", "30", "/", "100", "4", "s"]
    assert on_gpu.split()[:7] == ["large", "ready", "8", "250", "MB", "CUDA0", "700"]
    assert server.requests == [("GET", "/admin/v1/workers", running.token, None)]
    assert json.loads(run(tmp_path, "ps", "--json").stdout)[0]["cells"] == 100


def test_ps_lists_replicas(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """In a cluster `ps` lists each replica and its node; on one machine it has no such columns."""
    assert "NODE" not in run(tmp_path, "ps").stdout
    server.workers = (
        WorkerReport("small", None, "unreachable", node="10.0.0.1", replica="small-a"),
        WorkerReport("small", 7, "ready", 250_000_000, 2, device="cpu", node="10.0.0.2", replica="small-b"),
    )
    head, away, ready = run(tmp_path, "ps").stdout.splitlines()
    assert head.split()[:5] == ["MODEL", "NODE", "REPLICA", "STATE", "PID"]
    assert away.split()[:5] == ["small", "10.0.0.1", "small-a", "unreachable", "-"]
    assert ready.split()[:7] == ["small", "10.0.0.2", "small-b", "ready", "7", "250", "MB"]
    assert ready.split()[-1] == "-"  # how long a replica has been idle is not known


def test_stop_unloads_one_model(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`stop` unloads a model; the server's error is printed."""
    assert run(tmp_path, "stop", "small").stdout == "small is unloaded\n"
    refused = run(tmp_path, "stop", "org/other")
    assert (refused.exit_code, refused.stderr) == (1, "Error: no such model is loaded\n")
    assert [path for _, path, _, _ in server.requests] == [
        "/admin/v1/workers/small/stop",
        "/admin/v1/workers/org%2Fother/stop",
    ]


@pytest.mark.parametrize("command", [("ps",), ("stop", "small")])
def test_no_server_says_how_to_start_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Without a server, the error says how to start one."""
    result = run(tmp_path, *command, "--port", "9")
    assert result.exit_code == 1
    assert "no server runs on port 9; start one with `homeport serve`" in result.stderr


def test_run_keeps_the_conversation(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`run` prints each answer as it arrives and sends the whole conversation with the next line."""
    result = run(tmp_path, "run", "small", "--system", "Be brief.", text="Capital of France?\n\nSure?\n")
    assert result.exit_code == 0, result.output
    assert result.stdout == "The capital is Paris.\n" * 2
    last = server.requests[-1][3]
    assert isinstance(last, dict)
    assert last["model"] == "small"
    assert [message["role"] for message in last["messages"]] == ["system", "user", "assistant", "user"]
    assert last["messages"][2]["content"] == "".join(CHUNKS)


def test_run_sends_a_key_of_the_settings(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`run` sends the first key of the settings, else the token of the run file."""
    run(tmp_path, "run", text="hello\n")
    run(tmp_path, "run", text="hello\n", env={"HOMEPORT_API_KEYS": "k1,k2"})
    assert [key for _, _, key, _ in server.requests] == [running.token, "k1"]


def test_run_prints_an_error_in_the_stream(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """An error in the stream ends `run` with the server's message."""
    server.is_failing = True
    result = run(tmp_path, "run", text="hello\n")
    assert result.exit_code == 1
    assert result.stdout.startswith("The capital is Paris.")
    assert "the engine failed" in result.stderr


def test_unreachable_server_is_named(tmp_path: Path) -> None:
    """The error names the address of a server that ended without removing its file."""
    with serving() as gone:
        port = gone.server_address[1]
    running = runfile.publish(tmp_path, f"http://127.0.0.1:{port}", port)
    with pytest.raises(Unavailable, match=f"http://127.0.0.1:{port} does not answer"):
        http_client.list_workers(running)


def test_an_error_without_an_envelope_is_printed(running: RunningServer) -> None:
    """The body of an error that is not OpenAI's envelope becomes the message."""
    with pytest.raises(HomeportError, match="bad gateway"), http_client._call(running, "POST", "/elsewhere", "key", {}):
        pass


def test_a_server_is_found_after_the_clock_is_set(tmp_path: Path) -> None:
    """A server is found although the clock was set since it started."""
    running = runfile.publish(tmp_path, "http://127.0.0.1:1", 1)
    path = tmp_path / "run" / "1.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(running, born=running.born + 2)))
    assert runfile.find(tmp_path, port=1) is not None


@pytest.mark.parametrize(("arguments", "text"), [(("a b", "c"), ""), ((), "a b\n\nc\n")])
def test_embed_prints_a_line_of_numbers_for_each_text(
    server: ScriptedServer, running: RunningServer, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    """Texts are the arguments or the lines of standard input; each yields one line."""
    result = run(tmp_path, "embed", *arguments, text=text)
    assert result.stdout == "0.5 -0.0\n0.5 -0.25\n"
    body = {"model": "multilingual-e5-small", "input": ["a b", "c"], "encoding_format": "float"}
    assert server.requests == [("POST", "/v1/embeddings", running.token, body)]


def test_embed_prints_the_whole_answer_as_json(server: ScriptedServer, running: RunningServer, tmp_path: Path) -> None:
    """--json prints the server's answer; --model selects the model."""
    result = run(tmp_path, "embed", "a", "b", "--json", "--model", "other")
    assert json.loads(result.stdout)["data"][1]["embedding"] == [0.5, -0.25]
    ((_, path, key, body),) = server.requests
    assert (path, key) == ("/v1/embeddings", running.token)
    assert isinstance(body, dict)
    assert body["model"] == "other"
