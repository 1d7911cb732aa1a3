"""Sends requests to a running server over HTTP, for `ps`, `run`, `embed`, `say`, `batch` and other commands.

Finds the server through `runfile`. Uses the standard library only. Every function that sends a request raises the
server's error, or Unavailable if the server does not answer.
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
    """Find the running server, on this port if one is given. Raises Unavailable if none runs."""
    server = runfile.find(home, port=port)
    if server is None:
        where = f" on port {port}" if port else ""
        raise Unavailable(f"no server runs{where}; start one with `homeport serve`")
    return server


def list_workers(server: RunningServer) -> tuple[WorkerReport, ...]:
    """List the models in memory."""
    with _call(server, "GET", "/admin/v1/workers", server.token) as response:
        return msgspec.json.decode(response.read(), type=WorkerList).data


def stop(server: RunningServer, model: str) -> None:
    """Unload a model. Raises the server's error if it is not loaded."""
    with _call(server, "POST", f"/admin/v1/workers/{quote(model, safe='')}/stop", server.token):
        pass


def create_page_link(server: RunningServer) -> str:
    """Return the token of a link that signs a browser in, once. Raises the server's error if the page is off."""
    with _call(server, "POST", "/admin/v1/page_links", server.token) as response:
        return str(msgspec.json.decode(response.read())["token"])


def chat(server: RunningServer, key: str, fields: Mapping[str, object]) -> Generator[Any, None, None]:
    """Yield the deltas of the answer's message as they arrive, decoded. `fields`: the API's, without `stream`."""
    with _call(server, "POST", "/v1/chat/completions", key, {**fields, "stream": True}) as response:
        for event in _events(response):
            for choice in event["choices"]:
                yield choice["delta"]


def embed(server: RunningServer, key: str, model: str, inputs: Sequence[object], encoding_format: str = "float") -> Any:
    """Return the embeddings of texts and of image parts (`image_part`): the API's answer, decoded."""
    body = {"model": model, "input": list(inputs), "encoding_format": encoding_format}
    with _call(server, "POST", "/v1/embeddings", key, body) as response:
        return msgspec.json.decode(response.read())


def image_part(data: bytes) -> Mapping[str, object]:
    """Return an image as a part of a request. The server detects its format by its content."""
    url = f"data:image/*;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def stream_transcription(
    server: RunningServer, key: str, file: Path, fields: Mapping[str, str]
) -> Generator[str, None, None]:
    """Yield the text of a recording as it arrives."""
    path = "/v1/audio/transcriptions"
    with _form({**fields, "stream": "true"}, file) as form, _call(server, "POST", path, key, form=form) as response:
        for event in _events(response):
            yield event.get("delta") or ""


def create_transcription(server: RunningServer, key: str, task: str, file: Path, fields: Mapping[str, str]) -> str:
    """Return the transcript of a recording as the server formats it. `task`: `transcriptions` or `translations`."""
    with _form(fields, file) as form, _call(server, "POST", f"/v1/audio/{task}", key, form=form) as response:
        return response.read().decode()


def stream_speech(server: RunningServer, key: str, fields: Mapping[str, object]) -> Generator[bytes, None, None]:
    """Yield the bytes of synthesized speech as they arrive. Raises Unavailable if the stream is cut off."""
    with _call(server, "POST", "/v1/audio/speech", key, fields) as response:
        while data := response.read1(_BLOCK):
            yield data


class MusicStreamItem(NamedTuple):
    """More of a piece's file, or with `facts` its end: the seed, the genre, the key and more, by the API's names.

    With neither it is progress: `seconds` of sound are ready, of `total_seconds` as expected.
    """

    data: bytes = b""
    seconds: float = 0.0
    total_seconds: float = 0.0
    facts: Mapping[str, Any] | None = None


def stream_music(
    server: RunningServer, key: str, fields: Mapping[str, object]
) -> Generator[MusicStreamItem, None, None]:
    """Compose one piece; yield its progress and its file as they arrive, and last what it is."""
    with _call(server, "POST", "/v1/audio/music", key, {**fields, "stream_format": "sse"}) as response:
        for event in _events(response):
            if event["type"] == "music.progress":
                yield MusicStreamItem(seconds=event["seconds"], total_seconds=event["total_seconds"])
            elif event["type"] == "music.audio.delta":
                yield MusicStreamItem(base64.b64decode(event["audio"]))
            elif event["type"] == "music.audio.done":
                yield MusicStreamItem(facts=event)


class ImageStreamItem(NamedTuple):
    """A generated image, if it has `data`; else progress: step `step` of `steps` is done.

    `revised_prompt`: what the image shows, as text, if the answer says it.
    """

    image_index: int
    step: int = 0
    steps: int = 0
    data: bytes | None = None
    revised_prompt: str | None = None


def stream_images(
    server: RunningServer, key: str, fields: Mapping[str, object]
) -> Generator[ImageStreamItem, None, None]:
    """Generate images; yield the progress of each and its data when it is complete."""
    body = {**fields, "stream": True, "progress": True}
    with _call(server, "POST", "/v1/images/generations", key, body) as response:
        for event in _events(response):
            if event["type"] == "image_generation.progress":
                yield ImageStreamItem(event["image_index"], event["step"], event["steps"])
            elif event["type"] == "image_generation.completed":
                yield ImageStreamItem(
                    event["image_index"],
                    data=base64.b64decode(event["b64_json"]),
                    revised_prompt=event.get("revised_prompt"),
                )


class ShapeStreamItem(NamedTuple):
    """A shape, if it has `data`; else progress: step `step` of `steps` is done, of its picture or of itself.

    `preview`: a PNG file, if it was asked for. `revised_prompt`: what the picture shows, if the answer says it.
    """

    step: int
    steps: int
    data: bytes | None = None
    preview: bytes | None = None
    revised_prompt: str | None = None


def stream_shapes(
    server: RunningServer, key: str, fields: Mapping[str, object]
) -> Generator[ShapeStreamItem, None, None]:
    """Make a shape; yield the progress, and its data when it is complete."""
    with _call(server, "POST", "/v1/3d/generations", key, {**fields, "stream": True}) as response:
        for event in _events(response):
            if event["type"] == "shape_generation.progress":
                yield ShapeStreamItem(event["step"], event["steps"])
            elif event["type"] == "shape_generation.completed":
                preview = event.get("preview_b64_json")
                yield ShapeStreamItem(
                    1,
                    1,
                    base64.b64decode(event["b64_json"]),
                    base64.b64decode(preview) if preview else None,
                    event.get("revised_prompt"),
                )


def request_json(server: RunningServer, key: str, method: str, path: str, body: object = None) -> Any:
    """Send a request with a JSON body, or none; return the decoded answer."""
    with _call(server, method, path, key, body) as response:
        return msgspec.json.decode(response.read())


def stream_response(server: RunningServer, key: str, fields: Mapping[str, object]) -> Generator[Any, None, None]:
    """Yield the events of a response's stream, decoded. `fields`: the API's, without `stream`."""
    with _call(server, "POST", "/v1/responses", key, {**fields, "stream": True}) as response:
        for event in _events(response):
            if event["type"] == "error":
                raise _error({"error": event})
            yield event


def upload_file(server: RunningServer, key: str, file: Path, purpose: str, name: str = "upload.jsonl") -> Any:
    """Upload a file under a name without quotes or line ends; return the decoded file object."""
    with (
        _form({"purpose": purpose}, file, name) as form,
        _call(server, "POST", "/v1/files", key, form=form) as response,
    ):
        return msgspec.json.decode(response.read())


def download_file(server: RunningServer, key: str, file_id: str) -> Generator[bytes, None, None]:
    """Yield the content of a file as it arrives."""
    with _call(server, "GET", f"/v1/files/{quote(file_id, safe='')}/content", key) as response:
        while data := response.read1(_BLOCK):
            yield data


@contextmanager
def connect_or_start(home: Path, *, port: int | None, flags: Sequence[str]) -> Iterator[RunningServer]:
    """Yield the running server, or one started with `flags` that ends with the context; its log is in `<home>/run`.

    Raises Unavailable if it does not start.
    """
    if server := runfile.find(home, port=port):
        yield server
        return
    log = home / "run" / "run.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "homeport", "serve", "--port", "0", *flags]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        # By default SIGTERM ends this process without `finally`, and the server would keep running.
        previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield _wait_until_ready(home, process, log)
        finally:
            process.terminate()
            signal.signal(signal.SIGTERM, previous)


def _wait_until_ready(home: Path, process: subprocess.Popen[bytes], log: Path) -> RunningServer:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        server = runfile.find(home, pid=process.pid)
        if server:
            return server
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            raise Unavailable(f"the server did not start: {log.read_text(errors='replace').strip()}")
    raise Unavailable(f"the server did not start in {_START_S:.0f} s; its log is {log}")


class _MultipartBody(NamedTuple):
    """The headers and blocks of a form with a file."""

    headers: Mapping[str, str]
    body: Iterable[bytes]


@contextmanager
def _form(fields: Mapping[str, str], file: Path, name: str = "recording") -> Iterator[_MultipartBody]:
    boundary = secrets.token_hex(16)
    parts = [f'Content-Disposition: form-data; name="{field}"\r\n\r\n{text}\r\n' for field, text in fields.items()]
    # The server detects the type by content, so the file's own name, which may hold any character, is not sent.
    parts += [f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n']
    head = "".join(f"--{boundary}\r\n{part}" for part in parts).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    with file.open("rb") as opened:
        size = len(head) + os.fstat(opened.fileno()).st_size + len(tail)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(size)}
        yield _MultipartBody(headers, itertools.chain([head], iter(lambda: opened.read(_BLOCK), b""), [tail]))


def _events(response: http.client.HTTPResponse) -> Generator[Any, None, None]:
    """Yield the decoded events of a stream. Raises the error that an event contains."""
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
    server: RunningServer, method: str, path: str, key: str, body: object = None, form: _MultipartBody | None = None
) -> Iterator[http.client.HTTPResponse]:
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port)
    content = msgspec.json.encode(body) if body is not None else None
    headers = {"Authorization": f"Bearer {key}", **(form.headers if form else {"Content-Type": "application/json"})}
    try:
        # A server that refuses a body may close the connection early; its answer can still be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, form.body if form else content, headers)
        with connection.getresponse() as response:
            if response.status >= 400:
                raise _error(_decode(response.read()))
            yield response
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the server at {server.url} does not answer: {error}") from error
    finally:
        connection.close()


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {"error": {"message": body.decode(errors="replace")}}


def _error(envelope: Any) -> HomeportError:
    error = envelope["error"]
    return HomeportError(error["message"], param=error.get("param"), code=error.get("code"))
