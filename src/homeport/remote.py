"""Talk to a running server, as `ps`, `stop`, `run` and `embed` do: over HTTP, like any client.

Knows nothing of how the server works; finds it through `rendezvous`. Standard library only, as this is no seam.
"""

import contextlib
import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from homeport import rendezvous
from homeport.domain.errors import HomeportError, Unavailable
from homeport.rendezvous import Running
from homeport.reports import WorkerReport, Workers

_START_S = 600.0
_POLL_S = 0.05


def workers(running: Running) -> tuple[WorkerReport, ...]:
    """List the models in memory. Raises Unavailable if the server does not answer."""
    with _call(running, "GET", "/admin/v1/workers", running.token) as response:
        return msgspec.json.decode(response.read(), type=Workers).data


def stop(running: Running, model: str) -> None:
    """Unload a model. Raises the server's error, such as one for a model that is not loaded."""
    with _call(running, "POST", f"/admin/v1/workers/{quote(model, safe='')}/stop", running.token):
        pass


def chat(running: Running, key: str, model: str, messages: Sequence[dict[str, str]]) -> Generator[str, None, None]:
    """Stream the answer's text, piece by piece."""
    body = {"model": model, "messages": messages, "stream": True}
    with _call(running, "POST", "/v1/chat/completions", key, body) as response:
        for line in response:
            data = line.strip().removeprefix(b"data: ")
            if data == line.strip() or data == b"[DONE]":
                continue
            event = msgspec.json.decode(data)
            if "error" in event:
                raise _error(event)
            for choice in event["choices"]:
                yield choice["delta"].get("content") or ""


def embed(running: Running, key: str, model: str, texts: Sequence[str]) -> Any:
    """Give the vectors of texts: the API's answer, decoded. Raises the server's error."""
    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    with _call(running, "POST", "/v1/embeddings", key, body) as response:
        return msgspec.json.decode(response.read())


@contextmanager
def reach(home: Path, *, port: int | None, flags: Sequence[str]) -> Iterator[Running]:
    """Give the running server, or one started with `flags` that ends with this block. Its log is in `<home>/run`."""
    found = rendezvous.find(home, port=port)
    if found:
        yield found
        return
    log = home / "run" / "run.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "homeport", "serve", "--port", "0", *flags]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        # SIGTERM would end this process without its `finally`, and leave the server behind.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield _await(home, process, log)
        finally:
            process.terminate()
            signal.signal(signal.SIGTERM, before)


def _await(home: Path, process: subprocess.Popen[bytes], log: Path) -> Running:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        running = rendezvous.find(home, pid=process.pid)
        if running:
            return running
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            raise Unavailable(f"the server did not start: {log.read_text(errors='replace').strip()}")
    raise Unavailable(f"the server did not start in {_START_S:.0f} s; its log is {log}")


@contextmanager
def _call(
    running: Running, method: str, path: str, key: str, body: object = None
) -> Iterator[http.client.HTTPResponse]:
    where = urlsplit(running.url)
    connection = http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, msgspec.json.encode(body) if body is not None else None, headers)
        with connection.getresponse() as response:
            if response.status >= 400:
                raise _error(_decode(response.read()))
            yield response
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the server at {running.url} does not answer: {error}") from error
    finally:
        connection.close()


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {"error": {"message": body.decode(errors="replace")}}


def _error(envelope: Any) -> HomeportError:
    fault = envelope["error"]
    return HomeportError(fault["message"], param=fault.get("param"), code=fault.get("code"))
