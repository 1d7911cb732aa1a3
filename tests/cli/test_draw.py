"""`draw`: its requests to the server, and its files."""

from pathlib import Path

import pytest

from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import ScriptedServer, run


def test_draw_writes_the_image_to_a_file(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """`draw` requests the format of the file's suffix, with progress, and sends only the given options."""
    result = run(tmp_path, "draw", "a red fox", "-o", str(tmp_path / "fox.png"))
    assert result.exit_code == 0, result.output
    fields = {"model": "clipart", "prompt": "a red fox", "n": 1, "output_format": "png"}
    streamed = {**fields, "stream": True, "progress": True}
    assert server.requests == [("POST", "/v1/images/generations", running.token, streamed)]
    assert (tmp_path / "fox.png").read_bytes() == b"image 0"
    assert result.stdout == ""


def test_draw_sends_every_option(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """Each flag sets its field; several images get numbered files."""
    flags = ["-n", "2", "--size", "512x512", "--seed", "7", "--steps", "4", "--guidance", "2.5", "--without", "rain"]
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.jpg"), *flags, "--model", "other")
    assert result.exit_code == 0, result.output
    body = server.requests[-1][3]
    assert isinstance(body, dict)
    options = {"n": 2, "size": "512x512", "seed": 7, "steps": 4, "guidance": 2.5, "negative_prompt": "rain"}
    assert options.items() <= body.items()
    assert (body["model"], body["output_format"]) == ("other", "jpeg")
    assert [(tmp_path / f"fox-{n}.jpg").read_bytes() for n in (1, 2)] == [b"image 0", b"image 1"]


def test_draw_says_what_is_drawn_instead_of_the_prompt(
    running: RunningServer, server: ScriptedServer, tmp_path: Path
) -> None:
    """A revised prompt is printed on standard error; one that is the prompt is not."""
    for prompt, is_said in (("a red fox, photo", True), ("a red fox", False)):
        result = run(tmp_path, "draw", prompt, "-o", str(tmp_path / "fox.png"))
        assert ("a red fox\n" in result.stderr) == is_said
        assert result.stdout == ""


def test_draw_shows_a_bar(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """The bar is on standard error; standard output is empty."""
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.webp"), env={"FORCE_COLOR": "1"})
    assert "fox.webp" in result.stderr
    assert "2/2" in result.stderr
    assert result.stdout == ""


def test_draw_needs_a_format(tmp_path: Path) -> None:
    """An unknown suffix is a usage error, before any request."""
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.bmp"))
    assert result.exit_code == 2
    assert ".png, .jpeg, .webp, .jpg" in result.stderr


@pytest.mark.parametrize("number", ["1", "2"])
def test_draw_leaves_no_partial_file(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, number: str
) -> None:
    """If generation fails, the error is printed, and finished images and the existing file are kept."""
    server.is_failing = True
    before = tmp_path / ("fox.png" if number == "1" else "fox-2.png")
    before.write_bytes(b"before")
    result = run(tmp_path, "draw", "a fox", "-o", str(tmp_path / "fox.png"), "-n", number)
    assert (result.exit_code, "the pipeline failed" in result.stderr) == (1, True)
    assert before.read_bytes() == b"before"
    assert (tmp_path / "fox-1.png").exists() == (number == "2")
    assert not list(tmp_path.glob("*.part"))
