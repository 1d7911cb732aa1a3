"""Images over real HTTP from the real library: both SDKs, masks, URLs, invalid uploads, disconnects, queues.

The model is tiny and generates noise: the tests cover everything around the image.
"""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from homeport.client import runfile
from tests.api.form_bodies import HEADERS, form
from tests.system.client_programs import run_client
from tests.system.raw_http import RawConnection
from tests.system.server import HttpAnswer, ServerProcess, running
from tests.system.tiny_diffusion import (
    MODEL,
    file,
    install_tiny_model,
    kind,
    shown,
    source,
)

WHOLE, HOLED, WIDE = source(), source(hole=True), source(256, hole=True, height=128)
LONG = {"model": MODEL, "prompt": "a fox", "steps": 150, "n": 10}
Files = list[tuple[str, bytes]]


@pytest.fixture
def client(image_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=image_server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


def generate(server: ServerProcess, **changes: Any) -> HttpAnswer:
    """Send a plain request for a small image, with some fields changed."""
    body = {"model": MODEL, "prompt": "a fox", "size": "128x128", "response_format": "b64_json", **changes}
    return server.call("POST", "/v1/images/generations", body)


def send(server: ServerProcess, path: str, files: Files, **fields: str) -> HttpAnswer:
    """Send a form."""
    body = form(list(fields.items()), files)
    return server.call("POST", f"/v1/images/{path}", body, {"Content-Type": HEADERS["content-type"]})


def decoded(image: Any) -> bytes:
    """Return an image's bytes from an answer."""
    return base64.b64decode(image.b64_json if hasattr(image, "b64_json") else image["b64_json"])


def fetched(server: ServerProcess, url: str) -> HttpAnswer:
    """Fetch a URL of an answer from this server, without a key."""
    return server.call("GET", url[url.index("/images/") :], headers={"Authorization": ""})


def test_the_sdk_generates_with_every_parameter(client: openai.OpenAI) -> None:
    """`images.generate` accepts all of its fields at once."""
    made = client.images.generate(
        prompt="a red fox",
        model="gpt-image-1",
        background="opaque",
        moderation="low",
        n=2,
        output_compression=70,
        output_format="webp",
        quality="low",
        size="1024x1024",
        style="vivid",
        user="u",
        extra_body={"seed": 7, "steps": 2, "guidance": 1.0},
    )
    assert made.data is not None
    pictures = [decoded(image) for image in made.data]
    assert [(kind(picture), shown(picture).shape) for picture in pictures] == [("WEBP", (1024, 1024, 3))] * 2
    assert pictures[0] != pictures[1]
    assert (made.size, made.quality, made.output_format, made.background) == ("1024x1024", "low", "webp", "opaque")


def test_the_sdk_edits_with_every_parameter(client: openai.OpenAI) -> None:
    """`images.edit`: pixels outside the mask are those of the source, at equal size, in every image."""
    made = client.images.edit(
        image=("a.png", file(WHOLE)),
        mask=("m.png", file(HOLED)),
        prompt="a hat",
        model="gpt-image-1",
        background="auto",
        input_fidelity="low",
        n=2,
        output_format="png",
        quality="medium",
        size="auto",
        user="u",
        extra_body={"seed": 7},
    )
    assert made.data is not None
    pictures = [shown(decoded(image)) for image in made.data]
    for picture in pictures:
        assert (picture[128:] == WHOLE[128:, :, :3]).all()
        assert (picture[:128] != WHOLE[:128, :, :3]).any()
    assert (pictures[0] != pictures[1]).any()


def test_the_sdk_asks_for_variations(client: openai.OpenAI, image_server: ServerProcess) -> None:
    """`images.create_variation`, deprecated in the SDK: `n` different images, at URLs that need no key."""
    with pytest.deprecated_call():
        made = client.images.create_variation(image=file(WHOLE), model="dall-e-2", n=3, size="256x256", user="u")
    assert made.data is not None
    answers = [fetched(image_server, image.url or "") for image in made.data]
    assert [answer.headers["content-type"] for answer in answers] == ["image/png"] * 3
    assert len({answer.body for answer in answers}) == 3
    assert all(shown(answer.body).shape == (256, 256, 3) for answer in answers)


def test_the_sdk_streams(client: openai.OpenAI) -> None:
    """Partial images, then the final one, as the SDK's own events, for generations and edits."""
    received = list(
        client.images.generate(
            prompt="a fox",
            model="gpt-image-1",
            stream=True,
            partial_images=2,
            size="1024x1024",
            extra_body={"steps": 4, "seed": 1},
        )
    )
    assert [event.type.partition(".")[2] for event in received] == ["partial_image", "partial_image", "completed"]
    assert [getattr(event, "partial_image_index", None) for event in received] == [0, 1, None]
    assert all(shown(decoded(event)).shape == (1024, 1024, 3) for event in received)
    edits = client.images.edit(image=("a.png", file(HOLED)), prompt="x", model="gpt-image-1", stream=True)
    assert [event.type for event in edits] == ["image_edit.completed"]


@pytest.fixture(scope="module")
def seen(image_server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The results of the 2023 client, by scenario."""
    folder = tmp_path_factory.mktemp("2023")
    paths = [folder / name for name in ("image.png", "mask.png", "wide.png")]
    for path, pixels in zip(paths, (WHOLE, HOLED, WIDE), strict=True):
        path.write_bytes(file(pixels))
    return run_client("images_2023", image_server.base, *paths)


def test_the_sdk_of_2023_generates(seen: Any, image_server: ServerProcess) -> None:
    """URLs by default, no model name; `256*256` is `256x256`; the same seed is the same image."""
    pictures = [fetched(image_server, each["url"]).body for each in seen["create"]["data"]]
    assert [shown(picture).shape for picture in pictures] == [(256, 256, 3)] * 2
    assert pictures[0] != pictures[1]
    assert decoded(seen["star"]["data"][0]) == decoded(seen["again"]["data"][0])


def test_the_sdk_of_2023_edits_and_varies(seen: Any, image_server: ServerProcess) -> None:
    """With a mask, or the image's own alpha, everything else stays exactly the same; variations differ."""
    for scenario, count in (("edit", 2), ("own_alpha", 1)):
        pictures = [shown(decoded(each)) for each in seen[scenario]["data"]]
        assert len(pictures) == count
        assert all((picture[128:] == WHOLE[128:, :, :3]).all() for picture in pictures)
    varied = {fetched(image_server, each["url"]).body for each in seen["variation"]["data"]}
    assert len(varied) == 2


@pytest.mark.parametrize(
    ("scenario", "param"),
    [
        ("range", "n"),
        ("size", "size"),
        ("not_square", "image"),
        ("no_hole", "image"),
        ("mismatch", "mask"),
        ("no_picture", "image"),
    ],
)
def test_the_sdk_of_2023_is_refused_by_name(seen: Any, scenario: str, param: str) -> None:
    """InvalidRequestError names the invalid field."""
    assert seen[scenario] == {"class": "InvalidRequestError", "status": 400, "param": param}


PNG = file(WHOLE)
BAD: dict[str, tuple[str, Files, str]] = {
    "none": ("variations", [], "image"),
    "empty": ("variations", [("image", b"")], "image"),
    "text": ("variations", [("image", b"hello")], "image"),
    "cut": ("variations", [("image", PNG[: len(PNG) // 2])], "image"),
    "jpeg": ("variations", [("image", file(WHOLE, "JPEG"))], "image"),
    "large": ("variations", [("image", PNG + bytes(4 * 1024 * 1024))], "image"),
    "not_square": ("variations", [("image", file(WIDE))], "image"),
    "two": ("edits", [("image", file(HOLED)), ("image", file(HOLED))], "image"),
    "no_hole": ("edits", [("image", PNG)], "image"),
    "wide": ("edits", [("image", file(WIDE))], "image"),
    "mask_of_another_size": ("edits", [("image", PNG), ("mask", file(source(128, hole=True)))], "mask"),
    "mask_without_hole": ("edits", [("image", PNG), ("mask", PNG)], "mask"),
    "mask_jpeg": ("edits", [("image", PNG), ("mask", file(WHOLE, "JPEG"))], "mask"),
    "mask_large": ("edits", [("image", PNG), ("mask", file(HOLED) + bytes(4 * 1024 * 1024))], "mask"),
    "mask_cut": ("edits", [("image", PNG), ("mask", file(HOLED)[:-500])], "mask"),
    "another_field": ("edits", [("image", file(HOLED)), ("picture", PNG)], "picture"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_bad_upload_is_a_400(image_server: ServerProcess, name: str) -> None:
    """Under DALL·E's names an invalid upload is a 400 that names the field; nothing of it stays on disk."""
    path, files, param = BAD[name]
    fields = {"prompt": "a hat"} if path == "edits" else {}
    answer = send(image_server, path, files, size="256x256", **fields)
    assert (answer.status, answer.error["param"]) == (400, param), answer.body
    spool = image_server.log.parent / "home" / "spool" / str(image_server.pid)
    image_server.wait("the uploads are gone", lambda: not any(spool.iterdir()), 10)


def test_seeds_decide(image_server: ServerProcess) -> None:
    """The same seed gives the same bits, another seed another image, and without a seed every image is new."""
    first, again, other = (generate(image_server, seed=seed).json()["data"][0]["b64_json"] for seed in (1, 1, 2))
    assert first == again != other
    fresh = {generate(image_server).json()["data"][0]["b64_json"] for _ in range(2)}
    assert len(fresh) == 2


def test_png_answers_carry_nothing_private(image_server: ServerProcess) -> None:
    """A PNG has no chunks except those of the pixels: no prompt, no program, no time."""
    data = decoded(generate(image_server, prompt="my secret").json()["data"][0])
    assert b"secret" not in data
    assert set(re.findall(rb"IHDR|IDAT|IEND|[tizI]TXt|tEXt|tIME|eXIf|pHYs|iCCP", data)) == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.one_machine("reads the database from its file")
def test_urls_outlive_the_server_and_then_expire(tmp_path: Path) -> None:
    """A restarted server serves image URLs until they expire; after that they are a 404, and the file is deleted."""
    install_tiny_model(tmp_path / "home")
    settings = {"HOME": str(tmp_path / "home"), "THREADS": "1"}
    with running(tmp_path / "log", **settings) as first:
        url = generate(first, response_format="url").json()["data"][0]["url"]
        assert url.startswith(f"http://127.0.0.1:{first.port}/images/")
        picture = fetched(first, url)
        assert picture.status == 200
    with running(tmp_path / "log2", **settings, PICTURE_URL_S="1") as second:
        brief = generate(second, response_format="url").json()["data"][0]["url"]
        second.wait("the brief one is over", lambda: fetched(second, brief).status == 404, 10)
        assert fetched(second, brief).error["code"] == "not_found"
        assert fetched(second, url[:-5] + "x.png").status == 404
        assert fetched(second, url).body == picture.body
    assert [path.name for path in (tmp_path / "home" / "pictures").rglob("*.png")] == [url.rpartition("/")[2]]


@pytest.mark.parametrize("body", [LONG, {**LONG, "stream": True, "progress": True}])
def test_a_caller_that_leaves_stops_the_work(image_server: ServerProcess, body: dict[str, Any]) -> None:
    """A disconnect stops the generation within one step; the next image is generated soon."""
    assert generate(image_server).status == 200
    line = RawConnection(image_server, "/v1/images/generations", body)
    if "stream" in body:
        assert line.status() == 200
        assert line.line()
    image_server.wait("it is generated", lambda: not image_server.is_idle(), 20)
    line.hang_up()
    image_server.wait("idle after the hang-up", image_server.is_idle, 15)
    assert generate(image_server).status == 200


def test_eight_at_once_wait_their_turn(image_server: ServerProcess) -> None:
    """Eight requests at once are queued and get the same images as alone."""
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: generate(image_server, seed=seed), range(8)))
    assert [answer.status for answer in together] == [200] * 8
    pictures = [answer.json()["data"][0]["b64_json"] for answer in together]
    assert len(set(pictures)) == 8
    assert generate(image_server, seed=3).json()["data"][0]["b64_json"] == pictures[3]


@pytest.mark.one_machine("has other slots than the nodes")
def test_past_the_queue_requests_are_refused(tmp_path: Path) -> None:
    """With room for two, the others of eight are 429 with Retry-After; the accepted ones complete."""
    install_tiny_model(tmp_path / "home")
    limits = {"SLOTS": "1", "MAX_QUEUE": "1", "THREADS": "1"}
    with running(tmp_path / "log", HOME=str(tmp_path / "home"), **limits) as server:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda seed: generate(server, seed=seed), range(8)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 2
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.error["code"] == "server_overloaded"
        assert int(refused.headers["retry-after"]) >= 1
        assert generate(server).status == 200


def test_a_diffusion_worker_that_dies_is_replaced(image_server: ServerProcess) -> None:
    """The request of a killed diffusion worker gets an error, and the next one an image."""
    line = RawConnection(image_server, "/v1/images/generations", {**LONG, "stream": True, "progress": True})
    assert line.status() == 200
    assert line.line()
    leaf = next(worker for worker in image_server.workers() if not worker.children())
    leaf.kill()
    received = line.events()
    assert "error" in received[-1]
    line.hang_up()
    assert generate(image_server).status == 200


def test_draw_writes_files(image_server: ServerProcess, tmp_path: Path) -> None:
    """`homeport draw` finds the running server and writes the requested file."""
    home = image_server.log.parent / "home"
    assert runfile.find(home) is not None
    command = [sys.executable, "-m", "homeport", "draw", "a red fox", "-o", str(tmp_path / "fox.webp")]
    flags = ["--home", str(home), "--model", MODEL, "--size", "256x256", "--seed", "3", "-n", "2"]
    ran = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    pictures = [(tmp_path / f"fox-{number}.webp").read_bytes() for number in (1, 2)]
    assert [(kind(picture), shown(picture).shape) for picture in pictures] == [("WEBP", (256, 256, 3))] * 2
    assert pictures[0] != pictures[1]
