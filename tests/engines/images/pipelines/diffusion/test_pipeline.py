"""stable-diffusion.cpp on a tiny FLUX-format checkpoint: the real library's real path, its pictures noise.

The library comes with `make setup`, where there is one for the platform.
"""

import io
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.content import Attachment, attach
from homeport.domain.errors import Unavailable
from homeport.domain.events import GeneratedImage
from homeport.domain.images import ImageRequest, ImageSize, ImageSource
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.images.pipelines.diffusion import pipeline as painter
from homeport.engines.images.pipelines.diffusion.families import family
from homeport.engines.images.pipelines.diffusion.pipeline import (
    DiffusionPipeline,
    ModelDefaults,
    load,
    load_command,
)
from tests.engines.images import tiny_checkpoint
from tests.engines.images.engine_runner import ImageEngineRunner, ImageEvents

ROOT = Path(__file__).parents[5]
pytestmark = pytest.mark.skipif(tiny_checkpoint.IS_NOWHERE, reason=tiny_checkpoint.NOWHERE)

OPTIONS: Mapping[str, str | int | float | bool | None] = {"threads": 1, "size": 128, "steps": 3, "method": "EULER"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The tiny model."""
    return tiny_checkpoint.make(tmp_path_factory.mktemp("tiny"))


def job(files: Mapping[str, Path], **options: int) -> EngineSpec:
    """What a worker would be started with."""
    return EngineSpec("diffusion", "tiny-flux", attach(files), "d", {**OPTIONS, **options})


@pytest.fixture(scope="module")
def running(files: Mapping[str, Path]) -> Iterator[ImageEngineRunner]:
    """One engine for all tests here."""
    with ImageEngineRunner(load(job(files))) as made:
        yield made


def shown(picture: GeneratedImage) -> NDArray[np.uint8]:
    """Its pixels."""
    with Image.open(io.BytesIO(picture.data)) as read:
        return np.asarray(read)


def first(said: ImageEvents) -> NDArray[np.uint8]:
    """The first picture's pixels; what went wrong where there is none."""
    assert said.pictures, said.events
    return shown(said.pictures[0])


def easels() -> list[psutil.Process]:
    """The processes that paint."""
    return psutil.Process(os.getpid()).children()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A smooth picture whose upper half is transparent."""
    made = np.zeros((128, 128, 4), np.uint8)
    made[..., 0] = np.arange(128)[None, :]
    made[..., 1] = np.arange(128)[:, None]
    made[64:, :, 3] = 255
    Image.fromarray(made).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_the_same_seed_is_the_same_picture(running: ImageEngineRunner) -> None:
    """Bit for bit; another seed, and each of `n`, is another one; every step is told."""
    said = running.ask(ImageRequest("a cat", seed=1, n=2))
    again = running.ask(ImageRequest("a cat", seed=1))
    assert (first(said) == first(again)).all()
    assert (shown(said.pictures[0]) != shown(said.pictures[1])).any()
    assert (shown(said.pictures[1]) == first(running.ask(ImageRequest("a cat", seed=2)))).all()
    assert [(each.step, each.steps) for each in again.progress] == [(1, 3), (2, 3), (3, 3)]
    assert "stable-diffusion.cpp" in running.engine.loaded.kernels
    assert "FLUX" in running.engine.loaded.notes[0]


def test_sizes_are_the_answers_own(running: ImageEngineRunner) -> None:
    """Painted near the model's own number of pixels, then brought to what was asked for."""
    for size in (ImageSize(128, 128), ImageSize(256, 128), ImageSize(200, 333)):
        made = first(running.ask(ImageRequest("a cat", seed=1, size=size)))
        assert made.shape == (size.height, size.width, 3)


def test_steps_and_effort_are_felt(running: ImageEngineRunner) -> None:
    """As many as asked for; half and twice as many for quality."""
    assert len(running.ask(ImageRequest("a cat", seed=1, steps=2)).progress) == 2
    assert len(running.ask(ImageRequest("a cat", seed=1, effort=2.0)).progress) == 6
    assert len(running.ask(ImageRequest("a cat", seed=1, effort=0.5)).progress) == 2


def test_outside_the_hole_nothing_changes(running: ImageEngineRunner, image: Path) -> None:
    """Pixels that the mask keeps are the source's own; inside something else is painted."""
    with Image.open(image) as read:
        source = np.asarray(read)
    made = first(running.ask(ImageRequest("a hat", seed=1, source=ImageSource(Attachment(image)))))
    assert made.shape == (128, 128, 3)
    assert (made[64:] == source[64:, :, :3]).all()
    assert (made[:64] != source[:64, :, :3]).any()


def test_variations_start_from_the_image(running: ImageEngineRunner, image: Path) -> None:
    """Without a prompt and a mask; the less strength, the nearer it stays."""
    source = ImageSource(Attachment(image), is_strict=False, is_variation=True)
    made = [
        first(running.ask(ImageRequest("", seed=1, steps=6, source=source, strength=strength)))
        for strength in (0.2, 1.0)
    ]
    assert (made[0] != made[1]).any()
    assert len({first(running.ask(ImageRequest("", seed=seed, source=source))).tobytes() for seed in (1, 2)}) == 2


def test_looks_are_shown_where_asked_for(running: ImageEngineRunner) -> None:
    """Unfinished pictures of the answer's size, none of them the finished one."""
    said = running.ask(ImageRequest("a cat", seed=1, steps=4, partial_images=2))
    assert [each.partial for each in said.partials] == [0, 1]
    assert all(shown(each).shape == (128, 128, 3) for each in said.partials)
    assert said.partials[0].data != said.pictures[0].data


@pytest.mark.parametrize(
    ("request_", "param"),
    [(ImageRequest("x", steps=151), "steps"), (ImageRequest("x", negative_prompt="rain"), "negative_prompt")],
)
def test_what_the_model_cannot_do_is_refused_by_name(
    running: ImageEngineRunner, request_: ImageRequest, param: str
) -> None:
    """Too many steps, and things to leave out without guidance."""
    fault = running.ask(request_).fault
    assert (fault.kind, fault.param) == ("InvalidRequest", param)


def test_what_is_left_out_changes_the_picture(running: ImageEngineRunner) -> None:
    """With guidance above 1, which takes two passes a step."""
    made = [
        first(running.ask(ImageRequest("a cat", seed=1, guidance=4.0, negative_prompt=negative)))
        for negative in ("", "rain and clouds and snow")
    ]
    assert (made[0] != made[1]).any()


def test_a_cancel_kills_the_process_and_the_next_picture_has_another(running: ImageEngineRunner) -> None:
    """Within one step, however long the picture would take; who waits waits only for the loading."""
    (before,) = easels()
    gone = running.open(ImageRequest("a cat", size=ImageSize(128, 128), steps=150, n=10))
    running.until(lambda: bool(running.said[gone].progress))
    running.engine.cancel(gone)
    assert running.ask(ImageRequest("a cat", seed=1)).pictures
    assert not before.is_running()
    assert not running.said[gone].pictures
    assert len(easels()) == 1


def test_a_process_that_dies_costs_its_request_alone(running: ImageEngineRunner) -> None:
    """The caller is told; the next picture is painted by another process."""
    broken = running.open(ImageRequest("a cat", steps=150))
    running.until(lambda: bool(running.said[broken].progress))
    (easel,) = easels()
    easel.kill()
    assert running.wait(broken).fault.kind == "EngineFailed"
    assert running.ask(ImageRequest("a cat", seed=1)).pictures


def test_a_lora_changes_the_picture(running: ImageEngineRunner, files: Mapping[str, Path], tmp_path: Path) -> None:
    """Laid over the model by its role."""
    lora = tiny_checkpoint.make_lora(tmp_path / "style.safetensors", 0.5)
    with ImageEngineRunner(load(job({**files, "lora": lora}))) as styled:
        made = first(styled.ask(ImageRequest("a cat", seed=1)))
    assert (made != first(running.ask(ImageRequest("a cat", seed=1)))).any()
    assert load_command({**files, "lora": lora}, {}).loras == ((str(lora), 1.0),)


def test_files_that_are_no_model_are_said_to_be_none(files: Mapping[str, Path], tmp_path: Path) -> None:
    """The worker's start fails with what the library says, and leaves no process."""
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model at all")
    before = len(easels())
    with pytest.raises(Unavailable, match="does not load"):
        load(job({**files, "diffusion": broken}))
    with pytest.raises(Unavailable, match="`weights` or `diffusion`"):
        load(job({"vae": files["taesd"]}))
    assert len(easels()) == before


def test_without_the_library_it_says_what_to_install(
    files: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 in the end, with the command, which installs what the extra `images` does."""
    monkeypatch.setattr(painter, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=f"-m pip install {painter.LIBRARY}"):
        load(job(files))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras["images"][0].partition(";")[0].strip() == painter.LIBRARY


def test_the_catalogue_goes_before_the_family(files: Mapping[str, Path]) -> None:
    """Steps, size and guidance that a model was made for."""
    found = ModelDefaults.from_options(family(files["diffusion"]), {"steps": 4})
    assert (found.steps, found.edge, found.guidance, found.method) == (4, 1024, 1.0, "")


def test_a_closed_painter_leaves_no_process(files: Mapping[str, Path]) -> None:
    """Its memory is given back."""
    before = len(easels())
    made = DiffusionPipeline(
        load_command(files, OPTIONS), ModelDefaults.from_options(family(files["diffusion"]), OPTIONS)
    )
    assert len(easels()) == before + 1
    made.close()
    assert len(easels()) == before


def test_without_strength_the_image_comes_back(running: ImageEngineRunner, image: Path) -> None:
    """At 0 it is the source itself; a little above, one step is taken."""
    with Image.open(image) as read:
        source = np.asarray(read)
    wish = ImageSource(Attachment(image), is_strict=False)
    made = first(running.ask(ImageRequest("a hat", seed=1, source=wish, strength=0.0)))
    assert (made[64:] == source[64:, :, :3]).all()
    assert len(running.ask(ImageRequest("a hat", seed=1, source=wish, strength=0.01)).progress) >= 1
