"""`search` and `embed --image`: requests to the server, the index between searches, and what is printed."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from homeport.client import image_search
from homeport.client.runfile import RunningServer
from tests.cli.scripted_server import ScriptedServer, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for name in ("green.png", "red.png", "blue.jpg"):
        write(made / name, name)
    return made


def write(path: Path, content: str) -> None:
    path.write_text(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))


def sent(server: ScriptedServer) -> list[list[str]]:
    """Return the inputs of each embeddings request, with images as their content."""
    found = []
    for _, path, _, body in server.requests:
        if path == "/v1/embeddings":
            assert isinstance(body, dict)
            found.append([_content(given) for given in body["input"]])
    return found


def _content(given: Any) -> str:
    if isinstance(given, str):
        return given
    assert given["type"] == "image_url"
    return base64.b64decode(given["image_url"]["url"].partition(";base64,")[2]).decode()


def test_search_prints_the_nearest_first(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path
) -> None:
    """Images are embedded, then the text, and paths are printed with their scores; the model is the application's."""
    result = run(tmp_path, "search", str(folder), "a red car", "-n", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"1.000  {folder}/red.png\n0.500  {folder}/blue.jpg\n"
    assert sent(server) == [["blue.jpg", "green.png", "red.png"], ["a red car"]]
    assert ("GET", "/v1/models/eyes", running.token, None) in server.requests


def test_a_second_search_embeds_only_what_is_new(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path
) -> None:
    """The index is kept: then only new and changed images are sent, and removed ones are not found."""
    run(tmp_path, "search", str(folder), "red")
    server.requests.clear()
    write(folder / "dark red.png", "dark red")
    (folder / "red.png").unlink()
    result = run(tmp_path, "search", str(folder), "red", "--json", "-n", "1")
    assert sent(server) == [["dark red"], ["red"]]
    answer = json.loads(result.stdout)
    assert answer["data"] == [{"path": "dark red.png", "score": 1.0}]
    assert (answer["images"], answer["embedded"], answer["removed"], answer["skipped"]) == (3, 1, 1, [])
    assert (answer["model"], answer["folder"]) == ("eyes", str(folder.resolve()))
    server.requests.clear()
    run(tmp_path, "search", str(folder), "red")
    assert sent(server) == [["red"]]


def test_images_are_sent_in_bounded_requests(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request has a limited number of images, and of bytes unless one alone has more."""
    monkeypatch.setattr(image_search, "_BATCH_BYTES", 20)
    write(folder / "a large one.png", "large" * 9)
    run(tmp_path, "search", str(folder), "red")
    assert [len(inputs) for inputs in sent(server)] == [1, 2, 1, 1]


def test_refused_images_are_named(running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path) -> None:
    """An image that the server refuses is skipped with the reason, once; the others are found."""
    write(folder / "broken.png", "bad")
    result = run(tmp_path, "search", str(folder), "red", "-n", "1")
    assert result.exit_code == 0, result.output
    assert "broken.png is not searched: the image is damaged" in result.stderr
    assert result.stdout == f"1.000  {folder}/red.png\n"
    server.requests.clear()
    result = run(tmp_path, "search", str(folder), "red", "--json")
    assert sent(server) == [["red"]]
    assert json.loads(result.stdout)["skipped"] == [{"path": "broken.png", "reason": "the image is damaged"}]


def test_images_over_the_servers_limit_are_named(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path
) -> None:
    """If a request is too large, its images are sent in smaller ones; one that is too large alone is skipped."""
    write(folder / "huge.png", "huge" * 200)
    server.body_limit = 400
    result = run(tmp_path, "search", str(folder), "red", "--json")
    answer = json.loads(result.stdout)
    assert [each["path"] for each in answer["skipped"]] == ["huge.png"]
    assert answer["images"] == 3


def test_errors_of_the_whole_request_end_the_search(
    running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path
) -> None:
    """An error that is not about one image is printed, and what was done until then is kept."""
    server.refusal = {"message": "no such model", "param": "model", "code": "model_not_found"}
    result = run(tmp_path, "search", str(folder), "red")
    assert (result.exit_code, "no such model" in result.stderr) == (1, True)


def test_search_by_an_image(running: RunningServer, server: ScriptedServer, tmp_path: Path, folder: Path) -> None:
    """`--image` searches for what looks like it."""
    write(tmp_path / "query", "something red")
    result = run(tmp_path, "search", str(folder), "--image", str(tmp_path / "query"), "-n", "1")
    assert result.stdout == f"1.000  {folder}/red.png\n"
    assert sent(server)[-1] == ["something red"]


def test_an_empty_folder_is_said(running: RunningServer, tmp_path: Path) -> None:
    """Without any image nothing is printed but a note."""
    (tmp_path / "empty").mkdir()
    result = run(tmp_path, "search", str(tmp_path / "empty"), "red")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "has no images" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["red", "--image", "."]])
def test_search_needs_one_query(tmp_path: Path, folder: Path, arguments: list[str]) -> None:
    """Neither a text nor an image, or both, is a usage error."""
    image = folder / "red.png"
    arguments = [str(image) if argument == "." else argument for argument in arguments]
    result = run(tmp_path, "search", str(folder), *arguments)
    assert (result.exit_code, "either TEXT or --image" in result.stderr) == (2, True)


@pytest.mark.parametrize(("method", "begins"), [("kitty", "\x1b_G"), ("iterm", "\x1b]1337;"), ("blocks", "\x1b[38;2;")])
def test_thumbnails_are_printed_before_their_line(
    running: RunningServer, tmp_path: Path, folder: Path, method: str, begins: str
) -> None:
    """Each image is shown above its score; one that cannot be read has only its line."""
    write(folder / "odd.png", "odd red")
    result = run(tmp_path, "search", str(folder), "red", "--thumbnails", method, "-n", "2")
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first == f"1.000  {folder}/odd.png"
    assert rest[0].startswith(begins)
    assert rest[-1] == f"1.000  {folder}/red.png"


def test_embed_takes_images_after_texts(running: RunningServer, server: ScriptedServer, tmp_path: Path) -> None:
    """Texts and images are embedded by the model for images, in one request, and printed in order."""
    write(tmp_path / "a.png", "red")
    write(tmp_path / "b.png", "green")
    files = ["--image", str(tmp_path / "a.png"), "--image", str(tmp_path / "b.png")]
    result = run(tmp_path, "embed", "a text", *files)
    assert result.exit_code == 0, result.output
    assert result.stdout == "0.5 -0.0\n1.0 0.0\n0.5 -0.5\n"
    assert sent(server) == [["a text", "red", "green"]]
    body = server.requests[-1][3]
    assert isinstance(body, dict)
    assert body["model"] == "eyes"
    result = run(tmp_path, "embed", *files, "--short", "--model", "other")
    assert result.stdout == "2 numbers: 1.0000 0.0000 …\n2 numbers: 0.5000 -0.2500 …\n"
    body = server.requests[-1][3]
    assert isinstance(body, dict)
    assert body["model"] == "other"
