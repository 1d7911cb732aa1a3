"""Sentences to scenes, in English and Chinese."""

import random

import pytest

from homeport.engines.images.pipelines.clipart.chinese import CHINESE as CHINESE_WORDS
from homeport.engines.images.pipelines.clipart.english import ENGLISH as ENGLISH_WORDS
from homeport.engines.images.pipelines.clipart.layout import lay_out
from homeport.engines.images.pipelines.clipart.scene import MAX_THINGS, PromptScene
from homeport.engines.images.pipelines.clipart.sentence import read_scene
from homeport.engines.images.pipelines.clipart.vocabulary import NamedDrawing
from homeport.engines.images.pipelines.clipart.wording import revised_prompt
from tests.engines.images.pipelines.clipart.scenes import VOCABULARY, drawing, told


def read(prompt: str) -> PromptScene:
    """Read a prompt; phrases without a known name mean nothing."""
    found = read_scene(prompt, VOCABULARY, lambda _: None)
    assert found is not None
    return found


ENGLISH = {
    "a cat on a sofa": (["cat", "couch and lamp"], ["cat on couch and lamp"]),
    "There is a cat sitting on the couch.": (["cat", "couch and lamp"], ["cat on couch and lamp"]),
    "three apples next to a banana": (["3 red apple", "banana"], ["red apple next to banana"]),
    "2 dogs and 10 birds": (["2 dog", "10 bird"], []),
    "dogs": (["3 dog"], []),
    "a ball between a cat and a dog": (["soccer ball", "cat", "dog"], ["soccer ball between cat+dog"]),
    "On the beach there is a crab and a turtle.": (
        ["beach with umbrella", "crab", "turtle"],
        ["crab+turtle on beach with umbrella"],
    ),
    "a cat and a dog on a sofa": (["cat", "dog", "couch and lamp"], ["cat+dog on couch and lamp"]),
    "a cat next to a dog on a sofa": (
        ["cat", "dog", "couch and lamp"],
        ["cat next to dog", "cat+dog on couch and lamp"],
    ),
    "a bird above a tree and a cat under the tree": (
        ["bird", "deciduous tree", "cat"],
        ["bird above deciduous tree", "cat under deciduous tree"],
    ),
    "a red car to the left of a big blue bus": (
        ["red automobile", "big blue bus"],
        ["automobile left of bus"],
    ),
    "a dog to the right of a house": (["dog", "house"], ["dog right of house"]),
    "a dog in front of a house": (["dog", "house"], ["dog in front of house"]),
    "a tree behind a house": (["deciduous tree", "house"], ["deciduous tree behind house"]),
    "a bear wearing a hat": (["bear", "top hat"], ["top hat on bear"]),
    "an astronaut riding a horse": (["astronaut", "horse"], ["astronaut on horse"]),
    "two kittens in a box": (["2 cat", "package"], ["cat in package"]),
    "a cat on the left and a dog on the right": (["cat", "dog"], ["cat left of dog"]),
    "on the right a cat, on the left a dog": (["cat", "dog"], ["dog left of cat"]),
    "a small mouse and a huge elephant": (["small mouse", "big elephant"], []),
    "an orange next to an orange cat": (["tangerine", "orange cat"], ["tangerine next to cat"]),
    "a green apple and a black cat": (["green apple", "black cat"], []),
    "a bow and arrow": (["bow and arrow"], []),
    "an apple tree": (["deciduous tree"], []),
    "a young woman reading a book in a café": (["woman", "closed book"], []),
    "an old man feeding ducks": (["old man", "3 duck"], []),
    "a fluffy old cat happily sleeping": (["cat"], []),
    "a cat, a dog and the cat under a tree": (["cat", "dog", "deciduous tree"], ["cat+dog under deciduous tree"]),
}
CHINESE = {
    "一只猫坐在沙发上": (["cat", "couch and lamp"], ["cat on couch and lamp"]),
    "沙发上的猫": (["couch and lamp", "cat"], ["cat on couch and lamp"]),
    "沙发上有一只猫和一只狗": (["couch and lamp", "cat", "dog"], ["cat+dog on couch and lamp"]),
    "在沙发上有一只猫": (["couch and lamp", "cat"], ["cat on couch and lamp"]),
    "三个苹果和两根香蕉": (["3 red apple", "2 banana"], []),
    "3只鸟": (["3 bird"], []),
    "树下的狗": (["deciduous tree", "dog"], ["dog under deciduous tree"]),
    "太阳在山的上方": (["sun", "mountain"], ["sun above mountain"]),
    "猫在狗的左边": (["cat", "dog"], ["cat left of dog"]),
    "猫的右边是狗": (["cat", "dog"], ["dog right of cat"]),
    "左边是猫,右边是狗": (["cat", "dog"], ["cat left of dog"]),
    "猫在右边\uff0c狗在左边": (["cat", "dog"], ["dog left of cat"]),
    "一个球在猫和狗之间": (["soccer ball", "cat", "dog"], ["soccer ball between cat+dog"]),
    "猫和狗之间有一个球": (["cat", "dog", "soccer ball"], ["soccer ball between cat+dog"]),
    "盒子里的小猫": (["package", "small cat"], ["cat in package"]),
    "房子前面有一辆红色的汽车\uff0c房子后面有一棵树。": (
        ["house", "red automobile", "deciduous tree"],
        ["automobile in front of house", "deciduous tree behind house"],
    ),
    "一只猫在沙发上,旁边有一只狗": (
        ["cat", "couch and lamp", "dog"],
        ["cat on couch and lamp", "dog next to cat"],
    ),
    "一个男孩骑着马": (["boy", "horse"], ["boy on horse"]),
    "一只熊戴着帽子": (["bear", "top hat"], ["top hat on bear"]),
    "戴着帽子的熊": (["top hat", "bear"], ["top hat on bear"]),
    "红苹果和绿苹果": (["red apple", "green apple"], []),
    "蓝色的汽车和黄色的鸟": (["blue automobile", "yellow bird"], []),
    "一只大狗和一只小猫": (["big dog", "small cat"], []),
    "大象和小提琴": (["elephant", "violin"], []),
    "夜晚的城市": (["cityscape"], []),
    "骑着马的男孩": (["horse", "boy"], ["boy on horse"]),
    "一只老虎从山上走下来": (["tiger", "mountain"], ["tiger on mountain"]),
    "可爱的猫正在睡觉": (["cat"], []),
    "猫、狗、鸟": (["cat", "dog", "bird"], []),
}


@pytest.mark.parametrize("prompt", [*ENGLISH, *CHINESE])
def test_a_sentence_becomes_its_things_and_their_places(prompt: str) -> None:
    """Names, numbers, colors, sizes and places are found, in the order in which they are said."""
    assert told(read(prompt)) == (ENGLISH | CHINESE)[prompt]


@pytest.mark.parametrize(
    ("prompt", "left_out"),
    [
        ("A cat sitting on a sofa in a living room, photo", ("living room", "photo")),
        ("a photo of a dog, highly detailed, 4k", ("photo", "highly detailed", "4k")),
        ("a horse in the style of Van Gogh", ("in the style of van gogh",)),
        ("a white cat on a table", ("white", "table")),
        ("a drawing of a cat", ()),
        ("客厅里有一只猫,照片", ("客厅", "照片")),
        ("桌子上有一个苹果", ("桌子",)),
    ],
)
def test_what_is_not_drawn_is_said(prompt: str, left_out: tuple[str, ...]) -> None:
    """Unknown nouns, styles and colors are listed in the caller's words; words for pictures as such are not."""
    assert read(prompt).left_out == left_out


@pytest.mark.parametrize("prompt", ["кошка на диване", "ソファの上の猫", "un château", "고양이"])
def test_other_languages_are_not_read(prompt: str) -> None:
    """A prompt in another script, or with accents, has no scene."""
    assert read_scene(prompt, VOCABULARY, lambda _: None) is None


def test_unknown_phrases_are_looked_up() -> None:
    """A phrase without a known name is drawn if something near enough is found, with its adjectives looked up too."""
    asked = []

    def find(phrase: str) -> NamedDrawing | None:
        asked.append(phrase)
        return drawing("dog") if phrase == "golden retriever puppies" or phrase == "fluffy labrador" else None

    found = read_scene("a fluffy labrador on a rug", VOCABULARY, find)
    assert found is not None
    assert told(found)[0] == ["dog"]
    assert asked == ["fluffy labrador", "rug"]
    assert found.left_out == ("rug",)


def test_the_number_of_things_and_of_look_ups_is_limited() -> None:
    """More things than a picture has are left out by name, and a long list of nonsense costs few vectors."""
    found = read("a cat, a dog, a bird, a fish, a horse, a cow, a pig and a lion")
    assert len(found.things) == MAX_THINGS
    assert found.left_out == ("pig", "lion")
    asked: list[str] = []

    def find(phrase: str) -> None:
        asked.append(phrase)

    read_scene(", ".join(f"gibberish{n}" for n in range(50)), VOCABULARY, find)
    assert len(asked) <= 8


@pytest.mark.parametrize("words", [ENGLISH_WORDS, CHINESE_WORDS], ids=["en", "zh"])
def test_any_order_of_words_gives_a_picture(words: dict[str, object]) -> None:
    """Names, places, numbers and separators in random order are read without an error and laid out in the canvas."""
    generator = random.Random(5)
    names = ["cat", "dogs", "猫", "狗", "sun", "box", "盒子", "gibberish"]
    for _ in range(300):
        said = [generator.choice(generator.choice((names, list(words)))) for _ in range(generator.randint(1, 14))]
        found = read("".join(["猫", *said]) if words is CHINESE_WORDS else " ".join(["cat", *said]))
        assert revised_prompt(found)
        boxes = lay_out(found, [1.0] * len(found.things), 300, 200)
        assert {box.thing for box in boxes} == set(range(len(found.things)))
        assert all(box.left >= 0 and box.top >= 0 and box.right <= 300 and box.bottom <= 200 for box in boxes)
        assert all(index < len(found.things) for each in found.relations for index in (*each.subjects, *each.objects))
