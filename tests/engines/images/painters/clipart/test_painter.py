import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import Size
from homeport.engines.images.painter import Brief, Pixels, Stroke
from homeport.engines.images.painters.clipart.networks import LATENT, SIDE, Floats
from homeport.engines.images.painters.clipart.painter import ClipartPainter

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)


class Straight:
    """A model whose every walk leads straight to one colour: the caption's, grey where the caption is hidden.

    Its latents are colours: the first three channels, each place an eighth of the picture's side.
    """

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats) -> Floats:
        targets = np.where(told[:, None] > 0, vectors[:, :3], np.float32(128 / 127.5 - 1))
        wanted = np.zeros_like(latents)
        wanted[:, :3] = targets[:, :, None, None]
        return (wanted - latents) / np.float32(1 - time)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        colours = np.clip(np.rint((latents[:3].transpose(1, 2, 0) + 1) * 127.5), 0, 255).astype(np.uint8)
        return np.asarray(colours.repeat(SIDE // 8, axis=0).repeat(SIDE // 8, axis=1), dtype=np.uint8)

    def encode(self, pixels: NDArray[np.uint8]) -> Floats:
        latents = np.zeros(LATENT, np.float32)
        latents[:3] = pixels[::8, ::8].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
        return latents


def _read(caption: str) -> Floats:
    vector = np.zeros(384, np.float32)
    vector[:3] = np.array({"red": RED, "blue": BLUE}[caption], np.float32) / 127.5 - 1
    return vector


@pytest.fixture
def painter() -> ClipartPainter:
    return ClipartPainter(Straight(), _read)


def _painted(painter: ClipartPainter, brief: Brief) -> tuple[list[Stroke], Pixels]:
    told = list(painter.paint(brief))
    strokes = [each for each in told if isinstance(each, Stroke)]
    assert len(strokes) == len(told) - 1
    assert isinstance(told[-1], np.ndarray)
    return strokes, told[-1]


def test_a_prompt_leads_to_its_picture_in_the_steps_asked_for(painter: ClipartPainter) -> None:
    """A stroke is told for each step, and the last pixels are where the caption's flow ends."""
    strokes, made = _painted(painter, Brief("red", Size(64, 64), seed=1, steps=5, guidance=1.0))
    assert [(stroke.step, stroke.steps) for stroke in strokes] == [(step, 5) for step in range(1, 6)]
    assert (made == RED).all()


def test_guidance_moves_away_from_the_hidden_caption_or_from_what_is_unwanted(painter: ClipartPainter) -> None:
    """At guidance 0 the other side wins: grey without a negative prompt, the negative prompt's own colour with one."""
    _, plain = _painted(painter, Brief("red", Size(64, 64), seed=1, guidance=0.0))
    _, against = _painted(painter, Brief("red", Size(64, 64), seed=1, guidance=0.0, negative="blue"))
    assert (plain == GREY).all()
    assert (against == BLUE).all()


def test_only_the_hole_is_repainted(painter: ClipartPainter) -> None:
    """Places without a masked pixel keep the source's latents; a place with a single one is painted anew."""
    mask = np.zeros((64, 64), np.bool_)
    mask[:32, 31] = True
    source = np.full((64, 64, 3), BLUE, np.uint8)
    _, made = _painted(painter, Brief("red", Size(64, 64), seed=1, image=source, mask=mask, guidance=1.0))
    assert (made[:32, 24:32] == RED).all()
    assert (made[32:] == BLUE).all()
    assert (made[:, :24] == BLUE).all()


def test_a_strength_of_nearly_nothing_gives_the_source_back(painter: ClipartPainter) -> None:
    """The first thing a walk of little strength is headed for differs little from the source at its start."""
    source = np.full((64, 64, 3), BLUE, np.uint8)
    brief = Brief("", Size(64, 64), seed=1, image=source, strength=0.5, steps=4, previews=1)
    strokes, made = _painted(painter, brief)
    assert [stroke.step for stroke in strokes if stroke.preview is not None] == [2]
    assert (made == GREY).all()  # without a prompt the caption is hidden


def test_pictures_of_other_shapes_are_painted_on_white(painter: ClipartPainter) -> None:
    """An answer twice as wide as high has the model's square in its middle, not a stretched one."""
    size = painter.fit(Size(1024, 512))
    assert size == Size(128, 64)
    _, made = _painted(painter, Brief("red", size, seed=1, guidance=1.0))
    assert (made[:, 32:96] == RED).all()
    assert (made[:, :32] == 255).all()
    assert (made[:, 96:] == 255).all()


def test_sources_of_other_shapes_keep_theirs(painter: ClipartPainter) -> None:
    """A wide source is reduced into the square and cut out of it again, so that its parts stay where they were."""
    size = painter.fit(Size(1024, 512))
    source = np.full((64, 128, 3), BLUE, np.uint8)
    mask = np.zeros((64, 128), np.bool_)
    mask[:, 64:] = True
    _, made = _painted(painter, Brief("red", size, seed=1, image=source, mask=mask, guidance=1.0))
    assert (made[:, :56] == BLUE).all()
    assert (made[:, 72:] == RED).all()


class Still(Straight):
    """A model that leaves noise where it is."""

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats) -> Floats:
        return np.zeros_like(latents)


def test_seeds_choose_the_noise() -> None:
    """The same seed begins at the same noise, another at another."""
    painter = ClipartPainter(Still(), _read)
    first, again, other = (_painted(painter, Brief("red", Size(64, 64), seed=seed))[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(("field", "value"), [("steps", 1000), ("guidance", 99.0)])
def test_what_makes_no_sense_is_refused_by_name(painter: ClipartPainter, field: str, value: float) -> None:
    """Far too many steps, or a guidance that only saturates, name their field."""
    brief = Brief("red", Size(64, 64), seed=1, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest) as refused:
        painter.check(brief)
    assert refused.value.fault.param == field
