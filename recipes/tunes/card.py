"""Writes the model card from the data, the training's report and the figures of `evaluate`; no figure is typed by hand.

Knows nothing of networks.
"""

from dataclasses import dataclass
from typing import Any

from homeport.engines.music.genres import GENRE_BY_NAME
from recipes.tunes import sources
from recipes.tunes.dataset import Data

_MAX_RUN = 16
_MAX_GAP = 10.0

_TOP = """# Model card: homeport-tunes

Written by `make tunes-judge`; do not edit. A small transformer ({parameters:,} parameters, {size:.1f} MB) that writes
melodies in the manner of old dance tunes and songs, trained from scratch by this repository's `recipes/tunes`. It knows
melodies only: the accompaniment follows rules, and the sound is that of sampled instruments. It imitates no artist.
File `composer.npz`, sha256 {stamp}…

A tune has two sections of eight bars, AABB, and is played twice before the next one. Notes are relative to the tonic;
beside each the network receives its place in the bar, the bars left in the section, the sections left, and what began
at the same place one, two, four and eight bars ago. A mask allows only notes from which the bar can be filled exactly
and, at the end, only the tonic. The rest is learned.
"""

_WEAK = """## What is weak

- Melodies keep to a key, to a rhythm and to their bars, and close. They rarely have an idea: few phrases are taken up
  again as a person would ({composed:.0f} % of bars are repeated within a tune, {real:.0f} % in held-out tunes).
- "Cadence" here is a count of chord tones, and random notes in the same rhythm reach {random:.0f} %; it says that
  sections close, not that they close well.
- Genres differ in metre, rhythm, tempo and accompaniment. Waltz, lullaby, ballad and song are learned as airs, polka as
  country dance: the books have too few of each under these names. There is no jazz, rock or electronic music; such
  prompts get the nearest of the genres.
- The books are Irish, Scottish, English and North American, of 1778 to 1903. Nothing of other traditions was learned.
- Held-out tunes may have variants under other titles in the training set: their longest run that also stands there has
  {run:.0f} notes. So the held-out loss is somewhat too good.
- Exact bars and the last note are the mask's work, and section lengths the program's, not the network's.
- Nobody has listened to the blind sheet yet. A reader of its notation who had not seen the key sorted all twelve tunes
  rightly: random notes by their leaps; composed ones because second parts bring nothing back of the first, and because
  the last bars arrive at the tonic without having led there. `python -m bench.music_heard` hears ten tunes and three
  songs by program: tempo and words are mostly as planned, keys the same or near; whether they please is unknown.
"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The model file: the beginning of its hash, its size in bytes."""

    sha256: str
    size: int


def written(stamp: Stamp, data: Data, measured: dict[str, Any], trained: dict[str, Any]) -> str:
    """Return the card's text."""
    kinds = measured["figures"]
    weak = _WEAK.format(
        composed=kinds["composed"]["repeated_bars"],
        real=kinds["held out"]["repeated_bars"],
        random=kinds["random notes"]["cadences"],
        run=measured["copied"]["held out"]["longest"],
    )
    top = _TOP.format(parameters=trained["parameters"], size=stamp.size / 1e6, stamp=stamp.sha256)
    return "\n".join([top, _data(data), _training(trained), _figures(measured), weak, _sheet(), _genres()])


def _data(data: Data) -> str:
    kept, read = data.counts["kept"], data.counts["read"]
    rows = [
        f"| {book.title} | {book.printed} | {read[book.title]} | {kept[book.title]} | {book.transcribers}"
        f" | {book.licence} |"
        for book in sources.BOOKS
    ]
    left = [f"- {name}: {why}." for name, why in sources.LEFT_OUT]
    styles = ", ".join(f"{name} {count}" for name, count in sorted(data.counts["styles"].items()))
    name, version = sources.WHEEL.split("-")[:2]
    return "\n".join(
        [
            f"""## Data

ABC files of the corpus in the package {name} {version} (sha256 {sources.WHEEL_SHA256[:16]}…). {sources.NOTICE}.

| book | printed | tunes | used | transcribed by | licence |
|---|---|---|---|---|---|""",
            *rows,
            "",
            "Left out:",
            "",
            *left,
            "",
            f"""Tunes whose bars do not add up, that change key or metre, or use unknown notation are
skipped. Repeats are not written out; of first and second endings the second is used. The tonic is the declared one,
unless a tune ends on another note of its scale that also sounds longer. {len(data.trained)} tunes are trained on,
{len(data.held_out)} held out by a hash of their title, so that settings of one tune stay together. By style: {styles}.
""",
        ]
    )


def _training(trained: dict[str, Any]) -> str:
    return f"""## Training

{trained["cpu_minutes"]} CPU minutes on one core, {trained["steps"]} steps.
Held-out tunes: {trained["held_out_nats"]} nats a note (pitch and length together).
"""


def _figures(measured: dict[str, Any]) -> str:
    kinds, copied = measured["figures"], measured["copied"]
    names = {
        "sections": "sections of 4, 8 or 16 bars, %",
        "cadences": "sections that close on the tonic's chord, %",
        "ends_on_tonic": "tunes that end on the tonic, %",
        "steps": "moves of a step at most, %",
        "leaps": "moves of more than an octave, %",
        "repeated_bars": "bars heard before in the tune, %",
    }
    order = ("held out", "composed", "random notes")
    rows = [
        f"| {text} | " + " | ".join(f"{kinds[kind][name]:.1f}" for kind in order) + " |" for name, text in names.items()
    ]
    rows += [
        f"| copied run, notes: {which} | " + " | ".join(f"{copied[kind][which]:.0f}" for kind in order) + " |"
        for which in ("median", "90 %", "longest")
    ]
    gaps = {name: kinds["composed"][name] - kinds["held out"][name] for name in ("sections", "cadences")}
    met = {
        "all bars exact": measured["bars exact"] == 100,
        f"section lengths not more than {_MAX_GAP:.0f} points below": gaps["sections"] >= -_MAX_GAP,
        f"cadences within {_MAX_GAP:.0f} points": abs(gaps["cadences"]) <= _MAX_GAP,
        f"longest copied run at most {_MAX_RUN} notes": copied["composed"]["longest"] <= _MAX_RUN,
    }
    return "\n".join(
        [
            f"""## Figures

{measured["bars"]} bars of tunes in all genres, composed by the served code: {measured["bars exact"]:.1f} % exact.
First bar after {measured["first bar"] * 1000:.0f} ms at most, {measured["tokens a second"]:.0f} notes a second of CPU
time (while the machine did other work).

| | held-out tunes | composed | random notes, same rhythm |
|---|---|---|---|""",
            *rows,
            "",
            "A copied run is the longest run of notes (pitch from the tonic, length) that stands in a tune trained on.",
            "",
            "Targets: " + "; ".join(f"{name}: {'met' if value else 'missed'}" for name, value in met.items()) + ".",
            "",
        ]
    )


def _sheet() -> str:
    return """## Blind sheet

[tunes-blind.abc](tunes-blind.abc) has twelve tunes in ABC notation, which any ABC player plays: four composed, four
held out, four of random notes in a composed rhythm, in an order drawn by lot. `recipes/tunes/blind-key.json` says
which is which.
"""


def _genres() -> str:
    rows = []
    for genre in GENRE_BY_NAME.values():
        tempos = ", ".join(
            f"{metre.count}/{metre.unit} at {slow:g} to {fast:g}" for metre, (slow, fast) in genre.tempos.items()
        )
        rows.append(f"| {genre.name} | {genre.style} | {tempos} |")
    return "\n".join(["## Genres", "", "| genre | learned as | metre and beats a minute |", "|---|---|---|", *rows, ""])
