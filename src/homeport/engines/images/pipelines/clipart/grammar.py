"""What the grammars of English and Chinese share: kinds of words, numbers, colors, sizes, and what things contain."""

from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from homeport.engines.images.pipelines.clipart.scene import Place
from homeport.engines.images.pipelines.clipart.vocabulary import NamedDrawing


class Kind(Enum):
    """What a token does in a sentence."""

    THING = auto()
    ARTICLE = auto()
    COUNT = auto()
    COLOR = auto()
    SIZE = auto()
    PLACE = auto()
    WEARS = auto()
    SIDE = auto()
    AND = auto()
    STOP = auto()
    OF = auto()
    AT = auto()
    VERB = auto()
    STYLE = auto()
    FILLER = auto()
    OTHER = auto()


Value: TypeAlias = int | float | str | Place | None
"""A count, a color, a size factor or a place, depending on the kind."""


class Token(NamedTuple):
    """A word or phrase. `is_plural`: an English name in the plural."""

    kind: Kind
    text: str
    value: Value = None
    drawing: NamedDrawing | None = None
    is_plural: bool = False


SEVERAL, MANY = 3, 5
BIG, SMALL, HUGE, TINY = 1.35, 0.7, 1.6, 0.55
COLORS = {
    "red": ("红色", "红"),
    "orange": ("橙色", "橘色", "橙"),
    "yellow": ("黄色", "黄"),
    "green": ("绿色", "绿"),
    "blue": ("蓝色", "蓝"),
    "purple": ("紫色", "紫"),
    "pink": ("粉色", "粉红色", "粉红", "粉"),
}
"""The colors that the model was trained on, with their Chinese words, the first with its captions."""
OTHER_COLORS = {
    "white": ("白色", "白"),
    "black": ("黑色", "黑"),
    "brown": ("棕色", "褐色"),
    "gray": ("灰色", "灰"),
    "golden": ("金色",),
}
ALL_COLORS = COLORS | OTHER_COLORS


def phrases(text: str) -> tuple[str, ...]:
    """Split a list of phrases at its slashes."""
    return tuple(text.split("/"))


CONTAINERS = {
    "basket": 0.6,
    "shopping cart": 0.8,
    "pot of food": 0.7,
    "bowl with spoon": 0.72,
    **dict.fromkeys(
        phrases(
            "package/bucket/bathtub/amphora/handbag/backpack/canoe/speedboat/wastebasket/hot beverage/wrapped gift/"
            "automobile/potted plant/top hat/ship"
        ),
        0.95,
    ),
}
"""Drawings out of which something can look, and the height of their rims, in shares of the drawings' heights."""
OPEN_DRAWINGS = frozenset(("basket", "shopping cart", "glasses", "chair", "ladder"))
"""Drawings through whose openings one sees what is behind."""
