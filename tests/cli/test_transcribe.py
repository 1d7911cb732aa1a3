"""`transcribe`: its requests to the server, and its output."""

import re
import socket
import threading
from pathlib import Path

import pytest

from homeport.client import runfile
from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import CHUNKS, ScriptedServer, run


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A file with a name that no header can hold."""
    path = tmp_path / 'a "walk"\n.mp3'
    path.write_bytes(b"ID3" + bytes(300_000))
    return path


def test_transcribe_prints_text_as_it_arrives(
    server: ScriptedServer, running: RunningServer, tmp_path: Path, recording: Path
) -> None:
    """The whole file is sent as a form, with the given fields only."""
    result = run(tmp_path, "transcribe", str(recording), "--language", "zh", "--prompt", "前文")
    assert result.stdout == "".join(CHUNKS) + "\n"
    ((method, path, key, body),) = server.requests
    assert (method, path, key) == ("POST", "/v1/audio/transcriptions", running.token)
    assert isinstance(body, bytes)
    assert recording.read_bytes() in body
    fields = dict(re.findall(rb' name="(\w+)"\r\n\r\n([^\r]*)', body))
    assert fields == {
        b"language": b"zh",
        b"prompt": "前文".encode(),
        b"model": b"whisper-base",
        b"response_format": b"text",
        b"stream": b"true",
    }


@pytest.mark.parametrize(
    ("flags", "task", "form"),
    [
        (["--format", "srt"], "transcriptions", b"srt"),
        (["--translate"], "translations", b"text"),
        (["--json"], "transcriptions", b"verbose_json"),
        (["--translate", "--json", "--model", "other"], "translations", b"verbose_json"),
    ],
)
def test_transcribe_prints_other_formats_whole(
    server: ScriptedServer,
    running: RunningServer,
    tmp_path: Path,
    recording: Path,
    flags: list[str],
    task: str,
    form: bytes,
) -> None:
    """Subtitles, JSON and translations are printed as the server returns them."""
    result = run(tmp_path, "transcribe", str(recording), *flags)
    assert result.stdout == "1\nwhole\n"
    ((_, path, _, body),) = server.requests
    assert path == f"/v1/audio/{task}"
    assert isinstance(body, bytes)
    assert b'name="response_format"\r\n\r\n' + form in body
    assert (b"\r\n\r\nother\r\n" in body) == ("other" in flags)


def test_transcribe_cannot_translate_from_a_named_language(tmp_path: Path, recording: Path) -> None:
    """--translate with --language is a usage error, before any request."""
    result = run(tmp_path, "transcribe", str(recording), "--translate", "--language", "zh")
    assert result.exit_code == 2
    assert "--translate takes no --language" in result.stderr


def test_the_refusal_of_a_large_file_is_printed(tmp_path: Path, recording: Path) -> None:
    """If the server answers and closes before it has received the whole file, its answer is printed."""
    body = b'{"error": {"message": "the file is big"}}'
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
    recording.write_bytes(bytes(20_000_000))
    with socket.create_server(("127.0.0.1", 0)) as refusing:

        def refuse() -> None:
            line, _ = refusing.accept()
            with line:
                line.recv(1000)
                line.sendall(answer)

        thread = threading.Thread(target=refuse)
        thread.start()
        port = refusing.getsockname()[1]
        runfile.publish(tmp_path, f"http://127.0.0.1:{port}", port)
        result = run(tmp_path, "transcribe", str(recording))
        thread.join()
    assert (result.exit_code, result.stderr) == (1, "Error: the file is big\n")
