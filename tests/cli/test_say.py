"""`say`: its requests to the server, and its file."""

from pathlib import Path

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import WAV, ScriptedServer, run


def test_say_writes_the_audio_to_a_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`say` requests the format of the file's suffix, and writes the sizes into a WAV file's header."""
    result = run(tmp_path, "say", "Hello.", "-o", str(tmp_path / "a.wav"), "--voice", "nova", "--speed", "1.5")
    assert result.exit_code == 0, result.output
    body = {"model": "kokoro-82m", "voice": "nova", "speed": 1.5, "response_format": "wav", "input": "Hello."}
    assert server.requests == [("POST", "/v1/audio/speech", running.token, body)]
    data = (tmp_path / "a.wav").read_bytes()
    assert data[4:8] == (len(data) - 8).to_bytes(4, "little")
    assert data[40:] == (4).to_bytes(4, "little") + b"\1\2\3\4"


def test_say_reads_its_input_and_other_formats(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`-` reads standard input; --format overrides the suffix; `.ogg` is Opus; the bytes are unchanged."""
    for name, flags, form in (("a.ogg", (), "opus"), ("a.dat", ("--format", "flac"), "flac")):
        result = run(tmp_path, "say", "-", "-o", str(tmp_path / name), *flags, text="From a pipe.")
        assert result.exit_code == 0, result.output
        last = server.requests[-1][3]
        assert isinstance(last, dict)
        assert (last["input"], last["response_format"]) == ("From a pipe.", form)
        assert (tmp_path / name).read_bytes() == WAV


def test_say_needs_a_format(tmp_path: Path) -> None:
    """An unknown suffix is a usage error, before any request."""
    result = run(tmp_path, "say", "Hello.", "-o", str(tmp_path / "a.txt"))
    assert result.exit_code == 2
    assert "--format" in result.stderr


def test_say_leaves_no_partial_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """If the stream is cut off, the existing file is kept and the partial one removed."""
    server.is_failing = True
    (tmp_path / "a.wav").write_bytes(b"before")
    result = run(tmp_path, "say", "Hello.", "-o", str(tmp_path / "a.wav"))
    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)
    assert (tmp_path / "a.wav").read_bytes() == b"before"
    assert not list(tmp_path.glob("*.part*"))
