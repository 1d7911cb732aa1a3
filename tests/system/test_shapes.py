"""Shapes over real HTTP with the SDK's raw client: formats, prompts, streams, batches, disconnects, queues, restarts.

The shape model is tiny and makes a ball of every picture; the picture of a prompt is the bundled image model's.
"""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import trimesh

from homeport.domain.operations import NullProgress
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.engines.shapes.tiny_pair import MODEL, install_pair, picture
from tests.system.raw_http import RawConnection
from tests.system.server import ServerProcess, running

PATH = "/v1/3d/generations"
IMAGE = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
BASE: dict[str, Any] = {"image": IMAGE, "quality": "coarse"}


@pytest.fixture(scope="module")
def shape_server(tmp_path_factory: pytest.TempPathFactory, multilingual_e5: Path) -> Iterator[ServerProcess]:
    """A server with a tiny shape model and the bundled image model, in a home of its own."""
    assert multilingual_e5.exists()
    folder = tmp_path_factory.mktemp("shape_server")
    install_pair(folder / "home")
    store = ModelStore(folder / "home")
    store.folder(multilingual_e5.parent.name).symlink_to(multilingual_e5.parent, target_is_directory=True)
    pull("homeport-emoji-128", store, PullOptions(offline=True), NullProgress())
    with running(folder / "log", HOME=str(folder / "home"), THREADS="1") as started:
        yield started


@pytest.fixture
def client(shape_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=shape_server.base, api_key="sk-test", max_retries=0, timeout=300) as made:
        yield made


def generate(client: openai.OpenAI, **changes: Any) -> Any:
    """Send a request by the SDK's raw client; `...` omits a field; return the decoded answer."""
    body = {name: value for name, value in {**BASE, **changes}.items() if value is not ...}
    return client.post("/3d/generations", body=body, cast_to=object)


def loaded(data: bytes, format: str) -> Any:
    """Return the only geometry of a file."""
    (geometry,) = trimesh.load_scene(io.BytesIO(data), file_type=format).geometry.values()
    return geometry


@pytest.mark.parametrize("format", ["glb", "ply"])
def test_the_sdk_gets_a_mesh_at_a_url(client: openai.OpenAI, shape_server: ServerProcess, format: str) -> None:
    """Point-E's name stands for the installed model; the file under the URL is a closed ball, without a key."""
    answer = generate(client, model="point-e", output_format=format)
    url = answer["data"][0]["url"]
    fetched = shape_server.call("GET", url[url.index("/shapes/") :], headers={"Authorization": ""})
    assert fetched.status == 200
    mesh = loaded(fetched.body, format)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(np.pi / 6, rel=0.01)
    assert len(mesh.faces) == answer["data"][0]["triangles"]


@pytest.mark.parametrize("format", ["glb", "ply", "json"])
def test_points_repeat_with_their_seed(client: openai.OpenAI, format: str) -> None:
    """Clouds in each format: equal seeds give equal bytes, and the shapes of one answer differ."""
    fields = {"output_format": format, "size": 500, "seed": 3, "n": 2, "response_format": "b64_json"}
    first, again = (generate(client, **fields)["data"] for _ in range(2))
    assert first == again
    assert first[0]["b64_json"] != first[1]["b64_json"]
    data = base64.b64decode(first[0]["b64_json"])
    if format == "json":
        points = np.array(json.loads(data)["points"])
        assert points.shape == (500, 6)
    else:
        points = np.asarray(loaded(data, format).vertices)
    assert np.linalg.norm(points[:, :3], axis=1) == pytest.approx(0.5, abs=0.01)


def test_a_prompt_is_drawn_first(client: openai.OpenAI, shape_server: ServerProcess) -> None:
    """The bundled image model draws the prompt; the stream reports both stages, then the shape with its preview."""
    asked = {"prompt": "a red apple", "seed": 1, "quality": "coarse"}
    line = RawConnection(shape_server, PATH, {**asked, "preview": True, "stream": True})
    assert line.status() == 200
    *events, done = line.events()
    line.hang_up()
    assert done == "[DONE]"
    stages = [event["stage"] for event in events if event["type"] == "shape_generation.progress"]
    assert stages == sorted(stages)
    assert set(stages) == {"image", "shape"}
    completed = events[-1]
    assert completed["type"] == "shape_generation.completed"
    assert loaded(base64.b64decode(completed["b64_json"]), "glb").is_watertight
    assert base64.b64decode(completed["preview_b64_json"]).startswith(b"\x89PNG")
    whole = generate(client, image=..., response_format="b64_json", **asked)
    assert whole["data"][0]["b64_json"] == completed["b64_json"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"image": f"data:image/png;base64,{base64.b64encode(b'none').decode()}"}, "image"),
        ({"image": f"data:image/png;base64,{base64.b64encode(picture()[:70]).decode()}"}, "image"),
        ({"image": f"data:image/png;base64,{base64.b64encode(picture((9, 9, 9), 64, (9, 9, 9))).decode()}"}, "image"),
        ({"image": ..., "prompt": "a fox", "n": 9}, "n"),
        ({"step": 3}, "step"),
        ({"cfg_scale": 3}, "cfg_scale"),
        ({"size": 100_000}, "size"),
        ({"voxels": 3}, "voxels"),
    ],
)
def test_bad_input_is_refused_by_name(client: openai.OpenAI, changes: dict[str, Any], param: str) -> None:
    """What is no picture, a cut-off one, one of nothing, and fields that have no effect are a 400 with the field."""
    with pytest.raises(openai.BadRequestError) as refused:
        generate(client, **changes)
    assert refused.value.param == param


def test_a_shape_model_must_be_pulled(tmp_path: Path, smollm2: Path) -> None:
    """Without a shape model the default name is a 404 with the command that installs one."""
    assert smollm2.exists()
    with running(tmp_path / "log", "--model", "smollm2-135m") as server:
        answer = server.call("POST", PATH, BASE)
    assert answer.status == 404
    assert "homeport pull triposr" in answer.error["message"]
    assert answer.error["code"] == "model_not_found"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_that_leaves_stops_the_work(
    client: openai.OpenAI, shape_server: ServerProcess, streamed: bool
) -> None:
    """A disconnect stops the work within one chunk; the next shape is made soon."""
    generate(client)
    body = {"model": MODEL, "image": IMAGE, "n": 4, "size": 9, **({"stream": True} if streamed else {})}
    line = RawConnection(shape_server, PATH, body)
    if streamed:
        assert line.status() == 200
        assert line.line()
    shape_server.wait("it is being made", lambda: not shape_server.is_idle(), 60)
    line.hang_up()
    shape_server.wait("idle after the hang-up", shape_server.is_idle, 60)
    assert generate(client)["data"]


def test_two_at_once_are_as_alone(client: openai.OpenAI) -> None:
    """Requests at once get the same shapes as one after another."""
    fields: dict[str, Any] = {"output_format": "json", "size": 50, "response_format": "b64_json"}
    alone = [generate(client, seed=seed, **fields)["data"] for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda seed: generate(client, seed=seed, **fields)["data"], (1, 2)))
    assert together == alone


def test_a_batch_makes_shapes(client: openai.OpenAI, shape_server: ServerProcess) -> None:
    """The endpoint runs in batches, also with an uploaded picture; an invalid line is an error of its own."""
    image = client.files.create(file=("fox.png", picture()), purpose="vision")
    bodies: list[dict[str, Any]] = [{**BASE, "image": image.id}, {**BASE, "step": 3}]
    lines = [{"custom_id": str(at), "method": "POST", "url": PATH, "body": body} for at, body in enumerate(bodies)]
    content = "\n".join(map(json.dumps, lines)).encode()
    sent = client.files.create(file=("batch.jsonl", content), purpose="batch")
    endpoint: Any = PATH
    batch = client.batches.create(input_file_id=sent.id, endpoint=endpoint, completion_window="24h")
    shape_server.wait("the batch has ended", lambda: client.batches.retrieve(batch.id).status == "completed", 120)
    done = client.batches.retrieve(batch.id)
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    result = json.loads(client.files.content(str(done.output_file_id)).text)
    assert result["response"]["body"]["data"][0]["url"].endswith(".glb")


def test_requests_are_counted(client: openai.OpenAI, shape_server: ServerProcess) -> None:
    """Metrics have the endpoint and the model."""
    generate(client)
    metrics = shape_server.call("GET", "/metrics").body.decode()
    assert 'handler="/v1/3d/generations"' in metrics
    assert f'model_name="{MODEL}"' in metrics


def test_urls_outlive_the_server(tmp_path: Path) -> None:
    """A restarted server serves the URLs of shapes until they expire."""
    install_pair(tmp_path / "home")
    settings = {"HOME": str(tmp_path / "home"), "THREADS": "1"}
    with running(tmp_path / "log", **settings) as first:
        url = first.call("POST", PATH, BASE).json()["data"][0]["url"]
        path = url[url.index("/shapes/") :]
        shape = first.call("GET", path).body
    with running(tmp_path / "log2", **settings, PICTURE_URL_S="1") as second:
        assert second.call("GET", path).body == shape
        brief = second.call("POST", PATH, BASE).json()["data"][0]["url"]
        brief = brief[brief.index("/shapes/") :]
        second.wait("the brief one is over", lambda: second.call("GET", brief).status == 404, 10)


def test_shape_writes_files(shape_server: ServerProcess, tmp_path: Path) -> None:
    """`homeport shape` finds the running server and writes the shape and its preview."""
    (tmp_path / "square.png").write_bytes(picture())
    command = [sys.executable, "-m", "homeport", "shape", str(tmp_path / "square.png"), "-o", str(tmp_path / "a.glb")]
    flags = [
        "--home",
        str(shape_server.log.parent / "home"),
        "--quality",
        "coarse",
        "--preview",
        str(tmp_path / "p.png"),
    ]
    ran = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert loaded((tmp_path / "a.glb").read_bytes(), "glb").is_watertight
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
