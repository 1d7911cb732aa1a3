"""The concepts that images show, one per emoji, with captions in several languages. Knows nothing of images."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("en", "zh", "ja", "de", "fr", "es")
GROUPS = {0: "smileys", 1: "people", 3: "nature", 4: "food", 5: "places", 6: "activities", 7: "objects", 8: "symbols"}
COLOURED = frozenset({3, 4, 5, 6, 7})
COLOURS = {
    "red": ("红色的", 0.0),
    "orange": ("橙色的", 28.0),
    "yellow": ("黄色的", 50.0),
    "green": ("绿色的", 125.0),
    "blue": ("蓝色的", 218.0),
    "purple": ("紫色的", 275.0),
    "pink": ("粉色的", 328.0),
}
"""Each color's Chinese word and its hue in degrees."""
_SHADES = {*COLOURS, "white", "black", "brown", "gray", "grey", "golden", "rainbow"}
_CODES = ("emojibase", "github", "iamcal")
_GENDERED = re.compile(r"200D-264[02]")
_CLOCKS = range(0x1F550, 0x1F568)
_ANIMALS = 3
_TAGGED = ("en", "zh")  # languages whose tags become captions, if exactly one concept has the tag
_HELD_OUT = 10  # one caption in ten


@dataclass(frozen=True, slots=True)
class Caption:
    """A text and its language. `held_out`: not used in training, only in the evaluation."""

    text: str
    language: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Concept:
    """One emoji. `code`: its code points as emojibase writes them. `names`: the English label first."""

    code: str
    name: str
    group: int
    captions: tuple[Caption, ...]
    chinese: str

    @property
    def phrases(self) -> tuple[Caption, ...]:
        """Its names in phrases of typical prompts. They are held out if the name itself is."""
        article = "an" if self.name[:1].lower() in "aeiou" else "a"
        said = [(f"{article} {self.name}", "en"), (f"a picture of {article} {self.name}", "en")]
        if self.chinese:
            counted = "一只" if self.group == _ANIMALS else "一个"
            said += [(f"{counted}{self.chinese}", "zh"), (f"{self.chinese}的图片", "zh")]
        held_out = {caption.text.lower() for caption in self.captions if caption.held_out}
        names = {"en": self.name.lower(), "zh": self.chinese.lower()}
        return tuple(Caption(text, language, names[language] in held_out) for text, language in said)

    @property
    def takes_colours(self) -> bool:
        """Whether it is a thing that can have any color and whose name contains none."""
        return self.group in COLOURED and not _SHADES & set(re.split(r"[^a-z]+", self.name.lower()))

    def in_colour(self, colour: str) -> tuple[Caption, ...]:
        """The captions of its recolored image. All are held out if the pair of color and thing is."""
        held_out = drawn(f"{self.code} {colour}", _HELD_OUT)
        chinese, _ = COLOURS[colour]
        article = "a " if drawn(f"a {self.code} {colour}", 2) else ""
        return (
            Caption(f"{article}{colour} {self.name}", "en", held_out),
            Caption(f"{chinese}{self.chinese}", "zh", held_out),
        )


def drawn(key: str, one_in: int) -> bool:
    """A draw with probability 1 / `one_in` that depends on the key only."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % one_in == 0


def read(package: Path) -> list[Concept]:
    """Read all concepts from emojibase-data's folder, without flags, skin tones and gendered variants."""
    tables = {language: _labels(package, language) for language in LANGUAGES}
    codes = [json.loads((package / "en" / "shortcodes" / f"{name}.json").read_text()) for name in _CODES]
    tags = {language: _own_tags(package, language) for language in _TAGGED}
    concepts = []
    for entry in json.loads((package / "en" / "data.json").read_text()):
        code, group = entry["hexcode"], entry.get("group")
        if group not in GROUPS or _GENDERED.search(code) or int(code.split("-")[0], 16) in _CLOCKS:
            continue
        aliases = [alias for table in codes for alias in _listed(table.get(code, []))]
        texts = [(tables[language][code], language) for language in LANGUAGES if code in tables[language]]
        texts += [(alias.replace("_", " "), "en") for alias in aliases if not alias.startswith(("flag", "+", "-"))]
        texts += [(tag, language) for language in _TAGGED for tag in tags[language].get(code, [])]
        concepts.append(Concept(code, entry["label"], group, _captions(code, texts), tables["zh"].get(code, "")))
    return concepts


def _labels(package: Path, language: str) -> dict[str, str]:
    return {entry["hexcode"]: entry["label"] for entry in json.loads((package / language / "data.json").read_text())}


def _own_tags(package: Path, language: str) -> dict[str, list[str]]:
    """Tags by code. A tag of several emoji is left out, because it does not identify one."""
    owners: dict[str, list[str]] = {}
    for entry in json.loads((package / language / "data.json").read_text()):
        if entry.get("group") in GROUPS and not _GENDERED.search(entry["hexcode"]):
            for tag in entry.get("tags", []):
                owners.setdefault(tag, []).append(entry["hexcode"])
    own: dict[str, list[str]] = {}
    for tag, codes in owners.items():
        if len(codes) == 1:
            own.setdefault(codes[0], []).append(tag)
    return own


def _listed(codes: str | list[str]) -> list[str]:
    return [codes] if isinstance(codes, str) else codes


def _captions(code: str, texts: list[tuple[str, str]]) -> tuple[Caption, ...]:
    unique = {
        text.lower(): Caption(text, language, drawn(f"{code} {text.lower()}", _HELD_OUT)) for text, language in texts
    }
    return tuple(unique.values())
