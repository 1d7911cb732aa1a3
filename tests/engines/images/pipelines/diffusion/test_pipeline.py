"""stable-diffusion.cpp on a tiny checkpoint in FLUX's format: the real library, whose images are noise.

The library comes with `make setup`, where there is one for the platform.
"""

import io
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
from homeport.engines.images.pipelines.diffusion import pipeline as module
from homeport.engines.images.pipelines.diffusion.families import detect_family
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

OPTIONS: Mapping[str, str | int | float | bool | None] = {"threads": 1, "size": 64, "steps": 3, "method": "EULER"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The tiny model."""
    return tiny_checkpoint.make(tmp_path_factory.mktemp("tiny"))


def spec(files: Mapping[str, Path], **options: int) -> EngineSpec:
    """The spec that a worker receives."""
    return EngineSpec("diffusion", "tiny-flux", attach(files), "d", {**OPTIONS, **options})


@pytest.fixture(scope="module")
def running(files: Mapping[str, Path]) -> Iterator[ImageEngineRunner]:
    """One engine for all tests of this module."""
    with ImageEngineRunner(load(spec(files))) as runner:
        yield runner


def decoded(generated: GeneratedImage) -> NDArray[np.uint8]:
    """Decode the pixels of an image."""
    with Image.open(io.BytesIO(generated.data)) as read:
        return np.asarray(read)


def first(result: ImageEvents) -> NDArray[np.uint8]:
    """Return the first image's pixels; fails with the error if there is none."""
    assert result.images, result.events
    return decoded(result.images[0])


def worker_processes() -> list[psutil.Process]:
    """Return the diffusion workers' processes: other tests' processes may run beside them."""
    return [child for child in psutil.Process().children() if "homeport.engines.images" in " ".join(child.cmdline())]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A smooth image whose upper half is transparent."""
    pixels = np.zeros((128, 128, 4), np.uint8)
    pixels[..., 0] = np.arange(128)[None, :]
    pixels[..., 1] = np.arange(128)[:, None]
    pixels[64:, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_the_same_seed_gives_the_same_image(running: ImageEngineRunner) -> None:
    """The same seed gives the same bits; another seed, and each of `n`, another image; every step is reported."""
    result = running.ask(ImageRequest("a cat", seed=1, n=2))
    again = running.ask(ImageRequest("a cat", seed=1))
    assert (first(result) == first(again)).all()
    assert (decoded(result.images[0]) != decoded(result.images[1])).any()
    assert (decoded(result.images[1]) == first(running.ask(ImageRequest("a cat", seed=2)))).all()
    assert [(each.step, each.steps) for each in again.progress] == [(1, 3), (2, 3), (3, 3)]
    assert "stable-diffusion.cpp" in running.engine.loaded.kernels
    assert "FLUX" in running.engine.loaded.notes[0]


def test_images_have_the_requested_size(running: ImageEngineRunner) -> None:
    """Images are generated near the model's own number of pixels, then resized to the requested size."""
    for size in (ImageSize(64, 64), ImageSize(256, 128), ImageSize(200, 333)):
        pixels = first(running.ask(ImageRequest("a cat", seed=1, size=size)))
        assert pixels.shape == (size.height, size.width, 3)


def test_steps_and_effort_have_an_effect(running: ImageEngineRunner) -> None:
    """There are as many steps as requested; half and twice as many by quality."""
    assert len(running.ask(ImageRequest("a cat", seed=1, steps=2)).progress) == 2
    assert len(running.ask(ImageRequest("a cat", seed=1, effort=2.0)).progress) == 6
    assert len(running.ask(ImageRequest("a cat", seed=1, effort=0.5)).progress) == 2


def test_outside_the_mask_nothing_changes(running: ImageEngineRunner, image: Path) -> None:
    """Pixels outside the mask are the source's own; inside, others are generated."""
    with Image.open(image) as read:
        source = np.asarray(read)
    pixels = first(running.ask(ImageRequest("a hat", seed=1, source=ImageSource(Attachment(image)))))
    assert pixels.shape == (128, 128, 3)
    assert (pixels[64:] == source[64:, :, :3]).all()
    assert (pixels[:64] != source[:64, :, :3]).any()


def test_strength_and_seed_change_a_variation(running: ImageEngineRunner, image: Path) -> None:
    """Without prompt and mask, another strength and another seed each give another image."""
    source = ImageSource(Attachment(image), is_strict=False, is_variation=True)
    pixels = [
        first(running.ask(ImageRequest("", seed=1, steps=6, source=source, strength=strength)))
        for strength in (0.2, 1.0)
    ]
    assert (pixels[0] != pixels[1]).any()
    assert len({first(running.ask(ImageRequest("", seed=seed, source=source))).tobytes() for seed in (1, 2)}) == 2


def test_previews_are_returned_if_requested(running: ImageEngineRunner) -> None:
    """Previews have the output size, and none is the finished image."""
    result = running.ask(ImageRequest("a cat", seed=1, steps=4, partial_images=2))
    assert [each.partial for each in result.partials] == [0, 1]
    assert all(decoded(each).shape == (64, 64, 3) for each in result.partials)
    assert result.partials[0].data != result.images[0].data


@pytest.mark.parametrize(
    ("request_", "param"),
    [(ImageRequest("x", steps=151), "steps"), (ImageRequest("x", negative_prompt="rain"), "negative_prompt")],
)
def test_unsupported_requests_are_refused_by_name(
    running: ImageEngineRunner, request_: ImageRequest, param: str
) -> None:
    """Too many steps and a negative prompt without guidance are refused."""
    error = running.ask(request_).error
    assert (error.kind, error.param) == ("InvalidRequest", param)


def test_a_negative_prompt_changes_the_image(running: ImageEngineRunner) -> None:
    """A negative prompt has an effect with guidance above 1, with two passes per step."""
    pixels = [
        first(running.ask(ImageRequest("a cat", seed=1, guidance=4.0, negative_prompt=negative)))
        for negative in ("", "rain and clouds and snow")
    ]
    assert (pixels[0] != pixels[1]).any()


def test_a_cancellation_kills_the_process_and_the_next_image_has_another(running: ImageEngineRunner) -> None:
    """A cancellation stops within one step; waiting requests only wait for the loading."""
    (before,) = worker_processes()
    canceled = running.open(ImageRequest("a cat", size=ImageSize(128, 128), steps=150, n=10))
    running.until(lambda: bool(running.by_request[canceled].progress))
    running.engine.cancel(canceled)
    assert running.ask(ImageRequest("a cat", seed=1)).images
    assert not before.is_running()
    assert not running.by_request[canceled].images
    assert len(worker_processes()) == 1


def test_a_crash_fails_its_request_only(running: ImageEngineRunner) -> None:
    """The request fails; the next image is generated by a new process."""
    broken = running.open(ImageRequest("a cat", steps=150))
    running.until(lambda: bool(running.by_request[broken].progress))
    (worker,) = worker_processes()
    worker.kill()
    assert running.wait(broken).error.kind == "EngineFailed"
    assert running.ask(ImageRequest("a cat", seed=1)).images


def test_a_lora_changes_the_image(running: ImageEngineRunner, files: Mapping[str, Path], tmp_path: Path) -> None:
    """A LoRA is applied by its role."""
    lora = tiny_checkpoint.make_lora(tmp_path / "style.safetensors", 0.5)
    with ImageEngineRunner(load(spec({**files, "lora": lora}))) as styled:
        pixels = first(styled.ask(ImageRequest("a cat", seed=1)))
    assert (pixels != first(running.ask(ImageRequest("a cat", seed=1)))).any()
    assert load_command({**files, "lora": lora}, {}).loras == ((str(lora), 1.0),)


def test_invalid_files_are_refused(files: Mapping[str, Path], tmp_path: Path) -> None:
    """Loading fails with the library's error, and leaves no process."""
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model at all")
    before = len(worker_processes())
    with pytest.raises(Unavailable, match="cannot load the model"):
        load(spec({**files, "diffusion": broken}))
    with pytest.raises(Unavailable, match="`weights` or `diffusion`"):
        load(spec({"vae": files["taesd"]}))
    assert len(worker_processes()) == before


def test_a_missing_library_names_the_command(files: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command, which installs the same as the extra `images`."""
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=f"-m pip install {module.LIBRARY}"):
        load(spec(files))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras["images"][0].partition(";")[0].strip() == module.LIBRARY


def test_the_catalogue_overrides_the_family(files: Mapping[str, Path]) -> None:
    """Steps, size and guidance of the catalogue override those of the family."""
    found = ModelDefaults.from_options(detect_family(files["diffusion"]), {"steps": 4})
    assert (found.steps, found.edge, found.guidance, found.method) == (4, 1024, 1.0, "")


def test_a_closed_pipeline_leaves_no_process(files: Mapping[str, Path]) -> None:
    """Closing frees the process and its memory."""
    before = len(worker_processes())
    pipeline = DiffusionPipeline(
        load_command(files, OPTIONS), ModelDefaults.from_options(detect_family(files["diffusion"]), OPTIONS)
    )
    assert len(worker_processes()) == before + 1
    pipeline.close()
    assert len(worker_processes()) == before


def test_strength_zero_returns_the_image(running: ImageEngineRunner, image: Path) -> None:
    """At strength 0 the result is the source; a little above, there is one step."""
    with Image.open(image) as read:
        source = np.asarray(read)
    image_source = ImageSource(Attachment(image), is_strict=False)
    pixels = first(running.ask(ImageRequest("a hat", seed=1, source=image_source, strength=0.0)))
    assert (pixels[64:] == source[64:, :, :3]).all()
    assert len(running.ask(ImageRequest("a hat", seed=1, source=image_source, strength=0.01)).progress) >= 1
