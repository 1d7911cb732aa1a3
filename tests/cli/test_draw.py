"""`draw`: what goes to the server, and what becomes of the files."""

from pathlib import Path

import pytest

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import ScriptedServer, run


def test_draw_writes_the_picture_into_a_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`draw` asks for what the file's ending says, with progress, and for nothing that was not wished."""
    result = run(tmp_path, "draw", "a red fox", "-o", str(tmp_path / "fox.png"))
    assert result.exit_code == 0, result.output
    asked = {"model": "brush", "prompt": "a red fox", "n": 1, "output_format": "png"}
    streamed = {**asked, "stream": True, "progress": True}
    assert server.heard == [("POST", "/v1/images/generations", running.token, streamed)]
    assert (tmp_path / "fox.png").read_bytes() == b"picture 0"
    assert result.stdout == ""


def test_draw_passes_every_wish_on(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """Each flag is the field it stands for; several pictures get numbers."""
    flags = ["-n", "2", "--size", "512x512", "--seed", "7", "--steps", "4", "--guidance", "2.5", "--without", "rain"]
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.jpg"), *flags, "--model", "other")
    assert result.exit_code == 0, result.output
    body = server.heard[-1][3]
    assert isinstance(body, dict)
    wished = {"n": 2, "size": "512x512", "seed": 7, "steps": 4, "guidance": 2.5, "negative_prompt": "rain"}
    assert wished.items() <= body.items()
    assert (body["model"], body["output_format"]) == ("other", "jpeg")
    assert [(tmp_path / f"fox-{n}.jpg").read_bytes() for n in (1, 2)] == [b"picture 0", b"picture 1"]


def test_draw_shows_a_bar(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """On a terminal's standard error, and nothing on standard output."""
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.webp"), env={"FORCE_COLOR": "1"})
    assert "fox.webp" in result.stderr
    assert "2/2" in result.stderr
    assert result.stdout == ""


def test_draw_needs_a_format(tmp_path: Path) -> None:
    """An ending that says nothing is a mistake of usage, before any server is asked."""
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.bmp"))
    assert result.exit_code == 2
    assert ".png, .jpeg, .webp, .jpg" in result.stderr


@pytest.mark.parametrize("number", ["1", "2"])
def test_draw_leaves_no_half_of_a_file(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, number: str
) -> None:
    """Where the painting breaks off, why is said, what is done stays, and the file that was there before too."""
    server.is_breaking = True
    before = tmp_path / ("fox.png" if number == "1" else "fox-2.png")
    before.write_bytes(b"before")
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.png"), "-n", number)
    assert (result.exit_code, "the brush broke" in result.stderr) == (1, True)
    assert before.read_bytes() == b"before"
    assert (tmp_path / "fox-1.png").exists() == (number == "2")
    assert not list(tmp_path.glob("*.part"))
