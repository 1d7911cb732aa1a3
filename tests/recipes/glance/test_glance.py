"""The recipe of homeport-glance-256: its card, its training in numpy, its measures and its splits."""

import json
from pathlib import Path

import numpy as np
import pytest

from homeport.engines.embeddings.dual_encoder import projection
from recipes.glance import concepts, evaluation, fitting, held_out
from recipes.glance.__main__ import CARD, HELD_OUT, stamps
from recipes.glance.concepts import Concept
from recipes.glance.evaluation import DEPTHS
from recipes.glance.fitting import Examples, Recipe

TO_REACH = {
    ("emoji to name", "en"): 60,
    ("emoji to name", "zh"): 57,
    ("stamp to description", "en"): 34,
    ("stamp to description", "zh"): 20,
}
"""The least recall among the first five."""


def card_rows() -> dict[tuple[str, str, int], tuple[float, ...]]:
    """The card's recall by what, language and number of candidates."""
    rows = {}
    for line in CARD.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 + len(DEPTHS) and cells[2].isdigit():
            rows[cells[0], cells[1], int(cells[3])] = tuple(map(float, cells[4:]))
    return rows


def test_the_card_is_that_of_the_projections() -> None:
    """The card names the hash of the projections that ship."""
    card = CARD.read_text("utf-8")
    assert not [name for name, stamp in stamps().items() if stamp not in card]


def test_the_cards_recall_is_measured_again() -> None:
    """The projections that ship give the card's recall on the held-out emoji, in every measured language."""
    rows = card_rows()
    for language, found in held_out.measure(HELD_OUT, projection.load_built_in()).items():
        assert found == pytest.approx(rows["emoji to name", language, 148], abs=0.5), language


def test_the_recall_is_at_least_what_was_asked_for() -> None:
    """Among the first five, the card's recall is not below the least that the model must reach."""
    for (what, language), least in TO_REACH.items():
        found = [recall for (a, b, size), recall in card_rows().items() if (a, b) == (what, language) and size < 1000]
        assert found
        assert found[0][DEPTHS.index(5)] >= least, (what, language)


def test_recall_counts_the_rank_of_the_right_one() -> None:
    """Places one, five and eleven count in the depths that reach them; an equal value does not hide the right one."""
    similarities = -np.tile(np.arange(12, dtype=np.float32), (3, 1))
    assert evaluation.recall(similarities, np.array([0, 4, 10])) == (33.3, 66.7, 66.7)
    assert evaluation.recall(np.zeros((1, 5), np.float32), np.array([3])) == (100.0, 100.0, 100.0)


def small_examples(count: int) -> Examples:
    """Pictures that are noisy linear images of their names."""
    rng = np.random.default_rng(5)
    texts = projection.normalize(rng.standard_normal((count, 6)).astype(np.float32))
    pictures = (texts @ rng.standard_normal((6, 10)) + 0.05 * rng.standard_normal((count, 10))).astype(np.float32)
    return Examples(pictures, texts, [[at] for at in range(count)], np.arange(count))


def test_training_makes_pictures_find_their_names() -> None:
    """After a short training, most of the pictures have their own name nearest; before, few have. It is repeatable."""
    examples = small_examples(40)

    def quality(recipe: Recipe) -> tuple[float, ...]:
        weights = fitting.fit(examples, recipe)
        images = projection.project_inputs(weights, examples.pictures)
        texts = projection.normalize(examples.texts @ weights["text.kernel"])
        return evaluation.recall(images @ texts.T, np.arange(40))

    recipe = Recipe(hidden=16, epochs=150, batch=20, rate=0.01, dropout=0.1, noise=0.05)
    trained = quality(recipe)
    assert quality(Recipe(hidden=16, epochs=0, batch=20))[0] < 30
    assert trained[0] > 80
    assert trained == quality(recipe)


@pytest.mark.parametrize(
    "name", ["hidden.kernel", "hidden.bias", "output.kernel", "direct.kernel", "text.kernel", "scale"]
)
def test_gradients_are_those_of_the_loss(name: str) -> None:
    """A small change of a weight changes the loss as its gradient says."""
    examples, recipe = small_examples(8), Recipe(hidden=4, dropout=0.0)
    weights = {key: value.astype(np.float64) for key, value in fitting.initial_weights(6, 10, recipe).items()}
    shown = np.array([0, 1, 2, 3, 4, 5, 6, 6])

    def loss() -> float:
        images = projection.project_inputs(weights, examples.pictures).astype(np.float64)
        texts = projection.normalize(examples.texts @ weights["text.kernel"]).astype(np.float64)
        logits = np.exp(weights["scale"]) * (images @ texts.T)
        logits[6, 7] = logits[7, 6] = -1e4
        right = np.diag(logits)
        rows, columns = (np.log(np.exp(logits).sum(axis)) for axis in (1, 0))
        return float(((rows - right) + (columns - right)).mean() / 2)

    rng = np.random.default_rng(0)
    gradient = fitting.gradients(weights, examples.pictures, examples.texts, shown, rng, recipe)[name]  # type: ignore[arg-type]
    place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    changes = []
    for step in (1e-2, -1e-2):
        weights[name][place] += step
        changes.append(loss())
        weights[name][place] -= step
    assert (changes[0] - changes[1]) / 2e-2 == pytest.approx(float(gradient[place]), rel=0.05)


def test_each_concept_has_one_split() -> None:
    """One concept in ten is for the test and one for development, by its code points alone."""
    found = [Concept(f"{code:X}", {"en": "a"}).split for code in range(0x1F300, 0x1F300 + 2000)]
    assert 150 < found.count("test") < 250
    assert 150 < found.count("development") < 250
    assert Concept("1F98A", {"en": "fox"}).split == Concept("1F98A", {"zh": "狐狸"}).split


def write_names(root: Path, language: str, entries: list[dict[str, object]]) -> None:
    """Write a language's table as emojibase has it."""
    folder = root / "package" / language
    folder.mkdir(parents=True)
    (folder / "data.json").write_text(json.dumps(entries), "utf-8")


def test_names_are_read_without_flags_and_variants(tmp_path: Path) -> None:
    """Flags, parts of emoji and gendered variants are left out; a language may lack a name."""
    kept = {"hexcode": "1F98A", "label": "fox", "group": 3}
    others = [
        {"hexcode": "1F1E9", "label": "flag", "group": 9},
        {"hexcode": "1F6A3-200D-2642-FE0F", "label": "man", "group": 1},
    ]
    for language in concepts.LANGUAGES:
        write_names(tmp_path, language, [{**kept, "label": f"fox {language}"}, *others] if language != "zh" else others)
    (found,) = concepts.read(tmp_path)
    assert found.code == "1F98A"
    assert found.names["de"] == "fox de"
    assert "zh" not in found.names


def test_stamps_are_read_once_for_each_description(tmp_path: Path) -> None:
    """Symbols, texts without a picture and repeated descriptions are left out."""
    root = tmp_path / "usr" / "share" / "tuxpaint" / "stamps"
    for place, text in {
        "animals/ant": "An ant.\nde.utf8=Eine Ameise.\nzh_CN.utf8=一只蚂蚁。",
        "animals/ant2": "An ant.",
        "animals/bee": "A bee.",
        "symbols/a": "The letter A.",
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{place}.txt").write_text(text, "utf-8")
        if place != "animals/bee":
            (root / f"{place}.png").touch()
    (found,) = concepts.stamps(tmp_path)
    assert found.file.name == "ant.png"
    assert found.names == {"en": "An ant.", "de": "Eine Ameise.", "zh": "一只蚂蚁。"}
