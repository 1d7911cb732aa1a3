import json
from pathlib import Path

import pytest

from recipes.images import concepts
from recipes.images.concepts import LANGUAGES, Concept


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder laid out like emojibase-data, with a fish, a flag and a clock."""
    entries = [("1F41F", "fish", 3), ("1F1E9-1F1EA", "flag: Germany", 9), ("1F550", "one o’clock", 5)]
    for language in LANGUAGES:
        rows = [{"hexcode": code, "label": f"{label} {language}", "group": group} for code, label, group in entries]
        if language == "en":
            rows = [{"hexcode": code, "label": label, "group": group} for code, label, group in entries]
        (tmp_path / language / "shortcodes").mkdir(parents=True)
        (tmp_path / language / "data.json").write_text(json.dumps(rows))
    for name in ("emojibase", "github", "iamcal"):
        (tmp_path / "en" / "shortcodes" / f"{name}.json").write_text(json.dumps({"1F41F": ["fish", "swimming_fish"]}))
    return tmp_path


def test_things_are_kept_and_flags_and_clocks_are_not(package: Path) -> None:
    """One concept remains, with a caption per language and the short codes that differ from its label."""
    (fish,) = concepts.read(package)
    texts = {caption.text for caption in fish.captions}
    assert texts == {"fish", "swimming fish", *(f"fish {language}" for language in LANGUAGES if language != "en")}


def test_the_same_captions_are_held_out_every_time_and_a_tenth_of_them() -> None:
    """The draw depends on the caption only."""
    drawn = [concepts.drawn(f"caption {index}", 10) for index in range(2000)]
    assert drawn == [concepts.drawn(f"caption {index}", 10) for index in range(2000)]
    assert 150 < sum(drawn) < 250


def test_things_with_a_colour_in_their_name_take_no_other() -> None:
    """A red apple is not recolored; a fish can have any color."""
    assert not Concept("1F34E", "red apple", 4, (), "红苹果").takes_colours
    fish = Concept("1F41F", "fish", 3, (), "鱼")
    assert fish.takes_colours
    assert [caption.text.removeprefix("a ") for caption in fish.in_colour("red")] == ["red fish", "红色的鱼"]
