import pytest

from homeport.engines.images.pipelines.clipart.sentence import read_scene
from homeport.engines.images.pipelines.clipart.wording import revised_prompt, without_remarks
from tests.engines.images.pipelines.clipart.scenes import VOCABULARY, told

PROMPTS = {
    "a cat on a sofa in a living room, photo": (
        "Emoji drawing: a cat on a couch and lamp. Not drawn: living room, photo."
    ),
    "three apples, a blue car and an elephant": "Emoji drawing: 3 red apples, a blue automobile and an elephant.",
    "a bird above a tree and a cat under the tree": (
        "Emoji drawing: a bird above a deciduous tree; a cat under the deciduous tree."
    ),
    "a ball between a cat and a big dog": "Emoji drawing: a soccer ball between a cat and a big dog.",
    "99 sheep": "Emoji drawing: 12 ewes.",
    "客厅里\uff0c一只猫在沙发上": "表情画\uff1a猫在沙发和灯上面。未画\uff1a客厅。",
    "三个苹果和一辆蓝色的汽车": "表情画\uff1a3个红苹果和蓝色的汽车。",
    "球在小猫和狗之间": "表情画\uff1a足球在小猫和狗之间。",
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_says_what_is_drawn_in_the_prompts_language(prompt: str) -> None:
    """Number, size, color, name and place of each thing, then what is left out."""
    found = read_scene(prompt, VOCABULARY, lambda _: None)
    assert found is not None
    assert revised_prompt(found) == PROMPTS[prompt]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_is_read_as_the_same_scene(prompt: str) -> None:
    """A revised prompt, sent as a prompt, asks for the same things at the same places, and leaves nothing out."""
    found = read_scene(prompt, VOCABULARY, lambda _: None)
    assert found is not None
    again = read_scene(without_remarks(revised_prompt(found)), VOCABULARY, lambda _: None)
    assert again is not None
    counted = [each.replace("99", "12") for each in told(found)[0]]
    assert (sorted(told(again)[0]), told(again)[1]) == (sorted(counted), told(found)[1])
    assert again.left_out == ()


def test_the_nearest_drawing_is_named_as_such() -> None:
    """For a prompt that names nothing known."""
    found = read_scene("a cat", VOCABULARY, lambda _: None)
    assert found is not None
    text = revised_prompt(found, is_nearest=True)
    assert text == "Emoji drawing: a cat, the nearest to what was asked."
    assert without_remarks(text) == "Emoji drawing: a cat"


def test_it_repeats_little_of_a_long_prompt() -> None:
    """Long phrases are cut, and of many only the first are named."""
    found = read_scene(
        "a cat, " + ", ".join(f"gibberish{n} {'word ' * 40}" for n in range(20)), VOCABULARY, lambda _: None
    )
    assert found is not None
    assert len(revised_prompt(found)) < 800
