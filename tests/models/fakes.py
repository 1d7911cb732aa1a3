"""Fakes of the outside: both hubs' routes in one loopback server, GGUF files, a recording progress reporter.

The server has the routes that the real client libraries use; `FakeHub.deeds` makes it misbehave.
"""

import hashlib
import json
import re
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "org/Tiny-GGUF"
SECOND = "org/Parts"
_EITHER = f"(?:{REPO}|{SECOND})"


class Recorder:
    """A progress reporter that records its calls."""

    def __init__(self) -> None:
        self.size = 0
        self.done = 0
        self.messages: list[str] = []

    def total(self, size: int) -> None:
        self.size = size

    def advance(self, size: int) -> None:
        self.done += size

    def message(self, text: str) -> None:
        self.messages.append(text)


def _text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(
    *,
    template: bool | str = True,
    tokens: tuple[str, ...] = (),
    pad: int = 0,
    kind: str = "model",
    architecture: str = "llama",
    pooling: int | None = None,
    flags: tuple[str, ...] = (),
) -> bytes:
    """Return a GGUF header and `pad` bytes in place of tensors. `flags`: keys whose value is true."""
    pairs = [
        _text("general.architecture") + struct.pack("<I", 8) + _text(architecture),
        _text("general.type") + struct.pack("<I", 8) + _text(kind),
        _text("general.license") + struct.pack("<I", 8) + _text("mit"),
        _text(f"{architecture}.context_length") + struct.pack("<II", 4, 4096),
        _text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<3f", 1, 2, 3),
        _text("tokenizer.ggml.tokens")
        + struct.pack("<IIQ", 9, 8, len(tokens))
        + b"".join(_text(token) for token in tokens),
    ]
    pairs += [_text(flag) + struct.pack("<I?", 7, True) for flag in flags]
    if pooling is not None:
        pairs.append(_text(f"{architecture}.pooling_type") + struct.pack("<II", 4, pooling))
    if template:
        source = template if isinstance(template, str) else "{{ messages }}"
        pairs.append(_text("tokenizer.chat_template") + struct.pack("<I", 8) + _text(source))
    body = bytes(i * 7 % 251 for i in range(1024)) * (pad // 1024 + 1)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs) + body[:pad]


class FakeHub:
    """Hugging Face's and ModelScope's read routes for two repositories that hold the same files, on one port.

    `files` maps paths to what the listing describes; `served` (by path) to other bytes that are sent instead.
    `cut_after`: every answer breaks off after this many bytes. `status` is the answer to every file or listing.
    `stalls` holds answers after their first bytes until the event is set.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.served: dict[str, bytes] = {}
        self.status: int | None = None
        self.cut_after: int | None = None
        self.ignores_range = False
        self.stalls: threading.Event | None = None
        self.stalled = threading.Event()
        self.redirect_to: str | None = None
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.stalls:
            self.stalls.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def gets(self, marker: str) -> list[dict[str, str]]:
        """Return the headers of the GET requests whose target contains `marker`."""
        return [headers for method, target, headers in self.requests if method == "GET" and marker in target]

    def hf_entry(self, name: str) -> dict[str, object]:
        data = self.files[name]
        lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 128}
        return {"type": "file", "path": name, "size": len(data), "oid": "0" * 40, "lfs": lfs}

    def ms_entry(self, name: str) -> dict[str, object]:
        data = self.files[name]
        return {"Path": name, "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest(), "Type": "blob"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        headers = {key.lower(): value for key, value in self.headers.items()}
        hub.requests.append((self.command, self.path, headers))
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        if hub.status and path != "/":
            self._json({"error": "no", "Message": "no"}, hub.status)
        elif re.fullmatch(rf"/api/models/{_EITHER}(/revision/.+)?", path):
            self._json({"id": REPO, "sha": COMMIT, "siblings": []})
        elif re.match(rf"/api/models/{_EITHER}/tree/", path):
            self._json([hub.hf_entry(name) for name in hub.files])
        elif re.fullmatch(rf"/api/v1/models/{_EITHER}/repo/files", path):
            self._json({"Code": 200, "Data": {"Files": [hub.ms_entry(name) for name in hub.files]}})
        elif re.fullmatch(rf"/api/v1/models/{_EITHER}/repo", path):
            self._file(query["FilePath"])
        elif match := re.fullmatch(rf"/{_EITHER}/resolve/[^/]+/(.+)", path):
            self._file(match[1])
        else:
            self._json({"error": "unknown route"}, 404)

    def _json(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _file(self, name: str) -> None:
        hub = self.server.hub
        if name not in hub.files:
            self._json({"error": "Entry not found"}, 404)
            return
        if hub.redirect_to:
            self.send_response(302)
            self.send_header("Location", hub.redirect_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = hub.served.get(name, hub.files[name])
        first = 0
        if (wanted := self.headers.get("Range")) and not hub.ignores_range:
            first = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        self._send(data[first:])

    def _send(self, data: bytes) -> None:
        hub = self.server.hub
        try:
            if hub.stalls:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                hub.stalled.set()
                hub.stalls.wait(30)
                data = data[len(data) // 2 :]
            self.wfile.write(data[: hub.cut_after])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if hub.cut_after is not None and hub.cut_after < len(data):
            self.close_connection = True
