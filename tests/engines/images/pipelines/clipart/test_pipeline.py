from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import PipelineInput, PipelineStep, Pixels, RevisedPrompt
from homeport.engines.images.pipelines.clipart.networks import (
    LATENT,
    SIDE,
    STYLES,
    Floats,
)
from homeport.engines.images.pipelines.clipart.pipeline import ClipartPipeline
from homeport.engines.images.pipelines.clipart.planner import DrawingPlan
from homeport.engines.images.pipelines.clipart.pose import DrawingPose
from homeport.engines.images.pipelines.clipart.scene import Place
from tests.engines.images.pipelines.clipart.scenes import scene

PLACE = SIDE // 8  # pixels along each side of a place
OWN, WIDE = ImageSize(SIDE, SIDE), ImageSize(2 * SIDE, SIDE)
EDGE = 6  # pixels
RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)


class Straight:
    """A model whose samples are one color: the caption's, or gray if the caption is hidden.

    Its latents are colors: the first three channels, each place an eighth of the image's side.
    """

    def velocity(self, latents: Floats, time: float, vectors: Floats, has_caption: Floats, style: int) -> Floats:
        targets = np.where(has_caption[:, None] > 0, vectors[:, :3], np.float32(128 / 127.5 - 1))
        wanted = np.zeros_like(latents)
        wanted[:, :3] = targets[:, :, None, None]
        return (wanted - latents) / np.float32(1 - time)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        colors = np.clip(np.rint((latents[:3].transpose(1, 2, 0) + 1) * 127.5), 0, 255).astype(np.uint8)
        return np.asarray(colors.repeat(PLACE, axis=0).repeat(PLACE, axis=1), dtype=np.uint8)

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        latents = np.zeros(LATENT, np.float32)
        latents[:3] = pixels[::PLACE, ::PLACE].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
        return latents, _read("red")


def _read(caption: str) -> Floats:
    vector = np.zeros(384, np.float32)
    vector[:3] = np.array({"red": RED, "blue": BLUE, "grey": GREY}[caption], np.float32) / 127.5 - 1
    return vector


@pytest.fixture
def pipeline() -> ClipartPipeline:
    return ClipartPipeline(Straight(), _read, pose=_upright)


def _upright(seed: int, *, faces_either_way: bool) -> DrawingPose:
    return DrawingPose(tilt_deg=0, width=1, height=1, mirrored=False, hue=0, light=0)


def _is(region: Pixels, color: tuple[int, int, int]) -> bool:
    """Return whether a region has a color, except for what cleaning changes near its edges."""
    inner = region[EDGE:-EDGE, EDGE:-EDGE].astype(int)
    return inner.size > 0 and bool((np.abs(inner - color) < 8).all())


def _generated(pipeline: ClipartPipeline, params: PipelineInput) -> tuple[list[PipelineStep], Pixels]:
    outputs = list(pipeline.generate(params))
    steps = [each for each in outputs if isinstance(each, PipelineStep)]
    assert len(steps) == len(outputs) - 1
    assert isinstance(outputs[-1], np.ndarray)
    return steps, outputs[-1]


def test_a_prompt_leads_to_its_image_in_the_requested_steps(pipeline: ClipartPipeline) -> None:
    """There is an output for each step, and the last pixels are the end of the caption's flow."""
    steps, pixels = _generated(pipeline, PipelineInput("red", OWN, seed=1, steps=5, guidance=1.0))
    assert [(step.step, step.steps) for step in steps] == [(number, 5) for number in range(1, 6)]
    assert _is(pixels, RED)


def test_guidance_moves_away_from_the_negative_caption(pipeline: ClipartPipeline) -> None:
    """At guidance 0 the other side remains: gray without a negative prompt, the negative prompt's color with one."""
    _, plain = _generated(pipeline, PipelineInput("red", OWN, seed=1, guidance=0.0))
    _, against = _generated(pipeline, PipelineInput("red", OWN, seed=1, guidance=0.0, negative_prompt="blue"))
    assert _is(plain, GREY)
    assert _is(against, BLUE)


def test_only_the_mask_is_generated(pipeline: ClipartPipeline) -> None:
    """Places without a masked pixel keep the source's latents; a place with a single one is generated."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[: 4 * PLACE, 4 * PLACE - 1] = True
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    _, pixels = _generated(pipeline, PipelineInput("red", OWN, seed=1, image=source, mask=mask, guidance=1.0))
    assert _is(pixels[: 4 * PLACE, 3 * PLACE : 4 * PLACE], RED)
    assert _is(pixels[4 * PLACE :], BLUE)
    assert _is(pixels[:, : 3 * PLACE], BLUE)


def test_an_image_without_a_prompt_is_varied(pipeline: ClipartPipeline) -> None:
    """Its predicted caption guides sampling; previews are returned if requested."""
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    params = PipelineInput("", OWN, seed=1, image=source, steps=4, previews=1, guidance=1.0)
    steps, pixels = _generated(pipeline, params)
    assert [step.step for step in steps if step.preview is not None] == [2]
    assert _is(pixels, RED)


def test_images_of_other_shapes_are_centered_on_white(pipeline: ClipartPipeline) -> None:
    """An output twice as wide as high has the model's square in its middle, not stretched."""
    size = pipeline.fit_size(ImageSize(1024, 512))
    assert size == WIDE
    _, pixels = _generated(pipeline, PipelineInput("red", size, seed=1, guidance=1.0))
    assert _is(pixels[:, SIDE // 2 : -SIDE // 2], RED)
    assert (pixels[:, : SIDE // 2] == 255).all()
    assert (pixels[:, -SIDE // 2 :] == 255).all()


def test_a_variation_of_another_shape_is_centered_on_white(pipeline: ClipartPipeline) -> None:
    """The drawing is complete in the middle of the wide output."""
    source = np.full((SIDE, 2 * SIDE, 3), BLUE, np.uint8)
    _, pixels = _generated(pipeline, PipelineInput("", pipeline.fit_size(ImageSize(1024, 512)), seed=1, image=source))
    assert _is(pixels[:, SIDE // 2 : -SIDE // 2], RED)
    assert (pixels[:, : SIDE // 2] == 255).all()


def test_sources_of_other_shapes_keep_theirs(pipeline: ClipartPipeline) -> None:
    """A wide source is reduced into the square and cut out of it again, so that its parts stay in place."""
    size = pipeline.fit_size(ImageSize(1024, 512))
    source = np.full((SIDE, 2 * SIDE, 3), BLUE, np.uint8)
    mask = np.zeros((SIDE, 2 * SIDE), np.bool_)
    mask[:, SIDE:] = True
    _, pixels = _generated(pipeline, PipelineInput("red", size, seed=1, image=source, mask=mask, guidance=1.0))
    assert _is(pixels[:, : SIDE - PLACE], BLUE)
    assert _is(pixels[:, SIDE + PLACE :], RED)


class Still(Straight):
    """A model that leaves noise unchanged."""

    def velocity(self, latents: Floats, time: float, vectors: Floats, has_caption: Floats, style: int) -> Floats:
        return np.zeros_like(latents)


def test_seeds_choose_the_noise() -> None:
    """The same seed begins with the same noise, another seed with another."""
    pipeline = ClipartPipeline(Still(), _read)
    first, again, other = (_generated(pipeline, PipelineInput("red", OWN, seed=seed))[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


class Styled(Straight):
    """A model that records the requested styles."""

    def __init__(self) -> None:
        self.styles: set[int] = set()

    def velocity(self, latents: Floats, time: float, vectors: Floats, has_caption: Floats, style: int) -> Floats:
        self.styles.add(style)
        return super().velocity(latents, time, vectors, has_caption, style)


def test_consecutive_seeds_have_different_styles() -> None:
    """A seed always has the same style; two consecutive ones, as in one request, have both."""
    model = Styled()
    pipeline = ClipartPipeline(model, _read)
    _generated(pipeline, PipelineInput("red", OWN, seed=4))
    assert len(model.styles) == 1
    _generated(pipeline, PipelineInput("red", OWN, seed=5))
    assert model.styles == set(STYLES)


@pytest.mark.parametrize(("field", "value"), [("steps", 1000), ("guidance", 99.0)])
def test_invalid_parameters_are_refused_by_name(pipeline: ClipartPipeline, field: str, value: float) -> None:
    """Too many steps and too much guidance are errors that name their field."""
    params = PipelineInput("red", OWN, seed=1, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as refused:
        pipeline.check(params)
    assert refused.value.info.param == field


@pytest.mark.parametrize(("field", "given"), [("mask", {}), ("strength", {"strength": 0.5, "prompt": ""})])
def test_unsupported_edits_are_refused_by_name(pipeline: ClipartPipeline, field: str, given: dict[str, Any]) -> None:
    """A prompt for a whole image without mask, and a strength, are refused by name."""
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    params = PipelineInput(**{"prompt": "red", "size": OWN, "seed": 1, "image": source, **given})
    with pytest.raises(InvalidRequest) as refused:
        pipeline.check(params)
    assert refused.value.info.param == field


def test_a_negative_prompt_alone_has_an_effect(pipeline: ClipartPipeline) -> None:
    """A negative prompt has an effect without an explicit guidance."""
    _, plain = _generated(pipeline, PipelineInput("grey", OWN, seed=1))
    _, against = _generated(pipeline, PipelineInput("grey", OWN, seed=1, negative_prompt="blue"))
    assert (plain != against).any()


class Colors:
    """Plans a prompt: `red blue` is a scene of a red cat left of a blue dog, another prompt one drawing."""

    def plan(self, prompt: str) -> DrawingPlan:
        vectors = np.stack([_read(word) for word in prompt.split()])
        if len(vectors) == 1:
            return DrawingPlan(vectors, None, f"drawn: {prompt}")
        return DrawingPlan(vectors, scene(["cat", "dog"], ([0], Place.LEFT, [1])), "drawn: both")


@pytest.fixture
def composing() -> ClipartPipeline:
    return ClipartPipeline(Framed(), _read, pose=_upright, planner=Colors())


class Framed(Straight):
    """A model whose drawings have a white margin."""

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        pixels = super().decode(latents)
        for edge in (np.s_[:PLACE], np.s_[-PLACE:]):
            pixels[edge] = pixels[:, edge] = 255
        return pixels


def test_several_things_are_painted_and_put_together(composing: ClipartPipeline) -> None:
    """Both are in the picture, side by side, in one sampling; what is drawn is said first; previews show both too."""
    said, *steps, pixels = list(composing.generate(PipelineInput("red blue", OWN, seed=1, steps=4, previews=1)))
    assert said == RevisedPrompt("drawn: both")
    assert isinstance(pixels, np.ndarray)
    assert pixels.shape == (4 * SIDE, 4 * SIDE, 3)
    half = pixels.shape[1] // 2
    for part, color in ((pixels[:, :half], RED), (pixels[:, half:], BLUE)):
        assert (np.abs(part.astype(int) - color).max(axis=2) < 40).mean() > 0.2
    assert len(steps) == 4
    [preview] = [step.preview for step in steps if isinstance(step, PipelineStep) and step.preview is not None]
    assert preview.shape == pixels.shape


def test_a_scene_has_the_requested_shape_and_size(composing: ClipartPipeline) -> None:
    """A wide output is a wide scene, and enlarging gives exactly the requested pixels."""
    size = ImageSize(1024, 512)
    *_, pixels = composing.generate(PipelineInput("red blue", composing.fit_size(size), seed=1))
    assert isinstance(pixels, np.ndarray)
    assert composing.enlarge(pixels, size).shape == (512, 1024, 3)
    assert composing.enlarge(pixels, ImageSize(64, 32)).shape == (32, 64, 3)


def test_the_same_seed_gives_the_same_scene(composing: ClipartPipeline) -> None:
    """Every pixel is the same."""
    first, again = (list(composing.generate(PipelineInput("red blue", OWN, seed=3)))[-1] for _ in range(2))
    assert isinstance(first, np.ndarray)
    assert isinstance(again, np.ndarray)
    assert (first == again).all()


def test_one_thing_is_drawn_as_without_a_planner(pipeline: ClipartPipeline) -> None:
    """The pixels are those of the caption alone."""
    planned = ClipartPipeline(Straight(), _read, pose=_upright, planner=Colors())
    said, *_, pixels = planned.generate(PipelineInput("red", OWN, seed=1))
    assert said == RevisedPrompt("drawn: red")
    assert isinstance(pixels, np.ndarray)
    assert (pixels == _generated(pipeline, PipelineInput("red", OWN, seed=1))[1]).all()


def test_edits_and_variations_are_not_composed(composing: ClipartPipeline) -> None:
    """The area of a mask is one drawing of the prompt as it is, and a variation has no prompt."""
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    mask = np.ones((SIDE, SIDE), np.bool_)
    for params in (
        PipelineInput("red", OWN, seed=1, image=source, mask=mask),
        PipelineInput("", OWN, seed=1, image=source),
    ):
        _, pixels = _generated(composing, params)
        assert pixels.shape == (SIDE, SIDE, 3)
