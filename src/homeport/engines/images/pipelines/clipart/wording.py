"""Says in a sentence what is drawn of a scene, and what is not: the revised prompt. Knows nothing of models.

A revised prompt, sent as a prompt, is read as the same scene.
"""

import re
from collections.abc import Sequence

from homeport.engines.images.pipelines.clipart.grammar import ALL_COLORS, COLORS
from homeport.engines.images.pipelines.clipart.layout import fitting_counts
from homeport.engines.images.pipelines.clipart.scene import Place, PromptScene, Thing

_LEFT_OUT_CHARS = 80
_LEFT_OUT_ITEMS = 8
_PLACES = {
    Place.ON: "上面",
    Place.UNDER: "下面",
    Place.ABOVE: "上方",
    Place.LEFT: "左边",
    Place.RIGHT: "右边",
    Place.BESIDE: "旁边",
    Place.FRONT: "前面",
    Place.BEHIND: "后面",
    Place.BETWEEN: "之间",
    Place.IN: "里面",
}
_COMMA, _SEMICOLON, _COLON = "\uff0c", "\uff1b", "\uff1a"
"""Chinese punctuation."""
_HEADS = {"en": "Emoji drawing: ", "zh": f"表情画{_COLON}"}
_ADDED = re.compile(
    r"(?:, the nearest to what was asked|\.? *Not drawn:|[,\uff0c]与要求最接近|。未画[:\uff1a]).*",
    re.DOTALL | re.IGNORECASE,
)


def revised_prompt(scene: PromptScene, *, is_nearest: bool = False) -> str:
    """Return what is drawn, in the prompt's language. `is_nearest`: the prompt named nothing that the model draws."""
    is_chinese = scene.language == "zh"
    words = _Chinese(scene) if is_chinese else _English(scene)
    text = _HEADS[scene.language] + (_SEMICOLON if is_chinese else "; ").join(words.clauses())
    if is_nearest:
        return text + (f"{_COMMA}与要求最接近的画。" if is_chinese else ", the nearest to what was asked.")
    left_out = [each[:_LEFT_OUT_CHARS] for each in scene.left_out[:_LEFT_OUT_ITEMS]]
    if is_chinese:
        return text + "。" + (f"未画{_COLON}{'、'.join(left_out)}。" if left_out else "")
    return text + "." + (f" Not drawn: {', '.join(left_out)}." if left_out else "")


def without_remarks(prompt: str) -> str:
    """Return a prompt without what `revised_prompt` adds about things that are not drawn."""
    return _ADDED.sub("", prompt)


class _English:
    """Words a scene in English."""

    joint, comma = " and ", ", "

    def __init__(self, scene: PromptScene) -> None:
        self._scene = scene
        self._counts = fitting_counts(scene)
        self._said: set[int] = set()

    def clauses(self) -> list[str]:
        """Return a clause for each relation, then one with all other things."""
        clauses = [
            self.relation(relation.subjects, relation.place, relation.objects) for relation in self._scene.relations
        ]
        rest = [index for index in range(len(self._scene.things)) if index not in self._said]
        return [*clauses, *([self.names(rest)] if rest else [])]

    def relation(self, subjects: Sequence[int], place: Place, objects: Sequence[int]) -> str:
        """Return one relation as text."""
        return f"{self.names(subjects)} {place.value} {self.names(objects)}"

    def names(self, things: Sequence[int]) -> str:
        """Return several things as text."""
        *first, last = (self._name(index) for index in things)
        return self.joint.join([self.comma.join(first), last] if first else [last])

    def _name(self, index: int) -> str:
        thing, count = self._scene.things[index], self._counts[index]
        name = self.described(thing)
        is_known = index in self._said
        self._said.add(index)
        return self.counted(name, count, is_known=is_known)

    def described(self, thing: Thing) -> str:
        """Return a thing's size, color and name."""
        size = "big " if thing.size > 1 else "small " if thing.size < 1 else ""
        return f"{size}{caption(thing, colored_only=False)}"

    def counted(self, name: str, count: int, *, is_known: bool) -> str:
        """Return a name with its article or number."""
        if count > 1:
            return f"{'the ' if is_known else ''}{count} {_plural(name)}"
        if is_known:
            return f"the {name}"
        if name.endswith("s") and not name.endswith(("ss", "us")):
            return name  # glasses, books
        return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


class _Chinese(_English):
    """Words a scene in Chinese."""

    joint, comma = "和", "、"

    def relation(self, subjects: Sequence[int], place: Place, objects: Sequence[int]) -> str:
        """Return one relation as text."""
        return f"{self.names(subjects)}在{self.names(objects)}{_PLACES[place]}"

    def described(self, thing: Thing) -> str:
        """Return a thing's size, color and name."""
        size = "大" if thing.size > 1 else "小" if thing.size < 1 else ""
        name = thing.drawing.chinese
        if thing.color:
            for word in (word for words in ALL_COLORS.values() for word in words):
                name = name.removeprefix(word)
            name = f"{COLORS[thing.color][0]}的{name.removeprefix('的')}"
        return f"{size}{name}"

    def counted(self, name: str, count: int, *, is_known: bool) -> str:  # noqa: ARG002 - Chinese has no articles
        """Return a name with its number."""
        return f"{count}个{name}" if count > 1 else name


def caption(thing: Thing, *, colored_only: bool = True) -> str:
    """Return the caption to draw a thing by: its color with its English name, or the name that training used.

    `colored_only` False: the English name in any case.
    """
    if not thing.color:
        return thing.drawing.caption if colored_only else thing.drawing.english
    words = [word for word in thing.drawing.english.split() if word not in ALL_COLORS]
    return f"{thing.color} {' '.join(words) or thing.drawing.english}"


def _plural(name: str) -> str:
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es" if not name.endswith("s") else name
    if name.endswith("y") and name[-2:-1] not in tuple("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}s"
