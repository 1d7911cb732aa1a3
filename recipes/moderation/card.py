"""Writes docs/moderation-card.md: the words are here, every number comes from a measurement."""

from collections.abc import Mapping

from homeport.domain.moderation import CATEGORIES
from recipes.moderation import third_party
from recipes.moderation.evaluation import Evaluation
from recipes.moderation.examples import LANGUAGES
from recipes.moderation.measures import FEW, Measured

_HEAD = """# Model card: homeport-moderation

*Written by `python -m recipes.moderation`; `python -m recipes.moderation --check` tells whether it is stale.*

A small head (one hidden layer) trained for this project on the vectors of multilingual-e5-small and on the six answers
of tox-block, a network that has read English discussions (Jigsaw's data, CC0; MIT). For pictures Yahoo's open_nsfw
(BSD-2-Clause). The scores are this model's own and no one else's: they are **not OpenAI's**, and thresholds set for
OpenAI's scores do not carry over. It is a filter for a first look, not a judge: have people decide where it matters.

## How a text is judged

Texts are cut into windows of about 56 tokens that overlap by up to 12, at words and clauses; each window is scored, and
the greatest score of each category counts. Nothing is cut off, but what takes more than one window to understand is not
understood. A category is flagged from its threshold on, `flagged` is true if any of the answer's categories is.
Pictures change the score of `sexual` alone: a probability of 0.8 from open_nsfw falls on the threshold.

## Data

All training and test lines were written for this project, in English and Chinese, and are published with it under its
licence, in `training/moderation/data` (Apache-2.0). They are made up, were labelled by their writer alone, and nobody
else checked them. Test lines share no template with training lines, but they come from the same hand, so figures on
them are kinder than life. For training, each line also stands once or twice among harmless ones of its language, as a
window has it. Nothing of the third-party set was trained on.
"""

_RULE = """
## `sexual/minors`: untrained, not measured

Nothing sexual about minors was written or collected, so there is nothing to train or to measure. A rule stands in:
where a window has a word that says someone is a child or may be one (a list in English and Chinese, ages under 18 among
them), its score is the window's score of `sexual`, else a hundredth of it; it is flagged from half the threshold of
`sexual` on. The rule is meant to flag too much rather than too little: `girl` and `boy` count. It misses whatever the
list lacks, euphemisms first of all.
"""

_BLIND = """
## Blind spots

* Other languages than English and Chinese were neither trained nor measured.
* Irony, coded speech, misspelling on purpose, spaced or substituted letters, text in pictures, pinyin, emoji.
* Quotation, fiction, news and history are told from the thing itself by a few dozen examples only.
* `harassment` without swear words, and `hate` against groups that the data do not name.
* `illicit` knows requests far better than answers that give advice.
* Pictures: violence, gore, self-harm and hatred are not seen at all, drawings hardly; no explicit picture was at hand
  to test with, only that harmless ones score low.
* Short windows lose context: a threat whose target stands a page earlier is judged without it.
* The head was trained on the 4-bit vectors that the package index gives; others of the same model differ a little.
"""


def written(found: Evaluation, stamps: Mapping[str, str]) -> str:
    """The whole card."""
    parts = [_HEAD, _lines(found), _thresholds(found), _own(found), _others(found), _RULE, _BLIND, _stamps(stamps)]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _lines(found: Evaluation) -> str:
    rows = [
        f"| {label} | {' | '.join(str(found.lines[language][label]) for language in LANGUAGES)} |"
        for label in (*(category for category in CATEGORIES if category != "sexual/minors"), "harmless")
    ]
    names = " | ".join(LANGUAGES.values())
    return (
        "Training lines by label (a threat against a group counts as hate and violence too, and so on):\n\n"
        f"| label | {names} |\n| --- | {'---: | ' * (len(LANGUAGES) - 1)}---: |\n" + "\n".join(rows)
    )


def _thresholds(found: Evaluation) -> str:
    rows = [f"| {category} | {threshold:.2f} |" for category, threshold in found.thresholds.items()]
    return (
        "## Thresholds\n\nChosen on the training lines, alone and among others, each scored by a head that was fitted "
        "without it (five folds): the greatest F-measure with precision counted twice as heavily as recall (F0.7), "
        "between 0.2 and 0.8. The test lines had no part in it.\n\n| category | flagged from |\n| --- | ---: |\n"
        + "\n".join(rows)
    )


def _own(found: Evaluation) -> str:
    parts = ["## On lines written here (held out)\n"]
    for language, name in LANGUAGES.items():
        harmless, flagged = found.harmless[language]
        harmful, missed = found.missed[language]
        parts.append(
            f"### {name}: {harmful + harmless} lines written for this project (`test.{language}.txt`)\n\n"
            f"Of {harmless} harmless lines, most of them hard, {flagged} were flagged in some category; "
            f"of {harmful} harmful ones {missed} were flagged in none.\n\n" + _table(found.own[language]) + "\n"
        )
        if wrong := found.flagged_wrongly[language]:
            parts.append("Flagged wrongly: " + "; ".join(f"“{text}”" for text in wrong) + "\n")
    parts.append(
        f"A count marked * is small (under {FEW} positive lines): one line more or less moves the figure much."
    )
    return "\n".join(parts)


def _others(found: Evaluation) -> str:
    return (
        f"## On a set that others wrote: {third_party.NAME}, English\n\n"
        "Answers of language models, rated by people in one category each (MIT, Microsoft; read out of the wheel, not "
        "kept). An answer with a mean rating of one half or more counts as harmful. The ratings ask how harmful an "
        "answer is, which is not quite what a category asks, and many harmless rows speak of the same subject. Rows "
        "that name somebody young were left out of the sexual set. **No licensed third-party set in Chinese was found "
        "in the package indexes: not measured.** For the other categories none was found either: not measured.\n\n"
        + _table(found.others)
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
