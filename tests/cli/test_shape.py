"""`shape`: its requests to the server, and its files."""

import base64
from pathlib import Path

import pytest

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import ScriptedServer, run


def test_shape_writes_the_shape_of_a_prompt(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`shape` requests the format of the file's suffix from the default model, and sends only the given options."""
    result = run(tmp_path, "shape", "a red fox", "-o", str(tmp_path / "fox.glb"))
    assert result.exit_code == 0, result.output
    fields = {"prompt": "a red fox", "output_format": "glb", "model": "triposr", "stream": True}
    assert server.requests == [("POST", "/v1/3d/generations", running.token, fields)]
    assert (tmp_path / "fox.glb").read_bytes() == b"a shape"
    assert result.stdout == ""


def test_shape_sends_a_picture_and_every_option(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """A file with the suffix of a picture is sent as one; each flag sets its field; the preview is a second file."""
    (tmp_path / "fox.png").write_bytes(b"a picture")
    flags = ["--format", "json", "--size", "100", "--seed", "7", "--quality", "coarse", "--model", "other"]
    flags += ["--preview", str(tmp_path / "views.png")]
    result = run(tmp_path, "shape", str(tmp_path / "fox.png"), "-o", str(tmp_path / "fox.points"), *flags)
    assert result.exit_code == 0, result.output
    [(_, _, _, body)] = server.requests
    image = f"data:image/*;base64,{base64.b64encode(b'a picture').decode()}"
    wanted = {"image": image, "output_format": "json", "size": 100, "seed": 7, "quality": "coarse", "model": "other"}
    assert body == {**wanted, "preview": True, "stream": True}
    assert (tmp_path / "fox.points").read_bytes() == b"a shape"
    assert (tmp_path / "views.png").read_bytes() == b"a preview"


@pytest.mark.parametrize(
    ("subject", "output", "why"), [("a fox", "fox.obj", "--format"), ("no.png", "a.glb", "no.png")]
)
def test_shape_refuses_what_it_cannot_write_or_read(tmp_path: Path, subject: str, output: str, why: str) -> None:
    """An unknown suffix, and a picture that does not exist, are errors before any server starts."""
    result = run(tmp_path, "shape", subject, "-o", str(tmp_path / output))
    assert result.exit_code == 2
    assert why in result.output


def test_shape_reports_the_servers_error(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """An error of the stream is one line, and no file is written."""
    server.is_failing = True
    result = run(tmp_path, "shape", "a fox", "-o", str(tmp_path / "fox.glb"))
    assert result.exit_code == 1
    assert "the picture shows nothing" in result.output
    assert not (tmp_path / "fox.glb").exists()
