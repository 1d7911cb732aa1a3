"""The runner: what it sends, what it keeps, and how it continues."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.tools import ask
from bench.tools.ask import Endpoint
from bench.tools.cases import Case, Function
from bench.tools.judge import Answer, Call


class _Server(http.server.ThreadingHTTPServer):
    """Answers every chat completion with one call, or with 400 while `fails`; keeps the bodies."""

    fails = False
    bodies: list[dict[str, Any]]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer."""
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
        content = json.dumps({"choices": [choice], "usage": {"completion_tokens": 9}}).encode()
        self.send_response(400 if self.server.fails else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    """A server that makes calls."""
    with _Server(("127.0.0.1", 0), _Handler) as made:
        made.bodies = []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def _to(server: _Server, prefill: str = "") -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "m", prefill=prefill)


_CASES = [
    Case(each, [{"role": "user", "content": each}], [Function("f", "", {"type": "dict"})], []) for each in ("x", "y")
]


def test_a_request_has_the_tools_and_is_bounded(server: _Server) -> None:
    """A case becomes one request with its tools, at temperature 0; the answer's calls, end and tokens are kept."""
    answer = ask.ask(_to(server, prefill="<a>"), _CASES[0])
    (sent,) = server.bodies
    assert sent["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert (sent["temperature"], sent["max_tokens"], sent["tool_choice"]) == (0, 512, "auto")
    assert sent["messages"] == [{"role": "user", "content": "x"}, {"role": "assistant", "content": "<a>"}]
    answer.wall_s = 0.0
    assert answer == Answer("x", [Call("f", '{"a": 1}')], finish="tool_calls", tokens=9)


def test_a_second_run_asks_only_for_what_is_missing_or_failed(server: _Server, tmp_path: Path) -> None:
    """Failures are kept in the file, and asked again by the next run, whose answers replace them."""
    path = tmp_path / "answers.jsonl"
    ask.run(_to(server), _CASES[:1], path)
    server.fails = True
    failed = ask.run(_to(server), _CASES, path)
    assert [bool(each.failure) for each in failed] == [False, True]
    assert failed[1].failure.startswith("400 ")
    server.fails = False
    again = ask.run(_to(server), _CASES, path)
    assert [(each.id, each.failure) for each in again] == [("x", ""), ("y", "")]
    assert [body["messages"][0]["content"] for body in server.bodies] == ["x", "y", "y"]
    assert ask.read(path) == again
