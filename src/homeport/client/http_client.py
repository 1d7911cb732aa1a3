"""Talk to a running server, as `ps`, `run`, `embed`, `say`, `batch` and others do: over HTTP, like any client.

Knows nothing of how the server works; finds it through `rendezvous`. Standard library only, as this is no seam.
"""

import base64
import contextlib
import http.client
import itertools
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from homeport.client import runfile
from homeport.client.runfile import RunningServer
from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.operations import WorkerList, WorkerReport

_START_S = 600.0
_POLL_S = 0.05
_BLOCK = 1 << 16


def find_server(home: Path, port: int | None) -> RunningServer:
    """Find the running server. Raises Unavailable where none runs."""
    running = runfile.find(home, port=port)
    if running is None:
        where = f" on port {port}" if port else ""
        raise Unavailable(f"no server runs{where}; start one with `homeport serve`")
    return running


def list_workers(running: RunningServer) -> tuple[WorkerReport, ...]:
    """List the models in memory. Raises Unavailable if the server does not answer."""
    with _call(running, "GET", "/admin/v1/workers", running.token) as response:
        return msgspec.json.decode(response.read(), type=WorkerList).data


def stop(running: RunningServer, model: str) -> None:
    """Unload a model. Raises the server's error, such as one for a model that is not loaded."""
    with _call(running, "POST", f"/admin/v1/workers/{quote(model, safe='')}/stop", running.token):
        pass


def chat(
    running: RunningServer, key: str, model: str, messages: Sequence[dict[str, str]]
) -> Generator[str, None, None]:
    """Stream the answer's text, piece by piece."""
    body = {"model": model, "messages": messages, "stream": True}
    with _call(running, "POST", "/v1/chat/completions", key, body) as response:
        for event in _events(response):
            for choice in event["choices"]:
                yield choice["delta"].get("content") or ""


def embed(running: RunningServer, key: str, model: str, texts: Sequence[str]) -> Any:
    """Give the vectors of texts: the API's answer, decoded. Raises the server's error."""
    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    with _call(running, "POST", "/v1/embeddings", key, body) as response:
        return msgspec.json.decode(response.read())


def stream_transcription(
    running: RunningServer, key: str, file: Path, fields: Mapping[str, str]
) -> Generator[str, None, None]:
    """Stream what is said in a recording, piece by piece. Raises the server's error."""
    path = "/v1/audio/transcriptions"
    with _form({**fields, "stream": "true"}, file) as form, _call(running, "POST", path, key, form=form) as response:
        for event in _events(response):
            yield event.get("delta") or ""


def create_transcription(running: RunningServer, key: str, task: str, file: Path, fields: Mapping[str, str]) -> str:
    """Give the whole answer. `task` is `transcriptions` or `translations`. Raises the server's error."""
    with _form(fields, file) as form, _call(running, "POST", f"/v1/audio/{task}", key, form=form) as response:
        return response.read().decode()


def stream_speech(running: RunningServer, key: str, fields: Mapping[str, object]) -> Generator[bytes, None, None]:
    """Have a text spoken; give the bytes as they come. Raises the server's error, also where the sound breaks off."""
    with _call(running, "POST", "/v1/audio/speech", key, fields) as response:
        while data := response.read1(_BLOCK):
            yield data


class ImageStreamItem(NamedTuple):
    """Step `step` of `steps` of a picture is done; or, with `data`, the picture is, which these are the bytes of."""

    image_index: int
    step: int = 0
    steps: int = 0
    data: bytes | None = None


def stream_images(
    running: RunningServer, key: str, fields: Mapping[str, object]
) -> Generator[ImageStreamItem, None, None]:
    """Have pictures painted; tell of each step and give each picture when it is done. Raises the server's error."""
    body = {**fields, "stream": True, "progress": True}
    with _call(running, "POST", "/v1/images/generations", key, body) as response:
        for event in _events(response):
            if event["type"] == "image_generation.progress":
                yield ImageStreamItem(event["image_index"], event["step"], event["steps"])
            elif event["type"] == "image_generation.completed":
                yield ImageStreamItem(event["image_index"], data=base64.b64decode(event["b64_json"]))


def request_json(running: RunningServer, key: str, method: str, path: str, body: object = None) -> Any:
    """The answer to any request that takes and gives JSON, decoded. Raises the server's error."""
    with _call(running, method, path, key, body) as response:
        return msgspec.json.decode(response.read())


def upload_file(running: RunningServer, key: str, file: Path, purpose: str) -> Any:
    """Have the server keep a file; give what it says of it. Raises the server's error."""
    form = _form({"purpose": purpose}, file, "upload.jsonl")
    with form as made, _call(running, "POST", "/v1/files", key, form=made) as response:
        return msgspec.json.decode(response.read())


def download_file(running: RunningServer, key: str, file_id: str) -> Generator[bytes, None, None]:
    """The content of a file that the server keeps, piece by piece. Raises the server's error."""
    with _call(running, "GET", f"/v1/files/{quote(file_id, safe='')}/content", key) as response:
        while data := response.read1(_BLOCK):
            yield data


@contextmanager
def connect_or_start(home: Path, *, port: int | None, flags: Sequence[str]) -> Iterator[RunningServer]:
    """Give the running server, or one started with `flags` that ends with this block. Its log is in `<home>/run`."""
    if running := runfile.find(home, port=port):
        yield running
        return
    log = home / "run" / "run.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "homeport", "serve", "--port", "0", *flags]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        # SIGTERM would end this process without its `finally`, and leave the server behind.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield _wait_until_ready(home, process, log)
        finally:
            process.terminate()
            signal.signal(signal.SIGTERM, before)


def _wait_until_ready(home: Path, process: subprocess.Popen[bytes], log: Path) -> RunningServer:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        running = runfile.find(home, pid=process.pid)
        if running:
            return running
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            raise Unavailable(f"the server did not start: {log.read_text(errors='replace').strip()}")
    raise Unavailable(f"the server did not start in {_START_S:.0f} s; its log is {log}")


class _MultipartBody(NamedTuple):
    """A form with a file, ready to be sent."""

    headers: Mapping[str, str]
    body: Iterable[bytes]


@contextmanager
def _form(fields: Mapping[str, str], file: Path, name: str = "recording") -> Iterator[_MultipartBody]:
    boundary = secrets.token_hex(16)
    parts = [f'Content-Disposition: form-data; name="{field}"\r\n\r\n{text}\r\n' for field, text in fields.items()]
    # The server tells what a file is by its content, so its own name, which may hold anything, stays here.
    parts += [f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n']
    head = "".join(f"--{boundary}\r\n{part}" for part in parts).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    with file.open("rb") as opened:
        size = len(head) + os.fstat(opened.fileno()).st_size + len(tail)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(size)}
        yield _MultipartBody(headers, itertools.chain([head], iter(lambda: opened.read(_BLOCK), b""), [tail]))


def _events(response: http.client.HTTPResponse) -> Generator[Any, None, None]:
    """The events of a stream, decoded. Raises the error that one of them holds."""
    for line in response:
        data = line.strip().removeprefix(b"data: ")
        if data == line.strip() or data == b"[DONE]":
            continue
        event = msgspec.json.decode(data)
        if "error" in event:
            raise _error(event)
        yield event


@contextmanager
def _call(
    running: RunningServer, method: str, path: str, key: str, body: object = None, form: _MultipartBody | None = None
) -> Iterator[http.client.HTTPResponse]:
    where = urlsplit(running.url)
    connection = http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port)
    content = msgspec.json.encode(body) if body is not None else None
    headers = {"Authorization": f"Bearer {key}", **(form.headers if form else {"Content-Type": "application/json"})}
    try:
        # A server that refuses a body may close before it has all of it; why, it says all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, form.body if form else content, headers)
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
