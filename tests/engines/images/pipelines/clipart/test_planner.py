import numpy as np
import pytest

from homeport.engines.images.pipelines.clipart.networks import Floats
from homeport.engines.images.pipelines.clipart.planner import DrawingPlanner
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary, NamedDrawing

DRAWINGS = (
    NamedDrawing("cat", "猫", "a picture of a cat"),
    NamedDrawing("couch and lamp", "沙发和灯", "couch and lamp", ("sofa",), ("沙发",), 1.2),
    NamedDrawing("house with garden", "别墅", "house with garden"),
    NamedDrawing("statue", "雕像", "statue"),
)
TEXTS = ("cat", "couch and lamp", "house with garden", "statue", "other", "else", "more", "again")


def _vector(*weights: float) -> Floats:
    vector = np.zeros(384, np.float32)
    vector[: len(weights)] = weights
    return vector / np.float32(np.linalg.norm(vector))


class Captions:
    """Embeds texts: those of a table at their places, any other far from all names."""

    def __init__(self, near: dict[str, int] | None = None) -> None:
        self.asked: list[str] = []
        self._places = {text: place for place, text in enumerate(TEXTS)} | (near or {})

    def __call__(self, caption: str) -> Floats:
        self.asked.append(caption)
        place = self._places.get(caption, 100)
        return _vector(*(1.0 if index == place else 0.0 for index in range(101)))


def planner(captions: Captions) -> DrawingPlanner:
    """Return a planner with four drawings."""
    vectors = np.stack([captions(text) for text in TEXTS[:4]])
    captions.asked.clear()
    return DrawingPlanner(DrawingVocabulary(DRAWINGS, vectors, np.arange(4, dtype=np.int16)), captions)


def test_several_things_are_drawn_by_their_captions() -> None:
    """Each thing has a vector of the caption that the model draws best, in the scene's order."""
    captions = Captions()
    plan = planner(captions).plan("a cat on a red sofa")
    assert plan.scene is not None
    assert plan.vectors is not None
    assert plan.vectors.shape == (2, 384)
    assert captions.asked == ["a picture of a cat", "red couch and lamp"]
    assert plan.revised_prompt == "Emoji drawing: a cat on a red couch and lamp."


@pytest.mark.parametrize(
    ("prompt", "caption", "revised"),
    [
        ("a cute cat", "a cute cat", "Emoji drawing: a cat."),
        ("a photo of a cat", "a picture of a cat", "Emoji drawing: a cat. Not drawn: photo."),
        ("a sofa with a garden", "a sofa with a garden", "Emoji drawing: a house with garden."),
        ("the meaning of life", "statue", "Emoji drawing: a statue, the nearest to what was asked."),
        ("生活的意义", "statue", "表情画\uff1a雕像\uff0c与要求最接近的画。"),
    ],
)
def test_one_thing_is_one_drawing(prompt: str, caption: str, revised: str) -> None:
    """It is drawn as said if all of it is known, or if the whole has a name; else by its name; else the nearest."""
    captions = Captions({"a sofa with a garden": 2, "the meaning of life": 3, "生活的意义": 3})
    plan = planner(captions).plan(prompt)
    assert plan.scene is None
    assert plan.vectors is not None
    assert (plan.vectors == captions(caption)[None]).all()
    assert plan.revised_prompt == revised


def test_a_prompt_in_another_language_is_drawn_as_it_is() -> None:
    """The model itself knows more languages than the names; what it draws then has no name."""
    for prompt in ("ネコの絵", "gatito"):
        captions = Captions()
        plan = planner(captions).plan(prompt)
        assert (plan.scene, plan.revised_prompt) == (None, None)
        assert captions.asked[-1] == prompt


def test_a_near_name_is_a_thing() -> None:
    """A noun that is no name is drawn as the name that its vector is near to."""
    plan = planner(Captions({"feline": 0})).plan("a feline on a sofa")
    assert plan.revised_prompt == "Emoji drawing: a cat on a couch and lamp."
