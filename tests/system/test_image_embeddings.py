"""Embeddings of texts and images over real HTTP: the SDK, the commands, limits, disconnects. The models are tiny."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.models import ModelFacts
from homeport.models import dual_encoders
from homeport.models.disk import sha256
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from tests.samples import photos
from tests.samples import tiny_encoders as tiny_texts
from tests.samples import tiny_towers as tiny
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running

CLIP, OTHER, TEXTS = "clip-vit-b-32", "open-clip", "texts"


def install(home: Path, name: str, layout: str) -> None:
    """Install a tiny model in one of the layouts."""
    store = ModelStore(home)
    files = tiny.LAYOUTS[layout](store.folder(name)).paths
    stored = tuple(StoredFile(path.name, role, path.stat().st_size, sha256(path)) for role, path in files.items())
    facts: ModelFacts = dual_encoders.facts(name, sum(file.size for file in stored))
    store.commit(Manifest(facts, "made for tests", None, stored))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a model of each layout, and one that embeds only text."""
    folder = tmp_path_factory.mktemp("clip")
    install(folder / "home", CLIP, "transformers")
    install(folder / "home", OTHER, "open_clip")
    tiny_texts.bert(folder / f"{TEXTS}.gguf", name=TEXTS)
    command = ["homeport", "pull", f"file:{folder / TEXTS}.gguf", "--home", str(folder / "home")]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=60)
    return folder / "home"


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    """A server of these models."""
    with running(home.parent / "log", "--home", str(home), "--model", CLIP) as started:
        yield started


@pytest.fixture
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base, api_key="x", max_retries=0) as made:
        yield made


def image(color: str, size: tuple[int, int] = (40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, tiny.COLORS[color]).save(out, "PNG")
    return out.getvalue()


def part(data: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def vectors(client: openai.OpenAI, given: Any, model: str = CLIP, **fields: Any) -> NDArray[np.float64]:
    return np.array([each.embedding for each in client.embeddings.create(model=model, input=given, **fields).data])


@pytest.mark.parametrize("model", [CLIP, OTHER, "clip"])
def test_an_image_is_nearest_to_its_caption(client: openai.OpenAI, model: str) -> None:
    """Texts and images, mixed in one request, are in one space and in order, by models of both layouts."""
    colors = ["green", "blue", "red"]
    rows = vectors(client, ["red", part(image("green")), {"type": "text", "text": "blue"}, part(image("red"))], model)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    captions = vectors(client, colors, model)
    assert [colors[at] for at in (rows @ captions.T).argmax(axis=1)] == ["red", "green", "blue", "red"]


def test_base64_is_float_bit_for_bit(client: openai.OpenAI, server: ServerProcess) -> None:
    """The SDK decodes base64 to exactly the numbers of `float`; the usage is that of tokens and patches."""
    given = ["red car", part(image("red"))]
    assert vectors(client, given).tolist() == vectors(client, given, encoding_format="float").tolist()
    answer = server.call("POST", "/v1/embeddings", {"model": CLIP, "input": given}).json()
    assert answer["usage"] == {"prompt_tokens": 4 + tiny.PATCHES, "total_tokens": 4 + tiny.PATCHES}


def test_messages_give_one_vector(server: ServerProcess, client: openai.OpenAI) -> None:
    """vLLM's form has the vector of the same image in `input`."""
    messages = [{"role": "user", "content": [part(image("blue"))]}]
    answer = server.call("POST", "/v1/embeddings", {"model": CLIP, "messages": messages}).json()
    (vector,) = [each["embedding"] for each in answer["data"]]
    assert vector == pytest.approx(vectors(client, [part(image("blue"))])[0], abs=1e-6)


def test_models_say_what_they_embed(client: openai.OpenAI) -> None:
    """The list of models has the capability, and `clip` for the installed model of that kind."""
    listed = {model.id: model.model_dump() for model in client.models.list()}
    assert listed[CLIP]["capabilities"] == listed["clip"]["capabilities"] == ["embeddings", "image_embeddings"]
    assert listed["clip"]["root"] == CLIP
    assert listed[TEXTS]["capabilities"] == ["embeddings"]


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ([part(b"not an image")], "invalid_image_format", "input[0].image_url.url"),
        (["red", part(photos.bomb(50_000))], "image_too_large", "input[1].image_url.url"),
        ([part(image("red")[:60])], "invalid_image", "input[0].image_url.url"),
        ([part(image("red"))] * 100, "array_above_max_length", "input"),
        (
            [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}],
            "remote_image_refused",
            "input[0].image_url.url",
        ),
        (["red " * 30], "context_length_exceeded", "input"),
    ],
)
def test_what_cannot_be_embedded_is_refused(server: ServerProcess, given: Any, code: str, param: str) -> None:
    """A wrong type, too many pixels, a cut file, too many images and a private URL are a 400; the worker lives."""
    answer = server.call("POST", "/v1/embeddings", {"model": CLIP, "input": given})
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param), answer.body
    assert server.call("POST", "/v1/embeddings", {"model": CLIP, "input": "red"}).status == 200


def test_a_text_model_names_one_with_images(server: ServerProcess) -> None:
    """An image for a model that embeds only text is a 400 with the name of another."""
    answer = server.call("POST", "/v1/embeddings", {"model": TEXTS, "input": [part(image("red"))]})
    assert answer.status == 400
    assert f"`{CLIP}`" in answer.error["message"] or f"`{OTHER}`" in answer.error["message"]


def test_a_client_that_leaves_frees_the_worker(server: ServerProcess, client: openai.OpenAI) -> None:
    """When a client disconnects, the images that are not computed yet are dropped, and the next request is served."""
    vectors(client, "red")
    large = part(image("red", (4000, 4000)))
    line = RawConnection(server, "/v1/embeddings", {"model": CLIP, "input": [large] * 60})
    server.wait("it runs", lambda: server.gauge("vllm:num_requests_running") > 0)
    line.hang_up()
    server.wait("it is gone", server.is_idle, 15)
    steps = server.gauge("homeport:engine_steps_total")
    assert vectors(client, "red").shape == (1, tiny.WIDTH)
    assert server.gauge("homeport:engine_steps_total") <= steps + 4


def test_a_folder_is_searched(server: ServerProcess, home: Path, tmp_path: Path) -> None:
    """`homeport search` finds the image of a color by its name, and embeds a new image alone the second time."""
    for color in ("red", "green"):
        tiny.picture(tmp_path / f"{color}.png", color)
    (tmp_path / "broken.png").write_bytes(b"broken")
    assert server.port

    def search(text: str) -> Any:
        command = ["homeport", "search", str(tmp_path), text, "--json", "--home", str(home)]
        found = subprocess.run([sys.executable, "-m", *command], check=True, timeout=60, capture_output=True)
        return json.loads(found.stdout)

    first = search("green")
    assert (first["embedded"], first["images"], first["model"]) == (3, 2, CLIP)
    assert [each["path"] for each in first["skipped"]] == ["broken.png"]
    assert first["data"][0]["path"] == "green.png"
    tiny.picture(tmp_path / "blue.png", "blue")
    second = search("blue")
    assert (second["embedded"], second["images"]) == (1, 3)
    assert second["data"][0]["path"] == "blue.png"
    assert second["data"][0]["score"] > 0.9
