"""`compose`: its requests to the server, and its file."""

from pathlib import Path

import pytest

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import WAV, ScriptedServer, run


def test_compose_writes_the_music_to_a_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`compose` requests the format of the file's suffix, writes a WAV file's sizes, and says what it is."""
    result = run(tmp_path, "compose", "a jig", "-o", str(tmp_path / "a.wav"))
    assert result.exit_code == 0, result.output
    body = {"model": "homeport-tunes", "prompt": "a jig", "response_format": "wav", "stream_format": "sse"}
    assert server.requests == [("POST", "/v1/audio/music", running.token, body)]
    data = (tmp_path / "a.wav").read_bytes()
    assert data[40:] == (4).to_bytes(4, "little") + b"\1\2\3\4"
    assert result.stdout == ""
    assert "jig in D major, 110 bpm, seed 7" in result.stderr


def test_compose_sends_every_option(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """Each flag sets its field; the bytes of other formats are unchanged."""
    flags = ["--genre", "waltz", "--voice", "nova", "--seconds", "20", "--bpm", "90", "--key", "D minor", "--seed", "3"]
    song = ["--lyrics", "Row your boat\\nGently", "--model", "other", "--format", "flac"]
    result = run(tmp_path, "compose", "sad", "-o", str(tmp_path / "a.dat"), *flags, *song)
    assert result.exit_code == 0, result.output
    assert server.requests[-1][3] == {
        "model": "other",
        "prompt": "sad",
        "response_format": "flac",
        "genre": "waltz",
        "voice": "nova",
        "seconds": 20.0,
        "bpm": 90.0,
        "key": "D minor",
        "seed": 3,
        "lyrics": "Row your boat\nGently",
        "stream_format": "sse",
    }
    assert (tmp_path / "a.dat").read_bytes() == WAV


@pytest.mark.parametrize(("suffix", "form"), [(".mid", "midi"), (".ogg", "opus"), (".MP3", "mp3")])
def test_the_suffix_names_the_format(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, suffix: str, form: str
) -> None:
    """MIDI files end in .mid, Opus in .ogg, and capitals do not matter; lyrics are read from a file."""
    (tmp_path / "song.txt").write_text("Gently down\n")
    result = run(tmp_path, "compose", "a", "-o", str(tmp_path / f"a{suffix}"), "--lyrics", str(tmp_path / "song.txt"))
    assert result.exit_code == 0, result.output
    body = server.requests[-1][3]
    assert isinstance(body, dict)
    assert (body["response_format"], body["lyrics"]) == (form, "Gently down\n")


def test_compose_needs_a_format(tmp_path: Path) -> None:
    """An unknown suffix is a usage error, before any request."""
    result = run(tmp_path, "compose", "a", "-o", str(tmp_path / "a.txt"))
    assert result.exit_code == 2
    assert "--format" in result.stderr


def test_compose_leaves_no_partial_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """If the music fails, the existing file is kept and the partial one removed."""
    server.is_failing = True
    (tmp_path / "a.wav").write_bytes(b"before")
    result = run(tmp_path, "compose", "a", "-o", str(tmp_path / "a.wav"))
    assert (result.exit_code, "the sampler failed" in result.stderr) == (1, True)
    assert (tmp_path / "a.wav").read_bytes() == b"before"
    assert not list(tmp_path.glob("*.part*"))
