"""The language of lyrics, by their script, as ACE-Step names it. Knows nothing of models."""

import re

_SCRIPTS = (  # kana before Han, since Japanese has both
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
)
_LATIN = "en"


def language_of(lyrics: str) -> str:
    """Return the two letters of a language; `en` for all that is written in Latin letters."""
    return next((name for name, script in _SCRIPTS if script.search(lyrics)), _LATIN)
