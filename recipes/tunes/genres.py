"""Which style a tune of the books is of: by what it says itself, its title, and its place in the book.

Knows nothing of notes.
"""

import re

from recipes.tunes.abc import Tune
from recipes.tunes.sources import Book

_WORDS = (
    ("slip jig", r"slip ?jig|hop jig"),
    ("strathspey", r"strathspey|highland fling"),
    ("hornpipe", r"horn ?pipe|clog"),
    ("march", r"march|quick ?step|quick ?march|troop|retreat"),
    ("jig", r"jig"),
    ("reel", r"reel"),
    ("air", r"\bair\b|walt[sz]|min[ui]et|menuet|song|lament|lullaby|planxty|carolan|farewell"),
    ("dance", r"dance|polka|cotill?ion|allemand|quadrille|gavot|rigadoon|set piece|schottisch|galop|contra"),
)
_ONEILL = (
    (700, "air"),
    (1115, "jig"),
    (1175, "slip jig"),
    (1555, "reel"),
    (1731, "hornpipe"),
    (1776, "dance"),
    (1850, "march"),
)
_BY_METRE = {"6/8": "jig", "9/8": "slip jig", "3/4": "air", "2/4": "dance", "4/4": "dance"}


def style(tune: Tune, book: Book, metre: str) -> str:
    """Return one of layout.STYLES."""
    for text in (tune.rhythm, tune.title.lower()):
        for name, pattern in _WORDS:
            if re.search(pattern, text) and _fits(name, metre):
                return name
    if book.folder.startswith("oneill"):
        name = next((name for last, name in _ONEILL if tune.number <= last), "dance")
        return name if _fits(name, metre) else _BY_METRE[metre]
    if book.folder.startswith("misc"):
        return "air"
    return _BY_METRE[metre]


def _fits(name: str, metre: str) -> bool:
    return {
        "slip jig": metre == "9/8",
        "jig": metre == "6/8",
        "reel": metre in {"4/4", "2/4"},
        "strathspey": metre in {"4/4", "2/4"},
        "hornpipe": metre in {"4/4", "2/4", "3/4"},
    }.get(name, True)
