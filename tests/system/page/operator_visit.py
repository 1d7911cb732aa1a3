"""An operator's tab, and the requests of callers that it watches."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

from tests.system.page.conftest import ADMIN_KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import HttpAnswer, ServerProcess

MODEL = "smollm2-135m"


def open_as_operator(visit: Visiting, server: ServerProcess, address: str, **options: Any) -> Visit:
    """Open a view in a tab that has the admin key."""
    seen = visit(server, **options)
    seen.page.evaluate(f"sessionStorage.setItem('homeport.admin-key', '{ADMIN_KEY}')")
    seen.page.goto(f"http://127.0.0.1:{server.port}/{address}")
    seen.page.reload()
    seen.page.locator("h1").wait_for()
    return seen


def manage(server: ServerProcess, method: str, path: str, body: Any = None) -> HttpAnswer:
    """Send a request to the administration."""
    return server.call(method, f"/admin/v1{path}", body, {"Authorization": f"Bearer {ADMIN_KEY}"})


def create_key(server: ServerProcess, name: str, project: str = "local") -> str:
    """Create a key and return its secret."""
    answer = manage(server, "POST", "/keys", {"name": name, "project": project})
    assert answer.status == 200, answer.body
    return str(answer.json()["secret"])


def complete(server: ServerProcess, key: str, tokens: int = 8, **fields: Any) -> HttpAnswer:
    """Have the model write so many tokens."""
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": tokens, "ignore_eos": True, **fields}
    answer = server.call("POST", "/v1/completions", body, {"Authorization": f"Bearer {key}"})
    assert answer.status == 200, answer.body
    return answer


@contextmanager
def long_answer(server: ServerProcess, key: str) -> Iterator[None]:
    """Have the model write for as long as the block takes; then the caller leaves."""
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 7000, "ignore_eos": True, "stream": True}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.readline().startswith(b"data: ")
        yield
        answer.close()
