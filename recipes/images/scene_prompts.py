"""The fifty prompts with two and three things, written before any of them was drawn, and what must be recognized."""

from dataclasses import dataclass

_CAT, _DOG = ("cat", "cat face"), ("dog", "dog face")
_CAR = ("automobile", "sport utility vehicle", "oncoming automobile")
_TREE, _BALL, _BIRD = ("deciduous tree", "evergreen tree"), ("soccer ball",), ("bird",)
_APPLE, _HOUSE, _SUN, _FISH = ("red apple",), ("house", "house with garden"), ("sun", "sun with face"), ("fish",)
_SOFA, _BOX, _BED, _FLOWER = (
    ("couch and lamp",),
    ("package",),
    ("bed",),
    ("hibiscus", "rose", "bouquet", "cherry blossom"),
)
_BOAT, _MOON, _CLOUD = ("sailboat",), ("crescent moon", "full moon"), ("cloud",)
_HAT, _BALLOON, _BANANA = ("top hat",), ("balloon",), ("banana",)


@dataclass(frozen=True, slots=True)
class ScenePrompt:
    """A prompt. `things`: for each thing, the English labels of the concepts that are right."""

    text: str
    things: tuple[tuple[str, ...], ...]


SCENE_PROMPTS = (
    ScenePrompt("A cat sitting on a sofa in a living room, photo", (_CAT, _SOFA)),
    ScenePrompt("a dog next to a bicycle", (_DOG, ("bicycle",))),
    ScenePrompt("a red apple and a banana", (_APPLE, _BANANA)),
    ScenePrompt("a bird on a tree", (_BIRD, _TREE)),
    ScenePrompt("a rocket above the moon", (("rocket",), _MOON)),
    ScenePrompt("a penguin under an umbrella", (("penguin",), ("umbrella", "umbrella with rain drops"))),
    ScenePrompt("a car in front of a house", (_CAR, _HOUSE)),
    ScenePrompt("a pizza between a hamburger and a hot dog", (("pizza",), ("hamburger",), ("hot dog",))),
    ScenePrompt("two cats and a ball", (_CAT, _BALL)),
    ScenePrompt("a whale to the left of a sailing boat", (("whale", "spouting whale"), _BOAT)),
    ScenePrompt("a snowman and a Christmas tree", (("snowman", "snowman without snow"), ("Christmas tree",))),
    ScenePrompt("an elephant behind a tree", (("elephant",), _TREE)),
    ScenePrompt("a frog wearing a crown", (("frog",), ("crown",))),
    ScenePrompt("a guitar, a trumpet and a drum", (("guitar",), ("trumpet",), ("drum",))),
    ScenePrompt("a rabbit in a basket", (("rabbit", "rabbit face"), ("basket",))),
    ScenePrompt("a green book on a chair", (("green book", "closed book"), ("chair",))),
    ScenePrompt("a robot holding a balloon", (("robot",), _BALLOON)),
    ScenePrompt("three strawberries next to a birthday cake", (("strawberry",), ("birthday cake",))),
    ScenePrompt("On the beach there is a crab and a ball.", (("beach with umbrella",), ("crab",), _BALL)),
    ScenePrompt("a butterfly above a sunflower", (("butterfly",), ("sunflower",))),
    ScenePrompt("a big elephant next to a small mouse", (("elephant",), ("mouse", "mouse face", "rat"))),
    ScenePrompt("a yellow bus, a blue car and a bicycle", (("bus", "oncoming bus", "trolleybus"), _CAR, ("bicycle",))),
    ScenePrompt("a key on top of a book", (("key", "old key"), ("closed book", "blue book", "orange book"))),
    ScenePrompt("a ghost in front of a castle", (("ghost",), ("castle", "Japanese castle"))),
    ScenePrompt("a monkey eating a banana under a palm tree", (("monkey", "monkey face"), _BANANA, ("palm tree",))),
    ScenePrompt("一只猫坐在沙发上", (_CAT, _SOFA)),
    ScenePrompt("桌子旁边有一把椅子和一只狗", (("chair",), _DOG)),
    ScenePrompt("三个苹果和一根香蕉", (_APPLE, _BANANA)),
    ScenePrompt("树下有一只兔子", (_TREE, ("rabbit", "rabbit face"))),
    ScenePrompt("盒子里的小猫", (_BOX, _CAT)),
    ScenePrompt("太阳在房子的上面", (_SUN, _HOUSE)),
    ScenePrompt("一辆红色的汽车在公交车的左边", (_CAR, ("bus", "oncoming bus"))),
    ScenePrompt("床上有一只小狗", (_BED, _DOG)),
    ScenePrompt("一朵花和一只蝴蝶", (_FLOWER, ("butterfly",))),
    ScenePrompt("鱼缸旁边的猫和一条鱼", (_CAT, _FISH)),
    ScenePrompt("月亮、星星和云", (_MOON, ("star", "glowing star"), _CLOUD)),
    ScenePrompt("一个足球在男孩的右边", (_BALL, ("boy",))),
    ScenePrompt("房子前面有一棵树", (_HOUSE, _TREE)),
    ScenePrompt("一只企鹅戴着帽子", (("penguin",), _HAT)),
    ScenePrompt("马后面有一只羊", (("horse",), ("ewe", "ram"))),
    ScenePrompt("火箭和飞碟在月亮上方", (("rocket",), ("flying saucer",), _MOON)),
    ScenePrompt("左边是西瓜,右边是草莓", (("watermelon",), ("strawberry",))),
    ScenePrompt("两只鸟在树上", (_BIRD, _TREE)),
    ScenePrompt("一只大象骑着自行车", (("elephant",), ("bicycle",))),
    ScenePrompt("生日蛋糕旁边有一个礼物和一个气球", (("birthday cake",), ("wrapped gift",), _BALLOON)),
    ScenePrompt("城堡前的龙", (("castle", "Japanese castle"), ("dragon", "dragon face"))),
    ScenePrompt("一只青蛙和两只鸭子", (("frog",), ("duck",))),
    ScenePrompt("帆船旁边有一条鲨鱼", (_BOAT, ("shark",))),
    ScenePrompt("蓝色的伞下面有一只猪", (("umbrella", "closed umbrella"), ("pig", "pig face"))),
    ScenePrompt("汉堡、薯条和啤酒,照片", (("hamburger",), ("french fries",), ("beer mug",))),
)
