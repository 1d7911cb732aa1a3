from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import PipelineInput, PipelineStep, Pixels
from homeport.engines.images.pipelines.clipart.networks import (
    LATENT,
    SIDE,
    STYLES,
    Floats,
)
from homeport.engines.images.pipelines.clipart.pipeline import ClipartPipeline
from homeport.engines.images.pipelines.clipart.pose import DrawingPose

PLACE = SIDE // 8  # pixels along each side of a place
OWN, WIDE = ImageSize(SIDE, SIDE), ImageSize(2 * SIDE, SIDE)
EDGE = 6  # pixels
RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)


class Straight:
    """A model whose every walk leads straight to one colour: the caption's, grey where the caption is hidden.

    Its latents are colours: the first three channels, each place an eighth of the picture's side.
    """

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats, style: int) -> Floats:
        targets = np.where(told[:, None] > 0, vectors[:, :3], np.float32(128 / 127.5 - 1))
        wanted = np.zeros_like(latents)
        wanted[:, :3] = targets[:, :, None, None]
        return (wanted - latents) / np.float32(1 - time)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        colours = np.clip(np.rint((latents[:3].transpose(1, 2, 0) + 1) * 127.5), 0, 255).astype(np.uint8)
        return np.asarray(colours.repeat(PLACE, axis=0).repeat(PLACE, axis=1), dtype=np.uint8)

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        latents = np.zeros(LATENT, np.float32)
        latents[:3] = pixels[::PLACE, ::PLACE].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
        return latents, _read("red")


def _read(caption: str) -> Floats:
    vector = np.zeros(384, np.float32)
    vector[:3] = np.array({"red": RED, "blue": BLUE, "grey": GREY}[caption], np.float32) / 127.5 - 1
    return vector


@pytest.fixture
def painter() -> ClipartPipeline:
    return ClipartPipeline(Straight(), _read, posture=_upright)


def _upright(seed: int, *, faces_either_way: bool) -> DrawingPose:
    return DrawingPose(tilt_deg=0, width=1, height=1, mirrored=False, hue=0, light=0)


def _is(region: Pixels, colour: tuple[int, int, int]) -> bool:
    """Whether all of a region is of a colour, but for what cleaning does near its edges."""
    inner = region[EDGE:-EDGE, EDGE:-EDGE].astype(int)
    return inner.size > 0 and bool((np.abs(inner - colour) < 8).all())


def _painted(painter: ClipartPipeline, brief: PipelineInput) -> tuple[list[PipelineStep], Pixels]:
    told = list(painter.generate(brief))
    strokes = [each for each in told if isinstance(each, PipelineStep)]
    assert len(strokes) == len(told) - 1
    assert isinstance(told[-1], np.ndarray)
    return strokes, told[-1]


def test_a_prompt_leads_to_its_picture_in_the_steps_asked_for(painter: ClipartPipeline) -> None:
    """A stroke is told for each step, and the last pixels are where the caption's flow ends."""
    strokes, made = _painted(painter, PipelineInput("red", OWN, seed=1, steps=5, guidance=1.0))
    assert [(stroke.step, stroke.steps) for stroke in strokes] == [(step, 5) for step in range(1, 6)]
    assert _is(made, RED)


def test_guidance_moves_away_from_the_hidden_caption_or_from_what_is_unwanted(painter: ClipartPipeline) -> None:
    """At guidance 0 the other side wins: grey without a negative prompt, the negative prompt's own colour with one."""
    _, plain = _painted(painter, PipelineInput("red", OWN, seed=1, guidance=0.0))
    _, against = _painted(painter, PipelineInput("red", OWN, seed=1, guidance=0.0, negative_prompt="blue"))
    assert _is(plain, GREY)
    assert _is(against, BLUE)


def test_only_the_hole_is_repainted(painter: ClipartPipeline) -> None:
    """Places without a masked pixel keep the source's latents; a place with a single one is painted anew."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[: 4 * PLACE, 4 * PLACE - 1] = True
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    _, made = _painted(painter, PipelineInput("red", OWN, seed=1, image=source, mask=mask, guidance=1.0))
    assert _is(made[: 4 * PLACE, 3 * PLACE : 4 * PLACE], RED)
    assert _is(made[4 * PLACE :], BLUE)
    assert _is(made[:, : 3 * PLACE], BLUE)


def test_a_picture_without_a_prompt_is_painted_after_what_is_seen_in_it(painter: ClipartPipeline) -> None:
    """Its guessed caption leads the walk; a preview is shown where it was asked for."""
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    brief = PipelineInput("", OWN, seed=1, image=source, steps=4, previews=1, guidance=1.0)
    strokes, made = _painted(painter, brief)
    assert [stroke.step for stroke in strokes if stroke.preview is not None] == [2]
    assert _is(made, RED)


def test_pictures_of_other_shapes_are_painted_on_white(painter: ClipartPipeline) -> None:
    """An answer twice as wide as high has the model's square in its middle, not a stretched one."""
    size = painter.fit_size(ImageSize(1024, 512))
    assert size == WIDE
    _, made = _painted(painter, PipelineInput("red", size, seed=1, guidance=1.0))
    assert _is(made[:, SIDE // 2 : -SIDE // 2], RED)
    assert (made[:, : SIDE // 2] == 255).all()
    assert (made[:, -SIDE // 2 :] == 255).all()


def test_a_variation_of_another_shape_is_painted_on_white(painter: ClipartPipeline) -> None:
    """The drawing is whole in the middle of the wide answer."""
    source = np.full((SIDE, 2 * SIDE, 3), BLUE, np.uint8)
    _, made = _painted(painter, PipelineInput("", painter.fit_size(ImageSize(1024, 512)), seed=1, image=source))
    assert _is(made[:, SIDE // 2 : -SIDE // 2], RED)
    assert (made[:, : SIDE // 2] == 255).all()


def test_sources_of_other_shapes_keep_theirs(painter: ClipartPipeline) -> None:
    """A wide source is reduced into the square and cut out of it again, so that its parts stay where they were."""
    size = painter.fit_size(ImageSize(1024, 512))
    source = np.full((SIDE, 2 * SIDE, 3), BLUE, np.uint8)
    mask = np.zeros((SIDE, 2 * SIDE), np.bool_)
    mask[:, SIDE:] = True
    _, made = _painted(painter, PipelineInput("red", size, seed=1, image=source, mask=mask, guidance=1.0))
    assert _is(made[:, : SIDE - PLACE], BLUE)
    assert _is(made[:, SIDE + PLACE :], RED)


class Still(Straight):
    """A model that leaves noise where it is."""

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats, style: int) -> Floats:
        return np.zeros_like(latents)


def test_seeds_choose_the_noise() -> None:
    """The same seed begins at the same noise, another at another."""
    painter = ClipartPipeline(Still(), _read)
    first, again, other = (_painted(painter, PipelineInput("red", OWN, seed=seed))[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


class Styled(Straight):
    """A model that writes down the manners it was asked for."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats, style: int) -> Floats:
        self.asked.add(style)
        return super().velocity(latents, time, vectors, told, style)


def test_neighbouring_seeds_paint_in_different_manners() -> None:
    """One seed keeps to one manner; two in a row, as for two pictures of one request, take both."""
    model = Styled()
    painter = ClipartPipeline(model, _read)
    _painted(painter, PipelineInput("red", OWN, seed=4))
    assert len(model.asked) == 1
    _painted(painter, PipelineInput("red", OWN, seed=5))
    assert model.asked == set(STYLES)


@pytest.mark.parametrize(("field", "value"), [("steps", 1000), ("guidance", 99.0)])
def test_what_makes_no_sense_is_refused_by_name(painter: ClipartPipeline, field: str, value: float) -> None:
    """Far too many steps, or a guidance that only saturates, name their field."""
    brief = PipelineInput("red", OWN, seed=1, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as refused:
        painter.check(brief)
    assert refused.value.info.param == field


@pytest.mark.parametrize(("field", "given"), [("mask", {}), ("strength", {"strength": 0.5, "prompt": ""})])
def test_what_the_model_cannot_do_with_a_picture_is_refused_by_name(
    painter: ClipartPipeline, field: str, given: dict[str, Any]
) -> None:
    """A prompt for a whole picture has nowhere to go, and there is no half way between a picture and a draft."""
    source = np.full((SIDE, SIDE, 3), BLUE, np.uint8)
    brief = PipelineInput(**{"prompt": "red", "size": OWN, "seed": 1, "image": source, **given})
    with pytest.raises(InvalidRequest) as refused:
        painter.check(brief)
    assert refused.value.info.param == field


def test_a_negative_prompt_alone_moves_the_picture_away(painter: ClipartPipeline) -> None:
    """Without a guidance of one's own it has an effect too."""
    _, plain = _painted(painter, PipelineInput("grey", OWN, seed=1))
    _, against = _painted(painter, PipelineInput("grey", OWN, seed=1, negative_prompt="blue"))
    assert (plain != against).any()
