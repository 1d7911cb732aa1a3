"""`say`: what goes to the server, and what becomes of the file."""

from pathlib import Path

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import WAV, ScriptedServer, run


def test_say_writes_the_sound_into_a_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`say` asks for what the file's ending says, and gives a WAV file its sizes."""
    result = run(tmp_path, "say", "Hello.", "-o", str(tmp_path / "a.wav"), "--voice", "nova", "--speed", "1.5")
    assert result.exit_code == 0, result.output
    asked = {"model": "kokoro-82m", "voice": "nova", "speed": 1.5, "response_format": "wav", "input": "Hello."}
    assert server.heard == [("POST", "/v1/audio/speech", running.token, asked)]
    data = (tmp_path / "a.wav").read_bytes()
    assert data[4:8] == (len(data) - 8).to_bytes(4, "little")
    assert data[40:] == (4).to_bytes(4, "little") + b"\1\2\3\4"


def test_say_reads_its_input_and_other_formats(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`-` is the standard input; --format goes before the ending, `.ogg` is Opus; the bytes are as they came."""
    for name, flags, form in (("a.ogg", (), "opus"), ("a.dat", ("--format", "flac"), "flac")):
        result = run(tmp_path, "say", "-", "-o", str(tmp_path / name), *flags, text="From a pipe.")
        assert result.exit_code == 0, result.output
        last = server.heard[-1][3]
        assert isinstance(last, dict)
        assert (last["input"], last["response_format"]) == ("From a pipe.", form)
        assert (tmp_path / name).read_bytes() == WAV


def test_say_needs_a_format(tmp_path: Path) -> None:
    """An ending that says nothing is a mistake of usage, before any server is asked."""
    result = run(tmp_path, "say", "Hello.", "-o", str(tmp_path / "a.txt"))
    assert result.exit_code == 2
    assert "--format" in result.stderr


def test_say_leaves_no_half_of_a_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """Where the sound breaks off, the file that was there before stays, and nothing lies beside it."""
    server.is_breaking = True
    (tmp_path / "a.wav").write_bytes(b"before")
    result = run(tmp_path, "say", "Hello.", "-o", str(tmp_path / "a.wav"))
    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)
    assert (tmp_path / "a.wav").read_bytes() == b"before"
    assert not list(tmp_path.glob("*.part"))
