"""How near a word must be to a drawing's name to mean it: the development list behind the planner's threshold.

`python -m recipes.images.nearness` prints, for several thresholds, how many of the nouns that have a drawing under
another name are drawn right or wrong, and how many of those that have none are drawn all the same.
"""

from collections.abc import Sequence

from homeport.engines.images.pipelines.clipart.pipeline import E5CaptionEncoder
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary
from recipes.images import embeddings

_THRESHOLDS = (0.5, 0.6, 0.65, 0.7, 0.72, 0.75, 0.8)
_DRAWN = {
    "dog": ("labrador", "guide hound"),
    "poodle": ("poodle dog",),
    "cat": ("kitty cat", "house cat"),
    "passenger ship": ("cruiser ship",),
    "pickup truck": ("pickup",),
    "deciduous tree": ("oak tree", "橡树"),
    "doughnut": ("donut",),
    "ringed planet": ("planet saturn",),
    "strawberry": ("strawberry fruit",),
    "helicopter": ("直升飞机",),
    "goose": ("大白鹅",),
    "maple leaf": ("maple",),
    "Statue of Liberty": ("liberty statue",),
    "balloon": ("party balloon", "彩色气球"),
    "water pistol": ("手枪",),
    "duck": ("烤鸭", "水鸭"),
    "lobster": ("red lobster",),
    "violin": ("violin instrument",),
    "airplane": ("passenger airplane",),
    "elephant": ("baby elephant", "非洲象"),
}
"""Further words for drawings, by the English label."""
_NOT_DRAWN = (
    *("living room", "happiness", "freedom", "quantum physics", "breakfast table", "table", "desk", "carpet"),
    *("democracy", "kitchen", "garden", "economy", "atmosphere", "sunlight", "wooden floor", "justice", "silence"),
    *("algorithm", "shelf", "fence", "grass", "lake", "river", "forest", "wall", "curtain", "roof", "floor", "sky"),
    *(
        "corner",
        "hallway",
        "bookshelf",
        "blanket",
        "pillow",
        "ceiling",
        "marble",
        "sand",
        "rug",
        "桌子",
        "客厅",
        "厨房",
    ),
    *(
        "自由",
        "民主",
        "幸福",
        "哲学",
        "地毯",
        "湖",
        "河边",
        "森林",
        "草地",
        "墙",
        "地板",
        "天空",
        "书架",
        "角落",
        "房间",
    ),
)
"""Nouns without a drawing."""


def main() -> None:
    """Print the table."""
    encode, vocabulary = E5CaptionEncoder(embeddings.load()), DrawingVocabulary.load()
    drawn = [(label, *_nearest(encode, vocabulary, word)) for label, words in _DRAWN.items() for word in words]
    others = [_nearest(encode, vocabulary, word)[1] for word in _NOT_DRAWN]
    print(f"{len(drawn)} words for drawings, {len(others)} words without one")
    for threshold in _THRESHOLDS:
        near = [label == found for label, found, cosine in drawn if cosine >= threshold]
        print(f"{threshold}: right {sum(near)}, wrong {len(near) - sum(near)}; {_count(others, threshold)} without one")


def _nearest(encode: E5CaptionEncoder, vocabulary: DrawingVocabulary, word: str) -> tuple[str, float]:
    drawing, cosine = vocabulary.nearest(encode(word))
    return drawing.english, cosine


def _count(cosines: Sequence[float], threshold: float) -> int:
    return sum(cosine >= threshold for cosine in cosines)


if __name__ == "__main__":
    main()
