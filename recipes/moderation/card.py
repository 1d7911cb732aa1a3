"""Writes docs/moderation-card.md: the text is here, and every number is measured."""

from collections.abc import Mapping

from homeport.domain.moderation import CATEGORIES
from recipes.moderation import third_party
from recipes.moderation.evaluation import Evaluation
from recipes.moderation.examples import LANGUAGES
from recipes.moderation.measures import FEW, Measured

_HEAD = """# Model card: homeport-moderation

*Written by `python -m recipes.moderation`; `python -m recipes.moderation --check` reports whether it is stale.*

A small head (one hidden layer) trained for this project on the vectors of multilingual-e5-small and on the six outputs
of tox-block, a network trained on English discussions (Jigsaw's data, CC0; MIT). Images are scored by Yahoo's
open_nsfw (BSD-2-Clause). The scores are this model's own. They are **not OpenAI's**, and thresholds set for OpenAI's
scores do not carry over. Use the model for a first filter and have people decide where it matters.

## How a text is scored

A text is split into windows of about 56 tokens that overlap by up to 12, at words and clauses. Each window is scored,
and the greatest score of each category counts. Nothing is cut off, but content that spans more than one window is not
understood. A category is flagged from its threshold on; `flagged` is true if any of the answer's categories is. Images
change only the score of `sexual`: a probability of 0.8 from open_nsfw maps to the threshold.

## Data

All training and test lines were written for this project, in English and Chinese, and are published with it under its
license, in `recipes/moderation/data` (Apache-2.0). They are invented and were labeled by their author alone; no one
else checked them. Test lines share no template with training lines, but they have the same author, so figures on them
are better than in practice. For training, each line also appears once or twice among harmless ones of its language, as
in a window. Nothing of the third-party set was used for training."""

_RULE = """
## `sexual/minors`: untrained, not measured

Nothing sexual about minors was written or collected, so there is nothing to train or to measure. A rule is used
instead: if a window has a word that says someone is or may be a child (a list in English and Chinese, including ages
under 18), its score is the window's score of `sexual`, otherwise a hundredth of it. It is flagged from half the
threshold of `sexual` on. The rule is meant to flag too much rather than too little: `girl` and `boy` count. It misses
words that the list lacks, euphemisms in particular."""

_BLIND = """
## Blind spots

* Languages other than English and Chinese were neither trained nor measured.
* Irony, coded speech, deliberate misspelling, spaced or substituted letters, text in images, pinyin, emoji.
* Only a few dozen examples teach it to distinguish quotation, fiction, news and history from the thing itself.
* `harassment` without swear words, and `hate` against groups that the data do not name.
* `illicit` recognizes requests far better than answers that give advice.
* Images: violence, gore, self-harm and hatred are not detected at all, drawings hardly; no explicit image was available
  for a test, only that harmless ones score low.
* Short windows lose context: a threat whose target is a page earlier is scored without it.
* The head was trained on the 4-bit vectors that the package index provides; others of the same model differ a little.
"""


def written(evaluation: Evaluation, stamps: Mapping[str, str]) -> str:
    """The text of the card."""
    parts = [
        _HEAD,
        _lines(evaluation),
        _thresholds(evaluation),
        _own(evaluation),
        _others(evaluation),
        _RULE,
        _BLIND,
        _stamps(stamps),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _lines(evaluation: Evaluation) -> str:
    rows = [
        f"| {label} | {' | '.join(str(evaluation.lines[language][label]) for language in LANGUAGES)} |"
        for label in (*(category for category in CATEGORIES if category != "sexual/minors"), "harmless")
    ]
    names = " | ".join(LANGUAGES.values())
    return (
        "Training lines by label (a threat against a group counts as hate and violence too, and so on):\n\n"
        f"| label | {names} |\n| --- | {'---: | ' * (len(LANGUAGES) - 1)}---: |\n" + "\n".join(rows)
    )


def _thresholds(evaluation: Evaluation) -> str:
    rows = [f"| {category} | {threshold:.2f} |" for category, threshold in evaluation.thresholds.items()]
    return (
        "## Thresholds\n\nChosen on the training lines, alone and among others, each scored by a head that was fitted "
        "without it (five folds): the greatest F-measure with precision counted twice as heavily as recall (F0.7), "
        "between 0.2 and 0.8. The test lines were not used.\n\n| category | flagged from |\n| --- | ---: |\n"
        + "\n".join(rows)
    )


def _own(evaluation: Evaluation) -> str:
    parts = ["## On lines of this project (held out)\n"]
    for language, name in LANGUAGES.items():
        harmless, flagged = evaluation.harmless[language]
        harmful, missed = evaluation.missed[language]
        parts.append(
            f"### {name}: {harmful + harmless} lines written for this project (`test.{language}.txt`)\n\n"
            f"Of {harmless} harmless lines, most of them hard, {flagged} were flagged in some category; "
            f"of {harmful} harmful ones {missed} were flagged in none.\n\n" + _table(evaluation.own[language]) + "\n"
        )
        if wrong := evaluation.flagged_wrongly[language]:
            parts.append("Flagged wrongly: " + "; ".join(f"“{text}”" for text in wrong) + "\n")
    parts.append(
        f"A count marked * is small (under {FEW} positive lines): one line more or less changes the figure a lot."
    )
    return "\n".join(parts)


def _others(evaluation: Evaluation) -> str:
    return (
        f"## On a third-party set: {third_party.NAME}, English\n\n"
        "Answers of language models, rated by people in one category each (MIT, Microsoft; read from the wheel, not "
        "stored). An answer with a mean rating of one half or more counts as harmful. The ratings ask how harmful an "
        "answer is, which is not quite what a category asks, and many harmless rows are about the same subject. Rows "
        "that name a young person were left out of the sexual set. **No licensed third-party set in Chinese was found "
        "in the package indexes: not measured.** For the other categories none was found either: not measured.\n\n"
        + _table(evaluation.others)
    )


def _table(measured: Mapping[str, Measured]) -> str:
    rows = [
        f"| {category} | {each.positives}{'*' if each.positives < FEW else ''} | {each.negatives} | "
        f"{_figure(each.precision)} | {_figure(each.recall)} | {_figure(each.auc)} |"
        for category, each in measured.items()
    ]
    return (
        "| category | positive | negative | precision | recall | AUC |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
        + "\n".join(rows)
    )


def _figure(value: float | None) -> str:
    return "none flagged" if value is None else f"{value:.2f}"


def _stamps(stamps: Mapping[str, str]) -> str:
    return "## Made from\n\n" + "\n".join(f"* `{name}` {stamp}" for name, stamp in stamps.items())
