"""The bundled image model over real HTTP: generations, edits, variations, and what it refuses."""

import base64
import io
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.kinds import IMAGES, KINDS
from homeport.domain.operations import NullProgress
from homeport.models import catalogue
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.api.form_bodies import HEADERS, form
from tests.system import tiny_diffusion
from tests.system.client_programs import run_client
from tests.system.raw_http import RawConnection
from tests.system.server import HttpAnswer, ServerProcess, running

E5, MODEL = "multilingual-e5-small", "homeport-emoji-128"
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def emoji_server(tmp_path_factory: pytest.TempPathFactory, multilingual_e5: Path) -> Iterator[ServerProcess]:
    """A server whose only models are the bundled image model, installed offline, and its caption encoder."""
    folder = tmp_path_factory.mktemp("emoji_server")
    installed(folder / "home", multilingual_e5)
    with running(folder / "log", HOME=str(folder / "home"), THREADS="1") as started:
        yield started


def installed(home: Path, multilingual_e5: Path) -> None:
    """Install the two models in a home."""
    store = ModelStore(home)
    captions = store.folder(E5)
    captions.parent.mkdir(parents=True)
    captions.symlink_to(multilingual_e5.parent, target_is_directory=True)
    pull(MODEL, store, PullOptions(offline=True), NullProgress())


@pytest.fixture
def client(emoji_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=emoji_server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


def drawn(server: ServerProcess, prompt: str, **changes: object) -> Pixels:
    """Generate one image under OpenAI's name."""
    body = {
        "model": "dall-e-2",
        "prompt": prompt,
        "size": "256x256",
        "response_format": "b64_json",
        "seed": 2,
        **changes,
    }
    return shown(server.call("POST", "/v1/images/generations", body))


def shown(answer: HttpAnswer) -> Pixels:
    """Return the pixels of an answer's first image."""
    assert answer.status == 200, answer.body
    return read(base64.b64decode(answer.json()["data"][0]["b64_json"]))


def read(data: bytes) -> Pixels:
    """Return a file's pixels."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def fetched(server: ServerProcess, url: str) -> HttpAnswer:
    """Fetch a URL of an answer from this server, without a key."""
    return server.call("GET", url[url.index("/images/") :], headers={"Authorization": ""})


def apart(pictures: list[Pixels]) -> float:
    """Return the mean distance of the two most similar images of a list."""
    pairs = [(one, other) for index, one in enumerate(pictures) for other in pictures[:index]]
    return min(float(np.abs(one.astype(int) - other).mean()) for one, other in pairs)


def sent(server: ServerProcess, path: str, picture: Pixels, holes: Pixels | None = None, **fields: str) -> HttpAnswer:
    """Send a form with an image, and a mask whose alpha is `holes`."""
    files = [("image", png(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])))]
    if holes is not None:
        files.append(("mask", png(np.dstack([picture, holes]))))
    body = form([*fields.items(), ("size", "256x256"), ("response_format", "b64_json"), ("seed", "3")], files)
    return server.call("POST", f"/v1/images/{path}", body, {"Content-Type": HEADERS["content-type"]})


def png(pixels: Pixels) -> bytes:
    """Encode as PNG."""
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, "PNG")
    return made.getvalue()


def ink(picture: Pixels) -> NDArray[np.float64]:
    """Return the mean color of the pixels that are not nearly white."""
    return np.asarray(picture[picture.min(axis=2) < 200].mean(axis=0))


def test_images_show_what_prompts_in_two_languages_name(emoji_server: ServerProcess) -> None:
    """A red apple is red, and a blue car in Chinese is blue; the same seed gives the same image."""
    red, blue = ink(drawn(emoji_server, "a red apple")), ink(drawn(emoji_server, "蓝色的汽车"))
    assert red[0] > red[1] + 60
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 30
    assert (drawn(emoji_server, "a red apple") == drawn(emoji_server, "a red apple")).all()


def test_several_things_are_in_one_picture(emoji_server: ServerProcess) -> None:
    """A red apple is on the left of a blue car, in two languages, and the answer says what is drawn and what is not."""
    for prompt, said in (
        (
            "a photo of a red apple to the left of a blue car",
            "a red apple left of a blue automobile. Not drawn: photo.",
        ),
        ("红苹果在蓝色的汽车左边", "红苹果在蓝色的汽车左边。"),
    ):
        body = {"model": MODEL, "prompt": prompt, "size": "256x256", "seed": 2, "steps": 3}
        answer = emoji_server.call("POST", "/v1/images/generations", body)
        picture = shown(answer)
        red, blue = ink(picture[:, :128]), ink(picture[:, 128:])
        assert red[0] > max(red[1], red[2]) + 60
        assert blue[2] > blue[0] + 30
        assert answer.json()["data"][0]["revised_prompt"].endswith(said)


def test_only_the_hole_of_a_mask_changes(emoji_server: ServerProcess) -> None:
    """A masked edit keeps every pixel outside the hole and changes the inside."""
    apple = drawn(emoji_server, "a red apple")
    holes = np.full(apple.shape[:2], 255, np.uint8)
    holes[:, 128:] = 0
    edited = shown(sent(emoji_server, "edits", apple, holes, prompt="a banana", model="dall-e-2"))
    assert (edited[:, :128] == apple[:, :128]).all()
    assert np.abs(edited[:, 128:].astype(int) - apple[:, 128:]).mean() > 20


def test_a_variation_is_of_the_same_thing_and_not_the_same(emoji_server: ServerProcess) -> None:
    """A variation of a red apple is another red object in another style."""
    apple = drawn(emoji_server, "a red apple")
    varied = shown(sent(emoji_server, "variations", apple, model="dall-e-2"))
    assert np.abs(varied.astype(int) - apple).mean() > 2
    red = ink(varied)
    assert red[0] > max(red[1], red[2]) + 60


@pytest.mark.parametrize(("param", "given"), [("mask", {}), ("strength", {"strength": "0.5"})])
def test_what_it_cannot_do_is_refused_by_name(emoji_server: ServerProcess, param: str, given: dict[str, str]) -> None:
    """An edit without a hole, or of half-transparent pixels, is a 400 that names the field."""
    picture = np.full((256, 256, 3), 200, np.uint8)
    holes = np.zeros((256, 256), np.uint8) if given else None
    answer = sent(emoji_server, "edits", picture, holes, prompt="a dog", model=MODEL, **given)
    assert (answer.status, answer.error["param"]) == (400, param)


def test_it_comes_with_the_program() -> None:
    """The starter for images needs no hub."""
    starter = catalogue.built_in().find(KINDS[IMAGES].starters[0])
    assert starter is not None
    assert [source.hub for source in starter.sources] == ["bundled"]


def test_ten_pictures_of_a_prompt_differ_to_the_eye(emoji_server: ServerProcess) -> None:
    """All ten images of `n` are red apples with different placement; so are variations of one."""
    body = {"model": "dall-e-2", "prompt": "a red apple", "n": 10, "size": "256x256", "response_format": "b64_json"}
    answer = emoji_server.call("POST", "/v1/images/generations", body)
    assert answer.status == 200, answer.body
    pictures = [read(base64.b64decode(each["b64_json"])) for each in answer.json()["data"]]
    assert len(pictures) == 10
    assert apart(pictures) > 2
    assert all(ink(picture)[0] > max(ink(picture)[1:]) + 60 for picture in pictures)
    varied = sent(emoji_server, "variations", pictures[0], model="dall-e-2", n="4").json()["data"]
    assert apart([pictures[0], *(read(base64.b64decode(each["b64_json"])) for each in varied)]) > 2


def test_large_answers_have_sharp_edges(emoji_server: ServerProcess) -> None:
    """`1024*1024` is 1024x1024, and its contours are a few pixels wide, not the eight of a scaled pixel."""
    large = drawn(emoji_server, "a red apple", size="1024*1024")
    assert large.shape == (1024, 1024, 3)
    row = large[512].astype(int).min(axis=1)
    begins = int(np.argmax(row < 250))
    ends = begins + int(np.argmax(row[begins:] < 120))
    assert 0 < ends - begins <= 12


def test_the_newest_sdk_drives_all_three_endpoints(client: openai.OpenAI, emoji_server: ServerProcess) -> None:
    """Prompts, masked edits and variations work, without a model name where the SDK allows it."""
    made = client.images.generate(
        prompt="a red apple",
        n=2,
        size="256x256",
        style="vivid",
        quality="standard",
        user="u",
        extra_body={"seed": 7, "steps": 4, "guidance": 1.5, "negative_prompt": "a leaf"},
    )
    assert made.data is not None
    pictures = [read(fetched(emoji_server, image.url or "").body) for image in made.data]
    assert apart(pictures) > 2
    source, mask = tiny_diffusion.source(), tiny_diffusion.source(hole=True)
    edits = client.images.edit(
        image=("a.png", tiny_diffusion.file(source)),
        mask=("m.png", tiny_diffusion.file(mask)),
        prompt="a banana",
        model="dall-e-2",
        n=2,
        size="256x256",
        response_format="b64_json",
        user="u",
    )
    assert edits.data is not None
    painted = [read(base64.b64decode(each.b64_json or "")) for each in edits.data]
    assert all((picture[128:] == source[128:, :, :3]).all() for picture in painted)
    assert apart([each[:128] for each in painted]) > 1
    with pytest.deprecated_call():
        varied = client.images.create_variation(
            image=png(pictures[0]), model="dall-e-2", n=2, size="512x512", response_format="url", user="u"
        )
    assert varied.data is not None
    assert apart([read(fetched(emoji_server, image.url or "").body) for image in varied.data]) > 2


def test_the_sdk_of_2023_drives_all_three_endpoints(emoji_server: ServerProcess, tmp_path: Path) -> None:
    """Without a model name: `256*256`, equal seeds, masks, the image's own alpha, variations and errors."""
    whole = tiny_diffusion.source()
    sources = {
        "image": whole,
        "mask": tiny_diffusion.source(hole=True),
        "wide": tiny_diffusion.source(256, hole=True, height=128),
    }
    for name, pixels in sources.items():
        (tmp_path / f"{name}.png").write_bytes(tiny_diffusion.file(pixels))
    seen: dict[str, Any] = run_client("images_2023", emoji_server.base, *(tmp_path / f"{name}.png" for name in sources))
    assert apart([read(fetched(emoji_server, each["url"]).body) for each in seen["create"]["data"]]) > 2
    assert seen["star"]["data"][0]["b64_json"] == seen["again"]["data"][0]["b64_json"]
    for scenario in ("edit", "own_alpha"):
        for each in seen[scenario]["data"]:
            assert (read(base64.b64decode(each["b64_json"]))[128:] == whole[128:, :, :3]).all()
    assert len({fetched(emoji_server, each["url"]).body for each in seen["variation"]["data"]}) == 2
    refused = {name: each["param"] for name, each in seen.items() if isinstance(each, dict) and "class" in each}
    assert refused == {
        "range": "n",
        "size": "size",
        "not_square": "image",
        "no_hole": "image",
        "mismatch": "mask",
        "no_picture": "image",
    }


def test_eight_at_once_get_the_same_images_as_alone(emoji_server: ServerProcess) -> None:
    """Eight requests at once are queued and get the same images as alone."""
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: drawn(emoji_server, "一只熊猫", seed=seed), range(8)))
    assert apart(together) > 1
    assert (drawn(emoji_server, "一只熊猫", seed=3) == together[3]).all()


def test_a_caller_that_leaves_stops_the_work(emoji_server: ServerProcess) -> None:
    """When the client disconnects, two thousand steps are dropped, and the next image is generated."""
    long = {"model": MODEL, "prompt": "a dog", "steps": 200, "n": 10, "stream": True, "progress": True}
    line = RawConnection(emoji_server, "/v1/images/generations", long)
    assert line.status() == 200
    assert line.line()
    line.hang_up()
    emoji_server.wait("idle after the hang-up", emoji_server.is_idle, 2)
    assert drawn(emoji_server, "a dog").shape == (256, 256, 3)


def test_urls_expire(tmp_path: Path, multilingual_e5: Path) -> None:
    """An image's URL works at first, and is a 404 after its expiry."""
    installed(tmp_path / "home", multilingual_e5)
    with running(tmp_path / "log", HOME=str(tmp_path / "home"), THREADS="1", PICTURE_URL_S="2") as server:
        body = {"prompt": "a heart", "size": "256x256"}
        url = server.call("POST", "/v1/images/generations", body).json()["data"][0]["url"]
        assert fetched(server, url).status == 200
        server.wait("it is over", lambda: fetched(server, url).status == 404, 10)


def test_draw_works_out_of_the_box(emoji_server: ServerProcess, tmp_path: Path) -> None:
    """`homeport draw` needs no model name; the image has a fox's color."""
    home = emoji_server.log.parent / "home"
    command = [sys.executable, "-m", "homeport", "draw", "a red fox", "-o", str(tmp_path / "fox.png")]
    ran = subprocess.run([*command, "--home", str(home)], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    picture = read((tmp_path / "fox.png").read_bytes())
    red = ink(picture)
    assert red[0] > red[2] + 40


def test_models_are_called_what_they_are(emoji_server: ServerProcess) -> None:
    """The list describes the model as one for emoji and clip art, and shows where OpenAI's names lead."""
    listed = {each["id"]: each for each in emoji_server.call("GET", "/v1/models").json()["data"]}
    assert set(listed[MODEL]["capabilities"]) == {"images", "image_edits", "image_variations"}
    assert listed["dall-e-2"]["root"] == MODEL
