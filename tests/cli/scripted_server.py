"""A scripted HTTP server on a real socket, whose answers look like those of the real one."""

import base64
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.operations import WorkerList, WorkerReport
from tests.cli.fake_application import FakeApplication

WAV = b"RIFF" + b"\xff" * 4 + b"WAVE" + b"-" * 24 + b"data" + b"\xff" * 4 + b"\1\2\3\4"
BATCH = {
    "id": "batch_1",
    "status": "in_progress",
    "endpoint": "/v1/chat/completions",
    "model": None,
    "request_counts": {"total": 9, "completed": 4, "failed": 1},
    "usage": {"input_tokens": 20, "output_tokens": 7},
    "created_at": 1_700_000_000,
    "expires_at": 1_700_086_400,
    "input_file_id": "file-1",
    "output_file_id": "file-2",
    "error_file_id": None,
    "errors": {"object": "list", "data": [{"line": 3, "message": "Bad."}, {"line": None, "message": "Empty."}]},
}
CHUNKS = ("The capital", " is", " Paris.")


class ScriptedServer(ThreadingHTTPServer):
    """Records `requests` as (method, path, key, body). If `is_failing`, its streams end with an error.

    Requests for embeddings with more than `body_limit` bytes are refused, and all of them with `refusal` if it is set.
    `workers`: the loaded models; empty: two of this machine.
    """

    requests: list[tuple[str, str, str, object]]
    is_failing = False
    body_limit = 1_000_000
    refusal: dict[str, Any] | None = None
    workers: tuple[WorkerReport, ...] = ()


class ScriptedRoutes(BaseHTTPRequestHandler):
    """The routes that the commands use."""

    server: ScriptedServer

    def do_GET(self) -> None:
        """Return a worker, a batch, a list of batches, or a file."""
        self._record(None)
        if self.path.startswith("/v1/batches"):
            content = {"object": "list", "data": [BATCH]} if "?" in self.path else BATCH
            self._answer(200, json.dumps(content).encode())
            return
        if self.path.startswith("/v1/models/"):
            self._answer(
                200,
                json.dumps(
                    {"id": self.path.rsplit("/", 1)[-1], "root": "small", "created": 1, "size_bytes": 2}
                ).encode(),
            )
            return
        if self.path.startswith("/v1/files/"):
            self._answer(200, b'{"custom_id": "a"}\n' * 20_000)
            return
        small = WorkerReport("small", 7, "ready", 250_000_000, 2, 1, 30, 100, device="cpu", idle_s=4.4)
        large = WorkerReport(
            "large", 8, "ready", 250_000_000, device="CUDA0: NVIDIA H200, 20 of 31 layers", device_bytes=700_000_000
        )
        workers = WorkerList(self.server.workers or (small, large))
        self._answer(200, msgspec.json.encode(workers))

    def do_POST(self) -> None:
        """Stop a worker, or return a chat, embeddings, speech, music, images, a transcript, a file or a batch."""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path.startswith("/v1/audio/tran"):
            self._transcribe(body)
            return
        if self.path == "/v1/files":
            self._record(body)
            self._answer(200, b'{"id": "file-1"}')
            return
        self._record(json.loads(body) if body else None)
        if self.path == "/v1/chat/completions":
            texts: list[dict[str, Any]] = [{"content": text} for text in CHUNKS]
            deltas = _call_deltas() if _needs_call(json.loads(body)) else texts
            self._answer(200, self._chat(deltas), "text/event-stream")
        elif self.path == "/v1/embeddings":
            self._embed(json.loads(body))
        elif self.path == "/v1/audio/speech":
            self._speak()
        elif self.path == "/v1/audio/music":
            self._answer(200, self._music(), "text/event-stream")
        elif self.path == "/v1/images/generations":
            self._answer(200, self._images(json.loads(body)), "text/event-stream")
        elif self.path == "/v1/3d/generations":
            self._answer(200, self._shapes(json.loads(body)), "text/event-stream")
        elif self.path.startswith("/v1/batches"):
            self._answer(200, json.dumps(BATCH).encode())
        elif self.path == "/admin/v1/page_links":
            self._answer(200, b'{"object": "page.link", "token": "link-token", "expires_in_s": 120}')
        elif self.path == "/admin/v1/workers/small/stop":
            self._answer(200, b"{}")
        elif self.path.endswith("/stop"):
            self._answer(404, b'{"error": {"message": "no such model is loaded", "code": "model_not_found"}}')
        else:
            self._answer(502, b"bad gateway")

    def _embed(self, fields: dict[str, Any]) -> None:
        """Return a vector for each input: of images by their content, which is refused if it begins with `bad`."""
        vectors = []
        too_large = {"message": "too large", "code": "request_too_large"}
        is_too_large = len(json.dumps(fields)) > self.server.body_limit
        if error := self.server.refusal or (too_large if is_too_large else None):
            self._answer(413 if is_too_large else 404, json.dumps({"error": error}).encode())
            return
        for at, given in enumerate(fields["input"]):
            is_text = isinstance(given, str)
            data = given.encode() if is_text else base64.b64decode(given["image_url"]["url"].partition(",")[2])
            if data.startswith(b"bad"):
                error = {"message": "the image is damaged", "param": f"input[{at}].image_url.url", "code": None}
                self._answer(400, json.dumps({"error": error}).encode())
                return
            numbers = [1.0, 0.0] if b"red" in data else [0.5, -0.25 * at]
            packed = base64.b64encode(struct.pack("<2f", *numbers)).decode()
            is_packed = fields.get("encoding_format") == "base64"
            vectors.append({"object": "embedding", "index": at, "embedding": packed if is_packed else numbers})
        self._answer(200, json.dumps({"object": "list", "data": vectors}).encode())

    def _transcribe(self, body: bytes) -> None:
        self._record(body)
        deltas = [{"type": "transcript.text.delta", "delta": text} for text in CHUNKS]
        lines = [f"data: {json.dumps(event)}\n\n" for event in [*deltas, {"type": "transcript.text.done", "text": ""}]]
        is_stream = b'name="stream"' in body
        self._answer(200, ("".join(lines) + "data: [DONE]\n\n").encode() if is_stream else b"1\nwhole\n\n")

    def _speak(self) -> None:
        """Send a WAV of two samples in two chunks; if failing, without the end."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (WAV[:20], WAV[20:]):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"" if self.server.is_failing else b"0\r\n\r\n")
        self.close_connection = True

    def _music(self) -> bytes:
        """The events of a WAV of two samples; if failing, an error in place of the end."""
        done = {"genre": "jig", "key": "D major", "bpm": 110.0, "seed": 7}
        deltas = [base64.b64encode(data).decode() for data in (WAV[:20], WAV[20:])]
        events: list[dict[str, object]] = [
            {"type": "music.progress", "index": 0, "bars": 1, "seconds": 1.0, "total_seconds": 2.0},
            {"type": "music.audio.delta", "audio": deltas[0]},
            {"type": "music.audio.delta", "audio": deltas[1]},
            {"type": "music.audio.done", "index": 0, **done},
        ]
        if self.server.is_failing:
            events[-1] = {"error": {"message": "the sampler failed"}}
        return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()

    def _images(self, fields: dict[str, int]) -> bytes:
        """The events of images of two steps each; if failing, an error instead of the last image."""
        events: list[dict[str, object]] = []
        for index in range(fields["n"]):
            steps = [{"step": step, "steps": 2, "image_index": index} for step in (1, 2)]
            events += [{"type": "image_generation.progress", **step} for step in steps]
            data = base64.b64encode(b"image %d" % index).decode()
            done = {"type": "image_generation.completed", "image_index": index, "b64_json": data}
            events.append({**done, "revised_prompt": "a red fox"})
        if self.server.is_failing:
            events[-1] = {"error": {"message": "the pipeline failed"}}
        lines = [f"event: {event.get('type')}\ndata: {json.dumps(event)}\n\n" for event in events]
        return ("".join(lines) + "data: [DONE]\n\n").encode()

    def _shapes(self, fields: dict[str, Any]) -> bytes:
        """The events of one shape of two steps; if failing, an error instead of the shape."""
        steps = [{"stage": "shape", "step": step, "steps": 2, "shape_index": 0} for step in (1, 2)]
        events: list[dict[str, Any]] = [{"type": "shape_generation.progress", **step} for step in steps]
        done = {"type": "shape_generation.completed", "b64_json": base64.b64encode(b"a shape").decode()}
        if fields.get("preview"):
            done["preview_b64_json"] = base64.b64encode(b"a preview").decode()
        failed = {"error": {"message": "the picture shows nothing", "param": "image", "code": "empty_image"}}
        lines = [f"data: {json.dumps(each)}\n\n" for each in [*events, failed if self.server.is_failing else done]]
        return ("".join(lines) + "data: [DONE]\n\n").encode()

    def _chat(self, deltas: list[dict[str, Any]]) -> bytes:
        events = [{"choices": [{"delta": delta}]} for delta in deltas]
        tail = '{"error": {"message": "the engine failed"}}' if self.server.is_failing else '{"choices": []}'
        lines = [f"data: {event}\n\n" for event in [*map(json.dumps, events), tail]]
        return (": ping\n\n" + "".join(lines) + "data: [DONE]\n\n").encode()

    def _record(self, body: object) -> None:
        key = str(self.headers["Authorization"]).removeprefix("Bearer ")
        self.server.requests.append((self.command, self.path, key, body))

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


def _needs_call(body: dict[str, Any]) -> bool:
    return bool(body.get("tools")) and body["messages"][-1]["role"] != "tool"


def _call_deltas() -> list[dict[str, Any]]:
    """The deltas of an answer with reasoning, text, and calls of two tools, one of them custom."""
    clock = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "clock", "arguments": ""}}
    shell = {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "shell", "input": ""}}
    parts: list[dict[str, Any]] = [
        clock,
        {"index": 0, "function": {"arguments": '{"zone": '}},
        {"index": 0, "function": {"arguments": '"UTC"}'}},
        shell,
        {"index": 1, "custom": {"input": "ls"}},
    ]
    begin: list[dict[str, Any]] = [{"role": "assistant", "content": None}, {"reasoning": "Hm."}]
    return begin + [{"tool_calls": [part]} for part in parts]


@contextmanager
def serving() -> Iterator[ScriptedServer]:
    """Serve on a free port until the context ends."""
    with ScriptedServer(("127.0.0.1", 0), ScriptedRoutes) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def run(home: Path, *arguments: str, text: str = "", env: dict[str, str] | None = None) -> Result:
    """Run a command with this home and a fake application."""
    return CliRunner().invoke(commands, [*arguments, "--home", str(home)], obj=FakeApplication(), input=text, env=env)
